"""Entropic particle filtering as a strategy."""

from typing import ClassVar

from ponder.graphs.base import register
from ponder.graphs.search.entropic import EntropicPolicy
from ponder.graphs.step_search import StepSearch


@register
class EntropicParticleFilter(StepSearch, EntropicPolicy):
    """A particle filter that resamples more gently while its particles are alike.

    Entropic annealing and look-ahead modulation, 2025.
    """

    name: ClassVar[str] = "entropic_particle_filter"
    source: ClassVar[str] = "https://arxiv.org/abs/2510.05825"
