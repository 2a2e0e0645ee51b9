"""REBASE as a strategy: the width goes where the rewards are."""

from typing import ClassVar

from ponder.graphs.base import register
from ponder.graphs.choosing import Select
from ponder.graphs.search.rebase import RebasePolicy
from ponder.graphs.step_search import StepSearch


@register
class Rebase(StepSearch, RebasePolicy):
    """Reward-balanced search over steps; weighted vote of the leaves.

    Wu et al. 2024.
    """

    name: ClassVar[str] = "rebase"
    source: ClassVar[str] = "https://arxiv.org/abs/2408.00724"

    select: Select = "vote"
    """The paper's: the answers of the leaves, weighted by their rewards."""
