"""Tree search over complete answers: a child of an answer is a refinement of it."""

from typing import ClassVar

from pydantic import Field

from ponder.agents.proposer import Proposal
from ponder.agents.refiner import refine
from ponder.agents.solver import STEP_BY_STEP, solver
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import OutOfBudget
from ponder.graphs.search.tree import Expansion, Node
from ponder.graphs.tree_search import TreeSearch
from ponder.messages import Sampling
from ponder.result import Candidate, Task


class AnswerSearch(TreeSearch):
    """What strategies have in common that search among answers and refinements.

    A child of the root is a fresh answer; a child of an answer refines it, given what
    the verifier said of it. Every answer is judged by the run's verifier, or by the
    model itself where it has none.
    """

    endless: ClassVar[bool] = True

    temperature: float = Field(default=0.7, ge=0)
    """T of answers and refinements."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of each answer."""
    instructions: str = STEP_BY_STEP
    """System prompt of fresh answers."""

    def joined(self, node: Node, proposal: Proposal) -> str:
        """A refinement replaces what it refines."""
        return proposal.text

    def solves(self, proposal: Proposal) -> bool:
        """Every answer can be the outcome."""
        return True

    async def expand(
        self, task: Task, expansion: Expansion, context: RunContext
    ) -> list[Proposal]:
        """Answer afresh at the root, refine elsewhere."""
        before: Candidate | None = expansion.node.value.candidate
        outcomes = await settle(
            [
                self._answer(
                    task, before, context.at(i) if expansion.n > 1 else context
                )
                for i in range(expansion.n)
            ]
        )
        found = [_proposal(c) for c in outcomes if isinstance(c, Candidate)]
        failures = [e for e in outcomes if isinstance(e, Exception)]
        if failures and not found:
            raise next((e for e in failures if isinstance(e, OutOfBudget)), failures[0])
        return found

    async def _answer(
        self, task: Task, before: Candidate | None, context: RunContext
    ) -> Candidate:
        sampling = Sampling(temperature=self.temperature)
        if before is None:
            solve = solver(
                instructions=self.instructions,
                sampling=sampling,
                max_tokens=self.max_tokens,
            )
            return await solve(task, context)
        feedback = before.verdict.feedback if before.verdict else ""
        return await refine(
            task,
            before,
            feedback,
            context,
            sampling=sampling,
            max_tokens=self.max_tokens,
        )

    async def rate(
        self, task: Task, node: Node, proposal: Proposal, context: RunContext
    ) -> float | None:
        """Answers are judged, not rated."""
        raise AssertionError("every answer is a solution")


def _proposal(candidate: Candidate) -> Proposal:
    return Proposal(
        text=candidate.text,
        final=False,
        truncated=candidate.truncated,
        logprob=candidate.logprob,
        output_tokens=max(1, candidate.output_tokens),
    )
