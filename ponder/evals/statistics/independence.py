"""How many independent samples the samples of a vote are worth."""

from collections.abc import Mapping, Sequence
from math import fsum


def effective_samples(outcomes: Mapping[str, Sequence[bool]]) -> float | None:
    """Return the number of independent votes that the samples of a problem are worth.

    Voting is often defended with Condorcet's jury theorem: if samples are right with
    probability p independently of each other, their majority is nearly always right.
    The number returned says how far the measured samples are from such a jury. Over a
    problem drawn at random, the share of right votes among n varies by

        p (1 - p) / n * (1 + (n - 1) rho) = p (1 - p) / n_eff
        n_eff = n / (1 + (n - 1) rho)

    where rho is the intraclass correlation of correctness: that of two samples of the
    same problem, the problem being random (design effect of Kish 1965, Survey
    Sampling; rho by the analysis-of-variance estimator, Ridout et al. 1999, Biometrics
    55:137). Applying it to votes is our own definition. So n samples scatter as much as
    n_eff votes of a jury with the same p would. However many are drawn, n_eff stays
    below 1 / rho.

    **What it does not say.** Samples drawn with different seeds are independent once
    the problem is given; rho > 0 means that problems differ in how hard they are for
    this model, so that its samples err together. It is no fault of the sampler, and
    more temperature does not mend it. From right and wrong alone, one cannot tell
    hard problems from samples that copy each other: for samples that see each other,
    compare the number with that of samples that do not, on the same problems. Nor is it
    a forecast of accuracy, since a vote needs only the most frequent answer to be
    right: how accuracy grows is seen in the curve over samples itself.

    Args:
        outcomes: For each problem, whether each of its samples is right. The numbers of
            samples may differ; problems without samples are left out.

    Returns:
        Mean of n_eff over problems, 1 to the mean number of samples; ``None`` if rho
        cannot be known: fewer than two problems, no problem with two samples, or no
        variation because all samples are right or all are wrong.
    """
    counts = [(len(right), sum(right)) for right in outcomes.values() if right]
    rho = _intraclass_correlation(counts)
    if rho is None:
        return None
    return fsum(n / (1 + (n - 1) * rho) for n, _ in counts) / len(counts)


def _intraclass_correlation(counts: Sequence[tuple[int, int]]) -> float | None:
    """Estimate rho from ``(samples, right ones)`` of each problem, held in 0 to 1."""
    groups, total = len(counts), sum(n for n, _ in counts)
    right = sum(c for _, c in counts)
    if groups < 2 or total == groups or right in (0, total):
        return None
    mean = right / total
    within = fsum(c * (n - c) / n for n, c in counts) / (total - groups)
    between = fsum(n * (c / n - mean) ** 2 for n, c in counts) / (groups - 1)
    size = (total - sum(n * n for n, _ in counts) / total) / (groups - 1)
    rho = (between - within) / (between + (size - 1) * within)
    return min(max(rho, 0.0), 1.0)
