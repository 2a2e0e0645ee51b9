"""What the test doubles share: a world in which one token is one word."""

import asyncio
import re
from collections.abc import Sequence
from itertools import accumulate

from ponder.errors import ContextOverflow, UnsupportedCapability
from ponder.messages import Completion, OnDelta, Request, TokenLogprob, Usage
from ponder.models.base import Capabilities

_PIECE = re.compile(r"\s*\S+|\s+\Z")


def pieces(text: str) -> list[str]:
    """Split into words that keep the white space before them."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """Return how many words a text has."""
    return len(text.split())


def count_prompt(request: Request) -> int:
    """Return how many words the messages and the prefill have."""
    return sum(count(m.content) for m in request.messages) + count(request.prefill)


def check(model: str, capabilities: Capabilities, request: Request) -> None:
    """Refuse what a model is declared not to do.

    Raises:
        UnsupportedCapability: The request needs what the model lacks.
        ContextOverflow: Prompt and ``max_tokens`` exceed the context.
    """
    needs = {
        "temperature": request.sampling.sets_temperature,
        "top_p": request.sampling.top_p < 1,
        "n": request.n > 1,
        "logprobs": request.logprobs is not None,
        "prefill": bool(request.prefill),
        "output_schema": request.output_schema is not None,
        "grammar": request.grammar is not None,
        "tools": bool(request.tools),
    }
    for capability, needed in needs.items():
        if needed and not getattr(capabilities, capability):
            raise UnsupportedCapability(model, capability)
    needed_tokens = count_prompt(request) + request.max_tokens
    available = capabilities.context_length
    if available is not None and needed_tokens > available:
        raise ContextOverflow(needed_tokens, available, "Lower max_tokens.")


def limit(completion: Completion, request: Request) -> Completion:
    """End a completion at its stop strings and at ``max_tokens``."""
    text = completion.text
    ends = [at for stop in request.stop if stop and (at := text.find(stop)) >= 0]
    if ends:
        completion = cut(completion, text[: min(ends)])
    if count(completion.text) > request.max_tokens:
        kept = "".join(pieces(completion.text)[: request.max_tokens])
        completion = cut(completion, kept)
        completion = completion.model_copy(update={"finish_reason": "length"})
    return completion


def cut(completion: Completion, text: str) -> Completion:
    """Shorten a completion to the beginning ``text`` of its own text."""
    logprobs = completion.logprobs
    if logprobs is not None:
        ends = accumulate(len(token.token) for token in logprobs)
        kept = zip(logprobs, ends, strict=True)
        logprobs = tuple(token for token, end in kept if end <= len(text))
    return completion.model_copy(
        update={"text": text, "tokens": (), "logprobs": logprobs}
    )


def visible(completion: Completion, alternatives: int | None) -> Completion:
    """Keep the log-probabilities that were asked for, and no others."""
    if alternatives is None or completion.logprobs is None:
        return completion.model_copy(update={"logprobs": None})
    return completion.model_copy(
        update={"logprobs": tuple(_top(t, alternatives) for t in completion.logprobs)}
    )


def _top(token: TokenLogprob, alternatives: int) -> TokenLogprob:
    likeliest = sorted(token.top.items(), key=lambda item: -item[1])
    return token.model_copy(update={"top": dict(likeliest[:alternatives])})


async def deliver(
    drafts: Sequence[Completion],
    request: Request,
    *,
    seconds: float,
    on_delta: OnDelta | None,
    max_seconds: float | None,
) -> list[Completion]:
    """Take the time of a call, stream the words, and state the usage.

    The words of all completions come evenly over ``seconds``. A call with less time
    than that ends with the words it had (``finish_reason="time"``).

    Args:
        drafts: What the model says, not yet limited.
        request: The request that is answered.
        seconds: How long the call takes.
        on_delta: Told of every word, unless ``None``.
        max_seconds: How long the call may take.

    Returns:
        The completions. Those that state no usage of their own get the words of the
        prompt (on the first one) and of their text; ``seconds`` is the time taken.
    """
    ready = [visible(limit(draft, request), request.logprobs) for draft in drafts]
    if max_seconds is not None and max_seconds < seconds:
        ready = [_hasten(c, max(0.0, max_seconds) / seconds) for c in ready]
        seconds = max(0.0, max_seconds)
    if on_delta is None:
        # Even a call that takes no time gives its siblings a turn.
        await asyncio.sleep(seconds)
    else:
        await _stream([c.text for c in ready], seconds, on_delta)
    return [_charge(i, c, request, seconds) for i, c in enumerate(ready)]


def _hasten(completion: Completion, share: float) -> Completion:
    words = pieces(completion.text)
    kept = words[: int(len(words) * share)]
    if len(kept) == len(words):
        return completion
    short = cut(completion, "".join(kept))
    return short.model_copy(update={"finish_reason": "time"})


async def _stream(texts: list[str], seconds: float, on_delta: OnDelta) -> None:
    words = [pieces(text) for text in texts]
    steps = max(1, *map(len, words))
    clock = asyncio.get_running_loop().time
    start = clock()
    for step in range(steps):
        # To the moment, not for a while: what one sleep overruns must not add up.
        await asyncio.sleep(max(0.0, start + seconds * (step + 1) / steps - clock()))
        for index, mine in enumerate(words):
            if step < len(mine):
                on_delta(index, mine[step], step + 1)


def _charge(
    index: int, completion: Completion, request: Request, seconds: float
) -> Completion:
    if completion.usage != Usage():
        return completion
    usage = Usage(
        calls=1 if index == 0 else 0,
        input_tokens=count_prompt(request) if index == 0 else 0,
        output_tokens=count(completion.text),
        seconds=seconds if index == 0 else 0.0,
    )
    return completion.model_copy(update={"usage": usage})
