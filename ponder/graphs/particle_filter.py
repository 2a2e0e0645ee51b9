"""Particle filtering as a strategy."""

from typing import ClassVar

from ponder.graphs.base import register
from ponder.graphs.search.particles import ParticlePolicy
from ponder.graphs.step_search import StepSearch


@register
class ParticleFilter(StepSearch, ParticlePolicy):
    """Extend N particles step by step, and resample them by their scores.

    Puri et al. 2025.
    """

    name: ClassVar[str] = "particle_filter"
    source: ClassVar[str] = "https://arxiv.org/abs/2502.01618"
