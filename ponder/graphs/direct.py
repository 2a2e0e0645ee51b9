"""Ask once: the baseline of every other strategy."""

from typing import ClassVar

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.solver import Solver, attempt, solver
from ponder.context import RunContext
from ponder.errors import OutOfBudget
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.pool import raise_if_all_failed, rescue, unanswered
from ponder.messages import Sampling
from ponder.result import Candidate, Outcome, StopReason


@register
class Direct(Strategy):
    """Ask the model once, without instructions."""

    name: ClassVar[str] = "direct"
    source: ClassVar[str] = "baseline"

    temperature: float = Field(default=0.0, ge=0)
    """0 is greedy."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of the answer."""

    def build(self) -> Graph:
        """START -> answer -> END."""
        return ask_once(self.solver())

    def solver(self) -> Solver:
        """Return who makes the one attempt."""
        return solver(
            sampling=Sampling(temperature=self.temperature),
            max_tokens=self.max_tokens,
            whole_text=True,
        )


def ask_once(solve: Solver) -> Graph:
    """Return the graph of one attempt; a cut-off one is made to answer."""

    async def answer(state: State, runtime: Runtime[RunContext]) -> State:
        context, task = runtime.context, state["task"]
        try:
            candidate = await attempt(solve, task, context.at("sample", 0))
        except OutOfBudget as stop:
            reason = StopReason(stop.dimension)
            return {"outcome": unanswered([], reason)}
        raise_if_all_failed([candidate], context)
        context.keep(candidate, ("question",))
        reason = _reason(candidate, context)
        finished = candidate
        if candidate.answer is None:
            finished = await rescue(task, [candidate], context) or candidate
        return {
            "outcome": Outcome(
                answer=finished.answer,
                text=finished.text,
                candidates=(finished,),
                stop_reason=reason,
            )
        }

    graph = StateGraph(State, context_schema=RunContext)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    return graph


def _reason(candidate: Candidate, context: RunContext) -> StopReason:
    """Name the limit that cut a text short, if the budget did."""
    if not candidate.truncated:
        return StopReason.FINISHED
    if candidate.finish_reason == "time":
        return StopReason.SECONDS
    for dimension in ("tokens", "output_tokens"):
        left = context.ledger.left(dimension)
        if left is not None and left < 1:
            return StopReason(dimension)
    return StopReason.FINISHED
