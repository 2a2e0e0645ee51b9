"""MCTS: upper confidence bounds applied to trees (UCT)."""

import math
import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from pydantic import Field, model_validator

from ponder.graphs.search.policy import Policy, Wish
from ponder.graphs.search.tree import Expansion, Node, Tree


@dataclass(slots=True)
class Visits:
    """What is known of the subtree of a node."""

    n: int = 0
    """N, scores backed up through the node, its own included."""
    q: float = 0.0
    """Q, their sum."""
    sent: int = 0
    """Samples below the node that were asked for and brought no score (yet)."""
    free: int = 0
    """Nodes of the subtree that can be expanded now."""
    grown: bool = False
    """Whether the node itself was expanded, or is being expanded."""
    failed: int = 0
    """Samples that went on from the node itself and failed."""


@dataclass
class Statistics:
    """The memory of UCT."""

    visits: dict[int, Visits] = field(default_factory=dict)
    """By the id of the node."""
    told: list[tuple[Expansion, list[Node]]] = field(default_factory=list)
    """Not backed up yet."""
    orders: deque[Wish] = field(default_factory=deque)
    """What comes before the next expansion: roll-outs, and samples that failed."""


class MctsPolicy(Policy[Statistics]):
    """UCT (Kocsis & Szepesvari 2006, https://doi.org/10.1007/11871842_29).

    Each turn goes down from the root to the child of the largest Q/N + c sqrt(ln N'/N)
    (N' of the parent), expands the leaf by k children, and backs their scores up to the
    root. Where the paper rolls out at random, a child is valued by the score that it
    comes with, as usual with language models; ``rollout`` is nearer to the paper.

    Several expansions may be open: samples on their way count as visits in N and N',
    not in Q/N (Liu et al. 2020, WU-UCT, https://arxiv.org/abs/1810.11755), and no leaf
    is expanded twice, so a batch spreads. Final nodes and subtrees that hold nothing
    else keep their part in Q and N, but are not entered. Unreadable scores stay out of
    Q/N; a node without any score in its subtree is entered only where no sibling that
    can be expanded has one.
    """

    c: float = Field(default=math.sqrt(2), ge=0, allow_inf_nan=False)
    """c = 2 C_p, with C_p = 1/sqrt(2) for scores between 0 and 1."""
    k: int = Field(default=4, ge=1)
    """Children of an expanded node. Not given in the paper, where a state has as many
    as there are actions."""
    rollout: bool = False
    """Value a child by the score of one solution that is written to its end from it."""
    answers: bool = True
    """Nodes are whole answers, which their children refine: each one with a score is a
    candidate. Else nodes are steps, and only the ends of paths are candidates."""
    patience: int = Field(default=8, ge=1)
    """Not in the paper: samples from one node that may fail before those that failed
    are no longer asked for again."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.rollout and self.answers:
            raise ValueError(
                "A whole answer has no end to roll out to: set answers=False if nodes "
                "are steps, or rollout=False."
            )
        return self

    def memory(self, rng: random.Random) -> Statistics:
        """Return the statistics of a root that can be expanded."""
        return Statistics({0: Visits(free=1)})

    def plan(self, tree: Tree[Statistics]) -> Iterable[Wish]:
        """Back up what was told, then expand one leaf."""
        memory = tree.memory
        # Sums of floats depend on their order, so answers are taken in order of id.
        for expansion, born in sorted(memory.told, key=lambda one: one[0].first):
            self._take_in(memory, expansion, born)
        memory.told.clear()
        if not memory.orders and memory.visits[0].free:
            leaf = self._descend(tree.root, memory.visits)
            memory.visits[leaf.id].grown = True
            back_up(memory.visits, leaf, free=-1)
            memory.orders.append(Wish(leaf, self.k))
        if not memory.orders:
            return ()
        wish = memory.orders.popleft()
        back_up(memory.visits, wish.node, sent=wish.n)
        return [wish]

    def learn(
        self, tree: Tree[Statistics], expansion: Expansion, born: Sequence[Node]
    ) -> None:
        """Keep the answers for the next plan."""
        tree.memory.told.append((expansion, list(born)))

    def leaves(self, tree: Tree[Statistics]) -> list[tuple[Node, float]]:
        """Return the candidates, in order of id, with their scores as weights."""
        if not self.answers:
            return super().leaves(tree)
        nodes = (tree.nodes[id] for id in sorted(tree.nodes))
        return [(node, node.score) for node in nodes if node.score is not None]

    def _descend(self, node: Node, visits: dict[int, Visits]) -> Node:
        while (own := visits[node.id]).grown:
            parent = own.n + own.sent
            best, top = node, (-1, -math.inf)
            for child in node.children:
                known = visits[child.id]
                if known.free and (worth := value(known, parent, self.c)) > top:
                    best, top = child, worth
            node = best
        return node

    def _take_in(
        self, memory: Statistics, expansion: Expansion, born: Sequence[Node]
    ) -> None:
        visits, node = memory.visits, expansion.node
        for child in born:
            visits[child.id] = Visits()
            self._evaluate(memory, child, expansion.whole)
        lost = expansion.n - len(born)
        back_up(visits, node, sent=-lost, free=int(expansion.whole))
        visits[node.id].failed += lost
        if lost and not expansion.whole and visits[node.id].failed < self.patience:
            memory.orders.append(Wish(node, lost))

    def _evaluate(self, memory: Statistics, child: Node, rolled_out: bool) -> None:
        """Back up a child's score, or order the roll-out that stands for it."""
        visits, parent = memory.visits, child.parent
        if self.rollout and not rolled_out and not child.final:
            memory.orders.append(Wish(child, 1, whole=True))
            back_up(visits, parent, sent=-1)
            return
        if child.score is not None:
            visits[child.id].n, visits[child.id].q = 1, child.score
            back_up(visits, parent, n=1, q=child.score, sent=-1)
        if not child.final and not rolled_out:
            back_up(visits, child, free=1)


def value(visits: Visits, parent: int, c: float) -> tuple[int, float]:
    """Return what a child is worth, to compare it with its siblings.

    Args:
        visits: What is known of the child.
        parent: N' of the parent, samples on their way included.
        c: Weight of the exploration.

    Returns:
        1 and ``ucb``; without any score 0 and the number of tries, negative, so that
        among such siblings the one tried least comes first.
    """
    if not visits.n:
        return 0, -visits.sent
    return 1, ucb(visits.q, visits.n, visits.sent, parent, c)


def ucb(q: float, n: int, sent: int, parent: int, c: float) -> float:
    """Return Q/N + c sqrt(ln N' / (N + O)): UCB1, with O samples on their way.

    Args:
        q: Q, sum of the scores.
        n: N, their number, at least 1.
        sent: O; with 0 it is the formula of Kocsis & Szepesvari.
        parent: N', visits of the parent, at least 1, those on their way included.
        c: Weight of the exploration.
    """
    return q / n + c * math.sqrt(math.log(parent) / (n + sent))


def back_up(
    visits: dict[int, Visits],
    node: Node | None,
    *,
    n: int = 0,
    q: float = 0.0,
    sent: int = 0,
    free: int = 0,
) -> None:
    """Add to the statistics of a node and of all its ancestors."""
    while node is not None:
        own = visits[node.id]
        own.n += n
        own.q += q
        own.sent += sent
        own.free += free
        node = node.parent
