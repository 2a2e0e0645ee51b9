"""Tree of Thoughts, breadth first: keep the b most promising states of each level."""

import heapq
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from ponder.graphs.search.levels import Level, LevelPolicy, merged
from ponder.graphs.search.policy import Wish, rank
from ponder.graphs.search.tree import Node, Tree


@dataclass
class Breadth(Level):
    """What ToT-BFS keeps beside the level that was just told."""

    finished: list[Node] = field(default_factory=list)
    """States of S_t that are finished solutions: they compete on, unexpanded."""
    chosen: Node | None = None
    """The best state of S_T, from which the output is written."""


class BreadthFirstPolicy(LevelPolicy[Breadth]):
    """ToT-BFS (Yao et al. 2023, https://arxiv.org/abs/2305.10601, algorithm 1).

    S'_t has k thoughts for each state of S_{t-1}; S_t is the b of them with the highest
    values. After T steps the best state of S_T is written to its end, once.

    The paper's tasks have a fixed number of steps. Here a solution may also finish
    early: it then keeps competing for its place among the b with its value, and is the
    output itself if it is the best state of S_T. Where nothing is left to expand, T is
    not waited for. States without a value come after all that have one. A thought that
    a state has twice counts once, as in the authors' code.
    """

    b: int = Field(default=5, ge=1)
    """Breadth: states kept per level (5 in the Game of 24, 1 in Creative Writing)."""
    k: int = Field(default=5, ge=1)
    """Thoughts per state (5 in Creative Writing; the Game of 24 has one prompt list as
    many as it likes)."""
    t: int = Field(default=3, ge=1)
    """T, steps before the output is written (3 in the Game of 24)."""

    def memory(self, rng: random.Random) -> Breadth:
        """Return an empty level."""
        return Breadth()

    def next_level(self, tree: Tree[Breadth], born: Sequence[Node]) -> Iterable[Wish]:
        """Expand S_t, or write the output from the best state of S_T."""
        level = tree.memory
        if level.number == 0:
            return [Wish(tree.root, self.k)]
        if level.chosen is not None:
            return ()
        states = breadth([*level.finished, *merged(born)], self.b)
        level.finished = [state for state in states if state.final]
        live = [state for state in states if not state.final]
        if live and level.number < self.t:
            return [Wish(state, self.k) for state in live]
        # A finished solution needs no further sample, so it wins a tie.
        level.chosen = min(states, key=lambda s: (-rank(s), not s.final, s.id))
        return () if level.chosen.final else [Wish(level.chosen, whole=True)]

    def best(self, tree: Tree[Breadth]) -> Node | None:
        """Return the output of the algorithm.

        A search that was cut short, or an output without a value where other solutions
        have one, gives the finished solution of the highest value instead.
        """
        output = tree.memory.chosen
        if output is not None and not output.final:
            output = output.children[0] if output.children else None
        if output is None or not output.final:
            return super().best(tree)
        if output.score is None and self.leaves(tree):
            return super().best(tree)
        return output


def breadth(states: Sequence[Node], b: int) -> list[Node]:
    """Return S_t: the ``b`` states whose values have the largest sum, best first.

    Args:
        states: S'_t; of two with the same value, the one of the lower id is kept.
        b: Breadth limit.
    """
    return heapq.nsmallest(b, states, key=lambda state: (-rank(state), state.id))
