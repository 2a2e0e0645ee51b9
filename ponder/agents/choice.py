"""Reading one word from a model: how likely each of a few words is as its answer."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from ponder.concurrency import settle
from ponder.context import Composite, RunContext
from ponder.errors import InvalidParameter, ModelError, OutOfBudget
from ponder.messages import GREEDY, Message, Request, Sampling, user
from ponder.models.base import Model

T = TypeVar("T")

REMINDER = """\


Answer with one of these words, and with nothing else: {words}."""

LEAST = 0.1
"""Probability of all words together below which a model answers something else."""

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
            gives none; the result of the run then names the substitute.
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
    if not model.capabilities.logprobs:
        context.substitute("logprobs", f"{votes} sampled votes of the {voter}")
    turns = (*before, user(prompt))
    chances = await _asked(turns, words, context, model, votes)
    if chances is None:
        turns = (*before, user(prompt + reminder.format(words=", ".join(words))))
        chances = await _asked(turns, words, context.at("again"), model, votes)
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


async def _asked(
    turns: tuple[Message, ...],
    words: Sequence[str],
    context: RunContext,
    model: Model,
    votes: int,
) -> dict[str, float] | None:
    request = Request(messages=turns, max_tokens=1, sampling=GREEDY)
    if not model.capabilities.logprobs:
        return await _voted(request, words, context, model, votes)
    request = request.model_copy(update={"logprobs": TOP})
    (completion,) = await context.generate(request, model)
    if not completion.logprobs:
        return None
    return probabilities(completion.logprobs[0].top, words)


async def _voted(
    request: Request,
    words: Sequence[str],
    context: RunContext,
    model: Model,
    votes: int,
) -> dict[str, float] | None:
    request = request.model_copy(update={"sampling": Sampling(temperature=1.0)})
    places = [context.at("vote", i) for i in range(votes)]
    outcomes = await settle([place.generate(request, model) for place in places])
    said = [normal(c.text) for found in brought(outcomes, context) for c in found]
    counts = {word: said.count(normal(word)) for word in words}
    total = sum(counts.values())
    return {w: n / total for w, n in counts.items()} if total else None
