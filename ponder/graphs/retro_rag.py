"""RetroRAG: evidence that is collated, drawn conclusions from, and taken back."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.evidence_judge import relevance, relevance_prompts, sufficiency
from ponder.agents.inference_writer import (
    Inference,
    inference_writer,
    same_statement,
)
from ponder.agents.query_writer import query_writer
from ponder.agents.reader import reader
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._evidence_pool import (
    as_passages,
    attributed,
    best_of,
    by_sources,
    collated,
    helpful,
    knowing,
    rooted,
    tell,
)
from ponder.graphs._reading import (
    answered,
    cost_of_words,
    outcome_of,
    same_query,
    short_of,
    with_an_answer,
)
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.evidence import grounded, merged, searched
from ponder.graphs.pool import unanswered
from ponder.messages import Sampling, Usage
from ponder.passages import Passage
from ponder.result import StopReason, Verdict

Run = Runtime[RunContext]


class RetroRAGState(State, total=False):
    """The state: all evidence that is held, and the answers so far."""

    round: int
    pending: list[str]
    """Queries of this round."""
    asked: list[str]
    sources: list[Passage]
    """Source evidence, the most relevant first."""
    inferences: list[Inference]
    """Inferential evidence."""
    revised: bool
    """Whether the inferences changed since the sources were judged."""
    chances: dict[str, float | None]
    """P(relevant) of the sources, by id."""
    read: dict[str, list[Passage]]
    """The sources from which each candidate was read, by its id."""


@register
class RetroRAG(Strategy):
    """Hold source and inferential evidence, and revise both until an answer stands.

    Xiao et al. 2025. In every round *collation* searches, judges what is held and what
    is new, and keeps the k most relevant passages: a passage held before may go.
    *Discovery* draws conclusions about the key entities of the question; each must be
    relevant and supported by the passages that it names, and one held before is
    dropped or corrected when they no longer support it. The *answerer* answers from
    both kinds of evidence and judges whether they show the answer to be right. If not,
    sub-questions about what is missing are the queries of the next round.

    An answer cites passages; where it rests on a conclusion, those that the conclusion
    was drawn from. The best answer so far ends the R-th round, or a round that has no
    new sub-question.

    Not known from the paper, whose full text could not be had: the numbers of rounds,
    passages, conclusions and queries, and the thresholds. All judgements are the
    model's own P(Yes), where the paper may use models of their own.
    """

    name: ClassVar[str] = "retro_rag"
    source: ClassVar[str] = "https://arxiv.org/abs/2501.05475"
    wrap_up_share: ClassVar[float] = 0.25
    needs_retriever: ClassVar[bool] = True

    R: int = Field(default=3, ge=1)
    """Most rounds."""
    k: int = Field(default=5, ge=1)
    """Passages held, and found by each search."""
    m: int = Field(default=5, ge=1)
    """Most conclusions held."""
    q: int = Field(default=2, ge=1)
    """Most new sub-questions of a round."""
    theta: float = Field(default=0.5, ge=0, le=1)
    """P(relevant) and P(supported) below which evidence is dropped."""
    accept: float = Field(default=0.5, ge=0, le=1)
    """P(the evidence shows it) from which an answer stands."""
    temperature: float = Field(default=0.0, ge=0)
    """T of the answers."""
    max_tokens: int = Field(default=256, ge=1)
    """Limit of an answer."""

    def max_steps(self) -> int:
        """Four steps for each round, and the end."""
        return 4 * self.R + 10

    def build(self) -> Graph:
        """START -> collate -> discover -> answer -> (ask -> collate | finish)."""
        graph = StateGraph(RetroRAGState, context_schema=RunContext)
        graph.add_node("collate", self._collate)
        graph.add_node("discover", self._discover)
        graph.add_node("answer", self._answer)
        graph.add_node("ask", self._ask)
        graph.add_node("finish", self._finish)
        graph.add_edge(START, "collate")
        graph.add_edge("collate", "discover")
        graph.add_edge("discover", "answer")
        graph.add_conditional_edges("answer", self._stands)
        graph.add_conditional_edges("ask", self._more)
        graph.add_edge("finish", END)
        return graph

    # -- the nodes -------------------------------------------------------------------

    async def _collate(self, state: RetroRAGState, runtime: Run) -> RetroRAGState:
        context, task, round = runtime.context, state["task"], state.get("round", 0)
        queries = state.get("pending", [task.question])
        held = state.get("sources", [])
        pool = merged(held, await self._found(queries, state, context))
        chances = {} if state.get("revised") else state.get("chances", {})
        new = [passage for passage in pool if passage.id not in chances]
        update: RetroRAGState = {
            "round": round,
            "asked": [*state.get("asked", []), *queries],
            "sources": pool[: self.k],
        }
        now: RetroRAGState = {**state, **update}
        prompts = relevance_prompts(task, [passage.text for passage in new])
        cost, room = (
            cost_of_words(prompts, context),
            context.at("room", "collate", round),
        )
        if short := await self._short(now, room, 1, cost):
            return {**update, "stop_reason": short}
        asked = knowing(task, state.get("inferences", []))
        texts = [passage.text for passage in new]
        judged = await relevance(asked, texts, context.at("relevance", round))
        ids = [passage.id for passage in new]
        chances = chances | dict(zip(ids, judged, strict=True))
        kept = collated(pool, chances, self.k, self.theta)
        searches = [context.at("search", round, i).id for i in range(len(queries))]
        place = context.at("collation", round)
        tell("passages", _texts(held), _texts(kept), place, tuple(searches))
        return {**update, "sources": kept, "chances": chances, "revised": False}

    async def _discover(self, state: RetroRAGState, runtime: Run) -> RetroRAGState:
        context, task, round = runtime.context, state["task"], state["round"]
        before, sources = state.get("inferences", []), state["sources"]
        held = rooted(before, sources)
        update: RetroRAGState = {"inferences": held}
        if "stop_reason" in state or not sources:
            return update
        if short := await self._short(state, context.at("room", "infer", round), 3):
            return {**update, "stop_reason": short}
        write, place = inference_writer(most=self.m), context.at("infer", round)
        try:
            drawn = await write(task, sources, held, place)
        except OutOfBudget as stop:
            return {**update, "stop_reason": StopReason(stop.dimension)}
        except ModelError as error:
            context.warn(str(error))
            drawn = None
        if drawn is None:
            context.warn("No conclusions could be had: those held before stay.")
            return update
        drawn = rooted(drawn, sources)
        drawn = await attributed(drawn, held, self.theta, place.at("support"))
        drawn = await helpful(task, drawn, held, self.theta, place.at("relevance"))
        parents = (context.at("collation", round).id,)
        told = context.at("discovery", round)
        tell("conclusions", _statements(before), _statements(drawn), told, parents)
        changed = _statements(drawn).keys() != _statements(before).keys()
        return {"inferences": drawn, "revised": changed}

    async def _answer(self, state: RetroRAGState, runtime: Run) -> RetroRAGState:
        context, task, round = runtime.context, state["task"], state["round"]
        evidence, place = self._evidence(state), context.at("answer", round)
        if not evidence:
            context.warn("No passage was found: the answer rests on none.")
        read = reader(
            sampling=Sampling(temperature=self.temperature), max_tokens=self.max_tokens
        )
        try:
            candidate, kept = await answered(read, task, evidence, place.wrap_up())
        except OutOfBudget as stop:
            return {"stop_reason": StopReason(stop.dimension)}
        except ModelError as error:
            if not state["candidates"]:
                raise
            context.warn(str(error))
            return {"stop_reason": StopReason.FINISHED}
        candidate = await with_an_answer(task, candidate, place)
        judge = place.wrap_up().at("judge")
        chance = await sufficiency(task, candidate, kept, judge)
        passed = None if chance is None else chance >= self.accept
        sources = state["sources"][: len(kept)]
        inferences = state["inferences"][: len(kept) - len(sources)]
        update = {
            "text": by_sources(candidate.text, sources, inferences),
            "verdict": Verdict(score=chance, passed=passed),
        }
        candidate = candidate.model_copy(update=update)
        parents = [context.at(name, round).id for name in ("collation", "discovery")]
        context.keep(candidate, tuple(parents))
        return {
            "candidates": [*state["candidates"], candidate],
            "read": {**state.get("read", {}), candidate.id: sources},
        }

    def _stands(self, state: RetroRAGState) -> Literal["ask", "finish"]:
        last = state["candidates"][-1].verdict if state["candidates"] else None
        if last is None or last.passed or "stop_reason" in state:
            return "finish"
        return "ask" if state["round"] + 1 < self.R else "finish"

    async def _ask(self, state: RetroRAGState, runtime: Run) -> RetroRAGState:
        context, task, asked = runtime.context, state["task"], state["asked"]
        room = context.at("room", "ask", state["round"])
        if short := await self._short(state, room, 3):
            return {"pending": [], "stop_reason": short}
        write, place = query_writer(most=self.q), context.at("ask", state["round"])
        refused = state["candidates"][-1].answer or ""
        try:
            queries = await write(task, self._evidence(state), refused, asked, place)
        except OutOfBudget as stop:
            return {"pending": [], "stop_reason": StopReason(stop.dimension)}
        except ModelError as error:
            context.warn(str(error))
            queries = None
        if queries is None:
            context.warn("No sub-questions could be had: the best answer stands.")
        known = {same_query(query) for query in asked}
        new = [query for query in queries or [] if same_query(query) not in known]
        return {"pending": new, "round": state["round"] + 1}

    def _more(self, state: RetroRAGState) -> Literal["collate", "finish"]:
        return "collate" if state["pending"] else "finish"

    async def _finish(self, state: RetroRAGState, runtime: Run) -> RetroRAGState:
        reason = state.get("stop_reason", StopReason.FINISHED)
        pool = state["candidates"]
        best = best_of(pool)
        if best is None:
            return {"outcome": unanswered([], reason)}
        chance = best.verdict.score if best.verdict else None
        outcome = outcome_of(best, pool, reason, chance)
        sources = state["read"][best.id]
        context, task = runtime.context, state["task"]
        return {"outcome": await grounded(outcome, sources, context, task)}

    # -- what the nodes are made of --------------------------------------------------

    def _evidence(self, state: RetroRAGState) -> list[Passage]:
        sources = state["sources"]
        return [*sources, *as_passages(state["inferences"], sources)]

    async def _short(
        self,
        state: RetroRAGState,
        context: RunContext,
        calls: int,
        extra: Usage | None = None,
    ) -> StopReason | None:
        # A role takes two calls if its reply cannot be read; one is the answer's.
        return await short_of(
            state["task"],
            state["sources"],
            context,
            max_tokens=self.max_tokens,
            calls=calls,
            extra=extra,
        )

    async def _found(
        self, queries: Sequence[str], state: RetroRAGState, context: RunContext
    ) -> list[Passage]:
        candidates, round = state["candidates"], state.get("round", 0)
        parents = (candidates[-1].id if candidates else "question",)
        places = [context.at("search", round, i) for i in range(len(queries))]
        outcomes = await settle(
            [
                searched(query, self.k, place, parents)
                for query, place in zip(queries, places, strict=True)
            ]
        )
        found: list[Passage] = []
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
            found = merged(found, outcome)
        return found


def _texts(passages: Sequence[Passage]) -> dict[str, str]:
    return {passage.id: passage.text for passage in passages}


def _statements(inferences: Sequence[Inference]) -> dict[str, str]:
    return {same_statement(one): one.statement for one in inferences}
