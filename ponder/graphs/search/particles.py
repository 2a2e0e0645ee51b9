"""Particle filtering: sample what comes next, weigh it by its score, resample."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Generic, Literal, TypeVar, cast

from pydantic import Field

from ponder.errors import InvalidParameter
from ponder.graphs.search.levels import Level, LevelPolicy
from ponder.graphs.search.policy import Wish, rank
from ponder.graphs.search.tree import Expansion, Node, Tree

EPSILON = 1e-7
"""Scores are cut to [EPSILON, 1 - EPSILON], so that 0 and 1 have a finite logit."""

Resampling = Literal["systematic", "multinomial"]
"""How N particles are drawn from N weights; both draw N w_i copies on average."""


@dataclass
class Cloud(Level):
    """Where a particle method stands."""

    particles: list[Node] = field(default_factory=list)
    """Particles that wait while others grow; a solution held twice stands twice."""
    logs: dict[int, float] = field(default_factory=dict)
    """Log-weights by id of the node."""


C = TypeVar("C", bound=Cloud)


class PopulationPolicy(LevelPolicy[C], Generic[C]):
    """What particle methods have in common: their parameters and the final choice.

    The log-weight of a particle is the logit of the score of its whole prefix as it
    is now, not a product over its steps. A particle without a score brings no new
    evidence and keeps the log-weight of its parent; that of the root is 0 (r = 0.5).
    """

    n: int = Field(default=16, ge=1)
    """N, particles. Not fixed by the paper, which varies it as its budget."""
    depth: int = Field(default=32, ge=1)
    """T, most steps of a solution. Not fixed by the paper."""
    resampling: Resampling = "systematic"
    """Systematic has less variance; the authors' code draws multinomially."""

    def memory(self, rng: random.Random) -> C:
        """Return an empty cloud; policies that keep more override this."""
        return cast(C, Cloud())

    def lives(self, tree: Tree[C]) -> bool:
        """Whether a particle is left, though all of the last level may have failed."""
        return bool(tree.memory.born or tree.memory.particles)

    def learn(self, tree: Tree[C], expansion: Expansion, born: Sequence[Node]) -> None:
        """Weigh what was born, and keep it for the next choice."""
        logs = tree.memory.logs
        before = logs.get(expansion.node.id, 0.0)
        logs.update((node.id, log_weight(node.score, before)) for node in born)
        super().learn(tree, expansion, born)

    def log_weights(self, tree: Tree[C], particles: Iterable[Node]) -> list[float]:
        """Return the log-weights of particles."""
        return [tree.memory.logs[node.id] for node in particles]

    def stopped(self, node: Node) -> bool:
        """Whether a particle grows no more: finished, or at the depth cap."""
        return node.final or node.depth >= self.depth

    def leaves(self, tree: Tree[C]) -> list[tuple[Node, float]]:
        """Return the finished particles with their shares of the weight.

        A share is the softmax of the log-weights, summed over the copies of a
        solution. Solutions without a score do not take part; those that resampling
        dropped only do where no finished particle is left.
        """
        cloud = tree.memory
        return vote([*cloud.particles, *cloud.born]) or vote(tree.finals)

    def best(self, tree: Tree[C]) -> Node | None:
        """Return the finished particle of most weight, else the best partial one.

        Copies count in a vote, not here.
        """
        if leaves := self.leaves(tree):
            return max((node for node, _ in leaves), key=rank)
        return super().best(tree)


class ParticlePolicy(PopulationPolicy[Cloud]):
    """Particle filtering (Puri et al. 2025, https://arxiv.org/abs/2502.01618).

    Each step, N particles are drawn with replacement by softmax(logit r), and every
    unfinished one of them is continued by one sample. Finished ones keep their weight
    and take part in the drawing. It ends when no particle is left to continue. The
    last particles are weighed, but not drawn from once more: the same on average, with
    less variance.
    """

    def next_level(self, tree: Tree[Cloud], born: Sequence[Node]) -> Iterable[Wish]:
        """Weigh the particles, resample, and continue those that are unfinished."""
        cloud = tree.memory
        if cloud.number == 0:
            return [Wish(tree.root, self.n)]
        cloud.particles.extend(born)
        if all(map(self.stopped, cloud.particles)):
            return ()
        weights = softmax(self.log_weights(tree, cloud.particles))
        counts = resample(weights, self.n, tree.rng, self.resampling)
        drawn = list(zip(cloud.particles, counts, strict=True))
        cloud.particles = [p for p, c in drawn if self.stopped(p) for _ in range(c)]
        return [Wish(p, c) for p, c in drawn if c and not self.stopped(p)]


# -- formulas ------------------------------------------------------------------------


def logit(score: float) -> float:
    """Return ln(r / (1 - r)) of a score r from 0 to 1, cut by ``EPSILON``."""
    r = min(max(score, EPSILON), 1 - EPSILON)
    return math.log(r / (1 - r))


def log_weight(score: float | None, before: float) -> float:
    """Return logit(score), or without a score the log-weight ``before`` the step."""
    return before if score is None else logit(score)


def softmax(log_weights: Sequence[float], tau: float = 1.0) -> list[float]:
    """Return weights in proportion to exp(l / tau), summing to 1.

    Args:
        log_weights: l, finite.
        tau: Temperature, above 0; infinity makes all weights equal.
    """
    top = max(log_weights, default=0.0)
    weights = [math.exp((value - top) / tau) for value in log_weights]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def effective_sample_size(weights: Sequence[float]) -> float:
    """Return (sum w)^2 / sum w^2: how many particles of equal weight tell as much."""
    return math.fsum(weights) ** 2 / math.fsum(weight**2 for weight in weights)


def systematic(weights: Sequence[float], n: int, rng: random.Random) -> list[int]:
    """Return how often each is drawn: points (u + k) / n, k < n, with one random u.

    Args:
        weights: Not negative, not all 0; they need not sum to 1.
        n: Draws.
        rng: One number is taken from it.

    Returns:
        Counts that sum to ``n``, each less than 1 from ``n`` times its weight and
        equal to that on average.

    Raises:
        InvalidParameter: The weights are no weights to draw from.
    """
    return strata(weights, n, rng.random())


def strata(weights: Sequence[float], n: int, u: float) -> list[int]:
    """Return how many of the points u, 1 + u, ... n - 1 + u each weight covers.

    Args:
        weights: They share out the line from 0 to ``n``, in their order.
        n: Points.
        u: Place of the first, 0 <= u < 1.

    Raises:
        InvalidParameter: The weights are no weights to draw from.
    """
    # Divided before it is multiplied, the last edge is exactly n.
    edges = [n * share for share in _shares(weights)]
    below = [math.ceil(edge - u) for edge in edges]
    return [after - before for before, after in zip([0, *below], below, strict=False)]


def multinomial(weights: Sequence[float], n: int, rng: random.Random) -> list[int]:
    """Return how often each is drawn in ``n`` independent draws.

    Args:
        weights: Not negative, not all 0; they need not sum to 1.
        n: Draws.
        rng: ``n`` numbers are taken from it.

    Raises:
        InvalidParameter: The weights are no weights to draw from.
    """
    counts = [0] * len(weights)
    for i in rng.choices(range(len(weights)), cum_weights=_shares(weights), k=n):
        counts[i] += 1
    return counts


def resample(
    weights: Sequence[float], n: int, rng: random.Random, scheme: Resampling
) -> list[int]:
    """Return how often each particle is drawn, by the scheme of that name."""
    draw = systematic if scheme == "systematic" else multinomial
    return draw(weights, n, rng)


def vote(particles: Iterable[Node]) -> list[tuple[Node, float]]:
    """Return the finished, scored particles in order of id with their shares.

    Args:
        particles: A solution that is held twice gets the share of two.
    """
    finished = [(p, p.score) for p in particles if p.final and p.score is not None]
    shares: dict[Node, float] = {}
    weights = softmax([logit(score) for _, score in finished])
    for (node, _), weight in zip(finished, weights, strict=True):
        shares[node] = shares.get(node, 0.0) + weight
    return sorted(shares.items(), key=lambda leaf: leaf[0].id)


def _shares(weights: Sequence[float]) -> list[float]:
    """Cumulate weights, the last one being exactly 1."""
    sums = list(accumulate(weights))
    if not sums or not 0 < sums[-1] < math.inf or min(weights) < 0:
        raise InvalidParameter(
            "Weights to draw from are numbers of at least 0 with a sum above 0, not "
            f"{list(weights)!r}."
        )
    return [value / sums[-1] for value in sums]
