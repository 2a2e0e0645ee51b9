"""Tree of Thoughts, depth first: follow the best thought, prune, backtrack."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from ponder.graphs.search._retries import Retries
from ponder.graphs.search.policy import Policy, Wish, rank
from ponder.graphs.search.tree import Expansion, Node, Tree


@dataclass
class Walk:
    """Where a depth-first search stands."""

    stack: list[Node] = field(default_factory=list)
    """States to visit; the next one is the last."""
    born: list[Node] = field(default_factory=list)
    """Thoughts told since the last visit."""
    taken: list[Node] = field(default_factory=list)
    """The state of the last visit."""
    retries: Retries = field(default_factory=Retries)
    visited: int = 0
    """States visited so far."""
    outputs: int = 0
    """Finished solutions recorded so far."""


class DepthFirstPolicy(Policy[Walk]):
    """ToT-DFS (Yao et al. 2023, https://arxiv.org/abs/2305.10601, algorithm 2).

    Of the k thoughts of a state, those with V > v_th are visited, the best first, each
    with all that is below it before the next. A state at step T is written to its end,
    once, and that output recorded. The search goes on until everything was visited or
    the step limit is reached.

    A thought that is itself a finished solution is recorded and not visited. Thoughts
    without a value are not pruned, since nothing says that they are bad, and visited
    after all that have one. For crosswords the paper renders the deepest state as the
    answer, because it has no value of a whole solution; here ``best`` is the recorded
    solution with the highest score.
    """

    k: int = Field(default=5, ge=1)
    """Thoughts per state (the paper prompts 5 times in Mini Crosswords)."""
    t: int = Field(default=10, ge=1)
    """T, steps before the output is written (at most 10 in Mini Crosswords)."""
    v_th: float = Field(default=0.0, ge=0, lt=1)
    """Value threshold: at or below it a state is pruned. The paper has no number but
    the verdict "impossible", which is a score of 0 here."""
    steps: int = Field(default=100, ge=1)
    """States visited at most, the root and those written to their end included (the
    paper's limit of DFS steps)."""
    outputs: int | None = Field(default=None, ge=1)
    """Deviation: stop when so many solutions are recorded. The paper goes on to the
    step limit."""

    def memory(self, rng: random.Random) -> Walk:
        """Return an empty stack; the root is visited first."""
        return Walk()

    def plan(self, tree: Tree[Walk]) -> Iterable[Wish]:
        """Push what came of the last visit, and visit the state on top."""
        walk = tree.memory
        if tree.open:
            return ()
        walk.outputs += sum(node.final for node in walk.born)
        live = [node for node in walk.born if not node.final and node.depth <= self.t]
        walk.stack.extend(reversed(candidates(live, self.v_th)))
        parents = {node.parent for node in walk.born if node.parent is not None}
        again = walk.retries.again(walk.taken, parents)
        walk.born, walk.taken = [], []
        if walk.visited == 0:
            walk.stack.append(tree.root)
        walk.stack += again
        if not walk.stack or self._enough(walk):
            return ()
        state = walk.stack.pop()
        walk.taken = [state]
        walk.visited += 1
        if state.depth >= self.t:
            return [Wish(state, whole=True)]
        return [Wish(state, self.k)]

    def learn(
        self, tree: Tree[Walk], expansion: Expansion, born: Sequence[Node]
    ) -> None:
        """Keep the thoughts until all of the visit are told."""
        tree.memory.born.extend(born)

    def _enough(self, walk: Walk) -> bool:
        found = self.outputs is not None and walk.outputs >= self.outputs
        return found or walk.visited >= self.steps


def candidates(thoughts: Sequence[Node], v_th: float) -> list[Node]:
    """Return the thoughts to visit, the best first.

    Args:
        thoughts: s' in G(p, s, k).
        v_th: A thought is pruned if V(s') <= v_th; an unknown value prunes nothing.
    """
    alive = [s for s in thoughts if s.score is None or s.score > v_th]
    return sorted(alive, key=lambda s: (-rank(s), s.id))
