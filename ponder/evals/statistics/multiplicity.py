"""Many tests at once."""

from collections.abc import Sequence

from ponder.errors import InvalidParameter


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for all being looked at.

    Step-down procedure of Holm (1979, Scandinavian Journal of Statistics 6:65): the
    i-th smallest of m p-values is multiplied by m - i + 1, no adjusted one is below
    the one before, and none is above 1. Rejecting those of at most alpha keeps the
    probability of one false rejection or more at alpha, however the tests depend on
    each other.

    Args:
        p_values: In any order.

    Returns:
        The adjusted p-values in the same order.

    Raises:
        InvalidParameter: One is not between 0 and 1.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise InvalidParameter(f"Not all p-values are between 0 and 1: {p_values}.")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, place in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[place])
        adjusted[place] = min(largest, 1.0)
    return adjusted
