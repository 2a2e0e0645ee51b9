"""Sample until the verifier passes one."""

from typing import ClassVar

from pydantic import Field

from ponder.agents.solver import Solver
from ponder.agents.verifier import verified
from ponder.context import RunContext
from ponder.graphs.base import Graph, register, rounds
from ponder.graphs.batches import Sampled, in_batches
from ponder.graphs.best_of_n import score
from ponder.graphs.self_consistency import majority
from ponder.result import Candidate, Outcome, StopReason, Task


@register
class RepeatedSampling(Sampled):
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

    def max_steps(self) -> int:
        """One step for each batch, and the selection."""
        return rounds(self.k, self.batch) + 10

    def build(self) -> Graph:
        """START -> sample -> (sample | select) -> END."""
        return in_batches(
            self._sample_and_judge(),
            total=self.k,
            batch=self.batch,
            stop=first_passed,
            select=self.select,
        )

    def _sample_and_judge(self) -> Solver:
        """Each branch judges its own sample, so a pass ends the others at once."""
        solve = self.solver()

        async def both(task: Task, context: RunContext) -> Candidate:
            candidate = await solve(task, context)
            found, _ = await verified(task, candidate, context.wrap_up().at("judge"))
            return found

        return both

    def select(
        self, pool: list[Candidate], reason: StopReason, context: RunContext
    ) -> Outcome:
        """Take the first that passed, else the highest score, else the majority."""
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
