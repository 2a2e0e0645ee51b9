"""One answer from each paragraph of evidence, and the best by the model's scores."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.answers import Equality, group
from ponder.agents.choice import plain_model
from ponder.agents.likelihood import Expert, log_likelihood
from ponder.agents.reader import reader
from ponder.agents.solver import attempt
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._reading import answered, outcome_of, with_an_answer
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.evidence import grounded, searched
from ponder.graphs.pool import raise_if_all_failed, unanswered
from ponder.messages import Sampling
from ponder.passages import Passage
from ponder.result import Candidate, Outcome, StopReason, Task
from ponder.retrieval.paragraphs import cosines, paragraphs
from ponder.thoughts import Thought

Run = Runtime[RunContext]
Rerank = Literal["answer", "question", "noisy_channel", "product"]

EXPERTS: dict[Rerank, dict[Expert, int]] = {
    "answer": {"a|q,e": 1},
    "question": {"q|a,e": 1},
    "noisy_channel": {"q|a,e": 1, "a|e": 1, "q|e": -1},
    "product": {"a|q,e": 1, "q|a,e": 1},
}
"""The exponent of each probability in a score."""

LEAST_WEIGHT = 1e-6
"""Cosine of a paragraph that has no word of the question."""


class EvidenceState(State, total=False):
    """The state: paragraphs, and how well each fits the question."""

    evidence: list[Passage]
    weights: list[float]
    """p(e|q), which sum to 1."""
    owner: dict[str, int]
    """Number of the paragraph that each candidate was read from, by its id."""


@register
class InternetAugmented(Strategy):
    """Answer from every paragraph alone, and rerank the answers by the same model.

    Lazaridou et al. 2022. Documents are cut into paragraphs of six sentences, and the
    n paragraphs whose TF-IDF vectors have the largest cosines with the question's are
    the evidence. With p(e|q), the share of a paragraph in the sum of cosines, an answer
    a scores the sum, over the paragraphs e that led to it, of p(e|q) times

    - ``answer``: p(a|q,e);
    - ``question``: p(q|a,e);
    - ``noisy_channel``: p(q|a,e) p(a|e) / p(q|e);
    - ``product``: p(a|q,e) p(q|a,e).

    A model that cannot score given text is judged by the mean log-probability of the
    tokens that it wrote, one without log-probabilities by p(e|q) alone; the result
    names the substitute.

    Not verified against the full text, which could not be had: the cut into paragraphs
    of six sentences, the number of documents, the exact forms of the noisy channel and
    of the product of experts, and the default. The paper draws several
    answers from each paragraph, prompts with 15 examples (here: those of the task), and
    searches the web: use ``ponder.retrieval.web.WebSearch``, or any other documents.
    """

    name: ClassVar[str] = "internet_augmented"
    source: ClassVar[str] = "https://arxiv.org/abs/2203.05115"
    wrap_up_share: ClassVar[float] = 0.3
    needs_retriever: ClassVar[bool] = True

    documents: int = Field(default=20, ge=1)
    """Most documents (or passages) that are searched for."""
    n: int = Field(default=50, ge=1)
    """Most paragraphs of evidence."""
    sentences: int = Field(default=6, ge=1)
    """Sentences of a paragraph."""
    samples: int = Field(default=1, ge=1)
    """Answers from each paragraph."""
    temperature: float = Field(default=0.7, ge=0)
    """T of the answers."""
    rerank: Rerank = "product"
    """How answers are scored."""
    weigh: bool = True
    """Whether p(e|q) is a factor of the score."""
    equality: Equality = "math"
    """How answers are compared: ``math`` or ``exact``."""
    max_tokens: int = Field(default=128, ge=1)
    """Limit of each answer."""

    def build(self) -> Graph:
        """START -> search -> read -> rerank -> END."""
        graph = StateGraph(EvidenceState, context_schema=RunContext)
        graph.add_node("search", self._search)
        graph.add_node("read", self._read)
        graph.add_node("rerank", self._rerank)
        graph.add_edge(START, "search")
        graph.add_edge("search", "read")
        graph.add_edge("read", "rerank")
        graph.add_edge("rerank", END)
        return graph

    # -- the nodes -------------------------------------------------------------------

    async def _search(self, state: EvidenceState, runtime: Run) -> EvidenceState:
        question, place = state["task"].question, runtime.context.at("search")
        found = await searched(question, self.documents, place)
        pieces = [piece for p in found for piece in paragraphs(p, self.sentences)]
        texts = [f"{piece.title} {piece.text}" for piece in pieces]
        near = dict(enumerate(cosines(question, texts)))
        best = sorted(near, key=lambda i: -near[i])[: self.n]
        shares = [max(LEAST_WEIGHT, near[i]) for i in best]
        return {
            "evidence": [pieces[i] for i in best],
            "weights": [share / sum(shares) for share in shares],
        }

    async def _read(self, state: EvidenceState, runtime: Run) -> EvidenceState:
        """Read from each paragraph alone; from none where none was found."""
        context, evidence = runtime.context, state["evidence"]
        if not evidence:
            context.warn("No passage was found: the answer rests on none.")
        update: EvidenceState = {"candidates": [], "owner": {}}
        total = max(1, len(evidence)) * self.samples
        with context.branches("read", range(total)) as places:
            outcomes = await settle(
                [
                    self._attempt(state["task"], evidence[i // self.samples :][:1], p)
                    for i, p in enumerate(places)
                ]
            )
        for i, outcome in enumerate(outcomes):
            if isinstance(outcome, OutOfBudget):
                update["stop_reason"] = StopReason(outcome.dimension)
            elif isinstance(outcome, Exception):
                raise outcome
            else:
                context.keep(outcome, (context.at("search").id,))
                update["candidates"].append(outcome)
                update["owner"][outcome.id] = i // self.samples
        raise_if_all_failed(update["candidates"], context)
        return update

    async def _rerank(self, state: EvidenceState, runtime: Run) -> EvidenceState:
        context, pool = runtime.context, state["candidates"]
        reason = state.get("stop_reason", StopReason.FINISHED)
        if not any(c.text for c in pool):
            return await self._at_least_one(state, context)
        if not any(c.answer for c in pool):
            longest = max(pool, key=lambda c: c.output_tokens)
            longest = await with_an_answer(state["task"], longest, context)
            return {"outcome": await self._cited(longest, state, context, reason, None)}
        scores = await self._scores(state, context)
        winner, confidence = self._elected(state, scores, context)
        return {
            "outcome": await self._cited(winner, state, context, reason, confidence)
        }

    # -- what the nodes are made of --------------------------------------------------

    async def _attempt(
        self, task: Task, evidence: Sequence[Passage], place: RunContext
    ) -> Candidate:
        read = reader(
            sampling=Sampling(temperature=self.temperature),
            max_tokens=self.max_tokens,
            logprobs=not plain_model(place.model).capabilities.score,
        )

        async def once(task: Task, context: RunContext) -> Candidate:
            return await read(task, evidence, context)

        return await attempt(once, task, place)

    async def _at_least_one(
        self, state: EvidenceState, context: RunContext
    ) -> EvidenceState:
        """Read once from the best paragraph, or from none, with what is kept back."""
        read, place = reader(max_tokens=self.max_tokens), context.wrap_up().at("answer")
        try:
            candidate, kept = await answered(
                read, state["task"], state["evidence"][:1], place
            )
        except OutOfBudget as stop:
            reason = StopReason(stop.dimension)
            return {"outcome": unanswered(state["candidates"], reason)}
        context.keep(candidate, (context.at("search").id,))
        reason = state.get("stop_reason", StopReason.FINISHED)
        outcome = outcome_of(candidate, [*state["candidates"], candidate], reason)
        return {"outcome": await grounded(outcome, kept, context, state["task"])}

    async def _scores(
        self, state: EvidenceState, context: RunContext
    ) -> dict[str, float]:
        """Return the logarithm of each candidate's score, p(e|q) left out."""
        with_answer = [c for c in state["candidates"] if c.answer]
        if not plain_model(context.model).capabilities.score:
            return _by_generation(with_answer, context)
        places = context.wrap_up().at("score")
        outcomes = await settle(
            [self._score(c, state, places.at(c.id)) for c in with_answer]
        )
        scores: dict[str, float] = {}
        for candidate, outcome in zip(with_answer, outcomes, strict=True):
            if isinstance(outcome, float):
                scores[candidate.id] = outcome
            elif not isinstance(outcome, OutOfBudget | ModelError):
                raise outcome
        if len(scores) < len(with_answer):
            lost = len(with_answer) - len(scores)
            context.warn(
                f"{lost} of {len(with_answer)} answers could not be scored, and have "
                "no say."
            )
        return scores

    async def _score(
        self, candidate: Candidate, state: EvidenceState, place: RunContext
    ) -> float:
        number = state["owner"][candidate.id]
        evidence = "".join(p.text for p in state["evidence"][number:][:1])
        question, total = state["task"].question, 0.0
        for expert, exponent in EXPERTS[self.rerank].items():
            here = place.at(expert.replace("|", "-given-"))
            total += exponent * await log_likelihood(
                expert, question, candidate.answer or "", evidence, here
            )
        return total

    def _elected(
        self, state: EvidenceState, scores: Mapping[str, float], context: RunContext
    ) -> tuple[Candidate, float]:
        """Return the best candidate of the answer with the largest sum of scores."""
        pool = [c for c in state["candidates"] if c.answer]
        if not scores:
            context.substitute("scores of the answers", "a vote by p(e|q)")
            scores = dict.fromkeys((c.id for c in pool), 0.0)
        pool = [c for c in pool if c.id in scores]
        owner, weights = state["owner"], state["weights"] or [1.0]
        by = {
            c.id: scores[c.id] + (math.log(weights[owner[c.id]]) if self.weigh else 0.0)
            for c in pool
        }
        groups = group([c.answer for c in pool], self.equality)
        sums = [_log_sum([pool[i] for i in g.indices], by, owner) for g in groups]
        best = max(range(len(groups)), key=lambda i: sums[i])
        top = max(sums)
        share = 1 / math.fsum(math.exp(value - top) for value in sums)
        _tell([g.representative for g in groups], sums, by, context)
        members = [pool[i] for i in groups[best].indices]
        return max(members, key=lambda c: by[c.id]), share

    async def _cited(
        self,
        winner: Candidate,
        state: EvidenceState,
        context: RunContext,
        reason: StopReason,
        confidence: float | None,
    ) -> Outcome:
        number = next(
            (state["owner"][c.id] for c in state["candidates"] if c.id == winner.id), 0
        )
        outcome = outcome_of(winner, state["candidates"], reason, confidence)
        return await grounded(outcome, state["evidence"][number:][:1], context)


def _by_generation(pool: Sequence[Candidate], context: RunContext) -> dict[str, float]:
    known = {c.id: c.logprob / c.logprob_tokens for c in pool
             if c.logprob is not None and c.logprob_tokens}  # fmt: skip
    if known:
        context.substitute(
            "score (log-likelihood of given text)",
            "the mean log-probability of the tokens of each generated answer",
        )
    return known


def _log_sum(
    members: Sequence[Candidate], by: Mapping[str, float], owner: Mapping[str, int]
) -> float:
    """Sum over paragraphs; samples from the same one are no further evidence."""
    best: dict[int, float] = {}
    for candidate in members:
        number, value = owner[candidate.id], by[candidate.id]
        best[number] = max(value, best.get(number, value))
    top = max(best.values())
    return top + math.log(math.fsum(math.exp(v - top) for v in best.values()))


def _tell(
    answers: Sequence[str],
    sums: Sequence[float],
    by: Mapping[str, float],
    context: RunContext,
) -> None:
    order = sorted(range(len(answers)), key=lambda i: -sums[i])
    label = "; ".join(f"{answers[i]} {sums[i]:.2f}" for i in order[:3])
    thought = Thought(
        id=context.at("rerank").id,
        kind="verdict",
        label=f"log-scores: {label}",
        data={"answers": {answers[i]: sums[i] for i in order}, "candidates": dict(by)},
    )
    context.think(thought, tuple(by))
