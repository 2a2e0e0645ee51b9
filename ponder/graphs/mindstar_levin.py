"""MindStar's Levin tree search as a strategy."""

from typing import ClassVar

from ponder.graphs.base import register
from ponder.graphs.search.mindstar import LevinPolicy
from ponder.graphs.step_search import StepSearch


@register
class MindstarLevin(StepSearch, LevinPolicy):
    """Expand the node of least depth over probability.

    Kang et al. 2024 (M*, Levin tree search).
    """

    name: ClassVar[str] = "mindstar_levin"
    source: ClassVar[str] = "https://arxiv.org/abs/2405.16265"
