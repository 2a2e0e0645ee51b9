"""Best-first search among the states of an environment, with backtracking."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from pydantic import Field

from ponder.graphs.search.policy import Policy, Wish
from ponder.graphs.search.tree import Expansion, Node, Tree

FIRST = 0.5
"""Priority of the first actions of a search: nothing is known of their state yet."""


class Slot(NamedTuple):
    """An action that was proposed and not yet executed; the lowest comes first."""

    unscored: bool
    """The state it goes on from has no value: it comes after all that have one."""
    priority: float
    """Minus the value of the state it goes on from."""
    branch: int
    """Which first action of the search it descends from."""
    sibling: int
    """Which action of its state it is."""
    order: int
    node: Node


@dataclass
class Searches:
    """Where the searches stand."""

    heap: list[Slot] = field(default_factory=list)
    """The frontier."""
    base: Node | None = None
    """Where the present search started."""
    best: Node | None = None
    """The highest value of the present search."""
    evaluations: int = 0
    """Values asked for in the present search."""
    taken: list[Slot] = field(default_factory=list)
    """Taken from the frontier by the last plan."""
    first: int = 1
    """Id of the state that the first of them leads to; the others follow."""
    born: list[Node] = field(default_factory=list)
    """Told since the last plan."""
    ended: bool = False


class EnvironmentPolicy(Policy[Searches]):
    """Tree search for language model agents (Koh et al. 2024).

    https://arxiv.org/abs/2407.01476, and what the authors' program does where the
    paper is silent. The frontier holds actions that were proposed and not executed. The
    one that goes on from the state of highest value is executed, and the new state
    evaluated: a state is not evaluated before its turn has come, so its own action
    stands in the frontier under the value of the state before it. First actions have
    0.5. Equal ones are taken by first action, then by how often they were proposed.

    A search ends at a value of theta or more, after c evaluations, or when the frontier
    is empty. The best state (the first one, if several are equal) is committed to and
    the next search starts there, until an episode has ended or is ``max_actions`` long.
    An expansion asks for one child of a node; if nothing is told of it (no further
    action, or it could not be executed) that costs no evaluation.

    A state without a value goes on after all that have one, and is never the best.
    """

    d: int = Field(default=5, ge=1)
    """Depth: most actions of a search."""
    b: int = Field(default=5, ge=1)
    """Branching factor: actions proposed in a state."""
    c: int = Field(default=20, ge=1)
    """Search budget: evaluations of a search."""
    theta: float = Field(default=1.0, ge=0, le=1)
    """A value from here on ends the search; the authors' program has 1."""
    max_actions: int = Field(default=5, ge=1)
    """Most actions of an episode, over all searches."""
    parallel: int = Field(default=1, ge=1)
    """States evaluated at once. 1 is the published algorithm; more fill a batch, but
    the second action is chosen before the value of the first is known."""

    def memory(self, rng: random.Random) -> Searches:
        """Return an empty frontier."""
        return Searches()

    def plan(self, tree: Tree[Searches]) -> Iterable[Wish]:
        """Take the best actions, or commit to the best state and search on."""
        memory = tree.memory
        if tree.open:
            return ()
        if memory.base is None:
            self._begin(memory, tree.root)
        self._enter(memory)
        while not memory.ended:
            room = min(self.parallel, self.c - memory.evaluations, len(memory.heap))
            if room > 0:
                memory.taken = [heappop(memory.heap) for _ in range(room)]
                memory.first = tree.asked + 1
                return [Wish(slot.node) for slot in memory.taken]
            self._commit(memory)
        return ()

    def learn(
        self, tree: Tree[Searches], expansion: Expansion, born: Sequence[Node]
    ) -> None:
        """Keep what was born for the next plan."""
        tree.memory.born.extend(born)

    def best(self, tree: Tree[Searches]) -> Node | None:
        """Return the best state of the latest search, final or not."""
        memory = tree.memory
        found = _best([memory.best, *_in_order(memory.born)])
        committed = None if memory.base is tree.root else memory.base
        return found or committed or super().best(tree)

    def _begin(self, memory: Searches, base: Node) -> None:
        memory.base, memory.best = base, None
        memory.evaluations = 0
        memory.heap.clear()
        self._push(memory, base, FIRST, None)

    def _enter(self, memory: Searches) -> None:
        """Take in the states that the last actions led to."""
        born, memory.born = _in_order(memory.born), []
        memory.evaluations += len(born)
        memory.best = _best([memory.best, *born])
        if _value(memory.best) >= self.theta:
            memory.ended = True
        for node in born:
            if self._goes_on(memory, node):
                branch = memory.taken[node.id - memory.first].branch
                self._push(memory, node, node.score, branch)

    def _goes_on(self, memory: Searches, node: Node) -> bool:
        depth = node.depth - (memory.base.depth if memory.base else 0)
        return not node.final and depth < self.d and node.depth < self.max_actions

    def _push(
        self, memory: Searches, node: Node, value: float | None, branch: int | None
    ) -> None:
        for i in range(self.b):
            slot = Slot(
                unscored=value is None,
                priority=-(value or 0.0),
                branch=i if branch is None else branch,
                sibling=i,
                order=node.id,
                node=node,
            )
            heappush(memory.heap, slot)

    def _commit(self, memory: Searches) -> None:
        best = memory.best
        if best is None or best.final or best.depth >= self.max_actions:
            memory.ended = True
        else:
            self._begin(memory, best)


def _in_order(nodes: Sequence[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: node.id)


def _value(node: Node | None) -> float:
    return -1.0 if node is None or node.score is None else node.score


def _best(nodes: Sequence[Node | None]) -> Node | None:
    """Return the first of those with the highest value, ``None`` if none has one."""
    scored = [node for node in nodes if node is not None and node.score is not None]
    return max(scored, key=_value, default=None)
