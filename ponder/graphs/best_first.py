"""Best-first search by probability, as a strategy."""

from typing import ClassVar

from ponder.agents.proposer import Proposal
from ponder.context import RunContext
from ponder.graphs.base import register
from ponder.graphs.search.best_first import BestFirstPolicy
from ponder.graphs.search.tree import Node
from ponder.graphs.step_search import StepSearch
from ponder.result import Task


@register
class BestFirst(StepSearch, BestFirstPolicy):
    """Expand the path whose length-normalised probability is highest.

    Xin et al. 2025 (BFS-Prover).
    """

    name: ClassVar[str] = "best_first"
    source: ClassVar[str] = "https://arxiv.org/abs/2502.03438"
    logprobs: ClassVar[bool] = True
    without_logprobs: ClassVar[str] = "the step scorer's scores"

    async def rate(
        self, task: Task, node: Node, proposal: Proposal, context: RunContext
    ) -> float | None:
        """Score finished solutions only: probabilities rank the others."""
        if not (proposal.final or proposal.logprob is None):
            return None
        return await super().rate(task, node, proposal, context)
