"""Entropic particle filtering: resample softly while early scores are overconfident."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from ponder.graphs.search.particles import (
    Cloud,
    PopulationPolicy,
    effective_sample_size,
    resample,
    softmax,
)
from ponder.graphs.search.policy import Wish
from ponder.graphs.search.tree import Node, Tree


@dataclass
class Ahead(Cloud):
    """Where the filter stands; ``particles`` are all but those about to be born."""

    looking: bool = False
    """Whether what is born next are the successors of the particles."""


class EntropicPolicy(PopulationPolicy[Ahead]):
    """Entropic particle filtering (https://arxiv.org/abs/2510.05825).

    Giannone et al. 2025: a particle filter with two changes. Entropic annealing: where
    few particles hold the weight early on, they are resampled by softmax(log-weights /
    tau). Look-ahead modulation: one successor of each particle is sampled and scored
    before resampling, and the particle's weight is multiplied by that score. Weights
    are corrected for neither, and the final choice is by the plain ones.

    Annealing follows the authors' code, which has no look-ahead. What could be checked
    of that is that it takes one step from each particle before each resampling, in the
    manner of an auxiliary particle filter, and modulates the weight by how good the
    successor is. The rest is decided here: the factor is the score r itself; a finished
    particle counts as its own successor; annealing looks at the modulated weights; the
    first copy of a particle goes on to the successor that is already paid for, further
    copies to new ones.
    """

    threshold: float = Field(default=0.5, ge=0, le=1)
    """Annealing sets in where the effective sample size is below this share of N."""
    early: float = Field(default=0.5, ge=0, le=1)
    """Annealing stops when this share of the T steps is made."""
    annealing: Literal["ess", "entropy"] = "ess"
    """Whether tau is read from the effective sample size or from the entropy."""
    look_ahead: bool = True
    """Whether to modulate weights by a successor; it costs up to N samples a step."""

    def memory(self, rng: random.Random) -> Ahead:
        """Return an empty cloud."""
        return Ahead()

    def lives(self, tree: Tree[Ahead]) -> bool:
        """Whether a particle is left that can be drawn."""
        cloud = tree.memory
        if not cloud.looking:
            return super().lives(tree)
        # Those that look ahead are dropped where they do not see anything.
        return bool(cloud.born) or any(map(self.stopped, cloud.particles))

    def next_level(self, tree: Tree[Ahead], born: Sequence[Node]) -> Iterable[Wish]:
        """Look ahead from complete particles; resample when that is told."""
        cloud = tree.memory
        if cloud.number == 0:
            return [Wish(tree.root, self.n)]
        if cloud.looking:
            cloud.looking = False
            return self._move(tree, {node.parent: node for node in born if node.parent})
        cloud.particles.extend(born)
        return self._go_on(tree)

    def tau(self, weights: Sequence[float], t: int) -> float:
        """Return the temperature at which to resample after ``t`` steps.

        Args:
            weights: Of the particles, summing to 1.
            t: Steps made so far.
        """
        ratio = effective_sample_size(weights) / len(weights)
        progress = t / self.depth
        if ratio >= self.threshold or progress >= self.early:
            return 1.0
        if self.annealing == "ess":
            return ess_temperature(ratio, progress)
        return entropy_temperature(normalised_entropy(weights), progress)

    def _go_on(self, tree: Tree[Ahead]) -> list[Wish]:
        cloud = tree.memory
        live = [node for node in cloud.particles if not self.stopped(node)]
        if not self.look_ahead:
            return self._move(tree, {}) if live else []
        cloud.looking = bool(live)
        return [Wish(node) for node in live]

    def _move(self, tree: Tree[Ahead], successors: dict[Node, Node]) -> list[Wish]:
        """Resample, hand over successors, and ask for those that are missing."""
        cloud = tree.memory
        if self.look_ahead:
            # Whoever's successor failed has failed to go on.
            known = [p for p in cloud.particles if p in successors or self.stopped(p)]
            cloud.particles = known
        drawn = self._draw(tree, successors)
        cloud.particles = [p for p, c in drawn if self.stopped(p) for _ in range(c)]
        wishes = []
        for node, copies in drawn:
            if copies and not self.stopped(node):
                if node in successors:
                    cloud.particles.append(successors[node])
                    copies -= 1
                wishes.extend([Wish(node, copies)] if copies else [])
        return wishes or self._go_on(tree)

    def _draw(
        self, tree: Tree[Ahead], successors: dict[Node, Node]
    ) -> list[tuple[Node, int]]:
        particles = tree.memory.particles
        if not particles:
            return []
        logs = self.log_weights(tree, particles)
        if self.look_ahead:
            ahead = self.log_weights(tree, [successors.get(p, p) for p in particles])
            logs = [modulated(now, next) for now, next in zip(logs, ahead, strict=True)]
        t = max(node.depth for node in particles)
        tau = self.tau(softmax(logs), t)
        counts = resample(softmax(logs, tau), self.n, tree.rng, self.resampling)
        return list(zip(particles, counts, strict=True))


# -- formulas ------------------------------------------------------------------------


def ess_temperature(ratio: float, progress: float) -> float:
    """Return tau = max(1, (N / ESS) (1 - t / T)).

    Args:
        ratio: ESS / N, above 0 and at most 1.
        progress: t / T, from 0 to 1.
    """
    return max(1.0, (1 - progress) / ratio)


def entropy_temperature(entropy: float, progress: float) -> float:
    """Return tau = 1 / (H + (1 - H) t / T), at least 1.

    Args:
        entropy: H, the normalised entropy of the weights, from 0 to 1.
        progress: t / T, from 0 to 1.

    Returns:
        Infinity where both are 0.
    """
    beta = entropy + (1 - entropy) * progress
    return max(1.0, 1 / beta) if beta > 0 else math.inf


def normalised_entropy(weights: Sequence[float]) -> float:
    """Return -sum w ln w / ln N of weights that sum to 1; 1 for a single one."""
    if len(weights) < 2:
        return 1.0
    entropy = -math.fsum(w * math.log(w) for w in weights if w > 0)
    return entropy / math.log(len(weights))


def modulated(now: float, successor: float) -> float:
    """Return the log-weight of a particle times the score r of its successor.

    Args:
        now: Log-weight of the particle.
        successor: Log-weight of the successor, logit(r); it is that of the particle
            itself where the successor has no score.
    """
    return now - math.log1p(math.exp(-successor))
