"""The role that orders passages by how likely they are to help with a question."""

from collections.abc import Sequence
from typing import Protocol

from ponder.agents.choice import choose
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import InvalidParameter, ModelError, OutOfBudget
from ponder.models.base import Model
from ponder.passages import Passage

RERANKER_PROMPT = """\
Question:
{question}

Passage:
{passage}

Does the passage contain something that helps to answer the question? Answer with one \
word: Yes or No."""


class Reranker(Protocol):
    """Orders passages. See ``reranker``."""

    async def __call__(
        self, question: str, passages: Sequence[Passage], k: int, context: RunContext
    ) -> list[Passage]:
        """Return the passages that help most, the best first.

        Args:
            question: What is to be answered.
            passages: In the order of the search; each is judged at a place of its own
                below ``context``, all side by side.
            k: At most so many, 1 or more.
            context: The place of the role.

        Returns:
            Passages whose ``score`` is P(relevant); of equals in the order of the
            search. Those that could not be judged (the budget is gone, the model
            failed, it said neither yes nor no) follow in the order of the search,
            with ``score=None``, and the run warns of them.

        Raises:
            InvalidParameter: k is below 1.
        """
        ...


def reranker(
    *, model: Model | None = None, votes: int = 5, prompt: str = RERANKER_PROMPT
) -> Reranker:
    """Return a reranker that asks a model about one passage at a time.

    P(relevant) is P(yes) / (P(yes) + P(no)), read from the probabilities of the first
    token of the answer, as in Nogueira et al. 2020, https://arxiv.org/abs/2003.06713;
    theirs was trained for it, this is any model.

    Args:
        model: Who judges; by default the model of the run.
        votes: How many sampled answers stand for the probabilities where the model
            gives none; the result of the run then names the substitute.
        prompt: With places for ``{question}`` and ``{passage}``.
    """

    async def judge(
        question: str, passage: Passage, context: RunContext
    ) -> float | None:
        text = f"{passage.title}\n{passage.text}".strip()
        chances = await choose(
            prompt.format(question=question, passage=text),
            ("Yes", "No"),
            context.acting("reranker"),
            model=model,
            votes=votes,
            voter="reranker",
        )
        return None if chances is None else chances["Yes"]

    async def order(
        question: str, passages: Sequence[Passage], k: int, context: RunContext
    ) -> list[Passage]:
        if k < 1:
            raise InvalidParameter(f"k is {k}: keep 1 passage or more.")
        judged = await settle(
            [judge(question, p, context.at(i)) for i, p in enumerate(passages)]
        )
        scores = [_score(outcome) for outcome in judged]
        if unscored := scores.count(None):
            context.warn(
                f"{unscored} of {len(passages)} passages could not be reranked: they "
                "stand behind the others."
            )
        return _ordered(passages, scores)[:k]

    return order


rerank = reranker()
"""The reranker with its defaults."""


def _score(outcome: float | None | Exception) -> float | None:
    if isinstance(outcome, OutOfBudget | ModelError):
        return None
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _ordered(
    passages: Sequence[Passage], scores: Sequence[float | None]
) -> list[Passage]:
    marked = [
        passage.model_copy(update={"score": score})
        for passage, score in zip(passages, scores, strict=True)
    ]
    # Stable, and an unscored one is behind even a score of 0.
    return sorted(marked, key=lambda p: (p.score is None, -(p.score or 0.0)))
