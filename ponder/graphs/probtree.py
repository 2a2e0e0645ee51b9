"""Answer the parts of a question, and believe whichever way is the most certain."""

import math
from typing import ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.query_tree import Limits, Query, QueryTree, query_decomposer
from ponder.agents.solver import forced_answer
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._probtree import Answering, Solved, Way, needs, posed
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.evidence import grounded
from ponder.graphs.pool import unanswered
from ponder.messages import Sampling
from ponder.result import Outcome, StopReason, Task
from ponder.thoughts import Thought

FEWEST_CALLS = 3
"""To decompose, to read that again, and to answer: with less it is answered at once."""


class ProbTreeState(State, total=False):
    """The state, with the tree and what is solved of it."""

    tree: QueryTree
    solved: dict[int, Solved]


@register
class ProbTree(Strategy):
    """Break a question into a tree, and choose at each node the most certain answer.

    Probabilistic Tree-of-thought Reasoning, Cao et al. 2023. Leaves are answered
    closed book and open book, the others also from the answers of their parts. The
    certainty of an answer is the mean log-probability of its explanation; of one from
    n parts it is (l + d + sum of the parts' scores) / (n + 2), with l of its own
    explanation and d of the tokens that list the parts, as in the authors' code
    (https://github.com/THU-KEG/ProbTree). Where the model gives no log-probabilities,
    log P(right) by its own judgement stands for l, and d is left out.

    Without documents, and where nothing is found, a question is answered closed book.
    The authors lower k until a prompt fits; here an open-book prompt that does not fit
    fails, and the other ways count. ``confidence`` is e to the score of the answer.
    """

    name: ClassVar[str] = "probtree"
    source: ClassVar[str] = "https://arxiv.org/abs/2311.13982"
    wrap_up_share: ClassVar[float] = 0.25

    k: int = Field(default=5, ge=1)
    """Passages of a search: for the question, and for each answer that a leaf names."""
    temperature: float = Field(default=0.0, ge=0)
    """T of the answers."""
    max_tokens: int = Field(default=256, ge=1)
    """Limit of each answer."""
    votes: int = Field(default=5, ge=1)
    """Not in the paper: sampled judgements where the model has no log-probabilities."""
    max_depth: int = Field(default=3, ge=0)
    """Levels of sub-questions; not given in the paper."""
    max_children: int = Field(default=5, ge=1)
    """Sub-questions of one question; not given in the paper."""
    max_nodes: int = Field(default=12, ge=1)
    """Questions of the tree; not given in the paper."""

    def max_steps(self) -> int:
        """One step for each question at most, and the ends."""
        return self.max_nodes + 10

    def build(self) -> Graph:
        """START -> decompose -> solve -> (solve | answer) -> END."""
        graph = StateGraph(ProbTreeState, context_schema=RunContext)
        graph.add_node("decompose", self._decompose)
        graph.add_node("solve", self._solve)
        graph.add_node("answer", self._answer)
        graph.add_edge(START, "decompose")
        graph.add_edge("decompose", "solve")
        graph.add_conditional_edges("solve", self._more)
        graph.add_edge("answer", END)
        return graph

    @property
    def answering(self) -> Answering:
        """How one question is answered."""
        sampling = Sampling(temperature=self.temperature)
        return Answering(self.k, sampling, self.max_tokens, self.votes)

    # -- the nodes -------------------------------------------------------------------

    async def _decompose(
        self, state: ProbTreeState, runtime: Runtime[RunContext]
    ) -> ProbTreeState:
        context, task = runtime.context, state["task"]
        alone: ProbTreeState = {"tree": (Query(task.question),), "solved": {}}
        calls = context.ledger.left("calls", wrap_up=True)
        if self.max_depth == 0 or (calls is not None and calls < FEWEST_CALLS):
            return alone
        limits = Limits(self.max_depth, self.max_children, self.max_nodes)
        try:
            decompose = query_decomposer(limits=limits)
            tree = await decompose(task, context.at("decompose"))
        except OutOfBudget as stop:
            return {**alone, "stop_reason": StopReason(stop.dimension)}
        except ModelError as error:
            context.warn(f"The question is answered as a whole: {error}")
            return alone
        for i in range(1, len(tree)):
            _show(tree, i, context)
        return {"tree": tree, "solved": {}}

    async def _solve(
        self, state: ProbTreeState, runtime: Runtime[RunContext]
    ) -> ProbTreeState:
        """Answer side by side all questions that wait for no other."""
        context, tree, solved = runtime.context, state["tree"], dict(state["solved"])
        left = [i for i in range(len(tree)) if i not in solved]
        ready = [i for i in left if needs(tree, i) <= {*solved}]
        with context.branches("node", ready) as places:
            outcomes = await settle(
                [
                    self._solved(state, i, place)
                    for i, place in zip(ready, places, strict=True)
                ]
            )
        reasons: list[StopReason] = []
        for i, outcome in zip(ready, outcomes, strict=True):
            if isinstance(outcome, Exception):
                raise outcome
            found, reason = outcome
            reasons += [reason] if reason else []
            if found is not None:
                solved[i] = found
                _keep(i, found, context)
        update: ProbTreeState = {"solved": solved}
        if reasons:
            update["stop_reason"] = reasons[-1]
        return update

    def _more(self, state: ProbTreeState) -> Literal["solve", "answer"]:
        ended = "stop_reason" in state or 0 in state["solved"]
        return "answer" if ended else "solve"

    async def _answer(
        self, state: ProbTreeState, runtime: Runtime[RunContext]
    ) -> ProbTreeState:
        context, root = runtime.context, state["solved"].get(0)
        reason = state.get("stop_reason", StopReason.FINISHED)
        pool = [way.candidate for way in root.ways] if root else []
        best = root.best if root else None
        if best is None or best.candidate.answer is None:
            best = await self._rescued(state, best, context.wrap_up().at("rescue"))
            pool += [best.candidate] if best else []
        if pool and all(candidate.error is not None for candidate in pool):
            raise context.shared.failures[0]
        if best is None:
            return {"outcome": unanswered(pool, reason)}
        outcome = Outcome(
            answer=best.candidate.answer,
            text=best.candidate.text,
            confidence=None if best.score is None else min(1.0, math.exp(best.score)),
            candidates=tuple(pool),
            stop_reason=reason,
        )
        return {
            "outcome": await grounded(outcome, best.passages, context, state["task"])
        }

    # -- what the nodes are made of --------------------------------------------------

    async def _solved(
        self, state: ProbTreeState, i: int, place: RunContext
    ) -> tuple[Solved | None, StopReason | None]:
        tree, solved = state["tree"], state["solved"]
        text, named = posed(tree, i, solved)
        task: Task = state["task"]
        if i:
            # What the answer must begin with is for the whole question alone.
            task = task.model_copy(update={"question": text, "prefill": ""})
        parts = [solved[child] for child in tree[i].children]
        return await self.answering.solve(task, tree[i], named, parts, place)

    async def _rescued(
        self, state: ProbTreeState, best: Way | None, place: RunContext
    ) -> Way | None:
        """Get an answer at the end: of the best attempt, the parts, or nothing."""
        task, root, solved = state["task"], state["tree"][0], state["solved"]
        if best is not None and best.candidate.text:
            forced = await forced_answer(task, best.candidate, place)
            return Way(forced, best.score, best.passages) if forced else best
        parts = [solved[child] for child in root.children if child in solved]
        try:
            if parts:
                way = await self.answering.from_parts(task, root, parts, place)
            else:
                way = await self.answering.closed_book(task, place)
        except OutOfBudget:
            return None
        place.keep(way.candidate, (*way.parents, "question"))
        return way


def _show(tree: QueryTree, i: int, context: RunContext) -> None:
    """Put a sub-question into the thought graph, below the one it is a part of."""
    query, parent = tree[i], tree[i].parent
    above = context.at("node", parent).id if parent else "question"
    thought = Thought(
        id=context.at("node", i).id,
        kind="thought",
        label=query.text,
        data={"text": query.text, "depth": query.depth, "logprob": query.logprob},
    )
    context.think(thought, (above,))


def _keep(i: int, solved: Solved, context: RunContext) -> None:
    """Put the ways to an answer into the thought graph, with what they come from."""
    own = context.at("node", i).id if i else "question"
    for way in solved.ways:
        context.keep(way.candidate, (own, *way.parents))
