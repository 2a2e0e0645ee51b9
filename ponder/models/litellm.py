"""Remote models of any provider, through LiteLLM."""

import asyncio
import json
import logging
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ponder.errors import InvalidParameter, ModelError
from ponder.messages import Completion, OnDelta, Request, Usage
from ponder.models.base import Capabilities, Model
from ponder.models.remote.channel import Channel
from ponder.models.remote.probe import Probe
from ponder.models.remote.reply import Reply
from ponder.models.remote.request import chat_messages
from ponder.models.remote.retry import RetryPolicy, full_jitter
from ponder.models.remote.setup import load_litellm
from ponder.models.remote.work import Work

log = logging.getLogger(__name__)

OWN_ARGUMENTS = frozenset(
    "api_base api_key drop_params logprobs max_completion_tokens max_retries "
    "max_tokens messages min_p model n num_retries response_format seed stop stream "
    "stream_options temperature timeout tools top_k top_logprobs top_p".split()
)
"""Arguments of LiteLLM that ``extra`` may not set: others decide about them."""
ANYTHING = Capabilities(
    n=True, seed=True, logprobs=True, prefill=True, output_schema=True, tools=True
)
OPENAI_MARGIN, MARGIN = 1.1, 2.0
"""LiteLLM counts with a tokenizer of OpenAI; those of others have smaller vocabularies
and need up to about twice as many tokens."""


class LiteLLMModel(Model):
    """A model behind an API that LiteLLM speaks.

    What a provider does not take is refused with ``UnsupportedCapability``, never
    left out. ``capabilities`` start from LiteLLM's tables; ``probe`` replaces them
    by what was tried, and a reply that breaks a promise corrects them for the next run.
    """

    def __init__(
        self,
        model_id: str,
        *,
        name: str | None = None,
        api_base: str | None = None,
        api_key: str | None = None,
        timeout: float = 60.0,
        max_retries: int = 4,
        retry_base: float = 0.5,
        retry_cap: float = 20.0,
        max_concurrency: int = 64,
        extra: dict[str, Any] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[float], float] = full_jitter,
    ) -> None:
        """Name the model. Nothing is loaded or called before the first use.

        Args:
            model_id: LiteLLM's name, ``provider/model``; ``openai/MODEL`` together
                with ``api_base`` for any OpenAI-compatible server.
            name: Identity for users; ``model_id`` if not given.
            api_base: Address of the server, such as ``http://127.0.0.1:8080/v1``.
            api_key: Secret; read from the provider's environment variable if not
                given. Never shown.
            timeout: Seconds for one attempt; of a stream, between two chunks.
            max_retries: Attempts after the first one. Only what may pass is retried:
                429, 5xx, timeouts, lost connections, unreadable replies.
            retry_base: Upper bound of the first delay, in seconds; it doubles.
            retry_cap: Upper bound of every delay, in seconds, also of ``Retry-After``.
            max_concurrency: Calls in flight at the same time.
            extra: Further arguments of ``litellm.acompletion``.
            sleep: Waits between attempts; for tests.
            jitter: Draws a delay below a bound, both in seconds; for tests.

        Raises:
            InvalidParameter: A value is outside its range.
        """
        if timeout <= 0 or max_concurrency < 1:
            raise InvalidParameter(
                "timeout must be above 0 and max_concurrency at least 1: "
                f"{timeout}, {max_concurrency}."
            )
        if taken := OWN_ARGUMENTS & set(extra or ()):
            raise InvalidParameter(
                f"extra may not set {', '.join(sorted(taken))}: "
                "the request or an argument of LiteLLMModel decides about it."
            )
        self.name = name or model_id
        # LiteLLM joins the turns of ollama/ into one prompt, past the chat template.
        self.model_id = model_id = re.sub("^ollama/", "ollama_chat/", model_id)
        self.channel = Channel(
            name=self.name,
            model_id=model_id,
            api_base=api_base,
            api_key=api_key,
            timeout=timeout,
            max_concurrency=max_concurrency,
            policy=RetryPolicy(max_retries, retry_base, retry_cap, sleep, jitter),
            extra=dict(extra or {}),
        )
        self.notes: tuple[str, ...] = ()
        """What was used in place of something that the provider left out."""
        self.cuts_stops = False
        """Whether stop strings are withheld and cut at here, because they ended the
        thoughts before an answer."""
        self.probe_usage = Usage()
        """What ``probe`` has used."""
        self._known: Capabilities | None = None
        self._shown: Capabilities | None = None
        self._probing: asyncio.Lock | None = None

    def __repr__(self) -> str:
        """Show where the model is, never the key."""
        base = self.channel.api_base
        return (
            f"LiteLLMModel({self.model_id!r}{f', api_base={base!r}' if base else ''})"
        )

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]  # loads lazily
        """What the model can do, as far as was known when ``known`` was last called."""
        return self.known() if self._shown is None else self._shown

    def known(self) -> Capabilities:
        """Return the capabilities, from now on with what calls have taught."""
        self._shown = self.able
        return self._shown

    @property
    def able(self) -> Capabilities:
        """What the model can do, as far as is known at this moment."""
        if self._known is None:
            self._known = self.channel.provider.prior()
        return self._known

    def learn(self, capability: str, able: bool) -> None:
        """Remember what a reply has shown about a capability."""
        if hasattr(self.able, capability):
            self._known = self.able.model_copy(update={capability: able})

    def note(self, note: str) -> None:
        """Remember, and log once, what stood in for something missing."""
        if note not in self.notes:
            self.notes += (note,)
            log.warning("%s: %s", self.name, note)

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        """Answer a request; see ``Model.generate``.

        Completions that the provider owes (it ignores ``n``, or does not have it) are
        asked for one by one; each such call is charged, and the seed is raised by its
        place. A call for one completion is streamed if ``on_delta`` or
        ``max_seconds`` is given. A stream that breaks off is retried as a whole, so
        deltas may come again; they are raw text, tags of thought included.

        Args:
            request: What is asked.
            on_delta: Told of text as it appears.
            max_seconds: Limit of the whole call with all its retries. What has come
                by then is returned with ``finish_reason="time"``.

        Raises:
            ModelUnreachable: No usable answer after all retries.
            ModelRejected: The provider refuses the request.
            ContextOverflow: The request does not fit.
            UnsupportedCapability: The model lacks what the request needs.
            MalformedReply: The arguments of a tool call cannot be read.
        """
        await self.channel.open()
        streamed = on_delta is not None or max_seconds is not None
        work = Work(self, request, on_delta, streamed)
        limit = asyncio.timeout(max_seconds)
        try:
            async with limit:
                return await work.complete()
        except TimeoutError:
            if max_seconds is None or not limit.expired():
                raise
            return work.cut_short(max_seconds)

    def count_tokens(self, request: Request) -> int:
        """Return an upper bound of the prompt's tokens, without a call.

        LiteLLM's count with a margin for other tokenizers, and never more than one
        token for each byte.
        """
        provider = self.channel.provider
        messages = chat_messages(request, provider)
        further = [t.model_dump() for t in request.tools] + [
            request.output_schema or {}
        ]
        texts = [json.dumps(part, ensure_ascii=False) for part in messages + further]
        frame = 16 + 8 * len(messages)
        known = provider.name == "openai" and provider.entry
        try:
            counter = load_litellm().token_counter
            counted: float = sum(
                counter(model=self.model_id, text=text) for text in texts
            )
        except Exception:  # any tokenizer trouble leaves the bound below
            counted = math.inf
        margin = OPENAI_MARGIN if known else MARGIN
        size = sum(len(text.encode()) for text in texts)
        return frame + int(math.ceil(min(size, counted * margin)))

    def price(self, usage: Usage) -> float | None:
        """Return the dollars by LiteLLM's price map, ``None`` if it has no price."""
        provider = self.channel.provider
        if "input_cost_per_token" not in provider.entry:
            return None
        litellm = load_litellm()
        try:
            prompt, output = litellm.cost_per_token(
                model=self.model_id,
                custom_llm_provider=provider.name,
                usage_object=litellm.Usage(
                    prompt_tokens=usage.input_tokens,
                    completion_tokens=usage.output_tokens,
                    total_tokens=usage.total_tokens,
                    prompt_tokens_details={"cached_tokens": usage.cached_tokens},
                ),
            )
        except Exception:  # a gap in the price map, which it reports in many ways
            return None
        return float(prompt + output)

    async def probe(self) -> Capabilities:
        """Try every capability with a tiny call, once, and remember the outcome.

        At most eight calls of at most 48 output tokens each; what they used is in
        ``probe_usage``.

        Raises:
            ModelError: The model does not even answer a plain question.
        """
        await self.channel.open()
        if self._probing is None:
            self._probing = asyncio.Lock()
        async with self._probing:
            if not self.probe_usage.calls:
                probe = Probe(self._ask_anything)
                found = await probe.run(self.able, self.channel.provider.params)
                self.probe_usage = probe.usage
                for capability, able in found.items():
                    self.learn(capability, able)
        return self.known()

    async def _ask_anything(self, request: Request) -> Reply:
        sampling = self.able.sampling(request.sampling)
        request = request.model_copy(update={"sampling": sampling})
        attempts = self.channel.attempts(request.max_tokens, None)
        return await self.channel.chat(request, ANYTHING, attempts)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one unit-length vector for each text.

        Raises:
            ModelError: The provider gives no embeddings, or no usable ones.
        """
        if not texts:
            return []
        await self.channel.open()
        size = sum(len(text.encode()) for text in texts)
        attempts = self.channel.attempts(size, self.able.context_length)
        vectors = await self.channel.embed(texts, attempts)
        return [_unit(vector, self.name) for vector in vectors]

    async def aclose(self) -> None:
        """Close the connections; the model cannot be used afterwards."""
        await self.channel.close()


def _unit(vector: list[float], name: str) -> list[float]:
    length = math.hypot(*vector)
    if not length or not math.isfinite(length):
        raise ModelError(f"Model '{name}' returned an embedding without a direction.")
    return [x / length for x in vector]
