"""Sample many chains of thought, and take the answer that most of them reach."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from ponder.agents.answers import Equality, group
from ponder.context import RunContext
from ponder.graphs.base import Graph, register, rounds
from ponder.graphs.batches import Sampled, in_batches
from ponder.graphs.pool import unanswered
from ponder.graphs.posterior import beta_stop, dirichlet_stop
from ponder.result import Candidate, Outcome, StopReason

Criterion = Literal["beta", "dirichlet", "none"]


@register
class SelfConsistency(Sampled):
    """Sample chains of thought and take the most frequent answer.

    Wang et al. 2022. Sampling stops early when the leader is unlikely to be overtaken
    (Adaptive-Consistency, Aggarwal et al. 2023, https://arxiv.org/abs/2305.11860);
    ``criterion="none"`` is the original algorithm.
    """

    name: ClassVar[str] = "self_consistency"
    source: ClassVar[str] = "https://arxiv.org/abs/2203.11171"
    wrap_up_share: ClassVar[float] = 0.05

    n: int = Field(default=40, ge=1)
    """Most samples (40 in both papers)."""
    criterion: Criterion = "beta"
    """Stopping rule of Adaptive-Consistency; ``none`` draws all samples."""
    threshold: float = Field(default=0.95, gt=0, le=1)
    """Stop when the leader leads with this probability (C_thresh)."""
    batch: int = Field(default=8, ge=1)
    """Samples in flight together; the paper draws one at a time."""

    def max_steps(self) -> int:
        """One step for each batch, and the selection."""
        return rounds(self.n, self.batch) + 10

    def build(self) -> Graph:
        """START -> sample -> (sample | select) -> END."""
        return in_batches(
            self.solver(),
            total=self.n,
            batch=self.batch,
            stop=self.agreed,
            select=self.select,
        )

    def agreed(self, pool: list[Candidate]) -> StopReason | None:
        """Return ``AGREED`` when the leader is unlikely to be overtaken."""
        if self.criterion == "none":
            return None
        counts = [len(g.indices) for g in group(answers(pool), self.equality)]
        if not counts:
            return None
        rule = beta_stop if self.criterion == "beta" else dirichlet_stop
        return StopReason.AGREED if rule(counts) >= self.threshold else None

    def select(
        self, pool: list[Candidate], reason: StopReason, context: RunContext
    ) -> Outcome:
        """Take the most frequent answer."""
        return majority(pool, self.equality, reason)


def answers(pool: Sequence[Candidate]) -> list[str]:
    """Return the answers of the candidates that have one."""
    return [c.answer for c in pool if c.answer is not None]


def majority(
    pool: Sequence[Candidate], equality: Equality, reason: StopReason
) -> Outcome:
    """Return the most frequent answer; ties go to the one that came first.

    The confidence is the leader's share of the votes that could be read.
    """
    voters = [c for c in pool if c.answer is not None]
    if not voters:
        return unanswered(pool, reason)
    groups = group(answers(voters), equality)
    leader = max(groups, key=lambda g: len(g.indices))
    spokesman = voters[leader.indices[0]]
    return Outcome(
        answer=spokesman.answer,
        text=spokesman.text,
        confidence=len(leader.indices) / len(voters),
        candidates=tuple(pool),
        stop_reason=reason,
    )
