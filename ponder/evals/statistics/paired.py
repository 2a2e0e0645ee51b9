"""Two strategies on the same problems."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, sqrt

from ponder.errors import InvalidParameter
from ponder.evals.statistics.interval import check_level, t_quantile

MOST_PATTERNS = 2**14
"""Sign patterns up to which the permutation test is exact."""
DRAWS = 10_000
"""Sign patterns drawn where there are more."""
_BLOCK = 1000


@dataclass(frozen=True)
class Difference:
    """How much better a treatment is than a baseline."""

    estimate: float
    """Mean of treatment less baseline over the problems that both have."""
    low: float
    high: float
    level: float
    p_value: float
    """Two-sided, of the hypothesis that the labels could be swapped on any problem."""
    problems: int
    """How many problems both have."""
    unpaired: int = 0
    """How many problems only one of them has; they are left out."""


def paired_difference(
    treatment: Mapping[str, float],
    baseline: Mapping[str, float],
    level: float = 0.95,
    *,
    seed: int = 0,
) -> Difference:
    """Compare two strategies problem by problem.

    **Interval.** That of Agresti and Min (2005, Statistics in Medicine 24:729) for
    matched proportions: two pseudo-pairs are added, half a pair to each cell of the
    2 x 2 table, so half a win, half a loss and one tie. With differences d_i on n
    problems, and with the t quantile of n + 1 degrees of freedom for the normal one:

        m = sum d_i / (n + 2),   v = (sum d_i^2 + w^2) / (n + 2) - m^2
        m -+ t sqrt(v / (n + 2))

    In the paper w = 1, the size of a win. Here it is the root mean square of the
    differences that are not 0, and 1 if all are: the same for right-or-wrong values,
    but means over several epochs differ by less, and w = 1 would make their intervals
    far too wide. All ties have a width above 0. The interval is centred at m, a little
    nearer to 0 than the estimate, and it is conservative where fewer than about 6
    problems differ.

    **P-value.** Sign-flip permutation test of sum d_i: the share of sign patterns of
    the d_i that are not 0 whose sum is at least as far from 0. All 2^k patterns are
    counted up to k = 14, else 10,000 are drawn, and the observed one is counted among
    them (Phipson and Smyth 2010, Statistical Applications in Genetics and Molecular
    Biology 9:39). Interval and test are different methods: where it is close, one may
    see a difference and the other not.

    Args:
        treatment: Mean value of each problem, over its epochs.
        baseline: The same for the baseline.
        level: Probability of covering the true difference.
        seed: Of the drawn sign patterns.

    Raises:
        InvalidParameter: They share no problem, or the level is not between 0 and 1.
    """
    check_level(level)
    # Sorted, so that the same patterns are drawn whatever the order of the problems.
    shared = sorted(treatment.keys() & baseline.keys())
    if not shared:
        raise InvalidParameter(
            "Treatment and baseline share no problem: run both on the same problems."
        )
    differences = [treatment[problem] - baseline[problem] for problem in shared]
    low, high = _interval(differences, level)
    return Difference(
        estimate=fsum(differences) / len(differences),
        low=low,
        high=high,
        level=level,
        p_value=_p_value([d for d in differences if d != 0], seed),
        problems=len(shared),
        unpaired=len(treatment.keys() ^ baseline.keys()),
    )


def _interval(differences: Sequence[float], level: float) -> tuple[float, float]:
    squares = [d * d for d in differences if d != 0]
    pseudo = fsum(squares) / len(squares) if squares else 1.0
    count = len(differences) + 2
    middle = fsum(differences) / count
    variance = (fsum(squares) + pseudo) / count - middle**2
    half = t_quantile(level, count - 1) * sqrt(variance / count)
    return middle - half, middle + half


def _p_value(differences: Sequence[float], seed: int) -> float:
    """Return the p-value of differences none of which is 0."""
    observed = abs(fsum(differences))
    # Sums that are equal but for rounding must count as equal.
    bar = observed - 1e-9 * fsum(map(abs, differences))
    if 2 ** len(differences) <= MOST_PATTERNS:
        return _share_of_all(differences, bar)
    return (1 + _count_of_drawn(differences, bar, seed)) / (1 + DRAWS)


def _share_of_all(differences: Sequence[float], bar: float) -> float:
    import numpy as np

    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    return float(np.mean(np.abs(sums) >= bar))


def _count_of_drawn(differences: Sequence[float], bar: float, seed: int) -> int:
    import numpy as np

    random = np.random.default_rng(seed)
    values = np.array(differences)
    count = 0
    for _ in range(0, DRAWS, _BLOCK):
        flips = random.integers(0, 2, (_BLOCK, len(values)), dtype=np.int8)
        sums = (2 * flips - 1) @ values
        count += int(np.count_nonzero(np.abs(sums) >= bar))
    return count
