"""The way to one provider: sends calls through LiteLLM, retries, closes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ponder.errors import ModelError
from ponder.messages import Request, Usage
from ponder.models.base import Capabilities
from ponder.models.remote.errors import Malformed, Place
from ponder.models.remote.reply import Reply, read_reply, read_usage
from ponder.models.remote.request import completion_arguments
from ponder.models.remote.retry import Attempts, RetryPolicy
from ponder.models.remote.setup import Clients, Provider, find_provider, load_litellm
from ponder.models.remote.stream import Draft


@dataclass
class Channel:
    """Where and how a remote model is asked."""

    name: str
    model_id: str
    api_base: str | None
    api_key: str | None = field(repr=False)
    timeout: float
    max_concurrency: int
    policy: RetryPolicy
    extra: dict[str, Any] = field(repr=False)  # may hold headers with secrets
    closed: bool = False
    _provider: Provider | None = None
    _clients: Clients | None = None
    _slots: asyncio.Semaphore = field(init=False, repr=False)

    @property
    def provider(self) -> Provider:
        """Who answers; looked up on first use, which loads LiteLLM."""
        if self._provider is None:
            self._provider = find_provider(self.model_id, self.api_base)
        return self._provider

    async def open(self) -> None:
        """Be ready for calls from the running event loop."""
        if self.closed:
            raise ModelError(f"Model '{self.name}' was closed; open it anew.")
        if self._clients and self._clients.loop is asyncio.get_running_loop():
            return
        await asyncio.to_thread(load_litellm)
        if not self._clients or self._clients.loop is not asyncio.get_running_loop():
            self._clients = Clients()
            self._slots = asyncio.Semaphore(self.max_concurrency)

    async def close(self) -> None:
        """Close the connections; no call can be made afterwards."""
        self.closed = True
        clients, self._clients = self._clients, None
        if clients and clients.loop is asyncio.get_running_loop():
            await clients.release()

    def attempts(self, needed: int, context_length: int | None) -> Attempts:
        """Begin the record of a call.

        Args:
            needed: Upper bound of its tokens, prompt and output.
            context_length: Size of the model's context, if known.
        """
        place = Place(self.name, self.provider, needed, context_length, self.api_key)
        return Attempts(place)

    async def chat(
        self,
        request: Request,
        capabilities: Capabilities,
        attempts: Attempts,
        draft: Draft | None = None,
    ) -> Reply:
        """Ask for completions, with retries.

        Args:
            request: What is asked.
            capabilities: What may be asked.
            attempts: Where to note what was tried.
            draft: Where to gather the text of a stream; ``None`` for no stream.

        Raises:
            ModelError: No usable reply.
        """
        arguments = completion_arguments(
            request,
            self.provider,
            capabilities,
            owned_address=self.api_base is not None,
        )
        if draft is not None:
            arguments["stream"] = True
            if self.provider.takes("stream_options"):
                arguments["stream_options"] = {"include_usage": True}
        if request.tools:
            # Else LiteLLM imports its optional package for MCP, and fails without.
            arguments["_skip_mcp_handler"] = True
        arguments = {**self._common(), **arguments, **self.extra}

        async def attempt() -> Reply:
            async with self._slots:
                attempts.in_flight = True
                return await self._send(arguments, draft)

        return await attempts.run(self.policy, attempt)

    async def _send(self, arguments: dict[str, Any], draft: Draft | None) -> Reply:
        if draft is not None:
            draft.restart()
        # LiteLLM's own timeout is one of silence; a slow trickle would pass it.
        async with asyncio.timeout(self.timeout):
            response = await load_litellm().acompletion(**arguments)
        if draft is None:
            return read_reply(response)
        return await draft.gather(response, self.timeout)

    async def embed(
        self, texts: Sequence[str], attempts: Attempts
    ) -> list[list[float]]:
        """Ask for one vector for each text, with retries.

        Raises:
            ModelError: No usable reply.
        """
        arguments = {**self._common(), "input": list(texts)}
        del arguments["drop_params"], arguments["num_retries"]

        async def attempt() -> list[list[float]]:
            async with self._slots, asyncio.timeout(self.timeout):
                attempts.in_flight = True
                reply = await load_litellm().aembedding(**arguments, **self.extra)
            return _vectors(reply, len(texts))

        return await attempts.run(self.policy, attempt)

    def _common(self) -> dict[str, Any]:
        return {
            "model": self.model_id,
            "api_base": self.api_base,
            "api_key": self.api_key,
            "timeout": self.timeout,
            "max_retries": 0,
            "num_retries": 0,
            "drop_params": False,
        }


def _vectors(reply: Any, wanted: int) -> list[list[float]]:
    rows = sorted(reply.data or (), key=lambda row: int(row["index"]))
    vectors = [row["embedding"] for row in rows]
    if len(vectors) != wanted or not all(vectors):
        usage = read_usage(getattr(reply, "usage", None)) or Usage()
        raise Malformed(f"{len(vectors)} vectors for {wanted} texts", usage)
    return vectors
