"""The one state machine that drives every search policy over a model.

START -> ask -> expand -> score -> tell -> (ask | finish) -> END. What a policy asks for
is sampled side by side, then scored side by side, so that on a local model both are
batches of branches that share their prefixes.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar, Literal, TypeVar

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.answers import Equality
from ponder.agents.proposer import Proposal
from ponder.agents.solver import forced_answer
from ponder.agents.synthesizer import synthesise
from ponder.agents.verifier import judged, verified
from ponder.budget import Dimension
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._solutions import Part, keep, solution, solutions, unfinished
from ponder.graphs.base import Graph, State, Strategy
from ponder.graphs.best_of_n import score
from ponder.graphs.choosing import Select, accepted, choose
from ponder.graphs.search.policy import Policy, rank
from ponder.graphs.search.tree import Expansion, Node, Step, Tree
from ponder.graphs.shares import keeping
from ponder.result import Candidate, Outcome, StopReason, Task

T = TypeVar("T")


@dataclass
class Batch:
    """An expansion between ``ask`` and ``tell``."""

    expansion: Expansion
    proposals: Sequence[Proposal] = ()
    steps: Sequence[Step] = ()


class SearchState(State, total=False):
    """The state of a search."""

    tree: Tree[Any]
    batches: list[Batch]
    rounds: int


class TreeSearch(Strategy, Policy[Any]):
    """A search policy that is also a strategy: what such strategies have in common."""

    wrap_up_share: ClassVar[float] = 0.1
    """For the answer of a search that has come to no solution; see ``reach``."""
    needs_verifier: ClassVar[bool] = True
    endless: ClassVar[bool] = False
    """Whether the policy goes on as long as it may: then ``max_rounds`` is its end."""

    select: Select = "best"
    """How one answer is made of the solutions: ``best``, ``vote``, ``synthesis``."""
    equality: Equality = "math"
    """How answers are compared in a vote: ``math`` or ``exact``."""
    in_flight: int | None = Field(default=None, ge=1)
    """Most samples at a time; by default what the policy plans at a time."""
    max_rounds: int = Field(default=200, ge=1)
    """Most rounds of ask, expand, score, tell."""
    stop_at: float = Field(default=1.0, gt=0)
    """The verifier's score of a solution that ends the search, or that a function
    passed it; above 1: nothing does."""

    @abstractmethod
    async def expand(
        self, task: Task, expansion: Expansion, context: RunContext
    ) -> list[Proposal]:
        """Sample the continuations that an expansion asks for.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """

    @abstractmethod
    async def rate(
        self, task: Task, node: Node, proposal: Proposal, context: RunContext
    ) -> float | None:
        """Return the score of a proposal, 0 to 1; ``None`` if it was unreadable.

        Args:
            task: What is to be solved.
            node: The node that was expanded.
            proposal: What was sampled there.
            context: The place of the calls.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """

    async def compared(
        self, task: Task, texts: Mapping[int, str], context: RunContext
    ) -> Mapping[int, float | None]:
        """Return scores that take the place of those of ``rate`` and of the verdicts.

        By default there are none: every state is scored alone.

        Args:
            task: What is to be solved.
            texts: All that a round brought, by id: partial and finished solutions.
            context: The place of the calls.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        return {}

    @contextmanager
    def reach(self, tree: Tree[Any], context: RunContext) -> Iterator[RunContext]:
        """Give the place of further calls: with what is kept back, once it is free.

        It is kept for the answer of a search that has none, for verdicts that cost
        something, and for a synthesis.
        """
        if self.select == "synthesis":
            yield context
            return
        answered = (c for c in solutions(tree) if c.answer is not None)
        if any(c.verdict and c.verdict.checked for c in answered):
            yield context.wrap_up()
            return
        with keeping(context, self.end) as place:
            yield place

    @property
    def end(self) -> Mapping[Dimension, float]:
        """What the end can take at most, by limit: by default all that is kept back."""
        return {}

    def joined(self, node: Node, proposal: Proposal) -> str:
        """Return the text of the solution that a proposal leads to."""
        return str(node.value.text) + proposal.text

    def solves(self, proposal: Proposal) -> bool:
        """Whether a proposal makes a solution that can be the outcome."""
        return proposal.final

    async def judge(
        self,
        task: Task,
        node: Node,
        proposal: Proposal,
        candidate: Candidate,
        context: RunContext,
    ) -> Candidate:
        """Return a solution with its verdict: by default the verifier's, or a judge's.

        Raises:
            OutOfBudget: The budget admits no verdict.
            ModelError: The call failed.
        """
        return await judged(task, candidate, context.at("judge"))

    def max_steps(self) -> int:
        """Four steps for each round, and the end."""
        return 4 * self.max_rounds + 10

    def build(self) -> Graph:
        """START -> ask -> expand -> score -> tell -> (ask | finish) -> END."""
        graph = StateGraph(SearchState, context_schema=RunContext)
        graph.add_node("ask", self._ask)
        graph.add_node("expand", self._expand)
        graph.add_node("score", self._score)
        graph.add_node("tell", self._tell)
        graph.add_node("finish", self._finish)
        graph.add_edge(START, "ask")
        graph.add_edge("ask", "expand")
        graph.add_edge("expand", "score")
        graph.add_edge("score", "tell")
        graph.add_conditional_edges("tell", self._more)
        graph.add_edge("finish", END)
        return graph

    # -- the nodes -------------------------------------------------------------------

    async def _ask(
        self, state: SearchState, runtime: Runtime[RunContext]
    ) -> SearchState:
        tree = state.get("tree")
        if tree is None:
            tree = self.start(Part(""), seed=runtime.context.derive_seed("search"))
        batches = [Batch(expansion) for expansion in self.ask(tree, self.in_flight)]
        return {
            "tree": tree,
            "batches": batches,
            "rounds": state.get("rounds", 0) + 1,
        }

    async def _expand(
        self, state: SearchState, runtime: Runtime[RunContext]
    ) -> SearchState:
        context, batches = runtime.context, state["batches"]
        with self.reach(state["tree"], context) as place:
            outcomes = await settle(
                [
                    self.expand(
                        state["task"], b.expansion, place.at("node", b.expansion.first)
                    )
                    for b in batches
                ]
            )
        failed = [outcome for outcome in outcomes if isinstance(outcome, ModelError)]
        if failed and len(failed) == len(outcomes) and len(state["tree"].nodes) == 1:
            raise failed[0]
        for batch, outcome in zip(batches, outcomes, strict=True):
            batch.proposals = _unless_expected(outcome)
            if isinstance(outcome, ModelError):
                context.warn(str(outcome))
        reasons = [o.dimension for o in outcomes if isinstance(o, OutOfBudget)]
        return {"stop_reason": StopReason(reasons[-1])} if reasons else {}

    async def _score(
        self, state: SearchState, runtime: Runtime[RunContext]
    ) -> SearchState:
        context, at_end = runtime.context, "stop_reason" in state
        # What is left at the end is for solutions; it also has to give one an answer.
        end = nullcontext(context.wrap_up())
        with end if at_end else self.reach(state["tree"], context) as place:
            outcomes = await settle(
                [
                    self.scored(
                        state["task"],
                        b.expansion.node,
                        proposal,
                        place.at("node", id),
                        at_end=at_end,
                    )
                    for b in state["batches"]
                    for id, proposal in zip(b.expansion.ids, b.proposals, strict=False)
                ]
            )
        scored = iter(map(_or_raise, outcomes))
        reasons: list[StopReason] = []
        for batch in state["batches"]:
            pairs = list(islice(scored, len(batch.proposals)))
            batch.steps = [step for step, _ in pairs]
            reasons += [reason for _, reason in pairs if reason is not None]
        if not (at_end or reasons):
            reasons += await self._compare(state, context)
        return {"stop_reason": reasons[-1]} if reasons else {}

    async def _compare(
        self, state: SearchState, context: RunContext
    ) -> list[StopReason]:
        """Score steps against each other, where the strategy does."""
        batches = state["batches"]
        texts = {
            id: step.value.text
            for batch in batches
            for id, step in zip(batch.expansion.ids, batch.steps, strict=False)
        }
        try:
            with self.reach(state["tree"], context) as place:
                found = await self.compared(
                    state["task"], texts, place.at("round", state["rounds"])
                )
        except OutOfBudget as over:
            return [StopReason(over.dimension)]
        except ModelError as error:
            context.warn(str(error))
            return []
        for batch in batches:
            pairs = zip(batch.expansion.ids, batch.steps, strict=False)
            batch.steps = [
                replace(step, score=found[id]) if id in found else step
                for id, step in pairs
            ]
        return []

    async def _tell(
        self, state: SearchState, runtime: Runtime[RunContext]
    ) -> SearchState:
        born = [
            node
            for batch in state["batches"]
            for node in self.tell(state["tree"], batch.expansion, batch.steps)
        ]
        for node in born:
            keep(node, runtime.context)
        found = (node.value.candidate for node in born)
        if any(c is not None and accepted(c, self.stop_at) for c in found):
            return {"stop_reason": StopReason.VERIFIED}
        return {}

    def _more(self, state: SearchState) -> Literal["ask", "finish"]:
        ended = "stop_reason" in state or state["rounds"] >= self.max_rounds
        return "finish" if ended or self.done(state["tree"]) else "ask"

    def _cut_short(self, state: SearchState) -> bool:
        most = state["rounds"] >= self.max_rounds
        return most and not self.endless and not self.done(state["tree"])

    async def _finish(
        self, state: SearchState, runtime: Runtime[RunContext]
    ) -> SearchState:
        context, tree = runtime.context, state["tree"]
        reason = state.get("stop_reason", StopReason.FINISHED)
        pool = solutions(tree)
        weights = {
            node.value.candidate.id: weight
            for node, weight in self.leaves(tree)
            if node.value.candidate is not None
        }
        rescued = None
        if reason is not StopReason.VERIFIED and not any(c.answer for c in pool):
            last = await self.rescued(state["task"], tree, context)
            weights |= {c.id: s for c in last if (s := score(c)) is not None}
            pool, rescued = pool + last, self.furthest(tree)
        if reason not in (StopReason.VERIFIED, StopReason.FINISHED):
            stopped = [node for node in _stopped(tree) if node is not rescued]
            pool += await self._written_on(state["task"], stopped, pool, context)
            if any(accepted(c, self.stop_at) for c in pool):
                reason = StopReason.VERIFIED
        answered = [c for c in pool if c.answer]
        if answered and not any(
            c.id in weights or score(c) is not None for c in answered
        ):
            context.substitute("scores of the solutions", "a plain vote")
        outcome = choose(
            pool, weights, self.select, self.equality, reason, self.favourite(tree)
        )
        # Whether anything is left to do is known by planning it, which may draw and
        # commit: so it is asked when the answer stands.
        if reason is StopReason.FINISHED and self._cut_short(state):
            context.warn(
                f"The search was not at its end after max_rounds={self.max_rounds} "
                "rounds: raise max_rounds to let it go on."
            )
        if reason is StopReason.VERIFIED:
            return {"outcome": outcome}
        if self.select == "synthesis" and len(pool) > 1:
            outcome = await _synthesised(state["task"], outcome, context)
        return {"outcome": outcome}

    # -- what the nodes are made of --------------------------------------------------

    async def scored(
        self,
        task: Task,
        node: Node,
        proposal: Proposal,
        place: RunContext,
        *,
        at_end: bool = False,
    ) -> tuple[Step, StopReason | None]:
        """Return a proposal with its score, and why the search must end, if it must.

        Args:
            task: What is to be solved.
            node: The node that was expanded.
            proposal: What was sampled there.
            place: The place of the calls.
            at_end: Score solutions alone: nothing else will be continued.
        """
        text = self.joined(node, proposal)
        candidate: Candidate | None = None
        stop: StopReason | None = None
        score: float | None = None
        try:
            if self.solves(proposal):
                candidate = solution(place.id, node, text, proposal)
                place.found(candidate)
                candidate = await self.judge(task, node, proposal, candidate, place)
                score = candidate.verdict.score if candidate.verdict else None
            elif not at_end:
                score = await self.rate(task, node, proposal, place.at("score"))
        except OutOfBudget as over:
            stop = StopReason(over.dimension)
        except ModelError as error:
            place.warn(str(error))
        step = Step(
            value=Part(text, candidate),
            score=score,
            logprob=proposal.logprob,
            tokens=proposal.output_tokens,
            final=proposal.final,
            text=proposal.text,
        )
        return step, stop

    def favourite(self, tree: Tree[Any]) -> str | None:
        """Return the id of the solution that the policy ends with, if it is one."""
        node = self.best(tree)
        held: Candidate | None = node.value.candidate if node else None
        return held.id if held else None

    async def rescued(
        self, task: Task, tree: Tree[Any], context: RunContext
    ) -> list[Candidate]:
        """Get an answer out of the best partial solution."""
        node = self.furthest(tree)
        if node is None or not node.value.text:
            return []
        place = context.wrap_up().at("rescue")
        known: Candidate | None = node.value.candidate
        last = known or unfinished(node, context)
        if last.truncated:
            last = await self.lengthened(task, node, last, place)
        if last.answer is None:
            last = await forced_answer(task, last, place) or last
        if last is known:
            return []
        if context.verifier is not None:
            last, _ = await verified(task, last, place.at("judge"))
        return [last]

    async def _written_on(
        self,
        task: Task,
        stopped: Sequence[Node],
        pool: Sequence[Candidate],
        context: RunContext,
    ) -> list[Candidate]:
        """Write what a limit has stopped to its end, for as long as the budget lasts.

        Only where a function checks solutions: one more can only help then.
        """
        found: list[Candidate] = []
        checked = any(c.verdict and c.verdict.checked for c in pool)
        passed = any(accepted(c, self.stop_at) for c in pool)
        if not checked or passed or self.select == "synthesis":
            return found
        for node in stopped:
            place = context.wrap_up().at("stopped", node.id)
            partial = unfinished(node, context)
            last = await self.lengthened(task, node, partial, place)
            if last.truncated:
                break
            if last.answer is None:
                last = await forced_answer(task, last, place) or last
            if last.answer is not None:
                last, _ = await verified(task, last, place.at("judge"))
                found.append(last)
            if accepted(last, self.stop_at):
                break
        return found

    def furthest(self, tree: Tree[Any]) -> Node | None:
        """Return where the best partial solution, continued as well as it was, ends."""
        node = self.best(tree)
        while node and node.value.candidate is None and node.children:
            node = max(node.children, key=rank)
        return node

    async def lengthened(
        self, task: Task, node: Node, unfinished: Candidate, place: RunContext
    ) -> Candidate:
        """Return a partial solution with what can still be written of it: here nothing.

        Args:
            task: What is to be solved.
            node: Where the partial solution ends.
            unfinished: The partial solution.
            place: The place of the calls; it is wrapping up.
        """
        return unfinished


async def _synthesised(task: Task, vote: Outcome, context: RunContext) -> Outcome:
    """Return a solution written from all; the vote, where there can be none."""
    place = context.wrap_up().at("synthesis")
    try:
        written = await synthesise(task, vote.candidates, place)
    except (ModelError, OutOfBudget):
        written = None
    if written is None or written.answer is None:
        context.substitute("synthesis", "a vote of the solutions")
        return vote
    context.keep(written, tuple(c.id for c in vote.candidates))
    return Outcome(
        answer=written.answer,
        text=written.text,
        candidates=(*vote.candidates, written),
        stop_reason=vote.stop_reason,
    )


def _stopped(tree: Tree[Any]) -> list[Node]:
    """Return the ends of partial solutions: what takes least to end comes first."""
    ends = (n for n in tree.nodes.values() if n.value.text and not n.children)
    partial = (n for n in ends if n.value.candidate is None)
    return sorted(partial, key=lambda n: (-n.tokens, -rank(n), n.id))


def _unless_expected(outcome: list[Proposal] | Exception) -> Sequence[Proposal]:
    """Return proposals, none where the model failed or the budget is at its end."""
    if isinstance(outcome, ModelError | OutOfBudget):
        return ()
    return _or_raise(outcome)


def _or_raise(outcome: T | Exception) -> T:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
