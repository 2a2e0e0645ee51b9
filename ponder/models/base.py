"""The port behind which every model stands."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from pydantic import Field

from ponder.errors import UnsupportedCapability
from ponder.messages import (
    Completion,
    Message,
    OnDelta,
    Request,
    Sampling,
    Usage,
    Value,
)


class Capabilities(Value):
    """What a model can do beyond answering one prompt with one text."""

    n: bool = False
    """Several completions of one prompt in one call."""
    seed: bool = False
    logprobs: bool = False
    prefill: bool = False
    """Continue an assistant text."""
    thinks: bool = False
    """Write thoughts before each answer, which count as its tokens. Other models may
    do so, too."""
    output_schema: bool = False
    grammar: bool = False
    score: bool = False
    """Log-likelihood of given text."""
    embed: bool = False
    tools: bool = False
    stream: bool = False
    temperature: bool = True
    """Take a temperature; else it samples at one of its own."""
    top_p: bool = True
    context_length: int | None = Field(default=None, ge=1)
    """Tokens of prompt and output together, ``None`` if unknown."""

    def sampling(self, wish: Sampling) -> Sampling:
        """Return the part of a wish that the model takes."""
        able = {"temperature": self.temperature, "top_p": self.top_p}
        lacking = {name for name, can in able.items() if not can}
        if not lacking:
            return wish
        kept = wish.model_dump(exclude=lacking, exclude_unset=True)
        return Sampling.model_validate(kept)


class Model(ABC):
    """A language model. Only ``generate`` must be written.

    A model is used from one event loop at a time, by any number of callers.
    """

    name: str
    """Identity, as a user would write it: ``local``, ``gpt-4o-mini`` ..."""
    capabilities: Capabilities = Capabilities()

    @property
    def identity(self) -> str:
        """What tells it from another model of the same name, such as ``local``."""
        return self.name

    @abstractmethod
    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        """Answer a request.

        Cancelling the awaiting task stops the work and frees what it held.

        Args:
            request: Everything that decides the answer.
            on_delta: Told of text as it appears. A model that cannot stream calls
                it once for each completion, at the end.
            max_seconds: End with what there is when this time is over
                (``finish_reason="time"``); models that cannot do so ignore it.

        Returns:
            ``request.n`` completions.

        Raises:
            ModelError: The model could not do it; the subclass tells why.
        """

    def known(self) -> Capabilities:
        """Return the capabilities, from now on with what calls have taught.

        A run begins with it. During a run they stay as they are, since a replay has to
        make the same calls.
        """
        return self.capabilities

    async def prepare(self) -> None:
        """Do what takes long before the first call, beside the event loop."""
        return None

    def count_tokens(self, request: Request) -> int:
        """Return an upper bound of the prompt's tokens, without a call.

        The default is true of every byte-level tokenizer: no token is shorter than
        one byte, and a chat template adds a few tokens to each message.
        """
        texts = [m.content for m in request.messages] + [request.prefill]
        return sum(len(t.encode()) for t in texts) + 8 * len(request.messages)

    def price(self, usage: Usage) -> float | None:
        """Return the dollars that ``usage`` costs, ``None`` if no price is known."""
        return None

    async def probe(self) -> Capabilities:
        """Find out by trying what the model can do, and remember it."""
        return self.capabilities

    async def score(
        self, messages: Sequence[Message], continuations: Sequence[str]
    ) -> list[float]:
        """Return the log-likelihood (nats) of each text as the assistant's answer.

        Raises:
            UnsupportedCapability: The model gives no such likelihoods.
        """
        raise UnsupportedCapability(self.name, "score (log-likelihood of given text)")

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one unit-length vector for each text.

        Raises:
            UnsupportedCapability: The model gives no embeddings.
        """
        raise UnsupportedCapability(self.name, "embed (text embeddings)")

    def require(self, *capabilities: str) -> None:
        """Raise ``UnsupportedCapability`` for the first one that is missing."""
        for capability in capabilities:
            if not getattr(self.capabilities, capability):
                raise UnsupportedCapability(self.name, capability)

    async def aclose(self) -> None:
        """Free what the model holds; it cannot be used afterwards."""
        return None
