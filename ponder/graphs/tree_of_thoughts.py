"""Tree of Thoughts, breadth first, as a strategy."""

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, Literal

from pydantic import Field

from ponder.agents.step_voter import StepVoter, step_voter
from ponder.context import RunContext
from ponder.graphs.base import register
from ponder.graphs.search.tot_bfs import BreadthFirstPolicy
from ponder.graphs.step_search import StepSearch
from ponder.result import Task


@register
class TreeOfThoughts(StepSearch, BreadthFirstPolicy):
    """Keep the b best states of each level, and propose k thoughts from each.

    Yao et al. 2023, algorithm 1 (ToT-BFS).
    """

    name: ClassVar[str] = "tree_of_thoughts"
    source: ClassVar[str] = "https://arxiv.org/abs/2305.10601"

    evaluate: Literal["value", "vote"] = "value"
    """How states are evaluated: ``value``, each by the step scorer, or ``vote``, by
    comparing all that a level brings (the paper's for thoughts that are hard to value;
    with ``in_flight`` below the width of a level, all that were sampled together). A
    finished state competes on with the votes of its own level."""
    votes: int = Field(default=5, ge=1)
    """Comparisons of a vote; 5 in the paper's Creative Writing."""

    @property
    def rates(self) -> bool:
        """Unless the levels are voted on."""
        return self.evaluate == "value"

    @cached_property
    def voter(self) -> StepVoter:
        """Who compares."""
        return step_voter(votes=self.votes, temperature=self.temperature)

    async def compared(
        self, task: Task, texts: Mapping[int, str], context: RunContext
    ) -> Mapping[int, float | None]:
        """Vote among the states of a level, finished ones too."""
        if self.rates or not texts:
            return {}
        # What two thoughts say alike is one state, which gets the votes for both.
        states = list(dict.fromkeys(texts.values()))
        shares = await self.voter(task, states, context.at("vote"))
        share = dict(zip(states, shares, strict=True))
        return {id: share[text] for id, text in texts.items()}
