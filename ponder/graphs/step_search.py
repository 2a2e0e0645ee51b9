"""Tree search over the steps of a solution that the model writes and continues."""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

from pydantic import Field

from ponder.agents.proposer import STEPWISE, Proposal, Proposer, proposer
from ponder.agents.solver import LAST_TOKENS, last_request
from ponder.agents.step_scorer import (
    ScorerName,
    StepScorer,
    require_verifier,
    step_scorer,
)
from ponder.budget import LEAST_OUTPUT, Dimension
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._solutions import solution
from ponder.graphs.search.tree import Expansion, Node
from ponder.graphs.shares import room_before, set_aside
from ponder.graphs.tree_search import TreeSearch
from ponder.messages import Sampling
from ponder.result import Candidate, Outcome, Task, Verdict


class StepSearch(TreeSearch):
    """What strategies have in common that search for the next step of a solution.

    A step ends at the delimiter. Unfinished solutions are scored by the step scorer,
    finished ones by the run's verifier, or by the step scorer where it has none.
    """

    wrap_up_share: ClassVar[float] = 0.2
    """A search without a solution also writes its best partial one to the end."""

    scorer: ScorerName = "judge"
    """Who scores steps: ``judge``, ``turn`` (the judge in the same conversation, cheap
    where a prefix cache is), ``digit``, ``self_evaluation``, ``logprob``, or
    ``verifier``, the run's own, which then sees unfinished solutions too."""
    temperature: float = Field(default=0.7, ge=0)
    """T of the samples."""
    delimiter: str = Field(default="\n\n", min_length=1)
    """Text that ends a step."""
    step_tokens: int = Field(default=256, ge=1)
    """Limit of a step; a longer one is cut there, and goes on."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of a solution."""
    instructions: str = STEPWISE
    """System prompt."""

    @property
    def rates(self) -> bool:
        """Whether the step scorer is asked."""
        return True

    logprobs: ClassVar[bool] = False
    """Whether the policy uses log-probabilities."""
    without_logprobs: ClassVar[str] = ""
    """What such a policy goes by where the model gives none."""

    @cached_property
    def proposer(self) -> Proposer:
        """Who writes steps."""
        return proposer(
            instructions=self.instructions,
            delimiter=self.delimiter,
            sampling=Sampling(temperature=self.temperature),
            step_tokens=self.step_tokens,
            max_tokens=self.max_tokens,
            logprobs=self.logprobs or self.scorer == "logprob",
        )

    @cached_property
    def step_scorer(self) -> StepScorer:
        """Who scores steps."""
        return step_scorer(self.scorer, instructions=self.instructions)

    async def run(self, task: Task, context: RunContext) -> Outcome:
        """Run the state machine, once it is clear that somebody can score."""
        if self.scorer == "verifier" and self.rates:
            require_verifier(context)
        return await super().run(task, context)

    async def expand(
        self, task: Task, expansion: Expansion, context: RunContext
    ) -> list[Proposal]:
        """Let the model continue its own text."""
        if self.logprobs and not context.model.capabilities.logprobs:
            context.substitute("logprobs", self.without_logprobs)
        node = expansion.node
        proposals = await self.proposer.propose(
            self.posed(task, node),
            node.value.text,
            expansion.n,
            context,
            limit=self.max_tokens - node.tokens,
            whole=expansion.whole,
        )
        # Others were cut by the limit of the solution, or of the budget.
        cut = [p.truncated and p.output_tokens >= self.step_tokens for p in proposals]
        if cut and all(cut) and not expansion.whole:
            context.warn(
                f"No step ended with {self.delimiter!r} within {self.step_tokens} "
                "tokens, so steps were cut there: choose a delimiter that the model "
                "writes, or raise step_tokens."
            )
        return proposals

    @property
    def end(self) -> Mapping[Dimension, float]:
        """What the end can take at most: half a solution, as a rule, and an answer."""
        return {"output_tokens": math.ceil(self.max_tokens / 2) + LAST_TOKENS}

    def posed(self, task: Task, node: Node) -> Task:
        """Return the task as the model is asked it where it goes on from a node."""
        return task

    async def lengthened(
        self, task: Task, node: Node, unfinished: Candidate, place: RunContext
    ) -> Candidate:
        """Return a partial solution written on, with room for an answer behind it."""
        posed, text = self.posed(task, node), unfinished.text
        request = self.proposer.request(posed, text, place, whole=True)
        left = {"max_tokens": self.max_tokens - node.tokens}
        nothing = unfinished.model_copy(update={"text": ""})
        room = await room_before(
            request.model_copy(update=left),
            last_request(task, unfinished, place),
            place.at("room"),
            bare=last_request(task, nothing, place),
            written=node.tokens,
        )
        if room.tokens < LEAST_OUTPUT:
            return unfinished
        rest = place.at("rest")
        try:
            with set_aside(place, room.last):
                (proposal,) = await self.proposer.propose(
                    posed, text, 1, rest, limit=room.tokens, whole=True
                )
        except (OutOfBudget, ModelError):
            return unfinished
        longer = solution(rest.id, node, text + proposal.text, proposal)
        rest.found(longer)
        rest.keep(longer, (unfinished.id,))
        return longer

    async def rate(
        self, task: Task, node: Node, proposal: Proposal, context: RunContext
    ) -> float | None:
        """Ask the step scorer, if anybody is asked and anything is written."""
        if not self.rates or not (node.value.text + proposal.text).strip():
            return None
        return await self.step_scorer.score(task, node.value.text, proposal, context)

    async def judge(
        self,
        task: Task,
        node: Node,
        proposal: Proposal,
        candidate: Candidate,
        context: RunContext,
    ) -> Candidate:
        """Ask the run's verifier, or the step scorer where there is none, if any."""
        if context.verifier is not None:
            return await super().judge(task, node, proposal, candidate, context)
        if not self.rates:
            return candidate
        score = await self.rate(task, node, proposal, context.at("score"))
        verdict = Verdict(score=score)
        context.judged(candidate, verdict)
        return candidate.model_copy(update={"verdict": verdict})
