"""What LiteLLM returned, as completions of ponder."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from ponder.errors import MalformedReply, UnsupportedCapability
from ponder.messages import (
    Completion,
    FinishReason,
    Request,
    TokenLogprob,
    ToolCall,
    Usage,
)
from ponder.models.remote.errors import Malformed
from ponder.models.remote.retry import paid_note
from ponder.models.remote.setup import Provider
from ponder.models.thinking import split_thinking

ECHOED_PREFILL = frozenset({"mistral", "codestral"})
"""Providers whose reply repeats the prefill."""


@dataclass
class Choice:
    """One alternative of a reply, whole or gathered from a stream."""

    text: str = ""
    reasoning: str = ""
    finish: str = "stop"
    logprobs: list[Any] | None = None
    tool_calls: list[tuple[str, str, str]] = field(default_factory=list)
    """Id, name and the arguments as JSON text."""


@dataclass
class Reply:
    """A reply, whole or gathered from a stream."""

    choices: list[Choice]
    usage: Usage | None
    """``None`` if the provider did not report it."""


def read_usage(raw: Any) -> Usage | None:
    """Read a usage report; LiteLLM writes zeros where the provider sent none."""
    if raw is None or not (raw.prompt_tokens or raw.completion_tokens):
        return None
    details = getattr(raw, "prompt_tokens_details", None)
    return Usage(
        calls=1,
        input_tokens=raw.prompt_tokens or 0,
        cached_tokens=getattr(details, "cached_tokens", None) or 0,
        output_tokens=raw.completion_tokens or 0,
    )


def read_reply(response: Any) -> Reply:
    """Read a ``ModelResponse``.

    Raises:
        Malformed: It holds no choice.
    """
    usage = read_usage(getattr(response, "usage", None))
    if not response.choices:
        raise Malformed("the reply holds no choices", usage)
    return Reply([_read_choice(choice) for choice in response.choices], usage)


def _read_choice(choice: Any) -> Choice:
    message = choice.message
    return Choice(
        text=message.content or "",
        reasoning=getattr(message, "reasoning_content", None) or "",
        finish=choice.finish_reason,
        logprobs=read_logprobs(choice),
        tool_calls=[
            (call.id or "", call.function.name or "", call.function.arguments or "")
            for call in message.tool_calls or ()
        ],
    )


def read_logprobs(choice: Any) -> list[Any] | None:
    """Return the log-probability records of a choice or a chunk of a stream."""
    return getattr(getattr(choice, "logprobs", None), "content", None)


def to_completions(
    reply: Reply,
    usage: Usage,
    request: Request,
    *,
    withheld: Sequence[str],
    wasted: Usage,
    model: str,
    provider: Provider,
    price: Callable[[Usage], float | None],
) -> list[Completion]:
    """Make completions of a reply, and share its usage out among them.

    Args:
        reply: What came.
        usage: What it cost; the output is divided by the length of the texts.
        withheld: Stop strings that were not sent: the texts are cut at them.
        wasted: What failed attempts before it cost; charged to the first completion.
        request: What was asked.
        model: Name for error messages.
        provider: Who was asked.
        price: Dollars of a usage.

    Raises:
        UnsupportedCapability: Log-probabilities were asked for, and are missing.
        MalformedReply: The arguments of a tool call cannot be read.
    """
    choices, paid = reply.choices[: request.n], usage + wasted
    if request.logprobs is not None:
        _require_logprobs(choices, model, paid)
    weights = [len(c.text) + len(c.reasoning) + len(str(c.tool_calls)) for c in choices]
    completions = []
    for index, output in enumerate(share_out(usage.output_tokens, weights)):
        base, more = (usage, wasted) if index == 0 else (Usage(), Usage())
        part = base.model_copy(update={"output_tokens": output}) + more
        part = part.model_copy(update={"cost": price(part)})
        completions.append(
            _completion(choices[index], part, paid, request, withheld, model, provider)
        )
    return completions


def _require_logprobs(choices: Sequence[Choice], model: str, usage: Usage) -> None:
    if any(choice.text and not choice.logprobs for choice in choices):
        raise UnsupportedCapability(
            model,
            "logprobs",
            "They were asked for, and the provider left them out without a word."
            + paid_note(usage),
        )


def _completion(
    choice: Choice,
    part: Usage,
    total: Usage,
    request: Request,
    withheld: Sequence[str],
    model: str,
    provider: Provider,
) -> Completion:
    thought, answer = split_thinking(_continuation(choice.text, request, provider))
    if choice.reasoning:
        # LiteLLM splits too, and leaves the line breaks after the closing tag.
        answer = answer.lstrip()
    text = _before(answer, withheld)
    logprobs = None
    if request.logprobs is not None:
        logprobs = tuple(_token_logprob(record) for record in choice.logprobs or ())
    return Completion(
        text=text,
        finish_reason=_finish_reason(choice) if text == answer else "stop",
        usage=part,
        logprobs=logprobs,
        reasoning=choice.reasoning or thought or None,
        tool_calls=tuple(_tool_call(call, model, total) for call in choice.tool_calls),
    )


def _continuation(text: str, request: Request, provider: Provider) -> str:
    """Return what a reply adds to the prefill."""
    if request.prefill and provider.name in ECHOED_PREFILL:
        return text.removeprefix(request.prefill)
    if request.prefill[-1:].isspace() and provider.claude:
        # It refuses white space at the end, which LiteLLM cuts off, and writes its own.
        return text.lstrip()
    return text


def _before(text: str, stops: Sequence[str]) -> str:
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends, default=len(text))]


def _finish_reason(choice: Choice) -> FinishReason:
    # Many servers end a tool call with "stop"; LiteLLM maps all unknown words to it.
    if choice.tool_calls and choice.finish == "stop":
        return "tool_calls"
    if choice.finish in get_args(FinishReason):
        return cast(FinishReason, choice.finish)
    return "tool_calls" if choice.finish == "function_call" else "stop"


def _token_logprob(record: Any) -> TokenLogprob:
    top = {t.token: t.logprob for t in record.top_logprobs or ()}
    return TokenLogprob(token=record.token, logprob=record.logprob, top=top)


def _tool_call(call: tuple[str, str, str], model: str, usage: Usage) -> ToolCall:
    identity, name, arguments = call
    try:
        parsed = json.loads(arguments or "{}")
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise MalformedReply(
            f"Model '{model}' called the tool '{name}' with arguments that are no JSON "
            f"object: {arguments[:200]!r}. Ask again, or raise max_tokens if they were "
            "cut off." + paid_note(usage)
        )
    return ToolCall(id=identity, name=name, arguments=parsed)


def share_out(total: int, weights: Sequence[int]) -> list[int]:
    """Divide a whole number in proportion to weights; the parts add up to it."""
    whole = sum(weights)
    if not whole:
        return [total] + [0] * (len(weights) - 1)
    ends, seen = [0], 0
    for weight in weights:
        seen += weight
        ends.append(total * seen // whole)
    return [b - a for a, b in zip(ends, ends[1:], strict=False)]
