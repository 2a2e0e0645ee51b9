"""Worlds without a model, in which a policy can be tried, tested and timed."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from ponder.graphs.search.policy import Policy
from ponder.graphs.search.tree import Expansion, Node, Step, Tree

World = Callable[[Expansion], list[Step]]
"""Says what comes of an expansion."""


def noise(
    seed: int = 0,
    *,
    depth: int = 5,
    unreadable: float = 0.0,
    failing: float = 0.0,
    logprobs: bool = True,
) -> World:
    """Return a world of random scores, the same for the same node.

    Args:
        seed: Chooses the world.
        depth: No path is longer.
        unreadable: Share of steps without a score.
        failing: Share of samples that fail.
        logprobs: Whether the model gives log-probabilities.
    """

    def expand(expansion: Expansion) -> list[Step]:
        steps = []
        for id in expansion.ids:
            rng = random.Random(f"{seed}/{id}")
            if rng.random() < failing:
                continue
            last = expansion.whole or expansion.node.depth + 1 >= depth
            steps.append(
                Step(
                    value=id,
                    score=None if rng.random() < unreadable else rng.random(),
                    logprob=-10 * rng.random() if logprobs else None,
                    tokens=rng.randint(1, 20),
                    final=last or rng.random() < 0.2,
                    text=f"step {rng.randint(0, 9)} of {expansion.node.id}",
                )
            )
        return steps

    return expand


def search(
    policy: Policy[Any],
    world: World,
    *,
    seed: int = 0,
    k: int | None = None,
    limit: int = 400,
    shuffle: random.Random | None = None,
) -> Tree[Any]:
    """Run a search to its end, or until ``limit`` samples were asked for.

    Args:
        policy: The policy.
        world: What comes of an expansion.
        seed: Seed of the search.
        k: Most samples in a batch; by default what the policy plans at a time.
        limit: Samples in all after which nothing more is asked for; with ``k``, the
            most.
        shuffle: Tell the expansions of a batch in a random order.
    """
    tree = policy.start(seed=seed)
    while tree.asked < limit and (batch := policy.ask(tree, _room(tree, k, limit))):
        if shuffle is not None:
            shuffle.shuffle(batch)
        for expansion in batch:
            policy.tell(tree, expansion, world(expansion))
    return tree


def _room(tree: Tree[Any], k: int | None, limit: int) -> int | None:
    left = limit - tree.asked
    return min(left, k) if k is not None else None


def shape(nodes: Sequence[Node]) -> list[tuple[int, int, float | None]]:
    """Return what nodes look like, to compare two trees."""
    return [(n.id, n.parent.id if n.parent else -1, n.score) for n in nodes]
