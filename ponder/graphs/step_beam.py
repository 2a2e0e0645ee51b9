"""Step-level beam search as a strategy."""

from typing import ClassVar

from ponder.graphs.base import register
from ponder.graphs.search.beam import BeamPolicy
from ponder.graphs.step_search import StepSearch


@register
class StepBeam(StepSearch, BeamPolicy):
    """Keep B1 partial solutions, and sample B2 next steps of each.

    Chen et al. 2024 (AlphaMath), step-level beam search SBS(B1, B2).
    """

    name: ClassVar[str] = "step_beam"
    source: ClassVar[str] = "https://arxiv.org/abs/2405.03553"
