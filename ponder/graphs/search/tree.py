"""The tree that a search grows: the caller holds it, the policy reads and grows it."""

import random
from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Step:
    """One sampled continuation, as the caller tells of it."""

    value: Any = None
    """Whatever the caller wants to find at the node again; no policy looks at it."""
    score: float | None = None
    """How good it is, 0 to 1, by the caller's scorer; ``None`` if it was unreadable."""
    logprob: float | None = None
    """Sum of the log-probabilities (nats) of its tokens, where the model gives them."""
    tokens: int = 1
    """How many tokens it has."""
    final: bool = False
    """Whether the path ends here, by an answer or because it may grow no further."""
    text: str = ""
    """What it says, for policies that compare texts."""


@dataclass(slots=True, eq=False)
class Node:
    """A partial or finished solution: the path of steps from the root to here."""

    id: int
    """Given when it was asked for, so it does not depend on who answered first."""
    parent: "Node | None"
    step: Step
    depth: int = 0
    logprob: float | None = 0.0
    """Sum over the path (nats); ``None`` as soon as one step has none."""
    tokens: int = 0
    """Sum over the path."""
    children: list["Node"] = field(default_factory=list)
    """In order of id."""

    @property
    def value(self) -> Any:
        """What the caller keeps here."""
        return self.step.value

    @property
    def score(self) -> float | None:
        """The score of the step that leads here."""
        return self.step.score

    @property
    def final(self) -> bool:
        """Whether the path ends here."""
        return self.step.final

    def path(self) -> list["Node"]:
        """Return the nodes from below the root down to this one."""
        found: list[Node] = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            found.append(node)
            node = node.parent
        return found[::-1]

    def __repr__(self) -> str:
        return f"Node({self.id}, depth={self.depth}, score={self.score})"


@dataclass(frozen=True, slots=True)
class Expansion:
    """A wish of a policy: ``n`` samples that go on from ``node``."""

    node: Node
    n: int = 1
    whole: bool = False
    """Write to the end of the solution instead of one step."""
    first: int = -1
    """Id of the first child; the others follow. It also identifies the expansion."""

    @property
    def ids(self) -> range:
        """The ids of the children."""
        return range(self.first, self.first + self.n)


@dataclass(eq=False)
class Tree(Generic[M]):
    """A search in progress; made by ``Policy.start``."""

    root: Node
    memory: M
    """What the policy keeps beside the nodes: heap, particles, statistics."""
    rng: random.Random
    """The one source of randomness; drawn from while asking, never while telling."""
    nodes: dict[int, Node] = field(default_factory=dict)
    """All nodes, by id."""
    finals: list[Node] = field(default_factory=list)
    """Nodes at which a path ended, in the order in which they were told."""
    waiting: deque[Expansion] = field(default_factory=deque)
    """Planned, not handed out yet."""
    open: dict[int, Expansion] = field(default_factory=dict)
    """Handed out, not told yet, by ``Expansion.first``."""
    told: set[int] = field(default_factory=set)
    """The ``Expansion.first`` of all that were told."""
    asked: int = 0
    """Samples handed out so far."""

    def add(self, parent: Node, id: int, step: Step) -> Node:
        """Hang a node into the tree."""
        logprob = added(parent.logprob, step.logprob)
        tokens = parent.tokens + step.tokens
        node = Node(id, parent, step, parent.depth + 1, logprob, tokens)
        insort(parent.children, node, key=_id)
        self.nodes[id] = node
        if step.final:
            self.finals.append(node)
        return node


def _id(node: Node) -> int:
    return node.id


def added(logprob: float | None, more: float | None) -> float | None:
    """Return the sum of two log-probabilities; ``None`` if one is unknown."""
    return None if logprob is None or more is None else logprob + more
