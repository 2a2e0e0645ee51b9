"""Sample N answers, and take the one that the verifier scores highest."""

from collections.abc import Sequence
from typing import ClassVar

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.context import RunContext
from ponder.graphs.base import Graph, State, register
from ponder.graphs.batches import Sampled, with_an_answer
from ponder.graphs.pool import (
    choosable,
    draw,
    judge_all,
    raise_if_all_failed,
    unanswered,
)
from ponder.graphs.self_consistency import majority
from ponder.result import Candidate, Outcome, StopReason


class SampleAndJudge(Sampled):
    """Draw n candidates, judge them all, select: what best-of-N variants share."""

    wrap_up_share: ClassVar[float] = 0.05
    judge_share: ClassVar[float] = 0.35
    needs_verifier: ClassVar[bool] = True

    n: int = Field(default=16, ge=1)
    """N, samples drawn. Cobbe et al. use 100; 16 is what a laptop can pay."""

    def build(self) -> Graph:
        """START -> sample -> judge -> select -> END."""
        solve = self.solver()

        async def sample(state: State, runtime: Runtime[RunContext]) -> State:
            context = runtime.context
            pool, reason = await draw(solve, state["task"], context, range(self.n))
            raise_if_all_failed(pool, context)
            drawn: State = {"task": state["task"], "candidates": pool}
            return {
                "candidates": await with_an_answer(drawn, context),
                "stop_reason": reason or StopReason.FINISHED,
            }

        async def judge(state: State, runtime: Runtime[RunContext]) -> State:
            drawn, context = state["candidates"], runtime.context
            pool, refused = await judge_all(state["task"], drawn, context)
            return {
                "candidates": pool,
                "stop_reason": refused or state["stop_reason"],
            }

        async def select(state: State, runtime: Runtime[RunContext]) -> State:
            pool, reason = state["candidates"], state["stop_reason"]
            scored = [c for c in pool if score(c) is not None]
            heard = any(map(self.has_a_say, scored))
            if not heard and (not scored or any(c.answer for c in pool)):
                return {"outcome": self._unscored(pool, reason, runtime.context)}
            return {"outcome": self.select(pool, reason)}

        graph = StateGraph(State, context_schema=RunContext)
        graph.add_node("sample", sample)
        graph.add_node("judge", judge)
        graph.add_node("select", select)
        graph.add_edge(START, "sample")
        graph.add_edge("sample", "judge")
        graph.add_edge("judge", "select")
        graph.add_edge("select", END)
        return graph

    def has_a_say(self, candidate: Candidate) -> bool:
        """Whether a candidate that has a score can be selected."""
        return choosable(candidate)

    def select(self, pool: Sequence[Candidate], reason: StopReason) -> Outcome:
        """Select among candidates.

        Args:
            pool: One that has a say has a score; or none has an answer, but some score.
            reason: Why the run ends.
        """
        raise AssertionError(f"{type(self).__name__} does not say how to select")

    def _unscored(
        self, pool: Sequence[Candidate], reason: StopReason, context: RunContext
    ) -> Outcome:
        if pool:
            context.substitute("verifier scores", "majority vote")
        return majority(pool, self.equality, reason)


@register
class BestOfN(SampleAndJudge):
    """Sample N answers and take the one with the highest verifier score.

    Cobbe et al. 2021. Without a verifier, the model judges its own answers.
    """

    name: ClassVar[str] = "best_of_n"
    source: ClassVar[str] = "https://arxiv.org/abs/2110.14168"

    def select(self, pool: Sequence[Candidate], reason: StopReason) -> Outcome:
        """Take the highest score; ties go to the one that came first.

        Candidates without a score do not take part, nor do those without an answer
        that no function accepted, as long as any has an answer. The confidence is the
        score.
        """
        scored = [c for c in pool if score(c) is not None]
        readable = [c for c in scored if choosable(c)] or scored
        if not readable:
            return unanswered(pool, reason)
        best = max(readable, key=lambda c: score(c) or 0.0)
        return Outcome(
            answer=best.answer,
            text=best.text,
            confidence=score(best),
            candidates=tuple(pool),
            stop_reason=reason,
            verdict=best.verdict,
        )


def score(candidate: Candidate) -> float | None:
    """Return the verifier's score, ``None`` if there is none."""
    return candidate.verdict.score if candidate.verdict else None
