"""Sample chains of thought, and let their probabilities vote."""

from typing import ClassVar

from pydantic import Field

from ponder.agents.answers import group
from ponder.context import RunContext
from ponder.graphs.base import register
from ponder.graphs.pool import unanswered
from ponder.graphs.rpc import path_logprob, perplexity_consistency, prune
from ponder.graphs.self_consistency import Criterion, SelfConsistency, answers, majority
from ponder.result import Candidate, Outcome, StopReason


@register
class RPC(SelfConsistency):
    """Sample chains of thought and take the answer whose paths are likeliest.

    Reasoning-Pruning Perplexity Consistency, Zhou et al. 2025: paths that belong to
    the low component of a fitted mixture are dropped, and each answer is weighed by
    the probabilities of its distinct paths. Models without log-probabilities vote by
    count, and the result names the substitute.
    """

    name: ClassVar[str] = "rpc"
    source: ClassVar[str] = "https://arxiv.org/abs/2502.00511"

    logprobs: ClassVar[bool] = True

    n: int = Field(default=64, ge=1)
    """K, sampled paths: 64 on MATH, 128 on the other data sets of the paper."""
    pruning: bool = True
    """Drop improbable paths first (the R of RPC)."""
    per_token: bool = True
    """Weigh a path by its mean log-probability, as the authors' code does; false
    takes the probability of the whole path, as the theory does."""
    criterion: Criterion = "none"
    """The paper draws all paths; ``beta`` and ``dirichlet`` stop early by votes."""
    batch: int = Field(default=16, ge=1)
    """Samples in flight together."""

    def select(
        self, pool: list[Candidate], reason: StopReason, context: RunContext
    ) -> Outcome:
        """Weigh the answers by the probabilities of their paths."""
        voters = [c for c in pool if c.answer is not None]
        if not voters:
            return unanswered(pool, reason)
        paths = [c for c in voters if c.logprob is not None and c.logprob_tokens]
        if len(paths) < len(voters):
            context.substitute("logprobs", "votes")
            return majority(pool, self.equality, reason)
        return self._weighed(pool, voters, reason)

    def _weighed(
        self, pool: list[Candidate], voters: list[Candidate], reason: StopReason
    ) -> Outcome:
        logprobs = [
            path_logprob(c.logprob or 0.0, c.logprob_tokens, per_token=self.per_token)
            for c in voters
        ]
        groups = group(answers(voters), self.equality)
        confidence = perplexity_consistency(
            groups,
            logprobs,
            paths=[c.text for c in voters],
            keep=prune(logprobs) if self.pruning else None,
        )
        best = max(range(len(groups)), key=lambda i: confidence[i])
        spokesman = max(groups[best].indices, key=lambda i: logprobs[i])
        return Outcome(
            answer=voters[spokesman].answer,
            text=voters[spokesman].text,
            confidence=min(1.0, confidence[best]),
            candidates=tuple(pool),
            stop_reason=reason,
        )
