"""Sub-queries with a search and an answer each, before the final answer."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents._transcripts import Line, Step, claims
from ponder.agents.self_ask import SelfAsker, never
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._drag import (
    DOCUMENT_WORDS,
    first,
    fitted,
    found_for,
    given,
    with_passages,
    within,
)
from ponder.graphs._iterdrag import (
    IterDragState,
    candidate,
    ended,
    opened,
    room_for,
    same,
    show_step,
    spent,
)
from ponder.graphs.base import Graph, Strategy, register
from ponder.graphs.evidence import grounded
from ponder.messages import Message, Request, Sampling
from ponder.result import Candidate, Outcome, StopReason
from ponder.thoughts import Thought

NO_ANSWER = "not found"
"""Stands for an intermediate answer that the model did not give."""


@register
class IterDRAG(Strategy):
    """Ask up to n sub-queries, search and answer each, then answer the question.

    Iterative demonstration-based RAG of Yue et al. 2024. Each call writes a sub-query
    or the final answer, or an intermediate answer from all documents so far, those
    found for the sub-query being nearest to the question. After n sub-queries the
    final answer is forced.

    Not given in the paper, and chosen here: how many documents a sub-query brings (k),
    and that a sub-query asked before ends the decomposition. ``context_limit`` ends it
    as soon as a further call would leave too little for the final answer. The paper
    samples with the model's own temperature.
    """

    name: ClassVar[str] = "iterdrag"
    source: ClassVar[str] = "https://arxiv.org/abs/2410.04343"
    wrap_up_share: ClassVar[float] = 0.25
    needs_retriever: ClassVar[bool] = True

    k: int = Field(default=5, ge=0)
    """Documents of the question, of each sub-query, and of each demonstration."""
    m: int | None = Field(default=None, ge=0)
    """Demonstrations, the first m of those that are given; by default all."""
    n: int = Field(default=5, ge=1)
    """Most iterations, a sub-query and its intermediate answer each."""
    demonstrations: str | None = None
    """File of JSON lines with ``question``, ``answer``, ``steps`` and, if known,
    ``passages``; the worked examples of the run come after those. Those without
    steps are left out."""
    context_limit: int | None = Field(default=None, ge=1)
    """L_max, the most input tokens of all calls together. With it, an answer that cites
    no passage is not asked for its sources: that further call would exceed the
    effective context."""
    document_words: int = Field(default=DOCUMENT_WORDS, ge=1)
    """Words of a document; what is behind them is cut off."""
    temperature: float = Field(default=0.0, ge=0)
    """T of every line."""
    max_tokens: int = Field(default=96, ge=1)
    """Limit of a line: a sub-query or an answer."""

    def max_steps(self) -> int:
        """Two steps for each iteration, search, the last question and the answer."""
        return 2 * self.n + 5

    @property
    def asker(self) -> SelfAsker:
        """The role that writes the lines."""
        return SelfAsker(Sampling(temperature=self.temperature), self.max_tokens)

    def build(self) -> Graph:
        """START -> search -> ask -> (look_up -> ask ...) -> answer -> END."""
        graph = StateGraph(IterDragState, context_schema=RunContext)
        graph.add_node("search", self._search)
        graph.add_node("ask", self._ask)
        graph.add_node("look_up", self._look_up)
        graph.add_node("answer", self._answer)
        graph.add_edge(START, "search")
        graph.add_edge("search", "ask")
        graph.add_conditional_edges("ask", _asked)
        graph.add_conditional_edges("look_up", self._more)
        graph.add_edge("answer", END)
        return graph

    # -- the nodes -------------------------------------------------------------------

    async def _search(
        self, state: IterDragState, runtime: Runtime[RunContext]
    ) -> IterDragState:
        context, task, words = runtime.context, state["task"], self.document_words
        found = await found_for(task.question, self.k, words, context.at("search"))
        place = context.at("demonstrations")
        pool = await given(task, self.demonstrations, self.m, place)
        worked = [d for d in pool if d.steps]
        if left_out := len(pool) - len(worked):
            context.warn(f"{left_out} demonstrations without steps were left out.")
        chosen = first(worked, self.m, place)
        shown = await with_passages(chosen, self.k, words, place, steps=True)
        empty: IterDragState = {**state, "steps": []}
        shown, found = await fitted(
            lambda d, p: [self._final_request(opened(empty, d, p), [], context)],
            shown,
            found,
            self.context_limit,
            context.at("fit"),
        )
        return {
            "passages": found,
            "demonstrations": shown,
            "steps": [],
            "pending": "",
            "last": None,
            "read": 0,
            "output_tokens": 0,
        }

    async def _ask(
        self, state: IterDragState, runtime: Runtime[RunContext]
    ) -> IterDragState:
        context, steps, asker = runtime.context, state["steps"], self.asker
        place = context.at("iteration", len(steps), "ask")
        start = opened(state)
        closing = self._final_request(start, steps, context)

        async def fits(again: Request) -> bool:
            # It comes on top of the first call, which is shorter.
            calls = [again, again, closing]
            return await within(calls, self._left(state), place.at("again", "fit"))

        calls = [asker.next_request(start, steps, context.model), closing]
        if not await within(calls, self._left(state), place.at("fit")):
            context.warn("context_limit leaves no room for another sub-query.")
            return {"pending": ""}
        try:
            line = await asker.next(start, steps, place, fits)
        except (OutOfBudget, ModelError) as problem:
            return {"pending": "", **ended(problem, context)}
        update: IterDragState = {**spent(state, line), "pending": ""}
        if line.kind == "final":
            return {**update, "last": line}
        if line.kind == "unreadable":
            context.warn("A reply was no line of the form: the final answer is forced.")
        elif any(same(line.text, s.question) for s in steps):
            context.warn(f"The sub-query '{line.text}' came twice: no more are asked.")
        else:
            update["pending"] = line.text
        return update

    async def _look_up(
        self, state: IterDragState, runtime: Runtime[RunContext]
    ) -> IterDragState:
        context, steps, query = runtime.context, state["steps"], state["pending"]
        place = context.at("iteration", len(steps))
        last = context.at("iteration", len(steps) - 1).id if steps else "search"
        found = await found_for(
            query, self.k, self.document_words, place.at("search"), (last,)
        )
        if self.k and not found:
            context.warn(f"No passage was found for the sub-query '{query}'.")
        passages = await room_for(found, state, place, self.asker, self._left(state))
        if passages is None:
            context.warn("context_limit leaves no room to answer the last sub-query.")
            return {"pending": ""}
        start = opened(state, passages=passages)
        try:
            line = await self.asker.answer(start, steps, query, place.at("answer"))
        except (OutOfBudget, ModelError) as problem:
            return {"pending": "", **ended(problem, context)}
        if not line.text:
            context.warn(f"The sub-query '{query}' got no answer.")
        step = Step(question=query, answer=line.text or NO_ANSWER)
        show_step(step, line, place)
        return {**spent(state, line), "passages": passages, "steps": [*steps, step]}

    def _more(self, state: IterDragState) -> Literal["ask", "answer"]:
        enough = not state["pending"] or len(state["steps"]) >= self.n
        return "answer" if enough else "ask"

    async def _answer(
        self, state: IterDragState, runtime: Runtime[RunContext]
    ) -> IterDragState:
        context, steps, line = runtime.context, state["steps"], state["last"]
        passages, reason = state["passages"], state.get("stop_reason")
        place = context.at("final")
        if line is None:
            try:
                line = await self._final(state, place.wrap_up())
            except (OutOfBudget, ModelError) as problem:
                reason = reason or ended(problem, context).get("stop_reason")
                line = await self._last(state, context, problem)
                # Behind steps it saw no passage; else the best one, as number 1.
                passages = passages if steps else passages[-1:]
            state = {**state, **spent(state, line)}
        if line.kind != "final":
            context.warn("No final answer could be read.")
        found = candidate(place.id, steps, line, state)
        context.found(found)
        self._show(found, state, context)
        outcome = Outcome(
            answer=found.answer,
            text=found.text,
            candidates=(found,),
            stop_reason=reason or StopReason.FINISHED,
        )
        said = claims(state["task"].question, steps, line)
        asked = state["task"] if self.context_limit is None else None
        checked = await grounded(
            outcome.model_copy(update={"text": said}), passages, context, asked
        )
        return {"outcome": checked.model_copy(update={"text": found.text})}

    # -- what the nodes are made of --------------------------------------------------

    def _left(self, state: IterDragState) -> int | None:
        limit = self.context_limit
        return None if limit is None else limit - state["read"]

    def _final_request(
        self, start: tuple[Message, ...], steps: Sequence[Step], context: RunContext
    ) -> Request:
        return self.asker.final_request(start, steps, context.model)

    async def _final(self, state: IterDragState, place: RunContext) -> Line:
        async def fits(again: Request) -> bool:
            calls = [again, again]
            return await within(calls, self._left(state), place.at("again", "fit"))

        return await self.asker.final(opened(state), state["steps"], place, fits)

    async def _last(
        self, state: IterDragState, context: RunContext, problem: Exception
    ) -> Line:
        """Answer from the steps alone, or from the best passage where there are none.

        This prompt is short: it may still be paid for, and fit the context.
        """
        steps, passages = state["steps"], state["passages"]
        seen = [] if steps else passages[-1:]
        start = opened(state, [], seen)
        place = context.wrap_up().at("last")
        try:
            line = await self.asker.final(start, steps, place, never)
        except (OutOfBudget, ModelError) as again:
            if steps and (isinstance(problem, OutOfBudget) or state.get("stop_reason")):
                return Line("unreadable", "")
            raise again from None
        return Line(
            line.kind, line.text, "" if steps else line.marks, line.input_tokens,
            line.output_tokens,
        )  # fmt: skip

    def _show(
        self, found: Candidate, state: IterDragState, context: RunContext
    ) -> None:
        """Put the answer into the thoughts, with what it took."""
        steps = state["steps"]
        data: dict[str, Any] = {
            "text": found.text,
            "answer": found.answer,
            "effective_context": state["read"],
            "k": self.k,
            "m": len(state["demonstrations"]),
            "n": len(steps),
        }
        label = found.answer or "no answer"
        parents = [context.at("iteration", i).id for i in range(len(steps))]
        context.think(
            Thought(id=found.id, kind="thought", label=label, data=data),
            tuple(parents) or ("search" if self.k else "question",),
        )


def _asked(state: IterDragState) -> Literal["look_up", "answer"]:
    return "look_up" if state["pending"] else "answer"
