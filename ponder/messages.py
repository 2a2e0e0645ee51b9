"""The values that travel between ponder and a model. All frozen, all JSON."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, computed_field

LEAST_LOGPROB = -9999.0
"""Stands for the log-probability of what cannot be, which JSON has no number for."""


def readable(text: str) -> str:
    """Return a text without halves of surrogate pairs, which nothing can write.

    An API that cuts a reply in the middle of an emoji sends them.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def written(logprob: float) -> float:
    """Return a log-probability that JSON has a number for."""
    return logprob if LEAST_LOGPROB < logprob < math.inf else LEAST_LOGPROB


Logprob = Annotated[float, AfterValidator(written)]
"""A log-probability (nats), never infinite."""
Text = Annotated[str, AfterValidator(readable)]
"""A text that can be written and sent."""


class Value(BaseModel):
    """A frozen record that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolCall(Value):
    """A model's wish to call a tool."""

    id: str
    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Message(Value):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Text = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


def system(content: str) -> Message:
    """Return a system message."""
    return Message(role="system", content=content)


def user(content: str) -> Message:
    """Return a user message."""
    return Message(role="user", content=content)


def assistant(content: str) -> Message:
    """Return an assistant message."""
    return Message(role="assistant", content=content)


class ToolSpec(Value):
    """What a model is told about a tool."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments."""


class Usage(Value):
    """What calls have consumed."""

    # Its own JSON holds the computed total, which must not be refused on reading.
    model_config = ConfigDict(frozen=True, extra="ignore")

    calls: int = 0
    input_tokens: int = 0
    """Prompt tokens, those served from a cache included."""
    cached_tokens: int = 0
    """The part of ``input_tokens`` that was served from a cache."""
    output_tokens: int = 0
    seconds: float = 0.0
    """Wall time. Of one call, or of the whole run in a ``Result``."""
    cost: float | None = None
    """US dollars; ``None`` where no price is known."""

    @computed_field  # type: ignore[prop-decorator]  # pydantic's documented form
    @property
    def total_tokens(self) -> int:
        """Input plus output tokens."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        """Add up field by field; an unknown cost adds nothing to a known one."""
        costs = [c for c in (self.cost, other.cost) if c is not None]
        return Usage.model_construct(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            seconds=self.seconds + other.seconds,
            cost=sum(costs) if costs else None,
        )


class Sampling(Value):
    """How the next token is drawn."""

    temperature: float = Field(default=0.7, ge=0)
    """0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    """0 keeps all tokens."""
    min_p: float = Field(default=0.0, ge=0, lt=1)

    @property
    def sets_temperature(self) -> bool:
        """Whether a temperature was chosen, and another one than every model has."""
        return "temperature" in self.model_fields_set and self.temperature != 1


GREEDY = Sampling(temperature=0.0)


class Request(Value):
    """Everything that decides what a model answers."""

    messages: tuple[Message, ...] = Field(min_length=1)
    n: int = Field(default=1, ge=1)
    """How many independent completions."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of each completion."""
    sampling: Sampling = Sampling()
    seed: int | None = None
    stop: tuple[str, ...] = ()
    """Generation ends before any of these strings; they are not returned."""
    prefill: str = ""
    """Assistant text to continue from; it is not part of the completion."""
    prefill_tokens: tuple[int, ...] | None = None
    """The tokens of ``prefill`` where the same model wrote it (exact reuse)."""
    output_schema: dict[str, Any] | None = None
    """JSON schema that the completion must satisfy."""
    grammar: str | None = None
    """Lark grammar that the completion must satisfy (local models)."""
    tools: tuple[ToolSpec, ...] = ()
    logprobs: int | None = Field(default=None, ge=0, le=100)
    """How many alternatives per token; 0 is the chosen token alone."""


class TokenLogprob(Value):
    """One generated token and how likely it was before any temperature.

    Where a completion ended before it began, its one entry is the token that ended it.
    """

    token: Text
    logprob: Logprob
    top: dict[str, Logprob] = Field(default_factory=dict)
    """Log-probabilities of the likeliest tokens at this place."""


FinishReason = Literal["stop", "length", "time", "tool_calls", "content_filter"]


class Completion(Value):
    """One answer of a model."""

    text: Text
    tokens: tuple[int, ...] = ()
    """Token ids of ``text``, where the model is local."""
    finish_reason: FinishReason = "stop"
    usage: Usage = Usage()
    """Of this completion; the prompt is charged to the first of ``n``."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    reasoning: Text | None = None
    """Text of a thinking model before its answer."""
    tool_calls: tuple[ToolCall, ...] = ()

    @property
    def thought_only(self) -> bool:
        """Whether its tokens were over before the answer began.

        Some providers keep the thoughts to themselves, so that nothing is left.
        """
        thought = self.reasoning is not None or self.finish_reason == "length"
        return thought and not (self.text.strip() or self.tool_calls)

    @property
    def logprob(self) -> float | None:
        """Log-probability of the whole text, ``None`` if not asked for."""
        if self.logprobs is None:
            return None
        return sum(t.logprob for t in self.logprobs)


OnDelta = Callable[[int, str, int], None]
"""Told of ``(index of the completion, new text, output tokens so far)``."""
