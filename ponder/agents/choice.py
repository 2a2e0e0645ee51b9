"""Reading one word from a model: how likely each of a few words is as its answer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ponder.concurrency import settle
from ponder.context import Composite, RunContext
from ponder.errors import (
    InvalidParameter,
    ModelError,
    OutOfBudget,
    UnsupportedCapability,
)
from ponder.messages import (
    GREEDY,
    Completion,
    Message,
    Request,
    Sampling,
    user,
)
from ponder.models.base import Model
from ponder.models.thinking import THOUGHT_TAGS

T = TypeVar("T")

REMINDER = """\


Answer with one of these words, and with nothing else: {words}."""

LEAST = 0.1
"""Probability of all words together below which a model answers something else."""

THOUGHTS = 2048
"""Tokens of a vote of a model that thinks before it answers."""

TOP = 20
"""Log-probabilities asked for; the most that OpenAI's interface gives."""


async def choose(
    prompt: str,
    words: Sequence[str],
    context: RunContext,
    *,
    before: Sequence[Message] = (),
    model: Model | None = None,
    votes: int = 5,
    voter: str = "model",
    reminder: str = REMINDER,
) -> dict[str, float] | None:
    """Return how likely a model is to answer with each of a few words.

    The probabilities are those of the first token of the answer. If it is none of the
    words, the model is asked once more, at the place ``again`` below this one.

    Args:
        prompt: The question, which must tell the model to answer with one word.
        words: What it may answer, such as ``("Yes", "No")``; case does not matter.
            A word that a model writes in several tokens cannot be read.
        context: The place of the call.
        before: The conversation that the question is asked in.
        model: Whom to ask; by default the model of the run.
        votes: How many sampled answers stand for the probabilities where the model
            gives none, or thinks first; the result then names the substitute.
        voter: Who votes, for that note.
        reminder: Put behind the prompt when it is asked again, with a place for
            ``{words}``.

    Returns:
        The probability of each word, given that it is one of them; ``None`` if the
        answer was none of them twice.

    Raises:
        InvalidParameter: There are no two different words.
        OutOfBudget: The budget admits no such call, and no vote in its place.
        ModelError: The call failed, or all votes did.
    """
    if len({normal(word) for word in words}) != len(words) or len(words) < 2:
        raise InvalidParameter(f"words are {words!r}: give two or more, all different.")
    model = model or plain_model(context.model)
    poll = _Poll(tuple(words), model, votes, voter)
    chances = await poll.asked((*before, user(prompt)), context)
    if chances is None:
        turns = (*before, user(prompt + reminder.format(words=", ".join(words))))
        chances = await poll.asked(turns, context.at("again"))
    return chances


def probabilities(
    top: Mapping[str, float], words: Sequence[str]
) -> dict[str, float] | None:
    """Return the probabilities of words among the likeliest tokens.

    Args:
        top: Log-probability (nats) of each token.
        words: The words; tokens that differ from one in case, white space or
            punctuation around it are counted to it.

    Returns:
        The share of each in their sum; ``None`` if that is less than ``LEAST``: what
        is left over for a word then says nothing of what the model thinks.
    """
    mass = {normal(word): 0.0 for word in words}
    for token, logprob in top.items():
        if normal(token) in mass and math.isfinite(logprob):
            mass[normal(token)] += math.exp(min(0.0, logprob))
    total = math.fsum(mass.values())
    return {w: mass[normal(w)] / total for w in words} if total >= LEAST else None


def normal(text: str) -> str:
    """Return a word in lower case, without what may stand around it."""
    return text.strip().strip(".,:!*\"'()").lower()


def plain_model(model: Model) -> Model:
    """Return the model at the bottom of strategies that stand for models."""
    while isinstance(model, Composite):
        model = model.base
    return model


def brought(outcomes: Sequence[T | Exception], context: RunContext) -> list[T]:
    """Return what branches have brought: what was paid for is not lost with the rest.

    Args:
        outcomes: Of the branches, errors included.
        context: The place that warns of calls that failed or were refused.

    Raises:
        Exception: The first error, if it is no refusal or failure of a call, or if
            there is nothing else.
    """
    found = [one for one in outcomes if not isinstance(one, Exception)]
    for error in (one for one in outcomes if isinstance(one, Exception)):
        if not found or not isinstance(error, ModelError | OutOfBudget):
            raise error
        context.warn(str(error))
    return found


@dataclass(frozen=True)
class _Poll:
    """Who is asked for which words."""

    words: tuple[str, ...]
    model: Model
    votes: int
    voter: str

    async def asked(
        self, turns: tuple[Message, ...], context: RunContext
    ) -> dict[str, float] | None:
        """Return the probabilities of the words, or the shares of votes."""
        request = Request(messages=turns, max_tokens=1, sampling=GREEDY)
        able = self.model.capabilities
        if able.logprobs and not able.thinks:
            top = await self._likeliest(request, context)
            if top is not None:
                return probabilities(top, self.words)
        used = f"{self.votes} sampled votes of the {self.voter}"
        context.substitute("logprobs", used)
        return await self._voted(request, context)

    async def _likeliest(
        self, request: Request, context: RunContext
    ) -> Mapping[str, float] | None:
        """Return how the answer may begin; ``None`` if that cannot be had."""
        request = request.model_copy(update={"logprobs": TOP})
        try:
            (completion,) = await context.generate(request, self.model)
        except UnsupportedCapability:
            # Its provider lists them, and refuses.
            return None
        first = (completion.logprobs or (None,))[0]
        thinks = first is not None and first.token.strip() in THOUGHT_TAGS
        if thinks or completion.reasoning is not None:
            return None
        return {} if first is None else first.top

    async def _voted(
        self, request: Request, context: RunContext
    ) -> dict[str, float] | None:
        """Let the model vote; one that thinks first gets room for its thoughts."""
        said: list[Completion] = []
        if not self.model.capabilities.thinks:
            said = await self._sampled(request, context, "vote")
        if all(vote.thought_only for vote in said):
            roomy = request.model_copy(update={"max_tokens": THOUGHTS})
            said = await self._sampled(roomy, context, "thought")
        found = [self._word(vote.text) for vote in said]
        counts = {word: found.count(word) for word in self.words}
        total = sum(counts.values())
        return {word: n / total for word, n in counts.items()} if total else None

    async def _sampled(
        self, request: Request, context: RunContext, name: str
    ) -> list[Completion]:
        request = request.model_copy(update={"sampling": Sampling(temperature=1.0)})
        places = [context.at(name, i) for i in range(self.votes)]
        outcomes = await settle([p.generate(request, self.model) for p in places])
        return [vote for found in brought(outcomes, context) for vote in found]

    def _word(self, text: str) -> str | None:
        """Return the word that an answer is, or begins with."""
        known = {normal(word): word for word in self.words}
        begin = normal(text.split(maxsplit=1)[0]) if text.split() else ""
        return known.get(normal(text), known.get(begin))
