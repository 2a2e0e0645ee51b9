"""A mean of what a cheap judge says, corrected by some right labels."""

from collections.abc import Sequence

from ponder.errors import InvalidParameter
from ponder.evals.statistics.interval import Interval, mean_interval


def corrected_mean(
    surrogate: Sequence[float],
    gold: Sequence[float | None],
    sampled: Sequence[bool],
    probability: float | Sequence[float],
    *,
    clusters: Sequence[str] | None = None,
    level: float = 0.95,
) -> Interval:
    """Return an unbiased mean from labels of a judge and a random part of right ones.

    Design-based supervised learning (Egami et al. 2023,
    https://arxiv.org/abs/2306.04746): everything is judged, each item is checked with a
    known probability pi_i, and each judgement g_i is corrected by what checking found,

        g_i + R_i / pi_i (y_i - g_i),   R_i = 1 if item i was checked

    whose expectation is y_i however biased the judge is. Here g_i is the judgement
    itself, not a prediction fitted to the right labels, so no cross-fitting is needed.
    The interval is ``mean_interval`` of these values. It may reach beyond 0 and 1.

    Args:
        surrogate: What the judge says of each item, g.
        gold: The right label y where the item was checked; not read elsewhere.
        sampled: Whether each item was checked, R.
        probability: Of being checked, pi, above 0 and up to 1; one for all items or one
            for each. It has to be the probability that the items were truly drawn with.
        clusters: The problem of each item; by default each is a problem of its own.
        level: Probability of covering the true mean.

    Raises:
        InvalidParameter: Lengths differ, a probability is outside its range, a checked
            item has no label, or no item was checked.
    """
    count = len(surrogate)
    odds = (
        list(probability)
        if isinstance(probability, Sequence)
        else [float(probability)] * count
    )
    _check(count, gold, sampled, odds)
    values = [
        g + (y - g) / pi if drawn and y is not None else g
        for g, y, drawn, pi in zip(surrogate, gold, sampled, odds, strict=True)
    ]
    return mean_interval(values, clusters or [str(i) for i in range(count)], level)


def _check(
    count: int,
    gold: Sequence[float | None],
    sampled: Sequence[bool],
    odds: Sequence[float],
) -> None:
    if not len(gold) == len(sampled) == len(odds) == count:
        raise InvalidParameter(
            f"{count} judgements have {len(gold)} labels, {len(sampled)} marks of "
            f"sampling and {len(odds)} probabilities: give one of each for every item."
        )
    if not all(0 < pi <= 1 for pi in odds):
        raise InvalidParameter("A sampling probability is not above 0 and up to 1.")
    if not any(sampled):
        raise InvalidParameter("No item was checked: label at least one by hand.")
    for place, (y, drawn, pi) in enumerate(zip(gold, sampled, odds, strict=True)):
        if drawn and y is None:
            raise InvalidParameter(f"Item {place} was sampled but has no right label.")
        if not drawn and pi == 1:
            raise InvalidParameter(
                f"Item {place} was not sampled though its probability is 1."
            )
