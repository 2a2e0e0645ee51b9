"""Phi-decoding as a strategy."""

from typing import ClassVar

from pydantic import Field

from ponder.graphs.base import register
from ponder.graphs.search.phi import PhiPolicy
from ponder.graphs.step_search import StepSearch


@register
class PhiDecoding(StepSearch, PhiPolicy):
    """Choose steps by where they lead: roll each out, and compare.

    Xu et al. 2025. It needs no scores. A verifier, where the run has one, judges every
    roll-out, and one that passes ends the search: that is not in the paper. Nor are
    steps that are paragraphs; the authors' code has one a line (``delimiter``).
    """

    name: ClassVar[str] = "phi_decoding"
    source: ClassVar[str] = "https://arxiv.org/abs/2503.13288"
    logprobs: ClassVar[bool] = True
    without_logprobs: ClassVar[str] = "the agreement of the roll-outs alone"
    without_verifier: ClassVar[str] = "probabilities and agreement decide alone"

    temperature: float = Field(default=0.6, ge=0)
    """T of the samples; the authors' code has 0.6."""

    @property
    def rates(self) -> bool:
        """Nobody is asked."""
        return False
