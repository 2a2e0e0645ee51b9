"""Documents and demonstrations in one prompt, and one answer from them."""

from collections.abc import Sequence
from typing import ClassVar

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.answers import extract
from ponder.agents.demonstrations import Demonstration, answered, opening
from ponder.agents.reader import READ
from ponder.agents.solver import forced_end, forcing
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._drag import (
    DOCUMENT_WORDS,
    Shown,
    first,
    fitted,
    found_for,
    given,
    with_passages,
    within,
)
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.evidence import grounded
from ponder.messages import Request, Sampling, Usage
from ponder.passages import Passage
from ponder.result import Candidate, Outcome, StopReason, Task
from ponder.thoughts import Thought


class DragState(State, total=False):
    """The state, with what the prompt shows."""

    passages: list[Passage]
    demonstrations: list[Demonstration]


@register
class DRAG(Strategy):
    """Answer from k documents, after m worked examples with documents of their own.

    Demonstration-based RAG of Yue et al. 2024. A demonstration is shown as a turn of
    the user, with its documents, and a turn of the assistant. Documents stand in
    reverse order, the best nearest to the question. The paper gives no defaults of k
    and m (they are what is scaled; see docs/design/allocation.md) and samples with the
    model's own temperature. A reply that names no final answer is made to end in one by
    a second call, which the paper does not have.
    """

    name: ClassVar[str] = "drag"
    source: ClassVar[str] = "https://arxiv.org/abs/2410.04343"
    wrap_up_share: ClassVar[float] = 0.15
    needs_retriever: ClassVar[bool] = True

    k: int = Field(default=5, ge=0)
    """Documents of the question, and of each demonstration; 0 is closed book."""
    m: int | None = Field(default=None, ge=0)
    """Demonstrations, the first m of those that are given; by default all."""
    demonstrations: str | None = None
    """File of JSON lines with ``question``, ``answer`` and, if known, ``passages``; the
    worked examples of the run come after those."""
    context_limit: int | None = Field(default=None, ge=1)
    """L_max, the most input tokens. With it, an answer that cites no passage is not
    asked for its sources: that further call would exceed the effective context."""
    document_words: int = Field(default=DOCUMENT_WORDS, ge=1)
    """Words of a document; what is behind them is cut off."""
    temperature: float = Field(default=0.0, ge=0)
    """T of the answer."""
    max_tokens: int = Field(default=256, ge=1)
    """Limit of the answer."""

    def build(self) -> Graph:
        """START -> search -> demonstrate -> read -> END."""
        graph = StateGraph(DragState, context_schema=RunContext)
        graph.add_node("search", self._search)
        graph.add_node("demonstrate", self._demonstrate)
        graph.add_node("read", self._read)
        graph.add_edge(START, "search")
        graph.add_edge("search", "demonstrate")
        graph.add_edge("demonstrate", "read")
        graph.add_edge("read", END)
        return graph

    async def _search(
        self, state: DragState, runtime: Runtime[RunContext]
    ) -> DragState:
        context, query = runtime.context, state["task"].question
        place = context.at("search")
        found = await found_for(query, self.k, self.document_words, place)
        if self.k and not found:
            context.warn("No passage was found: the answer rests on none.")
        return {"passages": found}

    async def _demonstrate(
        self, state: DragState, runtime: Runtime[RunContext]
    ) -> DragState:
        context, task = runtime.context, state["task"]
        place = context.at("demonstrations")
        pool = await given(task, self.demonstrations, self.m, place)
        chosen = first(pool, self.m, place)
        shown = await with_passages(chosen, self.k, self.document_words, place)
        shown, passages = await fitted(
            lambda d, p: [self._request(task, d, p)],
            shown,
            state["passages"],
            self.context_limit,
            context.at("fit"),
        )
        return {"demonstrations": shown, "passages": passages}

    async def _read(self, state: DragState, runtime: Runtime[RunContext]) -> DragState:
        context, task = runtime.context, state["task"]
        shown, passages = state["demonstrations"], state["passages"]
        reason = StopReason.FINISHED
        place = context.at("read")
        try:
            found, read = await self._answer(task, shown, passages, place)
        except (OutOfBudget, ModelError) as problem:
            if isinstance(problem, OutOfBudget):
                reason = StopReason(problem.dimension)
            # A shorter prompt may still be paid for, and may fit the context.
            shown, passages = [], passages[-1:]
            place = context.wrap_up().at("last")
            found, read = await self._answer(task, shown, passages, place)
        spent = {"effective_context": read, "k": len(passages), "m": len(shown)}
        _show(found, spent, context)
        outcome = Outcome(
            answer=found.answer,
            text=found.text,
            candidates=(found,),
            stop_reason=reason,
        )
        asked = task if self.context_limit is None else None
        return {"outcome": await grounded(outcome, passages, context, asked)}

    async def _answer(
        self, task: Task, shown: Shown, passages: list[Passage], place: RunContext
    ) -> tuple[Candidate, int]:
        """Return the answer, and how many tokens were read for it."""
        request = self._request(task, shown, passages)
        (completion,) = await place.generate(request)
        text, read = completion.text, completion.usage.input_tokens
        written = completion.usage.output_tokens
        if extract(text) is None:
            more, again = await self._forced(request, text, read, place.at("again"))
            text, read = text + more, read + again.input_tokens
            written += again.output_tokens
        found = Candidate(
            id=place.id,
            text=text,
            answer=extract(text),
            output_tokens=written,
            finish_reason=completion.finish_reason,
        )
        place.found(found)
        return found, read

    async def _forced(
        self, request: Request, text: str, read: int, place: RunContext
    ) -> tuple[str, Usage]:
        """Make a reply that names no final answer end in one, if there is room."""
        again = forcing(request, text, place)
        left = None if self.context_limit is None else self.context_limit - read
        if not await within([again], left, place.at("fit")):
            return "", Usage()
        try:
            (completion,) = await place.wrap_up().generate(again)
        except (OutOfBudget, ModelError):
            return "", Usage()
        return forced_end(completion, place), completion.usage

    def _request(
        self, task: Task, shown: Shown, passages: Sequence[Passage]
    ) -> Request:
        return Request(
            messages=opening(READ, [answered(d) for d in shown], task, passages),
            prefill=task.prefill,
            max_tokens=self.max_tokens,
            sampling=Sampling(temperature=self.temperature),
        )


def _show(found: Candidate, spent: dict[str, int], context: RunContext) -> None:
    """Put the answer into the thoughts, with the theta that it was given under."""
    context.think(
        Thought(
            id=found.id,
            kind="thought",
            label=found.answer or " ".join(found.text.split())[:72],
            data={"text": found.text, "answer": found.answer, **spent},
        ),
        ("search" if spent["k"] else "question",),
    )
