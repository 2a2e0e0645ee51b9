"""The state machine of strategies that sample in batches until they have enough."""

from collections.abc import Callable
from typing import ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.answers import Equality
from ponder.agents.solver import STEP_BY_STEP, Solver, solver
from ponder.context import RunContext
from ponder.graphs.base import Graph, State, Strategy
from ponder.graphs.pool import Stop, draw, raise_if_all_failed, rescue
from ponder.messages import Sampling
from ponder.result import Candidate, Outcome, StopReason

HOPELESS = 3
"""If so many attempts have failed and none got through, the model is taken as dead."""

Select = Callable[[list[Candidate], StopReason, RunContext], Outcome]


class Sampled(Strategy):
    """What strategies that sample chains of thought have in common."""

    temperature: float = Field(default=0.7, ge=0)
    """T of the samples."""
    equality: Equality = "math"
    """How answers are compared: ``math`` or ``exact``."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of each sample."""
    instructions: str = STEP_BY_STEP
    """System prompt."""

    logprobs: ClassVar[bool] = False
    """Whether the selection uses log-probabilities."""

    def solver(self) -> Solver:
        """Return who makes one attempt."""
        return solver(
            instructions=self.instructions,
            sampling=Sampling(temperature=self.temperature),
            max_tokens=self.max_tokens,
            logprobs=self.logprobs,
        )


def in_batches(
    solve: Solver, *, total: int, batch: int, stop: Stop, select: Select
) -> Graph:
    """Return the graph START -> sample -> (sample | select) -> END.

    Args:
        solve: Makes one attempt.
        total: Most attempts.
        batch: Attempts in flight together.
        stop: Looks at all candidates so far; a reason ends the sampling.
        select: Makes the outcome.
    """

    async def sample(state: State, runtime: Runtime[RunContext]) -> State:
        tried = state.get("tried", 0)
        indices = range(tried, min(total, tried + batch))
        pool, reason = await draw(
            solve,
            state["task"],
            runtime.context,
            indices,
            so_far=state["candidates"],
            stop=stop,
        )
        update: State = {"candidates": pool, "tried": tried + len(indices)}
        if update["tried"] >= min(HOPELESS, total):
            raise_if_all_failed(pool, runtime.context)
        if reason is not None:
            update["stop_reason"] = reason
        return update

    def more(state: State) -> Literal["sample", "select"]:
        ended = "stop_reason" in state or state["tried"] >= total
        return "select" if ended else "sample"

    async def choose(state: State, runtime: Runtime[RunContext]) -> State:
        pool = await with_an_answer(state, runtime.context)
        reason = state.get("stop_reason", StopReason.FINISHED)
        return {"outcome": select(pool, reason, runtime.context)}

    graph = StateGraph(State, context_schema=RunContext)
    graph.add_node("sample", sample)
    graph.add_node("select", choose)
    graph.add_edge(START, "sample")
    graph.add_conditional_edges("sample", more)
    graph.add_edge("select", END)
    return graph


async def with_an_answer(state: State, context: RunContext) -> list[Candidate]:
    """Return the candidates; if none came to an answer, one is made to."""
    pool = state["candidates"]
    if any(c.answer for c in pool):
        return pool
    rescued = await rescue(state["task"], pool, context)
    return [*pool, rescued] if rescued else pool
