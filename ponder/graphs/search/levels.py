"""What policies have in common that work level by level: expand all, then choose."""

import random
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from ponder.graphs.search.policy import Policy, Wish
from ponder.graphs.search.tree import Expansion, Node, Tree


@dataclass
class Level:
    """Where a search by levels stands."""

    born: list[Node] = field(default_factory=list)
    """Told since the last plan."""
    number: int = 0
    """Levels planned so far."""


L = TypeVar("L", bound=Level)


class LevelPolicy(Policy[L], Generic[L]):
    """Waits until a level is told, so the order of the answers cannot matter."""

    def memory(self, rng: random.Random) -> L:
        """Return an empty level; policies that keep more override this."""
        return cast(L, Level())

    @abstractmethod
    def next_level(self, tree: Tree[L], born: Sequence[Node]) -> Iterable[Wish]:
        """Return what to expand next; nothing ends the search.

        Args:
            tree: The search; ``tree.memory.number`` is 0 at the first level.
            born: What came of the last level, in order of id; empty at the start,
                and where all samples of a level failed.
        """

    def plan(self, tree: Tree[L]) -> Iterable[Wish]:
        """Choose the next level when all of the last one was told."""
        level = tree.memory
        if tree.open or (level.number > 0 and not level.born):
            return ()
        born = sorted(level.born, key=lambda node: node.id)
        level.born = []
        wishes = tuple(self.next_level(tree, born))
        level.number += 1
        return wishes

    def learn(self, tree: Tree[L], expansion: Expansion, born: Sequence[Node]) -> None:
        """Keep what was born for the next choice."""
        tree.memory.born.extend(born)
