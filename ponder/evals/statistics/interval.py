"""Intervals for means of values that were measured on problems, several on each."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, inf, sqrt

from ponder.errors import InvalidParameter

NEGLIGIBLE = 1e-12
"""Variance below which all clusters are taken to be alike."""


@dataclass(frozen=True)
class Interval:
    """A mean and the interval that covers the true one with probability ``level``."""

    estimate: float
    low: float
    high: float
    level: float
    observations: int
    clusters: int
    """Problems; what was measured on one problem is never taken as independent."""


def accuracy_interval(
    outcomes: Sequence[float], clusters: Sequence[str], level: float = 0.95
) -> Interval:
    """Return the mean of outcomes between 0 and 1 with a question-clustered interval.

    The standard error is cluster-robust (Miller 2024, "Adding error bars to evals",
    https://arxiv.org/abs/2411.00640), here with the usual factor for a
    finite number G of clusters. With N outcomes s_ci of mean p:

        r_c = sum_i (s_ci - p),   V = G / (G - 1) * sum_c r_c^2 / N^2

    It enters a Wilson score interval (Wilson 1927) through an effective number of
    outcomes, as survey statistics does (Korn and Graubard 1998, Survey Methodology
    24:193), z and t being the quantiles of the level:

        deff = max(1, V / (s^2 / (N - 1))),   s^2 = mean of (s_ci - p)^2
        n    = N / deff * p (1 - p) / s^2 * (t_{N-1} / t_df)^2
        p +- = (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    The degrees of freedom say how well V is known. G - 1 would be right for normal
    r_c; here their excess kurtosis k is counted in, var(V) = V^2 (2 / (G-1) + k / G),
    which gives df = 2 / (2 / (G-1) + max(k, 0) / G). And n is never less than N^2 /
    sum_c m_c^2 for clusters of m_c outcomes, which is what is left when all outcomes
    of a problem are the same (Kish 1965); it is also used where V is 0.

    With one right-or-wrong outcome for each problem, n = N: the plain Wilson interval.
    None has zero width, not even that of 0 right of n.

    Args:
        outcomes: 0 to 1: right or wrong, or partial credit.
        clusters: The problem of each outcome.
        level: Probability of covering the true mean over all problems of the kind.

    Raises:
        InvalidParameter: There are no outcomes, one is outside 0 to 1, their number is
            not that of the clusters, or the level is not between 0 and 1.
    """
    if not all(0 <= outcome <= 1 for outcome in outcomes):
        raise InvalidParameter("An outcome is outside 0 to 1: use mean_interval.")
    found = _clustered(outcomes, clusters)
    low, high = _wilson(found.mean, _effective_size(found, level), level)
    return found.interval(low, high, level)


def mean_interval(
    values: Sequence[float], clusters: Sequence[str], level: float = 0.95
) -> Interval:
    """Return the mean of unbounded values (tokens, seconds) with a clustered interval.

    The mean, plus and minus t_{G-1} sqrt(V) with V of ``accuracy_interval``.

    Args:
        values: Any numbers.
        clusters: The problem of each value.
        level: Probability of covering the true mean.

    Returns:
        The interval; infinite if there is one problem only, which tells nothing of
        the others.

    Raises:
        InvalidParameter: There are no values, their number is not that of the
            clusters, or the level is not between 0 and 1.
    """
    found = _clustered(values, clusters)
    check_level(level)
    if len(found.sizes) == 1:
        return found.interval(-inf, inf, level)
    half = t_quantile(level, len(found.sizes) - 1) * sqrt(found.variance)
    return found.interval(found.mean - half, found.mean + half, level)


@dataclass(frozen=True)
class _Clustered:
    mean: float
    spread: float
    """Variance of a single value, divided by N."""
    residuals: list[float]
    """r_c, the sum of each cluster's deviations from the mean."""
    sizes: list[int]

    @property
    def observations(self) -> int:
        return sum(self.sizes)

    @property
    def variance(self) -> float:
        """V, of the mean; there must be two clusters."""
        clusters = len(self.sizes)
        squares = fsum(r * r for r in self.residuals)
        return clusters / (clusters - 1) * squares / self.observations**2

    def interval(self, low: float, high: float, level: float) -> Interval:
        return Interval(self.mean, low, high, level, self.observations, len(self.sizes))


def _clustered(values: Sequence[float], clusters: Sequence[str]) -> _Clustered:
    if not values:
        raise InvalidParameter("An interval needs at least one value.")
    if len(values) != len(clusters):
        raise InvalidParameter(
            f"{len(values)} values have {len(clusters)} clusters: give one for each."
        )
    mean = fsum(values) / len(values)
    members: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        members.setdefault(cluster, []).append(value - mean)
    return _Clustered(
        mean=mean,
        spread=fsum((value - mean) ** 2 for value in values) / len(values),
        residuals=[fsum(deviations) for deviations in members.values()],
        sizes=[len(deviations) for deviations in members.values()],
    )


def _effective_size(found: _Clustered, level: float) -> float:
    check_level(level)
    total = found.observations
    alone = total**2 / sum(size**2 for size in found.sizes)
    if len(found.sizes) == 1 or found.variance < NEGLIGIBLE:
        return alone
    design_effect = max(1.0, found.variance / (found.spread / (total - 1)))
    size = total / design_effect * found.mean * (1 - found.mean) / found.spread
    freedom = _degrees_of_freedom(found.residuals)
    known = t_quantile(level, total - 1) / t_quantile(level, freedom)
    return max(alone, size * known**2)


def _degrees_of_freedom(residuals: Sequence[float]) -> float:
    count = len(residuals)
    second = fsum(r**2 for r in residuals) / count
    fourth = fsum(r**4 for r in residuals) / count
    excess = max(fourth / second**2 - 3, 0)
    return 2 / (2 / (count - 1) + excess / count)


def _wilson(p: float, n: float, level: float) -> tuple[float, float]:
    z = normal_quantile(level)
    half = z * sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    centre, scale = p + z * z / (2 * n), 1 + z * z / n
    # Rounding must not push a bound past the estimate at 0 and 1.
    return (
        min(max((centre - half) / scale, 0.0), p),
        max(min((centre + half) / scale, 1.0), p),
    )


def t_quantile(level: float, freedom: float) -> float:
    """Return the bound that t is within, on both sides, with probability ``level``.

    Args:
        level: Between 0 and 1.
        freedom: Degrees of freedom, above 0; they need not be whole.
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def normal_quantile(level: float) -> float:
    """Return the bound that z is within, on both sides, with probability ``level``."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def check_level(level: float) -> None:
    """Refuse a level that is no probability.

    Raises:
        InvalidParameter: It is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InvalidParameter(f"The level is {level}: give a number such as 0.95.")
