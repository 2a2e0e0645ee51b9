"""Auto-RAG: the model plans its searches, judges what they bring, and stops itself."""

from typing import ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.document_writer import own_knowledge, write_document
from ponder.agents.reader import reader
from ponder.agents.retrieval_planner import RetrievalPlan, plan_retrieval
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._reading import (
    answered,
    outcome_of,
    same_query,
    short_of,
    with_an_answer,
)
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.evidence import grounded, merged, searched
from ponder.graphs.pool import unanswered
from ponder.messages import Sampling
from ponder.passages import Passage
from ponder.result import StopReason
from ponder.thoughts import Thought

Run = Runtime[RunContext]


class AutoRAGState(State, total=False):
    """The state of the dialogue with the retriever."""

    query: str
    """What to look for next; not set if the passages are enough."""
    queries: list[str]
    """Made so far, searched or answered from the model's own knowledge."""
    passages: list[Passage]
    searches: int
    recalls: int
    stale: int
    """Searches in a row that brought nothing new."""
    last: str
    """Id of the latest thought."""


@register
class AutoRAG(Strategy):
    """Plan a search, read what it finds, and go on until that is enough.

    Yu et al. 2024. In every turn the model says what it has learnt, what it still
    needs, and either writes a query or ends the dialogue. A search brings the k best
    passages that were not read before. Where T searches have not brought enough, the
    model writes documents for its further queries from what it knows by itself, at most
    T_pk times; passages of that kind are never cited, and the result names the
    substitute. The first query is always searched.

    The paper trains its model; here a prompted one reasons in one structured reply for
    each turn. T, T_pk and k are those of the authors' program
    (https://github.com/ictnlp/Auto-RAG). Not of the paper: a dialogue that brings
    nothing new, because its queries repeat or find known passages alone, turns to the
    model's own knowledge before T; and no turn is begun that would leave no budget for
    the answer.
    """

    name: ClassVar[str] = "auto_rag"
    source: ClassVar[str] = "https://arxiv.org/abs/2411.19443"
    wrap_up_share: ClassVar[float] = 0.25
    needs_retriever: ClassVar[bool] = True

    T: int = Field(default=10, ge=1)
    """Most searches."""
    T_pk: int = Field(default=5, ge=0)
    """Most documents written from the model's own knowledge."""
    k: int = Field(default=2, ge=1)
    """New passages of a search."""
    patience: int = Field(default=2, ge=1)
    """Searches in a row without anything new that end the searching."""
    temperature: float = Field(default=0.0, ge=0)
    """T of the answer."""
    max_tokens: int = Field(default=256, ge=1)
    """Limit of the answer."""

    def max_steps(self) -> int:
        """Two steps for each search and each document, and the end."""
        return 2 * (self.T + self.T_pk) + 10

    def build(self) -> Graph:
        """START -> plan -> (search | recall) -> plan ... -> answer -> END."""
        graph = StateGraph(AutoRAGState, context_schema=RunContext)
        graph.add_node("plan", self._plan)
        graph.add_node("search", self._search)
        graph.add_node("recall", self._recall)
        graph.add_node("answer", self._answer)
        graph.add_edge(START, "plan")
        graph.add_conditional_edges("plan", self._next)
        graph.add_edge("search", "plan")
        graph.add_edge("recall", "plan")
        graph.add_edge("answer", END)
        return graph

    # -- the nodes -------------------------------------------------------------------

    async def _plan(self, state: AutoRAGState, runtime: Run) -> AutoRAGState:
        context, queries = runtime.context, state.get("queries", [])
        if not queries:
            return await self._first(state, context)
        update: AutoRAGState = {"query": ""}
        if "stop_reason" in state:
            return update
        if short := await self._short(state, context.at("room", len(queries))):
            return {**update, "stop_reason": short}
        try:
            plan = await self._planned(state, context)
        except OutOfBudget as stop:
            return {**update, "stop_reason": StopReason(stop.dimension)}
        if plan is None:
            context.warn(
                "The plan of the next search could not be had: the answer is read from "
                "what was found until then."
            )
            return update
        return {"query": plan.query or "", "last": self._place(state, context).id}

    async def _first(self, state: AutoRAGState, context: RunContext) -> AutoRAGState:
        """Plan the first search; without a plan the question is the query."""
        begun: AutoRAGState = {
            "queries": [], "passages": [], "searches": 0, "recalls": 0, "stale": 0,
            "last": "question", "query": state["task"].question,
        }  # fmt: skip
        now: AutoRAGState = {**begun, "task": state["task"]}
        if short := await self._short(now, context.at("room", 0)):
            return {**begun, "stop_reason": short}
        try:
            plan = await self._planned(now, context)
        except OutOfBudget as stop:
            return {**begun, "stop_reason": StopReason(stop.dimension)}
        if plan is None:
            context.substitute(
                "a plan of the first search", "the question as its query"
            )
            return begun
        begun["last"] = self._place(begun, context).id
        return begun | {"query": plan.query or begun["query"]}

    def _next(self, state: AutoRAGState) -> Literal["search", "recall", "answer"]:
        query = state["query"]
        if not query:
            return "answer"
        if state["searches"] < self.T and state["stale"] < self.patience:
            return "search"
        known = same_query(query) in map(
            same_query, state["queries"][state["searches"] :]
        )
        return "answer" if known or state["recalls"] >= self.T_pk else "recall"

    async def _search(self, state: AutoRAGState, runtime: Run) -> AutoRAGState:
        query, held = state["query"], state["passages"]
        place = runtime.context.at("search", state["searches"])
        wanted = self.k + len(held)
        found = await searched(query, wanted, place, (state["last"],))
        ids = {passage.id for passage in held}
        new = [passage for passage in found if passage.id not in ids][: self.k]
        repeated = same_query(query) in map(same_query, state["queries"])
        return {
            "passages": merged(held, new),
            "queries": [*state["queries"], query],
            "searches": state["searches"] + 1,
            "stale": 0 if new and not repeated else state["stale"] + 1,
            "last": place.id,
        }

    async def _recall(self, state: AutoRAGState, runtime: Run) -> AutoRAGState:
        """Write down what the model knows of a query that no search has answered."""
        context, query = runtime.context, state["query"]
        place = context.at("recall", state["recalls"])
        update: AutoRAGState = {
            "queries": [*state["queries"], query],
            "recalls": state["recalls"] + 1,
        }
        try:
            written = await write_document(state["task"], query, place)
        except OutOfBudget as stop:
            return {**update, "stop_reason": StopReason(stop.dimension)}
        except ModelError as error:
            context.warn(f"Nothing could be recalled for '{query}': {error}")
            return update
        if written is None:
            return update
        context.substitute(
            "passages that answer the question", "what the model knows by itself"
        )
        label = f"from own knowledge, not found: {query}"
        data = {"query": query, "text": written.text}
        thought = Thought(id=place.id, kind="thought", label=label, data=data)
        context.think(thought, (state["last"],))
        return {
            **update,
            "passages": [*state["passages"], written],
            "last": place.id,
        }

    async def _answer(self, state: AutoRAGState, runtime: Run) -> AutoRAGState:
        context, task = runtime.context, state["task"]
        reason = state.get("stop_reason", StopReason.FINISHED)
        found = [p for p in state["passages"] if not own_knowledge(p)]
        if not found:
            context.warn("No passage was found: the answer rests on none.")
        known = [p for p in state["passages"] if own_knowledge(p)]
        read = reader(
            sampling=Sampling(temperature=self.temperature), max_tokens=self.max_tokens
        )
        place = context.wrap_up().at("answer")
        try:
            candidate, kept = await answered(read, task, [*found, *known], place)
        except OutOfBudget as stop:
            return {"outcome": unanswered([], StopReason(stop.dimension))}
        candidate = await with_an_answer(task, candidate, context)
        context.keep(candidate, (state["last"],))
        outcome = outcome_of(candidate, [candidate], reason)
        # What the model wrote itself comes last, so its numbers belong to no passage.
        cited = [p for p in kept if not own_knowledge(p)]
        return {"outcome": await grounded(outcome, cited, context, task)}

    # -- what the nodes are made of --------------------------------------------------

    async def _short(
        self, state: AutoRAGState, context: RunContext
    ) -> StopReason | None:
        # A turn takes two calls if its reply cannot be read, and one is the answer's.
        passages, limit = state["passages"], self.max_tokens
        return await short_of(
            state["task"], passages, context, calls=3, max_tokens=limit
        )

    def _place(self, state: AutoRAGState, context: RunContext) -> RunContext:
        return context.at("plan", len(state["queries"]))

    async def _planned(
        self, state: AutoRAGState, context: RunContext
    ) -> RetrievalPlan | None:
        """Ask for the next turn; a failure of the model is no plan."""
        place, task = self._place(state, context), state["task"]
        try:
            plan = await plan_retrieval(
                task, state["passages"], state["queries"], place
            )
        except ModelError as error:
            context.warn(str(error))
            return None
        if plan is not None:
            label = plan.needed if plan.query else f"enough: {plan.found}"
            data = plan.model_dump()
            thought = Thought(id=place.id, kind="thought", label=label, data=data)
            context.think(thought, (state["last"],))
        return plan
