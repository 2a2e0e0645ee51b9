"""Tree of Thoughts, depth first, as a strategy."""

from typing import ClassVar

from ponder.graphs.base import register
from ponder.graphs.search.tot_dfs import DepthFirstPolicy
from ponder.graphs.step_search import StepSearch


@register
class TreeOfThoughtsDfs(StepSearch, DepthFirstPolicy):
    """Follow the best thought first, prune below the threshold, backtrack.

    Yao et al. 2023, algorithm 2 (ToT-DFS).
    """

    name: ClassVar[str] = "tree_of_thoughts_dfs"
    source: ClassVar[str] = "https://arxiv.org/abs/2305.10601"
