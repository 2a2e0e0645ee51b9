"""When to stop sampling: how sure it is that the leading answer stays the leader.

The two criteria of Adaptive-Consistency (Aggarwal et al. 2023,
https://arxiv.org/abs/2305.11860). Both read the counts of the answers as draws from an
unknown distribution with a uniform prior, and stop when the posterior probability
that the leader is the true mode reaches a threshold.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ponder.errors import InvalidParameter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

THRESHOLD = 0.95
"""Default of the paper."""
MAX_SAMPLES = 40
"""Default of the paper."""
NODES = 256
"""Points of the quadrature; twice as many change no result by 1e-12."""


def beta_stop(counts: Sequence[int]) -> float:
    """Return the probability that the leader beats the runner-up.

    With v1 and v2 votes for the two, their share p1 of each other's votes has the
    posterior Beta(v1 + 1, v2 + 1), and the result is P(p1 > 1/2). It is computed
    exactly, as the probability that of v1 + v2 + 1 fair coins at most v1 show heads.

    Args:
        counts: Votes for each distinct answer, in any order.

    Returns:
        0.5 to 1; 0.5 if there are no votes. Four unanimous votes give 0.969, three
        give 0.9375.

    Raises:
        InvalidParameter: A count is negative.
    """
    v1, v2, *_ = _descending(counts)
    coins = v1 + v2 + 1
    ways = at_most = 1
    for heads in range(v1):
        ways = ways * (coins - heads) // (heads + 1)
        at_most += ways
    probability: float = at_most / 2**coins
    return probability


def dirichlet_stop(counts: Sequence[int]) -> float:
    """Return the probability that the leader is the mode of all answers seen.

    The posterior is Dirichlet(counts + 1). Its coordinates are independent gamma
    variates over their sum, which does not change which is the largest, so

        P = integral of f(x; v1 + 1) * product over i >= 2 of F(x; v_i + 1) dx

    with density f and distribution function F of the gamma distribution: one integral
    for any number of answers, solved by Gauss-Legendre quadrature, where the authors'
    code draws samples. For up to two answers it is ``beta_stop``.

    Args:
        counts: Votes for each distinct answer, in any order.

    Returns:
        Up to 1; 1/m if m answers share the lead of a tie between all.

    Raises:
        InvalidParameter: A count is negative.
    """
    votes = _descending(counts)
    if len(votes) == 2:
        return beta_stop(votes)
    import numpy as np
    from scipy.special import gammainc, gammaln

    shape = votes[0] + 1.0
    # Beyond these bounds the density of the leader is below the rounding error.
    reach = 10 * shape**0.5 + 40
    low, high = max(0.0, shape - reach), shape + reach
    nodes, weights = _quadrature()
    x = low + (high - low) * (nodes + 1) / 2
    density = np.exp((shape - 1) * np.log(x) - x - gammaln(shape))
    others = np.array(votes[1:], dtype=float)[:, None] + 1
    below = gammainc(others, x[None, :]).prod(axis=0)
    return float(min(1.0, (high - low) / 2 * (weights * density * below).sum()))


@lru_cache
def _quadrature() -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return nodes, weights


def _descending(counts: Sequence[int]) -> list[int]:
    """Return the counts of at least two answers, unseen ones included, leader first."""
    if any(count < 0 for count in counts):
        raise InvalidParameter(f"Counts are 0 or more, not {list(counts)}.")
    return sorted([*counts, *[0] * (2 - len(counts))], reverse=True)
