"""Gather a stream of chunks into a reply."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from ponder.messages import OnDelta
from ponder.models.remote.errors import Malformed
from ponder.models.remote.reply import Choice, Reply, read_logprobs, read_usage


@dataclass
class Draft:
    """One completion that is being streamed."""

    index: int
    on_delta: OnDelta | None
    choice: Choice = field(default_factory=Choice)
    chunks: int = 0
    """Chunks that brought text: not fewer tokens than this have come."""
    calls: dict[int, list[str]] = field(default_factory=dict)
    """Tool calls by their index: id, name, arguments so far."""

    def restart(self) -> None:
        """Forget what came: the stream is retried as a whole."""
        self.choice, self.chunks, self.calls = Choice(), 0, {}

    async def gather(self, stream: Any, silence: float) -> Reply:
        """Read a stream to its end.

        Args:
            stream: What ``litellm.acompletion(stream=True)`` returned.
            silence: Longest wait for the next chunk, in seconds.

        Raises:
            Malformed: The stream ended before the model did.
            TimeoutError: No chunk came in time.
        """
        usage = None
        try:
            while (chunk := await _next(stream, silence)) is not None:
                usage = getattr(chunk, "usage", None) or usage
                for choice in chunk.choices:
                    self._add(choice)
        finally:
            # An abandoned stream would keep its connection.
            await stream.aclose()
        # LiteLLM makes up a finish reason and a usage where the provider sent none.
        reported = any(getattr(c, "usage", None) for c in getattr(stream, "chunks", ()))
        read = read_usage(usage) if reported else None
        if not _finished(stream):
            raise Malformed("the stream ended before the model did", read)
        self.choice.tool_calls = [
            (parts[0], parts[1], parts[2]) for parts in self.calls.values()
        ]
        return Reply([self.choice], read)

    def _add(self, choice: Any) -> None:
        delta = choice.delta
        self.choice.finish = choice.finish_reason or self.choice.finish
        self.choice.reasoning += getattr(delta, "reasoning_content", None) or ""
        logprobs = read_logprobs(choice)
        if logprobs:
            self.choice.logprobs = [*(self.choice.logprobs or ()), *logprobs]
        for call in getattr(delta, "tool_calls", None) or ():
            parts = self.calls.setdefault(call.index or 0, ["", "", ""])
            parts[0] = call.id or parts[0]
            parts[1] = call.function.name or parts[1]
            parts[2] += call.function.arguments or ""
        if text := delta.content:
            self.choice.text += text
            self.chunks += 1
            if self.on_delta is not None:
                self.on_delta(self.index, text, self.chunks)


def _finished(stream: Any) -> bool:
    reasons = ("received_finish_reason", "intermittent_finish_reason")
    return any(getattr(stream, name, "unknown") is not None for name in reasons)


async def _next(stream: Any, silence: float) -> Any:
    try:
        async with asyncio.timeout(silence):
            return await stream.__anext__()
    except StopAsyncIteration:
        return None
