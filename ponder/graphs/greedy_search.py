"""Greedy search with step feedback, as a strategy."""

from typing import ClassVar

from ponder.graphs.base import register
from ponder.graphs.search.greedy import GreedyPolicy
from ponder.graphs.step_search import StepSearch


@register
class GreedySearch(StepSearch, GreedyPolicy):
    """Go on from a step that is good, sample a bad one again, backtrack.

    Ma et al. 2023 (HGS-PRM).
    """

    name: ClassVar[str] = "greedy_search"
    source: ClassVar[str] = "https://arxiv.org/abs/2310.10080"
