"""What policies have in common that expand the best open node, wherever it is."""

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Generic, TypeVar

from pydantic import Field

from ponder.graphs.search._retries import Retries
from ponder.graphs.search.policy import Policy, Wish
from ponder.graphs.search.tree import Expansion, Node, Tree

Key = tuple[float, ...]
"""Lower comes first. It ends with the id of the node, so no two are equal."""


@dataclass
class Frontier:
    """Where a best-first search stands."""

    heap: list[tuple[Key, Node]] = field(default_factory=list)
    """Nodes that may be expanded, and finished ones that may be taken."""
    born: list[Node] = field(default_factory=list)
    """Told since the last plan."""
    answer: Node | None = None
    """The finished solution that ended the search."""
    expansions: int = 0
    """Nodes taken from the heap to be expanded."""
    taken: list[tuple[Key, Node]] = field(default_factory=list)
    """The last of them."""
    retries: Retries = field(default_factory=Retries)
    scores: int = 0
    """Steps told: each cost one pass of the verifier."""
    tokens: int = 0
    """Tokens of all steps told."""

    def push(self, key: Key, node: Node) -> None:
        """Put a node in its place; the key gets the node's id as tie-breaker."""
        heappush(self.heap, ((*key, node.id), node))


F = TypeVar("F", bound=Frontier)


class FrontierPolicy(Policy[F], Generic[F]):
    """Takes the best node, waits for its children, puts them on the heap.

    Children are put there when nothing is open any more, so neither the order of the
    answers nor a batch that splits an expansion can change the search. A node of which
    nothing came is put back and taken again: the best one is not lost with a call that
    fails.
    """

    parallel: int = Field(default=1, ge=1)
    """Nodes expanded at once. 1 is the published algorithm; more fill a batch, but
    the second node is chosen before the children of the first are known."""

    @abstractmethod
    def width(self) -> int:
        """Return how many continuations are sampled from a node."""

    @abstractmethod
    def enter(self, tree: Tree[F], born: Sequence[Node]) -> None:
        """Push what may be expanded or taken later.

        Args:
            tree: The search.
            born: All that came of the last plan, in order of id.
        """

    def room(self, tree: Tree[F]) -> float:
        """Return how many samples the budget still allows."""
        return math.inf

    def plan(self, tree: Tree[F]) -> Iterable[Wish]:
        """Expand the best nodes, or end at a finished one."""
        memory = tree.memory
        if tree.open:
            return ()
        if memory.expansions == 0 and not memory.heap:
            memory.push((), tree.root)
        born, memory.born = sorted(memory.born, key=lambda node: node.id), []
        self._put_back(memory, born)
        self.enter(tree, born)
        return self._pop(tree)

    def learn(self, tree: Tree[F], expansion: Expansion, born: Sequence[Node]) -> None:
        """Keep what was born for the next plan, and count what it cost."""
        memory = tree.memory
        memory.born.extend(born)
        memory.scores += len(born)
        memory.tokens += sum(node.step.tokens for node in born)

    def best(self, tree: Tree[F]) -> Node | None:
        """Return the solution that ended the search, else the best so far."""
        return tree.memory.answer or super().best(tree)

    def _put_back(self, memory: F, born: Sequence[Node]) -> None:
        """Put nodes back of which nothing came, unless they are given up."""
        taken, memory.taken = memory.taken, []
        parents = {node.parent for node in born if node.parent is not None}
        again = memory.retries.again([node for _, node in taken], parents)
        for key, node in taken:
            if node in again:
                heappush(memory.heap, (key, node))

    def _pop(self, tree: Tree[F]) -> list[Wish]:
        memory, wishes = tree.memory, list[Wish]()
        room = self.room(tree)
        while memory.heap and memory.answer is None and len(wishes) < self.parallel:
            node = memory.heap[0][1]
            if node.final:
                # Behind an open expansion it may yet be overtaken by a child of it.
                memory.answer = node if not wishes else None
                break
            if room <= 0:
                break
            memory.taken.append(heappop(memory.heap))
            memory.expansions += 1
            wishes.append(Wish(node, int(min(self.width(), room))))
            room -= self.width()
        return wishes


def families(born: Sequence[Node]) -> dict[Node, list[Node]]:
    """Return the nodes by their parents."""
    found: dict[Node, list[Node]] = {}
    for node in born:
        if node.parent is not None:
            found.setdefault(node.parent, []).append(node)
    return found


def filled(scores: Sequence[float | None], other: float | None) -> list[float | None]:
    """Return the scores of siblings with a stand-in for those that are unknown.

    The stand-in only carries a path on: a node without a score is itself placed after
    all that have one.

    Args:
        scores: 0 to 1.
        other: What stands in if no sibling has a score; else it is the lowest.
    """
    low = min((s for s in scores if s is not None), default=other)
    return [low if s is None else s for s in scores]
