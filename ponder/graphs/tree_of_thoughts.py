"""Tree of Thoughts, breadth first, as a strategy."""

from typing import ClassVar

from ponder.graphs.base import register
from ponder.graphs.search.tot_bfs import BreadthFirstPolicy
from ponder.graphs.step_search import StepSearch


@register
class TreeOfThoughts(StepSearch, BreadthFirstPolicy):
    """Keep the b best states of each level, and propose k thoughts from each.

    Yao et al. 2023, algorithm 1 (ToT-BFS).
    """

    name: ClassVar[str] = "tree_of_thoughts"
    source: ClassVar[str] = "https://arxiv.org/abs/2305.10601"
