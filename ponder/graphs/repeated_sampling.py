"""Sample until the verifier passes one."""

from typing import ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.answers import Equality
from ponder.agents.solver import STEP_BY_STEP, Solver, solver
from ponder.agents.verifier import judged
from ponder.context import RunContext
from ponder.graphs.base import Graph, State, Strategy, register, rounds
from ponder.graphs.best_of_n import score
from ponder.graphs.pool import draw, raise_if_all_failed, rescue
from ponder.graphs.self_consistency import majority
from ponder.messages import Sampling
from ponder.result import Candidate, Outcome, StopReason, Task


@register
class RepeatedSampling(Strategy):
    """Sample until a verifier passes a candidate.

    Brown et al. 2024, "Large Language Monkeys". Where none passes, the highest score
    wins, and without scores the majority.
    """

    name: ClassVar[str] = "repeated_sampling"
    source: ClassVar[str] = "https://arxiv.org/abs/2407.21787"
    wrap_up_share: ClassVar[float] = 0.05
    judge_share: ClassVar[float] = 0.35
    needs_verifier: ClassVar[bool] = True

    k: int = Field(default=100, ge=1)
    """Most samples. The paper goes to 10,000."""
    temperature: float = Field(default=0.6, ge=0)
    """T, as in the paper's experiments on GSM8K and MATH."""
    batch: int = Field(default=8, ge=1)
    """Samples in flight together."""
    equality: Equality = "math"
    """How answers are compared: ``math`` or ``exact``."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of each sample."""
    instructions: str = STEP_BY_STEP
    """System prompt."""

    def max_steps(self) -> int:
        """One step for each batch, and the selection."""
        return rounds(self.k, self.batch) + 10

    def build(self) -> Graph:
        """START -> sample -> (sample | select) -> END."""
        solve = self._sample_and_judge()

        async def sample(state: State, runtime: Runtime[RunContext]) -> State:
            tried = state.get("tried", 0)
            indices = range(tried, min(self.k, tried + self.batch))
            pool, reason = await draw(
                solve,
                state["task"],
                runtime.context,
                indices,
                so_far=state["candidates"],
                stop=first_passed,
            )
            raise_if_all_failed(pool, runtime.context)
            update: State = {"candidates": pool, "tried": tried + len(indices)}
            if reason is not None:
                update["stop_reason"] = reason
            return update

        def more(state: State) -> Literal["sample", "select"]:
            ended = "stop_reason" in state or state["tried"] >= self.k
            return "select" if ended else "sample"

        async def select(state: State, runtime: Runtime[RunContext]) -> State:
            reason = state.get("stop_reason", StopReason.FINISHED)
            return {"outcome": await self._select(state, reason, runtime.context)}

        graph = StateGraph(State, context_schema=RunContext)
        graph.add_node("sample", sample)
        graph.add_node("select", select)
        graph.add_edge(START, "sample")
        graph.add_conditional_edges("sample", more)
        graph.add_edge("select", END)
        return graph

    def _sample_and_judge(self) -> Solver:
        """Each branch judges its own sample, so a pass ends the others at once."""
        solve = solver(
            instructions=self.instructions,
            sampling=Sampling(temperature=self.temperature),
            max_tokens=self.max_tokens,
        )

        async def both(task: Task, context: RunContext) -> Candidate:
            candidate = await solve(task, context)
            return await judged(task, candidate, context.wrap_up().at("judge"))

        return both

    async def _select(
        self, state: State, reason: StopReason, context: RunContext
    ) -> Outcome:
        pool, task = state["candidates"], state["task"]
        if not any(c.answer for c in pool):
            rescued = await rescue(task, pool, context)
            pool = [*pool, rescued] if rescued else pool
        chosen = passed(pool) or highest(pool)
        if chosen is None:
            return majority(pool, self.equality, reason)
        return Outcome(
            answer=chosen.answer,
            text=chosen.text,
            confidence=score(chosen),
            candidates=tuple(pool),
            stop_reason=reason,
            verdict=chosen.verdict,
        )


def passed(pool: list[Candidate]) -> Candidate | None:
    """Return the first candidate that passed."""
    return next((c for c in pool if c.verdict and c.verdict.passed), None)


def first_passed(pool: list[Candidate]) -> StopReason | None:
    """Return ``VERIFIED`` as soon as a candidate has passed."""
    return StopReason.VERIFIED if passed(pool[-1:]) else None


def highest(pool: list[Candidate]) -> Candidate | None:
    """Return the candidate with the highest score among those with an answer."""
    scored = [c for c in pool if score(c) is not None and c.answer]
    return max(scored, key=lambda c: score(c) or 0.0, default=None)
