"""Voting by probability: the mathematics of RPC.

Reasoning-Pruning Perplexity Consistency (Zhou et al. 2025,
https://arxiv.org/abs/2502.00511 and https://arxiv.org/abs/2510.15444; the authors' code
is at https://github.com/WNJXYK/RPC).

The theory speaks of the probability of a whole path. The authors' experiments, though,
take exp(mean log-probability of a token): the field that ``compute_perp.py`` and
``compute_rpc.py`` read is ``mean_logprob``. ``path_logprob`` therefore normalises by
length, unless told not to. The functions here take either.

All work is done on logarithms, so that a path of probability e^-800 is as good as any.
Confidence, mixture and pruning do not change when all paths become e^c times as
likely: probabilities are taken relative to that of the likeliest path.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import TYPE_CHECKING

from ponder.agents.answers import Group
from ponder.errors import InvalidParameter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_PATHS = 6
"""A mixture has five parameters; fewer paths than this are not fitted."""
START = (0.5, 1.0, 1.0, 1.5, 2.0)
"""Weight, shape and scale of one component, shape and scale of the other, from which
the authors' code starts."""
BOUNDS = ((0.2, 0.8), (0.01, 200.0), (0.01, None), (0.01, 200.0), (0.01, None))
"""As in the authors' code, but for the largest shape: without it the likelihood has no
maximum, since a component may shrink to a single point."""


def path_logprob(logprob: float, tokens: int, *, per_token: bool = True) -> float:
    """Return the log-probability of a path that RPC weighs it by.

    Args:
        logprob: Log-probability of the whole text (nats).
        tokens: How many tokens it has.
        per_token: Divide by the length, as the authors' experiments do. Without it a
            long path counts for next to nothing beside a short one.

    Raises:
        InvalidParameter: The path has no tokens.
    """
    if tokens < 1:
        raise InvalidParameter(f"A path has 1 or more tokens, not {tokens}.")
    return logprob / tokens if per_token else logprob


def perplexity_consistency(
    groups: Sequence[Group],
    logprobs: Sequence[float],
    *,
    paths: Sequence[Hashable] | None = None,
    keep: Sequence[bool] | None = None,
) -> list[float]:
    """Return the confidence of each answer.

    It is the sum of the probabilities of the distinct paths that lead to the answer,
    as a share of that sum over all answers.

    Args:
        groups: The paths of each answer, as indices into the other arguments.
        logprobs: Log-probability of each path (nats).
        paths: What tells paths apart, such as their texts: each counts once for an
            answer, however often it was drawn. By default all are distinct.
        keep: Which paths count, as ``prune`` returns it; by default all.

    Returns:
        One share for each group. They add up to 1; all are 0 if no path counts.

    Raises:
        InvalidParameter: A log-probability is above 0 or not a number.
    """
    _check(logprobs)
    counted = [
        {
            paths[i] if paths else i: logprobs[i]
            for i in g.indices
            if not keep or keep[i]
        }
        for g in groups
    ]
    totals = [_log_sum([*distinct.values()]) for distinct in counted]
    whole = _log_sum(totals)
    if whole == float("-inf"):
        return [0.0] * len(groups)
    return [exp(total - whole) for total in totals]


@dataclass(frozen=True)
class Weibull:
    """A Weibull distribution of probabilities."""

    shape: float
    """k"""
    log_scale: float
    """Logarithm of lambda (nats)."""

    @property
    def log_mean(self) -> float:
        """Logarithm of the mean, lambda * Gamma(1 + 1/k)."""
        return self.log_scale + lgamma(1 + 1 / self.shape)

    def log_density(self, logprob: float) -> float:
        """Return the logarithm of the density at a probability."""
        x = logprob - self.log_scale
        power = exp(min(self.shape * x, 700.0))
        return log(self.shape) - self.log_scale + (self.shape - 1) * x - power


@dataclass(frozen=True)
class Mixture:
    """Two kinds of paths: those that the model finds likely, and the others."""

    weight: float
    """Share of the high component, 0.2 to 0.8."""
    high: Weibull
    """The component of the higher mean."""
    low: Weibull

    def favours_high(self, logprob: float) -> bool:
        """Tell whether the posterior of the high component is at least the low's."""
        high = log(self.weight) + self.high.log_density(logprob)
        low = log(1 - self.weight) + self.low.log_density(logprob)
        return high >= low


def weibull_mixture(logprobs: Sequence[float]) -> Mixture | None:
    """Fit a mixture of two Weibull distributions to the probabilities of paths.

    The fit is by maximum likelihood with L-BFGS-B from ``START`` within ``BOUNDS``, on
    probabilities relative to the largest one. It is made for probabilities per token.
    Those of whole sequences lie orders of magnitude apart, and there it may find no low
    component where one would expect it; that changes hardly any confidence, since such
    paths weigh next to nothing.

    Args:
        logprobs: Log-probability of each path (nats).

    Returns:
        ``None`` if there is nothing to tell apart: fewer than ``LEAST_PATHS`` paths,
        or all of the same probability.

    Raises:
        InvalidParameter: A log-probability is above 0 or not a number.
    """
    _check(logprobs)
    if len(logprobs) < LEAST_PATHS or max(logprobs) - min(logprobs) < 1e-9:
        return None
    import numpy as np
    from scipy.optimize import minimize

    top = max(logprobs)
    found = minimize(
        _negative_log_likelihood,
        START,
        args=(np.array(logprobs, dtype=float) - top,),
        method="L-BFGS-B",
        bounds=BOUNDS,
    )
    weight, *rest = (float(value) for value in found.x)
    first = Weibull(rest[0], log(rest[1]) + top)
    second = Weibull(rest[2], log(rest[3]) + top)
    if first.log_mean >= second.log_mean:
        return Mixture(weight, first, second)
    return Mixture(1 - weight, second, first)


def prune(logprobs: Sequence[float]) -> list[bool]:
    """Tell which paths are kept.

    A path is dropped if its probability is more likely of the low component of the
    mixture than of the high one, and is below the mean of all paths. The likeliest
    path is therefore always kept. Nothing is dropped where no mixture can be fitted.

    Args:
        logprobs: Log-probability of each path (nats).

    Returns:
        For each path, whether it is kept.

    Raises:
        InvalidParameter: A log-probability is above 0 or not a number.
    """
    mixture = weibull_mixture(logprobs)
    if mixture is None:
        return [True] * len(logprobs)
    mean = _log_sum(logprobs) - log(len(logprobs))
    return [p >= mean or mixture.favours_high(p) for p in logprobs]


def _negative_log_likelihood(
    parameters: "NDArray[np.float64]", logprobs: "NDArray[np.float64]"
) -> float:
    import numpy as np

    weight, *components = parameters
    densities = [
        np.log(share) + _log_densities(shape, scale, logprobs)
        for share, shape, scale in (
            (weight, *components[:2]),
            (1 - weight, *components[2:]),
        )
    ]
    return -float(np.logaddexp(*densities).sum())


def _log_densities(
    shape: float, scale: float, logprobs: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    import numpy as np

    x = logprobs - np.log(scale)
    # The optimiser tries shapes at which the density is 0 in any arithmetic.
    power = np.exp(np.minimum(shape * x, 100.0))
    densities: NDArray[np.float64] = np.log(shape / scale) + (shape - 1) * x - power
    return densities


def _check(logprobs: Sequence[float]) -> None:
    wrong = [p for p in logprobs if not p <= 1e-9]
    if wrong:
        raise InvalidParameter(
            f"{wrong[0]} is no log-probability: give natural logarithms, 0 or less."
        )


def _log_sum(logs: Sequence[float]) -> float:
    top = max(logs, default=float("-inf"))
    if top == float("-inf"):
        return top
    return top + log(sum(exp(value - top) for value in logs))
