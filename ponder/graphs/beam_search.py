"""Beam search against a step scorer, as a strategy."""

from typing import ClassVar

from ponder.graphs.base import register
from ponder.graphs.choosing import Select
from ponder.graphs.search.width_beam import WidthBeamPolicy
from ponder.graphs.step_search import StepSearch


@register
class BeamSearch(StepSearch, WidthBeamPolicy):
    """Sample N, keep the best N/M, sample M next steps of each.

    Snell et al. 2024, section 5.
    """

    name: ClassVar[str] = "beam_search"
    source: ClassVar[str] = "https://arxiv.org/abs/2408.03314"

    select: Select = "vote"
    """The paper's: best-of-N weighted by the score of the last step."""
