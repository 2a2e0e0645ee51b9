"""MCTS over steps, in which every step brings something to mind for the next ones."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Literal

from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.associator import (
    SEARCH_PROMPT,
    Associator,
    association_quality,
    associator,
)
from ponder.agents.proposer import Proposal
from ponder.agents.reader import numbered, reader
from ponder.agents.solver import STEP_BY_STEP, solver
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._memory import (
    Memory,
    Remembering,
    announce,
    memories,
    reminded,
    valued,
)
from ponder.graphs._solutions import Part
from ponder.graphs.base import register
from ponder.graphs.evidence import grounded, merged, searched
from ponder.graphs.search.mcts import MctsPolicy
from ponder.graphs.search.tree import Expansion, Node, Step, Tree
from ponder.graphs.step_search import StepSearch
from ponder.graphs.tree_search import SearchState
from ponder.messages import Sampling
from ponder.passages import Passage
from ponder.result import Candidate, Outcome, StopReason, Task
from ponder.thoughts import Thought

FEWEST_CALLS = 3
"""To associate, to write and to judge: with less it is written at once."""


@register
class CoAT(StepSearch, MctsPolicy):
    """Search the steps of a solution by MCTS with an associative memory.

    Chain-of-Associated-Thoughts, Pan et al. 2025: selection by UCT, expansion by k
    steps that see the memories of their path, association AM(n) = EB(LLM(Q | G(n)))
    where EB, an external brain, may be missing, evaluation by
    V(n) = F_g(Q, G(n)) + beta F_a(G(n), AM(n)), and backpropagation of the mean. EB is
    the documents of the run: the model writes a query, and what is found is the
    memory; without documents, or where they hold nothing, it is what the model says.

    V is divided by 1 + beta here, so that scores stay between 0 and 1: c (1 + beta) is
    the weight of the exploration on the paper's scale. F_g is the step scorer, for
    solutions the run's verifier; F_a is P(correct and of help) by the model's own
    judgement. A node without a memory (nothing was missing, or it is a solution) has
    the value F_g. The values of c, k, beta and the limits are not verified from the
    paper.
    """

    name: ClassVar[str] = "coat"
    source: ClassVar[str] = "https://arxiv.org/abs/2502.02390"
    wrap_up_share: ClassVar[float] = 0.15

    answers: Literal[False] = False
    """Nodes are steps."""
    beta: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    """Weight of the association in the value of a node."""
    max_depth: int = Field(default=8, ge=1)
    """Steps of a solution; the last one is written to the end."""
    max_rounds: int = Field(default=64, ge=1)
    """Most selections: the paper's limit of iterations."""
    stop_at: float = Field(default=0.5, gt=0)
    """The score of a solution that ends the search, which the paper ends at a terminal
    node; above 1: none does."""
    passages: int = Field(default=2, ge=1)
    """Passages of a memory, which the paper wants short."""
    association_tokens: int = Field(default=96, ge=1)
    """Limit of an association."""
    associate_first: bool = True
    """Not in the paper: associate with the question alone before the first step."""

    @cached_property
    def associator(self) -> Associator:
        """Who says what comes to mind."""
        return associator(max_tokens=self.association_tokens)

    @cached_property
    def searcher(self) -> Associator:
        """Who says what to search for."""
        return associator(max_tokens=self.association_tokens, prompt=SEARCH_PROMPT)

    async def expand(
        self, task: Task, expansion: Expansion, context: RunContext
    ) -> list[Proposal]:
        """Let the model go on, and at the last step to the end."""
        whole = expansion.whole or expansion.node.depth + 1 >= self.max_depth
        return await super().expand(task, replace(expansion, whole=whole), context)

    def posed(self, task: Task, node: Node) -> Task:
        """The task is asked in view of all that came to mind on the path."""
        return reminded(task, memories(node))

    @contextmanager
    def reach(self, tree: Tree[Any], context: RunContext) -> Iterator[RunContext]:
        """Give the place of further calls; what is kept back is for citations."""
        yield context

    async def lengthened(
        self, task: Task, node: Node, unfinished: Candidate, place: RunContext
    ) -> Candidate:
        """Return a partial solution as it is, for the same reason."""
        return unfinished

    async def scored(
        self,
        task: Task,
        node: Node,
        proposal: Proposal,
        place: RunContext,
        *,
        at_end: bool = False,
    ) -> tuple[Step, StopReason | None]:
        """Return a proposal with its memory, and the value V in place of F_g."""
        step, stop = await super().scored(task, node, proposal, place, at_end=at_end)
        memory, score = Memory(), step.score
        if stop is None and not (proposal.final or at_end):
            announce(node, proposal, place)
            try:
                known = merged(*(m.passages for m in memories(node)))
                memory = await self.recalled(
                    task, step.value.text, place.at("memory"), (place.id,), known
                )
                quality = await self._quality(task, step.value.text, memory, place)
                score = valued(step.score, quality, self.beta)
            except OutOfBudget as over:
                stop = StopReason(over.dimension)
            except ModelError as error:
                place.warn(str(error))
        found: Part = step.value
        part = Remembering(found.text, found.candidate, memory, place.at("memory").id)
        return replace(step, value=part, score=score), stop

    async def recalled(
        self,
        task: Task,
        solution: str,
        place: RunContext,
        parents: tuple[str, ...],
        known: Sequence[Passage] = (),
    ) -> Memory:
        """Return what comes to mind at a step: found in documents, or else thought up.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        if place.retriever is not None:
            query = task.question
            if solution:
                query = await self.searcher(task, solution, place)
            if not query:
                return Memory()
            found = await searched(query, self.passages, place.at("search"), parents)
            if found:
                ids = {p.id for p in known}
                return Memory(passages=tuple(p for p in found if p.id not in ids))
            place.warn("Where no passage was found, the model associated by itself.")
            place = place.at("self")
        text = await self.associator(task, solution, place)
        if text:
            thought = Thought(id=place.id, kind="evidence", label=text)
            place.think(thought, parents)
        return Memory(text)

    async def rescued(
        self, task: Task, tree: Tree[Any], context: RunContext
    ) -> list[Candidate]:
        """Get an answer of the best partial solution, or of the first memory alone."""
        if found := await super().rescued(task, tree, context):
            return found
        passages = merged(*(m.passages for m in memories(tree.root)))
        sampling = Sampling(temperature=self.temperature)
        place = context.wrap_up().at("answer")
        try:
            if passages:
                read = reader(sampling=sampling, max_tokens=self.max_tokens)
                candidate = await read(task, passages, place)
            else:
                solve = solver(
                    instructions=STEP_BY_STEP,
                    sampling=sampling,
                    max_tokens=self.max_tokens,
                )
                candidate = await solve(task, place)
        except (OutOfBudget, ModelError):
            return []
        place.keep(candidate, ("question",))
        return [candidate]

    # -- the nodes -------------------------------------------------------------------

    async def _ask(
        self, state: SearchState, runtime: Runtime[RunContext]
    ) -> SearchState:
        update = await super()._ask(state, runtime)
        if state.get("tree") is None:
            root = update["tree"].root
            first = await self._first(state["task"], runtime.context)
            root.step = replace(root.step, value=first)
        return update

    async def _first(self, task: Task, context: RunContext) -> Remembering:
        """Return the root, with what the question alone brings to mind."""
        place, memory = context.at("memory"), Memory()
        calls = context.ledger.left("calls", wrap_up=True)
        if self.associate_first and (calls is None or calls >= FEWEST_CALLS):
            try:
                memory = await self.recalled(task, "", place, ("question",))
            except (OutOfBudget, ModelError) as error:
                context.warn(f"Nothing came to mind before the first step: {error}")
        return Remembering("", None, memory, place.id)

    async def _finish(
        self, state: SearchState, runtime: Runtime[RunContext]
    ) -> SearchState:
        update = await super()._finish(state, runtime)
        outcome, tree = update["outcome"], state["tree"]
        known = merged(*(m.passages for m in memories(self._origin(tree, outcome))))
        context, task = runtime.context, state["task"]
        return {"outcome": await grounded(outcome, known, context, task)}

    def _origin(self, tree: Tree[Any], outcome: Outcome) -> Node:
        """Return the node whose path an outcome was written on."""
        for id in sorted(tree.nodes):
            candidate = tree.nodes[id].value.candidate
            if candidate is not None and candidate.text == outcome.text:
                return tree.nodes[id]
        last = self.furthest(tree)
        return last if last and outcome.text.startswith(last.value.text) else tree.root

    async def _quality(
        self, task: Task, solution: str, memory: Memory, place: RunContext
    ) -> float | None:
        shown = memory.text or numbered(memory.passages)
        if memory == Memory():
            return None
        return await association_quality(task, solution, shown, place.at("quality"))
