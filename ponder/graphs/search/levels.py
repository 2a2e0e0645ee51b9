"""What policies have in common that work level by level: expand all, then choose."""

import random
from abc import abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from ponder.graphs.search.policy import PATIENCE, Policy, Wish
from ponder.graphs.search.tree import Expansion, Node, Tree


@dataclass
class Level:
    """Where a search by levels stands."""

    born: list[Node] = field(default_factory=list)
    """Told since the last plan."""
    number: int = 0
    """Levels planned so far."""
    wishes: tuple[Wish, ...] = ()
    """The last of them; none once the search has ended."""
    fruitless: int = 0
    """How often in a row nothing came of it."""


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
            born: What came of the last level, in order of id; empty at the start.
        """

    def plan(self, tree: Tree[L]) -> Iterable[Wish]:
        """Choose the next level when all of the last one was told.

        A level that left nothing is asked for again: a beam of one node would end
        with the first call that fails.
        """
        level = tree.memory
        if tree.open or (level.number > 0 and not level.wishes):
            return ()
        if level.number > 0 and not self.lives(tree):
            level.fruitless += 1
            return level.wishes if level.fruitless < PATIENCE else ()
        born = sorted(level.born, key=lambda node: node.id)
        level.born, level.fruitless = [], 0
        level.wishes = tuple(self.next_level(tree, born))
        level.number += 1
        return level.wishes

    def lives(self, tree: Tree[L]) -> bool:
        """Whether the last level left something to go on from."""
        return bool(tree.memory.born)

    def learn(self, tree: Tree[L], expansion: Expansion, born: Sequence[Node]) -> None:
        """Keep what was born for the next choice."""
        tree.memory.born.extend(born)


def merged(nodes: Sequence[Node]) -> list[Node]:
    """Return one node for each text that continues the same chain.

    The first one stays, or the first with a score. Nodes without text all stay.
    """
    kept: dict[Hashable, Node] = {}
    for node in nodes:
        parent = node.parent.id if node.parent is not None else -1
        name: Hashable = (parent, node.step.text) if node.step.text else node.id
        known = kept.get(name)
        if known is None or (known.score is None and node.score is not None):
            kept[name] = node
    return list(kept.values())
