"""What several tests of search policies do."""

from typing import Any

from ponder.graphs.search.policy import PATIENCE, Policy
from ponder.graphs.search.tree import Tree


def given_up(policy: Policy[Any], tree: Tree[Any]) -> int:
    """Let all samples of the next node fail until it is given up; return its id."""
    ids = set[int]()
    for _ in range(PATIENCE):
        (wish,) = policy.ask(tree)
        policy.tell(tree, wish, [])
        ids.add(wish.node.id)
    (id,) = ids
    return id
