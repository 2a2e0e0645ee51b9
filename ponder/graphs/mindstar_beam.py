"""MindStar's beam search as a strategy."""

from typing import ClassVar

from ponder.graphs.base import register
from ponder.graphs.search.mindstar import MindstarBeamPolicy
from ponder.graphs.step_search import StepSearch


@register
class MindstarBeam(StepSearch, MindstarBeamPolicy):
    """Follow the steps that the reward prefers.

    Kang et al. 2024 (M*, beam search).
    """

    name: ClassVar[str] = "mindstar_beam"
    source: ClassVar[str] = "https://arxiv.org/abs/2405.16265"
