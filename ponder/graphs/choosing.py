"""How one answer is made of the finished solutions of a search."""

from collections.abc import Mapping, Sequence
from typing import Literal

from ponder.agents.answers import Equality, group
from ponder.graphs.pool import choosable, unanswered
from ponder.result import Candidate, Outcome, StopReason

Select = Literal["best", "vote", "synthesis"]
"""The solution of most weight, a vote of the answers by weight, or a new solution that
the model writes from all (a vote, where it cannot)."""


def choose(
    pool: Sequence[Candidate],
    weights: Mapping[str, float],
    select: Select,
    equality: Equality,
    reason: StopReason,
) -> Outcome:
    """Return the outcome of a search.

    Args:
        pool: The solutions, in the order in which they were asked for.
        weights: Weight of each by its id, 0 or more; who has none has no say, as long
            as somebody with an answer has one.
        select: How to choose.
        equality: How answers are compared in a vote.
        reason: Why the search ended.

    Returns:
        An outcome whose confidence is the winner's share of all weight (``vote``), or
        the score of the solution (``best``).
    """
    answered = [c for c in pool if c.answer is not None]
    if select == "best":
        answered = [c for c in pool if choosable(c)]
    voters = [c for c in answered if c.id in weights]
    if not answered:
        return unanswered(pool, reason)
    if not voters:
        voters, weights, select = answered, dict.fromkeys(_ids(answered), 1.0), "vote"
    if select == "best":
        winner = max(voters, key=lambda c: weights[c.id])
        confidence = winner.verdict.score if winner.verdict else None
    else:
        winner, confidence = _voted(voters, weights, equality)
    return Outcome(
        answer=winner.answer,
        text=winner.text,
        confidence=confidence,
        candidates=tuple(pool),
        stop_reason=reason,
        verdict=winner.verdict,
    )


def _voted(
    voters: Sequence[Candidate], weights: Mapping[str, float], equality: Equality
) -> tuple[Candidate, float | None]:
    groups = group([c.answer or "" for c in voters], equality)
    members = [[voters[i] for i in g.indices] for g in groups]
    sums = [sum(weights[c.id] for c in ones) for ones in members]
    best = max(range(len(groups)), key=lambda i: sums[i])
    total = sum(sums)
    spokesman = max(members[best], key=lambda c: weights[c.id])
    return spokesman, sums[best] / total if total > 0 else None


def _ids(candidates: Sequence[Candidate]) -> list[str]:
    return [c.id for c in candidates]
