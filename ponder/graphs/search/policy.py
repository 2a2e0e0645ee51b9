"""What all search policies have in common: ask what to sample, be told what came.

    tree = policy.start(seed=1)
    while wishes := policy.ask(tree):
        for wish in wishes:
            policy.tell(tree, wish, [Step(...) for _ in range(wish.n)])
    best = policy.best(tree)

A policy is configuration and nothing else; all that changes is in the tree. It knows no
model: what a step is, who samples and who scores it is the caller's business.
"""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple

from pydantic import BaseModel, ConfigDict

from ponder.errors import InvalidParameter
from ponder.graphs.search.tree import Expansion, M, Node, Step, Tree

PATIENCE = 3
"""How often nothing may come of the same samples, or of nodes in a row."""


class Wish(NamedTuple):
    """What a policy wants next."""

    node: Node
    n: int = 1
    whole: bool = False
    """Write to the end of the solution instead of one step."""


class Policy(BaseModel, ABC, Generic[M]):
    """Turns scores into the next expansions; its fields are the paper's parameters."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    # -- what a policy writes --------------------------------------------------------

    @abstractmethod
    def memory(self, rng: random.Random) -> M:
        """Return what the policy keeps beside the nodes, as it is at the start."""

    @abstractmethod
    def plan(self, tree: Tree[M]) -> Iterable[Wish]:
        """Return what to sample next.

        It is called when everything planned before was handed out. Nothing means
        that the policy waits for what is open, or, if nothing is open, has ended.
        """

    @abstractmethod
    def learn(self, tree: Tree[M], expansion: Expansion, born: Sequence[Node]) -> None:
        """Take in the children of an expansion; fewer than asked where some failed."""

    # -- what a caller uses ----------------------------------------------------------

    def start(self, value: object = None, *, seed: int = 0) -> Tree[M]:
        """Return a tree with its root alone.

        Args:
            value: What the caller wants to find at the root.
            seed: Decides all random choices.
        """
        rng = random.Random(seed)
        root = Node(0, None, Step(value=value, tokens=0, logprob=0.0))
        return Tree(root, self.memory(rng), rng, nodes={0: root})

    def ask(self, tree: Tree[M], k: int | None = None) -> list[Expansion]:
        """Return what to sample now.

        Args:
            tree: The search; the expansions are marked as handed out.
            k: Most samples to hand out, over all expansions; by default all that the
                policy has planned, at least one plan's worth.

        Returns:
            Nothing if the search has ended, or waits for what was handed out.

        Raises:
            InvalidParameter: ``k`` is no positive number.
        """
        if k is not None and k < 1:
            raise InvalidParameter(f"Ask for at least one sample, not k={k}.")
        out: list[Expansion] = []
        while k is None or k > 0:
            if not tree.waiting and (out and k is None or not self._plan(tree)):
                break
            one = self._take(tree, k)
            out.append(one)
            k = None if k is None else k - one.n
        return out

    def tell(
        self, tree: Tree[M], expansion: Expansion, steps: Sequence[Step]
    ) -> list[Node]:
        """Say what came of an expansion; telling it again changes nothing.

        Args:
            tree: The search.
            expansion: As ``ask`` returned it.
            steps: What was sampled, in the order of the samples; fewer than
                ``expansion.n`` where some failed, none where all did.

        Returns:
            The nodes of these steps.

        Raises:
            InvalidParameter: The expansion is not of this tree, there are more steps
                than were asked for, a score is not between 0 and 1,
                or a log-probability not finite.
        """
        if expansion.first in tree.told:
            return [tree.nodes[i] for i in expansion.ids if i in tree.nodes]
        _check(tree, expansion, steps)
        del tree.open[expansion.first]
        tree.told.add(expansion.first)
        pairs = zip(expansion.ids, steps, strict=False)
        born = [tree.add(expansion.node, id, step) for id, step in pairs]
        self.learn(tree, expansion, born)
        return born

    def done(self, tree: Tree[M]) -> bool:
        """Whether nothing is left to sample and nothing is open."""
        return not tree.open and not tree.waiting and not self._plan(tree)

    def leaves(self, tree: Tree[M]) -> list[tuple[Node, float]]:
        """Return the finished solutions, in order of id, with the weights of a vote.

        The weight is the score; solutions without one do not take part.
        """
        finals = sorted(tree.finals, key=lambda node: node.id)
        return [(node, node.score) for node in finals if node.score is not None]

    def best(self, tree: Tree[M]) -> Node | None:
        """Return the finished solution of most weight, else the best partial one.

        Returns:
            ``None`` if nothing was told.
        """
        if leaves := self.leaves(tree):
            return max(leaves, key=lambda leaf: leaf[1])[0]
        nodes = tree.finals or [n for n in tree.nodes.values() if n is not tree.root]
        return min(nodes, key=_promise, default=None)

    # -- the bookkeeping -------------------------------------------------------------

    def _plan(self, tree: Tree[M]) -> bool:
        tree.waiting.extend(Expansion(*wish) for wish in self.plan(tree))
        return bool(tree.waiting)

    def _take(self, tree: Tree[M], k: int | None) -> Expansion:
        node, n, whole = (wish := tree.waiting.popleft()).node, wish.n, wish.whole
        if k is not None and n > k:
            tree.waiting.appendleft(Expansion(node, n - k, whole))
            n = k
        # Ids are given here, so they do not depend on the order of the answers.
        one = Expansion(node, n, whole, tree.asked + 1)
        tree.open[one.first] = one
        tree.asked += n
        return one


def _check(tree: Tree[M], expansion: Expansion, steps: Sequence[Step]) -> None:
    if tree.open.get(expansion.first) is not expansion:
        raise InvalidParameter(
            f"The expansion of {expansion.node} was not asked for in this tree."
        )
    if len(steps) > expansion.n:
        raise InvalidParameter(
            f"{len(steps)} steps were told where {expansion.n} were asked for."
        )
    for step in steps:
        if step.score is not None and not 0 <= step.score <= 1:
            raise InvalidParameter(
                f"A score is a number from 0 to 1, or None if it is unknown, not "
                f"{step.score!r}."
            )
        if step.logprob is not None and not math.isfinite(step.logprob):
            raise InvalidParameter(
                f"A log-probability is a finite number, or None if it is unknown, not "
                f"{step.logprob!r}."
            )


def _promise(node: Node) -> tuple[float, int, int]:
    """Sort better partial solutions first: scored high, then deep, then early."""
    return (-1.0 if node.score is None else -node.score - 1, -node.depth, node.id)


def rank(node: Node) -> float:
    """Return the score to sort by: whoever has none comes after all that have one."""
    return -1.0 if node.score is None else node.score
