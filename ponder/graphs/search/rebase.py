"""REBASE: the width of the next level, shared out by exp(reward)."""

import math
from collections.abc import Iterable, Sequence

from pydantic import Field

from ponder.graphs.search.levels import Level, LevelPolicy
from ponder.graphs.search.policy import Wish
from ponder.graphs.search.tree import Node, Tree


class RebasePolicy(LevelPolicy[Level]):
    """Reward-balanced search (Wu et al. 2024, https://arxiv.org/abs/2408.00724).

    A live node j of a level gets W_j = round(B e^{R_j/T_b} / sum_k e^{R_k/T_b}) of the
    width B. Finished solutions leave, and take their share of the width with them.
    PlanGEN's REBASE (Parmar et al. 2025, https://arxiv.org/abs/2502.16111) also narrows
    the width after each expansion, which is ``shrink``.
    """

    n: int = Field(default=16, ge=1)
    """N, solutions sampled in all: the width of the first level."""
    t_b: float = Field(default=0.1, gt=0)
    """T_b, balance temperature: small values give all width to the best node."""
    depth: int = Field(default=16, ge=1)
    """Most steps of a solution."""
    shrink: int = Field(default=0, ge=0)
    """How much B loses with every level expanded; 0 is Wu et al.'s REBASE, 1 that of
    PlanGEN. A search whose width is gone ends, with fewer than N solutions."""

    def next_level(self, tree: Tree[Level], born: Sequence[Node]) -> Iterable[Wish]:
        """Share out what is left of the width among the live nodes."""
        if tree.memory.number == 0:
            return [Wish(tree.root, self.n)]
        live = [node for node in born if not node.final and node.depth < self.depth]
        budget = self.n - self.shrink * tree.memory.number - len(tree.finals)
        shares = widths([node.score for node in live], budget, self.t_b)
        return [Wish(node, w) for node, w in zip(live, shares, strict=True) if w > 0]


def widths(rewards: Sequence[float | None], budget: int, t_b: float) -> list[int]:
    """Return how often to expand each node: W_j, summing to the budget.

    Where the rounded shares do not sum to the budget, those are rounded up that have
    the largest fractions, as many as do: each W_j is the formula's rounded up or down,
    and a node of higher reward never gets less. Of equal shares the known one goes
    before the unknown, then the one that is first.

    Args:
        rewards: R_j, 0 to 1. One that is unknown counts as the lowest that is known.
        budget: B, the width to share out.
        t_b: T_b.
    """
    known = [r for r in rewards if r is not None]
    low, top = min(known, default=0.0), max(known, default=0.0)
    filled = [low if r is None else r for r in rewards]
    weights = [math.exp((r - top) / t_b) for r in filled]
    mass = math.fsum(weights)
    ideal = [max(budget, 0) * w / mass for w in weights]
    shares = [math.floor(q) for q in ideal]
    rest = max(budget, 0) - sum(shares)

    def turn(j: int) -> tuple[float, float, bool, int]:
        return shares[j] - ideal[j], -filled[j], rewards[j] is None, j

    for j in sorted(range(len(rewards)), key=turn)[:rest]:
        shares[j] += 1
    return shares
