"""RAIN over steps, as a strategy."""

from typing import ClassVar

from pydantic import Field

from ponder.graphs.base import register
from ponder.graphs.search.rain import RainPolicy
from ponder.graphs.step_search import StepSearch


@register
class Rain(StepSearch, RainPolicy):
    """Generate, evaluate, rewind, generate again.

    Li et al. 2023 (rewindable auto-regressive inference), at step level.
    """

    name: ClassVar[str] = "rain"
    source: ClassVar[str] = "https://arxiv.org/abs/2309.07124"
    logprobs: ClassVar[bool] = True
    without_logprobs: ClassVar[str] = "the same p for all candidates"

    max_rounds: int = Field(default=2_000, ge=1)
    """Most rounds of ask, expand, score, tell: more than T iterations for each of
    ``depth`` steps."""
