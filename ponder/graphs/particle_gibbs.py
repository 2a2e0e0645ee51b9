"""Particle Gibbs as a strategy."""

from typing import ClassVar

from ponder.graphs.base import register
from ponder.graphs.search.gibbs import GibbsPolicy
from ponder.graphs.step_search import StepSearch


@register
class ParticleGibbs(StepSearch, GibbsPolicy):
    """Sweep a particle filter several times, each around a path of the last.

    Puri et al. 2025.
    """

    name: ClassVar[str] = "particle_gibbs"
    source: ClassVar[str] = "https://arxiv.org/abs/2502.01618"
