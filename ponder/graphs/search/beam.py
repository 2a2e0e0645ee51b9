"""Step-level beam search: B1 partial solutions, B2 next steps of each."""

import heapq
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from ponder.graphs.search.levels import Level, LevelPolicy
from ponder.graphs.search.policy import Wish, rank
from ponder.graphs.search.tree import Node, Tree


@dataclass
class Beam(Level):
    """What the search keeps beside the level that was just told."""

    solutions: list[Node] = field(default_factory=list)
    """Finished solutions that were in the beam."""


class BeamPolicy(LevelPolicy[Beam]):
    """SBS(B1, B2) of AlphaMath (Chen et al. 2024, https://arxiv.org/abs/2405.03553).

    The beam starts as B1 copies of the root (algorithm 2), so the first level has
    B1 B2 steps. From each of the beam B2 next steps are sampled, and the B1 of highest
    value among all of them are the next beam, while t < T. The answer is the one of
    highest value.

    The algorithm box does not say what becomes of a finished solution that is in the
    beam. In the authors' code (MARIO-Math-Reasoning/Super_MARIO, step_beam.py) it
    leaves with its place, so that B1 solutions result; so it is here. Finished
    solutions that never were in the beam are no answer, unless there is no other.
    Steps without a value come after all that have one.
    """

    b1: int = Field(default=3, ge=1)
    """B1, width of the beam (1, 2, 3 and 5 in the paper; 3 is its best on MATH)."""
    b2: int = Field(default=5, ge=1)
    """B2, next steps sampled for each partial solution."""
    t: int = Field(default=10, ge=1)
    """T, most steps of a solution. The number is that of the authors' configuration."""

    def memory(self, rng: random.Random) -> Beam:
        """Return an empty beam."""
        return Beam()

    def next_level(self, tree: Tree[Beam], born: Sequence[Node]) -> Iterable[Wish]:
        """Choose the next beam and sample from what is unfinished in it."""
        level = tree.memory
        if level.number == 0:
            return [Wish(tree.root, self.b1 * self.b2)]
        beam = top(born, self.b1 - len(level.solutions))
        level.solutions += [node for node in beam if node.final]
        if level.number >= self.t:
            return ()
        return [Wish(node, self.b2) for node in beam if not node.final]

    def leaves(self, tree: Tree[Beam]) -> list[tuple[Node, float]]:
        """Return the solutions that were in the beam with their values.

        Where none of them has a value, all finished solutions that have one.
        """
        solutions = sorted(tree.memory.solutions, key=lambda node: node.id)
        known = [(node, node.score) for node in solutions if node.score is not None]
        return known or super().leaves(tree)


def top(nodes: Sequence[Node], width: int) -> list[Node]:
    """Return the nodes of highest value, best first; at a tie the lower id.

    Args:
        nodes: All candidates of a level.
        width: How many to keep.
    """
    return heapq.nsmallest(width, nodes, key=lambda node: (-rank(node), node.id))
