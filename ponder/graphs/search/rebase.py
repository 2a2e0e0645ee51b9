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

    Rounding each share alone need not sum to the budget, so nodes are served in order
    of their rewards, each by the formula over those not yet served and the width that
    is left. The first node, and all where the shares are whole, get the formula's W_j.

    Args:
        rewards: R_j, 0 to 1. One that is unknown counts as the lowest that is known.
        budget: B, the width to share out.
        t_b: T_b.
    """
    known = [r for r in rewards if r is not None]
    low = min(known, default=0.0)
    top = max(known, default=0.0)
    order = sorted(range(len(rewards)), key=lambda j: -_or(rewards[j], low))
    weights = [math.exp((_or(r, low) - top) / t_b) for r in rewards]
    shares, left, mass = [0] * len(rewards), max(budget, 0), math.fsum(weights)
    for j in order:
        last = j == order[-1]
        shares[j] = left if last else min(left, round(left * weights[j] / mass))
        left -= shares[j]
        mass -= weights[j]
        if left == 0 or mass <= 0:
            break
    return shares


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
