"""AB-MCTS-M: at each node go wider or deeper, by a mixed model; no Markov chains."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ponder.graphs.search.ab_mcts_a import AbMctsPolicy, Arms, Beliefs, Floats, Sums
from ponder.graphs.search.tree import Node

CELLS = 24
"""Cells along each side of the grid over the two scales."""
ROUNDS = 3
"""Grids, each laid over what had weight in the one before."""
NEGLIGIBLE = 12.0
"""A cell counts as empty if its density is e^-12 of the largest, or less."""


class AbMctsMPolicy(AbMctsPolicy[Beliefs]):
    """Adaptive branching MCTS with a mixed model (AB-MCTS-M).

    At each node, the children are the groups of a random-effects model. A score r in
    the subtree of child j, that of j included, is r = alpha_j + sigma_y eps, and
    alpha_j = mu_alpha + sigma_alpha eps_j, with standard normal eps; GEN is a group
    without scores. Each child and GEN get a draw of their next score from the posterior
    predictive distribution, independent of each other, and the largest wins. Model,
    priors and the independence are those of the authors' code (treequest 0.3.3,
    Apache-2.0).

    Where the paper samples by MCMC, here mu_alpha and alpha_j are integrated in closed
    form, and (sigma_alpha, sigma_y) on a grid: 24 x 24 midpoints, refined twice around
    the cells whose density is above e^-12 of the largest. That is all that is
    approximated. The authors' code can also cut off a subtree most of whose scores are
    the same; this is left out.
    """

    mu: float = Field(default=0.5, allow_inf_nan=False)
    """Prior mean of mu_alpha."""
    sd_mu: float = Field(default=0.2, gt=0, allow_inf_nan=False)
    """Prior standard deviation of mu_alpha, normal."""
    sd_alpha: float = Field(default=0.2, gt=0, allow_inf_nan=False)
    """Scale of the half-normal prior of sigma_alpha, the spread of the groups."""
    sd_y: float = Field(default=0.3, gt=0, allow_inf_nan=False)
    """Scale of the half-normal prior of sigma_y, the spread within a group."""
    sigma_min: float = Field(default=0.01, gt=0, le=1)
    """Least sigma_y; not in the paper. Equal scores would drive sigma_y to 0, where the
    density has no finite integral; this says how finely scores are resolved."""

    def choose(self, memory: Beliefs, node: Node) -> Node | None:
        """Draw the next score of each child and of GEN."""
        arms = memory.arms.get(node.id)
        if arms is None:
            return None
        n, s, q = arms.sums.of()
        scales = self.fit(n, s, q)
        drawn = scales.draw(memory.rng, np.append(n, 0.0), np.append(s, 0.0))
        drawn[:-1][[child.final for child in arms.nodes]] = -np.inf
        best = int(drawn.argmax())
        return arms.nodes[best] if best < len(arms.nodes) else None

    def observe(self, memory: Beliefs, born: Node, score: float) -> None:
        """Open a group for the node, and add the score to the groups it is in."""
        assert born.parent is not None
        arms = memory.arms.setdefault(born.parent.id, Arms(Sums()))
        memory.places[born.id] = arms.sums.append()
        arms.nodes.append(born)
        node = born
        while node.parent is not None:
            memory.arms[node.parent.id].sums.add(memory.places[node.id], score)
            node = node.parent

    def fit(self, n: Floats, s: Floats, q: Floats) -> "Scales":
        """Return the posterior of the model.

        Args:
            n: Number of scores of each group, shape (groups,), each at least 1.
            s: Their sums.
            q: Sums of their squares.
        """
        groups = summarise(n, s, q, self.mu)
        low = np.array([0.0, self.sigma_min])
        high = np.array([max(4 * self.sd_alpha, 1.0), max(4 * self.sd_y, 1.0)])
        for _ in range(ROUNDS - 1):
            density = self._log_density(groups, *grid(low, high))
            low, high = zoom(density > -NEGLIGIBLE, low, high)
        alpha, y = grid(low, high)
        weight = np.exp(self._log_density(groups, alpha, y))
        mean, variance = mu_posterior(groups, alpha, y, self.sd_mu)
        return Scales(weight / weight.sum(), alpha, y, self.mu + mean, variance)

    def _log_density(self, groups: "Groups", alpha: Floats, y: Floats) -> Floats:
        """Return the log-density of the scales, less that of the best point."""
        density = log_marginal(groups, alpha, y, self.sd_mu)
        density -= (alpha / self.sd_alpha) ** 2 / 2 + (y / self.sd_y) ** 2 / 2
        return np.asarray(density - density.max())


def grid(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the midpoints (sigma_alpha, sigma_y) of the cells of a rectangle."""
    middle = (np.arange(CELLS) + 0.5) / CELLS
    alpha, y = low[:, None] + (high - low)[:, None] * middle
    return np.repeat(alpha, CELLS), np.tile(y, CELLS)


def zoom(full: NDArray[np.bool_], low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the rectangle around the cells that have weight."""
    sides = np.nonzero(full.reshape(CELLS, CELLS))
    # One cell more on each side, for what a midpoint does not see.
    first = np.array([max(int(side.min()) - 1, 0) for side in sides])
    last = np.array([min(int(side.max()) + 2, CELLS) for side in sides])
    step = (high - low) / CELLS
    return low + step * first, low + step * last


@dataclass(frozen=True, slots=True)
class Groups:
    """All that the model needs of the scores: groups of one size are alike to it."""

    size: Floats
    """Sizes that occur, shape (sizes,)."""
    count: Floats
    """How many groups have that size."""
    sum: Floats
    """Sum of their means, less the prior mean."""
    square: Floats
    """Sum of the squares of the same."""
    within: float
    """Sum of squares of all scores around the means of their groups."""

    @property
    def extra(self) -> float:
        """Scores beyond one of each group: degrees of freedom of ``within``."""
        return float(self.count @ (self.size - 1))


def summarise(n: Floats, s: Floats, q: Floats, mu: float) -> Groups:
    """Return the sufficient statistics of the model; arguments as of ``fit``."""
    size, which = np.unique(n, return_inverse=True)
    above = s / n - mu
    return Groups(
        size,
        np.bincount(which).astype(np.float64),
        np.bincount(which, above).astype(np.float64),
        np.bincount(which, above * above).astype(np.float64),
        float(np.maximum(q - s * s / n, 0.0).sum()),
    )


def _mu_precision(
    groups: Groups, alpha: Floats, y: Floats, sd_mu: float
) -> tuple[Floats, Floats, Floats]:
    """Return variances of group means and the precision and weighted sum for mu."""
    variance = alpha[:, None] ** 2 + y[:, None] ** 2 / groups.size
    precision = 1 / sd_mu**2 + (groups.count / variance).sum(1)
    return variance, precision, (groups.sum / variance).sum(1)


def log_marginal(groups: Groups, alpha: Floats, y: Floats, sd_mu: float) -> Floats:
    """Return ln p(scores | sigma_alpha, sigma_y), up to a constant.

    Group means are normal around mu_alpha with variances v_j = sigma_alpha^2 +
    sigma_y^2 / n_j, and mu_alpha is normal around its prior mean: together a
    multivariate normal with covariance diag(v) + sd_mu^2.

    Args:
        groups: The scores.
        alpha: sigma_alpha, shape (points,).
        y: sigma_y, shape (points,).
        sd_mu: Prior standard deviation of mu_alpha.
    """
    variance, precision, pull = _mu_precision(groups, alpha, y, sd_mu)
    within = groups.extra * np.log(y) + groups.within / (2 * y**2)
    spread = (groups.count * np.log(variance)).sum(1) + np.log(precision)
    square = (groups.square / variance).sum(1) - pull**2 / precision
    return np.asarray(-within - spread / 2 - square / 2)


def mu_posterior(
    groups: Groups, alpha: Floats, y: Floats, sd_mu: float
) -> tuple[Floats, Floats]:
    """Return mean (less the prior mean) and variance of mu_alpha at each point."""
    _, precision, pull = _mu_precision(groups, alpha, y, sd_mu)
    return pull / precision, 1 / precision


@dataclass(frozen=True, slots=True)
class Scales:
    """Posterior of the scales on the last grid, and of mu_alpha at each point."""

    weight: Floats
    """Probability of each point, shape (points,)."""
    alpha: Floats
    """sigma_alpha."""
    y: Floats
    """sigma_y."""
    mean: Floats
    """Posterior mean of mu_alpha."""
    variance: Floats
    """Posterior variance of mu_alpha."""

    def draw(self, rng: np.random.Generator, n: Floats, s: Floats) -> Floats:
        """Return a draw of the next score of each group, independent of each other.

        Args:
            rng: Source of randomness.
            n: Number of scores of each group, shape (groups,); 0 is a new group.
            s: Their sums.
        """
        total = np.cumsum(self.weight)
        point = np.searchsorted(total, total[-1] * rng.random(n.size), side="right")
        mean, variance = self.group(point, n, s)
        spread = np.sqrt(variance + self.y[point] ** 2)
        return np.asarray(mean + spread * rng.standard_normal(n.size))

    def group(
        self, point: NDArray[np.intp], n: Floats, s: Floats
    ) -> tuple[Floats, Floats]:
        """Return mean and variance of alpha_j at a point of the grid.

        With b_j = sigma_alpha^2 / (sigma_alpha^2 + sigma_y^2 / n_j), alpha_j given
        mu_alpha is normal around (1 - b_j) mu_alpha + b_j mean_j with variance
        sigma_alpha^2 (1 - b_j); the variance of mu_alpha adds (1 - b_j)^2 times itself.

        Args:
            point: Place in the grid, an integer or one for each group.
            n: Number of scores of each group, shape (groups,).
            s: Their sums.
        """
        alpha2, y2 = self.alpha[point] ** 2, self.y[point] ** 2
        # Not divided by n, which is 0 for a new group.
        keep = y2 / (y2 + n * alpha2)
        mean = keep * self.mean[point] + alpha2 * s / (y2 + n * alpha2)
        return mean, alpha2 * keep + keep**2 * self.variance[point]
