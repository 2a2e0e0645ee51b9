"""Coverage: how often at least one of k samples is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from ponder.errors import InvalidParameter


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Return the unbiased estimate of the probability that one of k samples is right.

    It is 1 - C(n - c, k) / C(n, k), the share of the k-subsets of the n samples that
    hold a right one (Chen et al. 2021, https://arxiv.org/abs/2107.03374), computed as
    a product of k factors or fewer so that no binomial coefficient gets large.

    Args:
        samples: n, how many samples were drawn.
        correct: c, how many of them are right.
        k: How many one may try.

    Raises:
        InvalidParameter: Not 1 <= k <= n, or not 0 <= c <= n.
    """
    if not 1 <= k <= samples:
        raise InvalidParameter(f"k is {k}: give 1 to {samples}, the number of samples.")
    if not 0 <= correct <= samples:
        raise InvalidParameter(f"{correct} of {samples} samples cannot be correct.")
    none_right = 1.0
    for i in range(samples - correct + 1, samples + 1):
        none_right *= max(0.0, 1 - k / i)
    return 1 - none_right


def coverage(results: Sequence[tuple[int, int]], k: int) -> float:
    """Return the mean ``pass_at_k`` over questions.

    Args:
        results: ``(samples, correct)`` of each question.
        k: How many samples one may try on each.

    Raises:
        InvalidParameter: There are no questions, or one has fewer than k samples.
    """
    if not results:
        raise InvalidParameter("Coverage needs at least one question.")
    return sum(pass_at_k(n, c, k) for n, c in results) / len(results)


@dataclass(frozen=True)
class PowerLaw:
    """The exponentiated power law c = exp(a k^b) of coverage c over samples k.

    Brown et al. 2024, Large Language Monkeys, https://arxiv.org/abs/2407.21787.
    """

    a: float
    """Negative: the logarithm of the coverage of one sample."""
    b: float
    """Negative where coverage grows with k; the nearer to 0, the slower."""

    def coverage(self, k: float) -> float:
        """Return the coverage of k samples, 0 to 1."""
        return exp(self.a * k**self.b)


def fit_power_law(points: Sequence[tuple[int, float]]) -> PowerLaw:
    """Fit log c = a k^b to a coverage curve.

    The curve is a straight line in log(-log c) over log k, which is fitted by least
    squares: in closed form, and with equal care for all orders of magnitude of k.

    Args:
        points: ``(k, c)`` with k >= 1. Points with c = 0 or c = 1 lie on no such
            curve and are left out.

    Raises:
        InvalidParameter: Fewer than two different k are left.
    """
    usable = [(log(k), log(-log(c))) for k, c in points if 0 < c < 1]
    if len({x for x, _ in usable}) < 2:
        raise InvalidParameter(
            "A power law needs coverage strictly between 0 and 1 at two or more k."
        )
    mean_x = sum(x for x, _ in usable) / len(usable)
    mean_y = sum(y for _, y in usable) / len(usable)
    spread = sum((x - mean_x) ** 2 for x, _ in usable)
    b = sum((x - mean_x) * (y - mean_y) for x, y in usable) / spread
    return PowerLaw(a=-exp(mean_y - b * mean_x), b=b)
