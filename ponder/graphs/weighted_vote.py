"""Sample N answers, and let the verifier's scores vote."""

from collections.abc import Sequence
from typing import ClassVar

from ponder.agents.answers import group
from ponder.graphs.base import register
from ponder.graphs.best_of_n import SampleAndJudge, score
from ponder.graphs.pool import unanswered
from ponder.result import Candidate, Outcome, StopReason


@register
class WeightedVote(SampleAndJudge):
    """Sample N answers and take the one whose samples' scores sum highest.

    Li et al. 2022 (DIVERSE), eq. 2: argmax over y of the sum of the scores of the
    samples that end in y.
    """

    name: ClassVar[str] = "weighted_vote"
    source: ClassVar[str] = "https://arxiv.org/abs/2206.02336"

    def has_a_say(self, candidate: Candidate) -> bool:
        """Whether a candidate that has a score can vote."""
        return bool(candidate.answer)

    def select(self, pool: Sequence[Candidate], reason: StopReason) -> Outcome:
        """Take the answer with the largest sum of scores.

        The confidence is its share of all scores.
        """
        voters = [c for c in pool if c.answer and score(c) is not None]
        if not voters:
            return unanswered(pool, reason)
        groups = group([c.answer or "" for c in voters], self.equality)
        weights = [sum(score(voters[i]) or 0.0 for i in g.indices) for g in groups]
        best = max(range(len(groups)), key=lambda i: weights[i])
        members = [voters[i] for i in groups[best].indices]
        spokesman = max(members, key=lambda c: score(c) or 0.0)
        total = sum(weights)
        return Outcome(
            answer=spokesman.answer,
            text=spokesman.text,
            confidence=weights[best] / total if total > 0 else None,
            candidates=tuple(pool),
            stop_reason=reason,
            verdict=spokesman.verdict,
        )
