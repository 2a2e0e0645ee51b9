"""How one answer is made of the finished solutions of a search."""

from collections.abc import Mapping, Sequence
from typing import Literal

from ponder.agents.answers import Equality, group
from ponder.graphs.best_of_n import score
from ponder.graphs.pool import choosable, unanswered, vouched
from ponder.result import Candidate, Outcome, StopReason

Select = Literal["best", "vote", "synthesis"]
"""The solution that the policy ends with, as a rule that of most weight; a vote of the
answers by weight; or a new solution that the model writes from all (a vote, where it
cannot)."""


def choose(
    pool: Sequence[Candidate],
    weights: Mapping[str, float],
    select: Select,
    equality: Equality,
    reason: StopReason,
    favourite: str | None = None,
) -> Outcome:
    """Return the outcome of a search.

    Where a solution that was verified ended it, that solution is the outcome, whatever
    the weights say: a policy that does not weigh by the verifier knows less. Where no
    answer could be read, the solution of most weight that came to its end is.

    Args:
        pool: The solutions, in the order in which they were asked for.
        weights: Weight of each by its id, 0 or more; who has none has no say, as long
            as somebody with an answer has one. If nobody has, scores are the weights.
        select: How to choose.
        equality: How answers are compared in a vote.
        reason: Why the search ended.
        favourite: Id of the solution that the policy ended with. It is the ``best`` if
            it has an answer and a weight.

    Returns:
        An outcome whose confidence is the winner's share of all weight (``vote``), or
        the score of the solution (``best``).
    """
    winner = _accepted(pool) if reason is StopReason.VERIFIED else None
    if winner is not None:
        return _outcome(pool, winner, score(winner), reason)
    able = choosable if select == "best" else _answered
    answered = [c for c in pool if able(c)]
    if not answered:
        # Not all tasks have answers to be read: a plan is one, as it stands.
        whole = [c for c in pool if c.text and not c.truncated]
        answered, select = [c for c in whole if score(c) is not None], "best"
    if not answered:
        return unanswered(pool, reason)
    voters, weights = _weighed(answered, weights)
    if not voters:
        voters, weights, select = answered, dict.fromkeys(_ids(answered), 1.0), "vote"
    if select == "best":
        winner = max(voters, key=lambda c: (c.id == favourite, weights[c.id]))
        return _outcome(pool, winner, score(winner), reason)
    return _outcome(pool, *_voted(voters, weights, equality), reason)


def _weighed(
    answered: Sequence[Candidate], weights: Mapping[str, float]
) -> tuple[list[Candidate], Mapping[str, float]]:
    """Return who has a say, and the weights that say how much."""
    scores = {c.id: s for c in answered if (s := score(c)) is not None}
    for known in (weights, scores):
        if voters := [c for c in answered if c.id in known]:
            return voters, known
    return [], {}


def accepted(candidate: Candidate, least: float) -> bool:
    """Return whether a solution is so good that no other one has to be looked for.

    Args:
        candidate: The solution, judged.
        least: Score from which it is, or, if that is at most 1, as soon as a function
            passed it.
    """
    if not choosable(candidate):
        return False
    reached = score(candidate)
    return (least <= 1 and vouched(candidate)) or (
        reached is not None and reached >= least
    )


def _accepted(pool: Sequence[Candidate]) -> Candidate | None:
    """Return the solution that was passed, or else the one of the highest score."""
    scored = [c for c in pool if score(c) and choosable(c)]
    return max(
        scored,
        key=lambda c: (accepted(c, 1.0), score(c) or 0.0),
        default=None,
    )


def _answered(candidate: Candidate) -> bool:
    return candidate.answer is not None


def _outcome(
    pool: Sequence[Candidate],
    winner: Candidate,
    confidence: float | None,
    reason: StopReason,
) -> Outcome:
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
