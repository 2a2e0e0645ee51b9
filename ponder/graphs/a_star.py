"""A*-decoding as a strategy."""

from typing import ClassVar

from ponder.graphs.base import register
from ponder.graphs.search.a_star import AStarPolicy
from ponder.graphs.step_search import StepSearch


@register
class AStar(StepSearch, AStarPolicy):
    """Expand the partial solution with the lowest f = g + h, h = 1 - r.

    Chatziveroglou 2025 (A*-Decoding).
    """

    name: ClassVar[str] = "a_star"
    source: ClassVar[str] = "https://arxiv.org/abs/2505.13672"
