"""AB-MCTS-A as a strategy."""

from typing import ClassVar

from pydantic import Field

from ponder.graphs.answer_search import AnswerSearch
from ponder.graphs.base import register
from ponder.graphs.search.ab_mcts_a import AbMctsAPolicy


@register
class AbMctsA(AnswerSearch, AbMctsAPolicy):
    """Decide by Thompson sampling whether to answer afresh or to refine.

    Inoue et al. 2025 (AB-MCTS), variant A with node aggregation.
    """

    name: ClassVar[str] = "ab_mcts_a"
    source: ClassVar[str] = "https://arxiv.org/abs/2503.04412"

    max_rounds: int = Field(default=32, ge=1)
    """Most rounds of ask, expand, score, tell."""
