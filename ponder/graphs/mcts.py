"""Monte Carlo tree search (UCT) over answers, as a strategy."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from ponder.graphs.answer_search import AnswerSearch
from ponder.graphs.base import register
from ponder.graphs.search.mcts import MctsPolicy


@register
class Mcts(AnswerSearch, MctsPolicy):
    """Refine the answers that UCT selects.

    Kocsis and Szepesvari 2006; a child of an answer is a refinement of it.
    """

    name: ClassVar[str] = "mcts"
    source: ClassVar[str] = "https://doi.org/10.1007/11871842_29"

    max_rounds: int = Field(default=16, ge=1)
    """Most rounds of ask, expand, score, tell."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.rollout or not self.answers:
            raise ValueError(
                "Nodes of mcts are whole answers, so rollout=True and answers=False "
                "have no meaning here: leave them out, or take coat, which goes by "
                "steps."
            )
        return self
