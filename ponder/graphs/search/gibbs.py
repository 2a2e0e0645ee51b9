"""Particle Gibbs: particle filters in a row, each told of a solution of the last."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from pydantic import Field, model_validator

from ponder.graphs.search.particles import (
    Cloud,
    PopulationPolicy,
    Resampling,
    multinomial,
    resample,
    softmax,
    strata,
    vote,
)
from ponder.graphs.search.policy import Wish
from ponder.graphs.search.tree import Node, Tree


@dataclass
class Sweeps(Cloud):
    """Where particle Gibbs stands; ``particles`` are those beside the reference."""

    reference: list[Node] = field(default_factory=list)
    """The path that the sweep has to keep; none in the first sweep."""
    step: int = 1
    """Steps that the particles of this sweep have made, or are making."""
    done: list[list[Node]] = field(default_factory=list)
    """The last particles of each sweep that came to its end."""

    def kept(self) -> list[Node]:
        """Return the reference as it is at this step: one node, or none."""
        return self.reference[: self.step][-1:]


class GibbsPolicy(PopulationPolicy[Sweeps]):
    """Particle Gibbs (Puri et al. 2025, https://arxiv.org/abs/2502.01618).

    R sweeps of a particle filter with N particles. After each, one particle is drawn by
    its weight; its path is the reference of the next sweep, where it survives every
    resampling while the other N - 1 particles are drawn from all N (conditional
    sequential Monte Carlo: Andrieu, Doucet and Holenstein 2010). Its nodes are in the
    tree already, so no sample is paid for them: a sweep costs N - 1 samples a step.
    The reference is weighed at each step by its score there, as that algorithm has it;
    the authors' code takes the score of its end.

    Where all solutions have the same number of steps, the references are a Markov chain
    whose invariant distribution is the one that the filter approximates. A sweep ends
    as soon as all its particles are finished, as in the authors' code.
    """

    n: int = Field(default=8, ge=1)
    """N, particles of a sweep: a budget of B solutions gives N = B / R."""
    r: int = Field(default=4, ge=1)
    """R, sweeps. Not fixed by the paper; with 1 it is a particle filter."""
    resampling: Resampling = "multinomial"
    """As the authors have it; systematic is conditional systematic resampling."""
    pooled: bool = False
    """Choose among the particles of all sweeps instead of those of the last."""

    @model_validator(mode="after")
    def _room_beside_the_reference(self) -> Self:
        if self.r > 1 and self.n < 2:
            raise ValueError(
                "With n=1 the reference is the only particle after the first sweep: "
                "choose n of at least 2, or r=1."
            )
        return self

    def memory(self, rng: random.Random) -> Sweeps:
        """Return a chain without sweeps."""
        return Sweeps()

    def next_level(self, tree: Tree[Sweeps], born: Sequence[Node]) -> Iterable[Wish]:
        """Resample and continue, or end the sweep and begin the next."""
        sweeps = tree.memory
        if sweeps.number == 0:
            return [Wish(tree.root, self.n)]
        sweeps.particles.extend(born)
        # Where all samples fail, nobody but the reference is left.
        while sweeps.particles:
            population = [*sweeps.particles, *sweeps.kept()]
            if all(map(self.stopped, population)):
                return self._close(tree, population)
            if wishes := self._step(tree, population):
                return wishes
        return ()

    def leaves(self, tree: Tree[Sweeps]) -> list[tuple[Node, float]]:
        """Return the finished particles of the last sweep with their shares.

        With ``pooled``, the mean of the shares over all sweeps. A sweep that was cut
        off does not count, unless it is the first.
        """
        done = tree.memory.done if self.pooled else tree.memory.done[-1:]
        votes = [leaves for particles in done if (leaves := vote(particles))]
        if not votes:
            return super().leaves(tree)
        shares: dict[Node, float] = {}
        for node, share in (leaf for leaves in votes for leaf in leaves):
            shares[node] = shares.get(node, 0.0) + share / len(votes)
        return sorted(shares.items(), key=lambda leaf: leaf[0].id)

    def _step(self, tree: Tree[Sweeps], population: list[Node]) -> list[Wish]:
        sweeps = tree.memory
        weights = softmax(self.log_weights(tree, population))
        if sweeps.reference:
            counts = conditional(weights, self.n, tree.rng, self.resampling)
        else:
            counts = resample(weights, self.n, tree.rng, self.resampling)
        drawn = list(zip(population, counts, strict=True))
        sweeps.particles = [p for p, c in drawn if self.stopped(p) for _ in range(c)]
        sweeps.step += 1
        return [Wish(p, c) for p, c in drawn if c and not self.stopped(p)]

    def _close(self, tree: Tree[Sweeps], population: list[Node]) -> list[Wish]:
        sweeps = tree.memory
        weights = softmax(self.log_weights(tree, population))
        (chosen,) = tree.rng.choices(population, weights)
        sweeps.done.append(population)
        sweeps.reference = chosen.path()
        sweeps.particles, sweeps.step = [], 1
        return [Wish(tree.root, self.n - 1)] if len(sweeps.done) < self.r else []


def conditional(
    weights: Sequence[float], n: int, rng: random.Random, scheme: Resampling
) -> list[int]:
    """Return how often each is drawn beside the last one, the reference.

    Drawing the other ``n`` - 1 by any scheme would not do: their law is that of ``n``
    draws of which one is known to be the reference. Independent draws do not mind. For
    systematic resampling it is enough that one of the points is a random one of those
    that the reference covers (Chopin and Singh 2015,
    https://arxiv.org/abs/1304.1887).

    Args:
        weights: The last one is that of the reference.
        n: Draws, with the one of the reference.
        rng: Where the random numbers come from.
        scheme: Name of the resampling.

    Returns:
        Counts that sum to ``n`` - 1.

    Raises:
        InvalidParameter: The weights are no weights to draw from.
    """
    if scheme == "multinomial":
        return multinomial(weights, n - 1, rng)
    # In a random order, for neighbours on the line are drawn less independently.
    others = list(range(len(weights) - 1))
    rng.shuffle(others)
    width = n * weights[-1] / sum(weights)
    point = n - width * (1 - rng.random())
    order = [*others, len(weights) - 1]
    drawn = strata([weights[i] for i in order], n, point % 1)
    counts = [0] * len(weights)
    for i, count in zip(order, drawn, strict=True):
        counts[i] = count
    # Rounding may put the point of a reference of hardly any weight beside it.
    own = -1 if counts[-1] else counts.index(max(counts))
    counts[own] -= 1
    return counts
