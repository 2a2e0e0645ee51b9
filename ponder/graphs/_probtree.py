"""The ways of ProbTree to the answer of one question, and how sure each one is."""

import math
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace

from ponder.agents.choice import choose
from ponder.agents.explainer import (
    CLOSED_BOOK,
    FROM_PARTS,
    OPEN_BOOK,
    UNSURE,
    Explained,
    explainer,
)
from ponder.agents.query_tree import Query, QueryTree, references, resolved
from ponder.agents.reader import cited, numbered
from ponder.agents.verifier import JUDGE_PROMPT
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs.evidence import merged, searched
from ponder.messages import Sampling
from ponder.passages import Passage
from ponder.result import Candidate, StopReason, Task


@dataclass(frozen=True)
class Way:
    """One way to an answer, and how sure the model was on it."""

    candidate: Candidate
    score: float | None
    """Mean log-probability (nats); ``None`` if it is not known."""
    passages: tuple[Passage, ...] = ()
    """In the order in which the text numbers them."""
    parents: tuple[str, ...] = ()
    """Places of the thoughts that it comes from, beside its question."""

    @property
    def support(self) -> list[Passage]:
        """The passages that the text names."""
        found = cited(self.candidate.text, self.passages)
        return merged(citation.passage for citation in found)


@dataclass(frozen=True)
class Solved:
    """A question with all ways to its answer: closed book, open book, from parts."""

    question: str
    """With the answers that it refers to."""
    ways: tuple[Way, ...]

    @property
    def best(self) -> Way:
        """The most certain way; of equals the first one."""
        return max(self.ways, key=lambda w: (w.score is not None, w.score or 0.0))


@dataclass(frozen=True)
class Answering:
    """How questions are answered; the fields are those of the strategy."""

    k: int
    sampling: Sampling
    max_tokens: int
    votes: int

    async def solve(
        self,
        task: Task,
        query: Query,
        named: Sequence[str],
        parts: Sequence[Solved],
        place: RunContext,
    ) -> tuple[Solved | None, StopReason | None]:
        """Go all ways to the answer of one question, side by side.

        Args:
            task: The question, with the answers that it refers to.
            query: Where it stands in the tree.
            named: The answers that it refers to: the search looks for them too.
            parts: Its sub-questions.
            place: Its place.

        Returns:
            Nothing solved if the budget admitted no way; and the limit that was met.
        """
        ways: list[Awaitable[Way | None]] = [
            self.closed_book(task, place.at("closed")),
            self.open_book(task, () if parts else named, query, place),
        ]
        if parts:
            ways.append(self.from_parts(task, query, parts, place.at("parts")))
        found: list[Way] = []
        stop: StopReason | None = None
        for outcome in await settle(ways):
            if isinstance(outcome, OutOfBudget):
                stop = StopReason(outcome.dimension)
            elif isinstance(outcome, Exception):
                raise outcome
            elif outcome is not None:
                found.append(outcome)
        return Solved(task.question, tuple(found)) if found else None, stop

    async def closed_book(self, task: Task, place: RunContext) -> Way:
        """Answer from what the model knows."""
        explained = await self._explained(CLOSED_BOOK, task, place, "")
        return Way(explained.candidate, explained.logprob)

    async def open_book(
        self, task: Task, named: Sequence[str], query: Query, place: RunContext
    ) -> Way | None:
        """Answer from passages, if there are any."""
        if place.retriever is None:
            place.substitute("documents", "closed-book answers alone")
            return None
        parents = (place.id if query.depth else "question",)
        places = [place.at("search", j) for j in range(1 + len(named))]
        found = [
            await searched(wanted, self.k, at, parents)
            for wanted, at in zip((task.question, *named), places, strict=True)
        ]
        passages = tuple(merged(*found))
        if not passages:
            place.warn(f"No passage was found for '{task.question}': closed book only.")
            return None
        at = place.at("open")
        explained = await self._explained(OPEN_BOOK, task, at, numbered(passages))
        ids = tuple(p.id for p in places)
        return Way(explained.candidate, explained.logprob, passages, ids)

    async def from_parts(
        self, task: Task, query: Query, parts: Sequence[Solved], place: RunContext
    ) -> Way:
        """Answer from the answers of the sub-questions, and keep what they rest on."""
        passages = merged(*(part.best.support for part in parts))
        lines = "\n".join(_line(part, passages) for part in parts)
        explained = await self._explained(FROM_PARTS, task, place, lines)
        written = explained.candidate
        if written.text:
            text = f"{lines}\n\n{written.text}"
            written = written.model_copy(update={"text": text})
        score = explained.logprob
        if written.answer is not None and score is not None:
            scores = [part.best.score for part in parts]
            score = aggregated(score, query.logprob, scores)
        ids = tuple(part.best.candidate.id for part in parts)
        return Way(written, score, tuple(passages), ids)

    async def _explained(
        self, instructions: str, task: Task, place: RunContext, material: str
    ) -> Explained:
        explain = explainer(
            instructions, sampling=self.sampling, max_tokens=self.max_tokens
        )
        try:
            explained = await explain(task, place, material)
        except ModelError as error:
            failed = Candidate(id=place.id, text="", error=str(error))
            place.found(failed)
            return Explained(failed, UNSURE)
        if explained.logprob is not None:
            return explained
        return replace(explained, logprob=await self._judged(task, explained, place))

    async def _judged(
        self, task: Task, explained: Explained, place: RunContext
    ) -> float | None:
        """Ask whether an answer is right, where the model tells no probabilities."""
        place.substitute("logprobs", "log P(right) by the model's own judgement")
        asked = JUDGE_PROMPT.format(
            question=task.question, solution=explained.candidate.text
        )
        judge = place.at("sure").acting("verifier")
        try:
            chances = await choose(asked, ("Yes", "No"), judge, votes=self.votes)
        except (OutOfBudget, ModelError) as error:
            place.warn(f"How sure an answer is could not be asked: {error}")
            return None
        if chances is None:
            return None
        return math.log(p) if (p := chances["Yes"]) > 0 else UNSURE


def aggregated(
    explanation: float, listing: float | None, parts: Sequence[float | None]
) -> float:
    """Return how sure an answer from parts is: (l + d + sum of scores) / (n + 2).

    Args:
        explanation: l, mean log-probability (nats) of its explanation.
        listing: d, that of the tokens that list the parts.
        parts: The scores of the n parts.

    Returns:
        The mean over what is known.
    """
    terms = [explanation, *(x for x in (listing, *parts) if x is not None)]
    return math.fsum(terms) / len(terms)


def needs(tree: QueryTree, i: int) -> set[int]:
    """Return what must be solved before a question: its parts, and what it names."""
    return {*tree[i].children, *_named(tree, i).values()}


def posed(
    tree: QueryTree, i: int, solved: dict[int, Solved]
) -> tuple[str, tuple[str, ...]]:
    """Return a question with the answers that it names, and these answers.

    For a sibling without an answer its question is named instead.
    """
    known: dict[int, str] = {}
    said: list[str] = []
    for number, sibling in _named(tree, i).items():
        answer = solved[sibling].best.candidate.answer
        known[number] = answer or f"the answer to '{solved[sibling].question}'"
        said += [answer] if answer else []
    return resolved(tree[i].text, known), tuple(said)


def _named(tree: QueryTree, i: int) -> dict[int, int]:
    """Return the siblings that a question names, by their numbers in its text."""
    parent = tree[i].parent
    if parent is None:
        return {}
    siblings = tree[parent].children
    return {k: siblings[k - 1] for k in sorted(references(tree[i].text))}


def _line(part: Solved, passages: Sequence[Passage]) -> str:
    """Return a part as one line: its question, its answer, what that rests on."""
    ids = [p.id for p in passages]
    marks = sorted(ids.index(p.id) + 1 for p in part.best.support)
    behind = f" [{', '.join(map(str, marks))}]" if marks else ""
    answer = part.best.candidate.answer or "unknown"
    return f"{part.question.rstrip(' ?.')}: {answer}{behind}"
