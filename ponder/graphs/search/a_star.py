"""A*-decoding: expand the prefix of lowest cost so far plus estimated cost to go."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from ponder.graphs.search._frontier import (
    Frontier,
    FrontierPolicy,
    families,
    filled,
)
from ponder.graphs.search.tree import Node, Tree


@dataclass
class AStarFrontier(Frontier):
    """The heap, and what the way to each node has cost."""

    g: dict[int, float] = field(default_factory=dict)
    """Cost so far, by id."""
    r: dict[int, float | None] = field(default_factory=dict)
    """Reward by id, with a stand-in where it is unknown."""


class AStarPolicy(FrontierPolicy[AStarFrontier]):
    """A*-decoding (Chatziveroglou 2025, https://arxiv.org/abs/2505.13672).

    The prefix s of lowest f(s) = g(s) + h(s) is expanded, h(s) = 1 - r(s) with r(s)
    the process reward of the prefix. The first finished solution that is taken from
    the heap ends the search. When a budget is spent before, the finished solution of
    the highest reward is the answer, and if there is none, the best partial one.

    h and the sampling of k continuations are as in the paper. Its g could be checked
    only against a survey (Yang et al. 2025, https://arxiv.org/abs/2511.14772), in
    which g adds up the increases of h alone. Steps from the root cost nothing, for
    the prompt has no reward; of equal f the lower h goes first, then the deeper: both
    not given there.

    A prefix without a reward is taken after all that have one; for the costs of its
    descendants it counts as the lowest of its siblings, else as its parent.
    """

    k: int = Field(default=8, ge=1)
    """Continuations sampled from a prefix. The paper's value could not be checked."""
    g: Literal["increase", "zero"] = "increase"
    """Cost so far: the increases of h along the path, or none (greedy on r)."""
    max_tokens_total: int | None = Field(default=None, ge=1)
    """Most tokens; no prefix is expanded once so many are sampled. ``None``: no end."""
    max_scores: int | None = Field(default=None, ge=1)
    """Most passes of the verifier, one for every step. ``None``: no end."""

    def memory(self, rng: random.Random) -> AStarFrontier:
        """Return an empty heap."""
        return AStarFrontier(g={0: 0.0}, r={0: None})

    def width(self) -> int:
        """Return k."""
        return self.k

    def room(self, tree: Tree[AStarFrontier]) -> float:
        """Return how many passes of the verifier are left, none if tokens are out."""
        memory = tree.memory
        if self.max_tokens_total is not None and memory.tokens >= self.max_tokens_total:
            return 0
        return math.inf if self.max_scores is None else self.max_scores - memory.scores

    def enter(self, tree: Tree[AStarFrontier], born: Sequence[Node]) -> None:
        """Put all on the heap by f, finished solutions too."""
        memory = tree.memory
        for parent, nodes in families(born).items():
            before = memory.r[parent.id]
            rewards = filled([node.score for node in nodes], before)
            for node, reward in zip(nodes, rewards, strict=True):
                step = cost(before, reward) if self.g == "increase" else 0.0
                memory.g[node.id] = memory.g[parent.id] + step
                memory.r[node.id] = reward
                h = heuristic(reward)
                # Rounded, since sums of the same rewards differ in their last bits.
                f = round(memory.g[node.id] + h, 9)
                memory.push((node.score is None, f, h, -node.depth), node)


def heuristic(reward: float | None) -> float:
    """Return h(s) = 1 - r(s), the estimated cost to go; 1 if nothing is known."""
    return 1.0 if reward is None else 1.0 - reward


def cost(before: float | None, after: float | None) -> float:
    """Return what g adds for a step: the increase of h, so the loss of reward.

    Args:
        before: r(s), 0 to 1; ``None`` at the root, from where a step costs nothing.
        after: r(s') of the continuation.
    """
    if before is None or after is None:
        return 0.0
    return max(0.0, before - after)
