"""Best-first search by the length-normalised log-probability of the path."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from ponder.graphs.search._frontier import Frontier, FrontierPolicy, Key
from ponder.graphs.search.policy import PATIENCE
from ponder.graphs.search.tree import Node, Tree


@dataclass
class Passes(Frontier):
    """The heap of one pass, and where the passes stand."""

    number: int = 1
    """The pass this is."""
    expansions_before: int = 0
    """Expansions of the passes before."""
    scores_before: int = 0
    """Steps told in the passes before."""
    barren: int = 0
    """Passes in a row that brought no step."""


class BestFirstPolicy(FrontierPolicy[Passes]):
    """BFS-Prover (Xin et al. 2025, https://arxiv.org/abs/2502.03438).

    The node that is expanded next has the highest sum(log p(a_t | s_t)) / L^alpha
    (Equation 1), L being the number of steps on its path. The first proof ends the
    search; a solution that is none is an error node and only drops out. A pass is over
    when nothing is left to expand or after N expansions; the next one starts again from
    the root, up to K passes.

    The scorer's scores do not order the nodes. They do where the model gives no
    log-probabilities: such nodes come after all that have them, the best scored
    first, those without a score last, and among these the deepest first.
    """

    alpha: float = Field(default=0.5, ge=0, le=1)
    """Length normalisation: 0 sums, 1 is the mean per step. Section 3.4.1 evaluates
    with 0.5; the solutions found with 0, 0.5 and 1 together give the best result."""
    w: int = Field(default=2, ge=1)
    """W, expansion width: continuations sampled from a node."""
    n: int = Field(default=600, ge=1)
    """N, most expansions of a pass."""
    k: int = Field(default=2048, ge=1)
    """K, most passes. Table 1 has K x W x N = 2048 x 2 x 600."""
    success: float | None = Field(default=1.0, ge=0, le=1)
    """Score from which a finished solution counts as a proof and ends the search, as
    Lean's verdict does in the paper; ``None`` ends it at any finished solution."""

    def memory(self, rng: random.Random) -> Passes:
        """Return an empty heap."""
        return Passes()

    def width(self) -> int:
        """Return W."""
        return self.w

    def room(self, tree: Tree[Passes]) -> float:
        """Return how many samples the rest of the pass amounts to."""
        return self.w * self._left(tree.memory)

    def enter(self, tree: Tree[Passes], born: Sequence[Node]) -> None:
        """End at a proof; put all partial solutions on the heap."""
        memory = tree.memory
        for node in born:
            if not node.final:
                memory.push(key(node, self.alpha), node)
            elif memory.answer is None and self._proves(node):
                memory.answer = node
        if not memory.heap or self._left(memory) == 0:
            self._next_pass(tree)

    def best(self, tree: Tree[Passes]) -> Node | None:
        """Return the proof, else what scored best, else the most probable."""
        if tree.memory.answer is not None or self.leaves(tree):
            return super().best(tree)
        nodes = tree.finals or [n for n in tree.nodes.values() if n is not tree.root]
        return min(nodes, key=lambda n: (*key(n, self.alpha), n.id), default=None)

    def _left(self, memory: Passes) -> int:
        return self.n - (memory.expansions - memory.expansions_before)

    def _next_pass(self, tree: Tree[Passes]) -> None:
        memory = tree.memory
        barren = memory.scores == memory.scores_before
        memory.barren = memory.barren + 1 if barren else 0
        memory.heap.clear()
        if memory.number < self.k and memory.barren < PATIENCE:
            memory.number += 1
            memory.expansions_before = memory.expansions
            memory.scores_before = memory.scores
            memory.push((), tree.root)

    def _proves(self, node: Node) -> bool:
        if self.success is None:
            return True
        return node.score is not None and node.score >= self.success


def priority(logprob: float, length: int, alpha: float) -> float:
    """Return sum(log p) / L^alpha (Equation 1 of Xin et al. 2025); high is good.

    Args:
        logprob: Sum of the log-probabilities (nats) of the steps of the path.
        length: L, its number of steps, at least 1.
        alpha: Length normalisation, 0 to 1.
    """
    return logprob / float(length**alpha)


def key(node: Node, alpha: float) -> Key:
    """Return the place of a node in the heap, the lowest first."""
    if node.logprob is not None:
        return 0, -priority(node.logprob, node.depth, alpha)
    if node.score is not None:
        return 1, -node.score
    return 2, -node.depth
