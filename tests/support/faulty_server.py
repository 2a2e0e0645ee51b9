"""An OpenAI-compatible server that answers by script, faults included."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.http_server import Call, Connection, serve

USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


@dataclass
class Reply:
    """What the server does with one request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    claimed_length: int | None = None
    events: Sequence[str] | None = None
    drop: bool = False
    """Cut the connection at the end, instead of ending the stream."""
    hang: bool = False
    """Say nothing (more) until the client goes away."""
    delay: float = 0.0
    """Seconds before the reply."""


def choice(text: str = "ok", index: int = 0, **extra: Any) -> dict[str, Any]:
    """One choice; ``extra`` goes into the choice, ``message`` is merged."""
    message = {"role": "assistant", "content": text, **extra.pop("message", {})}
    return {"index": index, "finish_reason": "stop", "message": message, **extra}


def chat(
    *choices: dict[str, Any], usage: dict[str, Any] | None = USAGE, **extra: Any
) -> Reply:
    """A well-formed chat completion."""
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "tiny",
        "choices": [{**c, "index": i} for i, c in enumerate(choices or (choice(),))],
        **extra,
    }
    if usage is not None:
        body["usage"] = usage
    return Reply(body=json.dumps(body).encode())


def error(status: int, message: str = "no", **headers: str) -> Reply:
    """An error in OpenAI's form."""
    code = extra_code(message)
    body = {"error": {"message": message, "type": "x", "param": None, "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, body=json.dumps(body).encode(), headers=named)


def extra_code(message: str) -> str | None:
    return "context_length_exceeded" if "context length" in message else None


def raw(body: bytes, claimed_length: int | None = None) -> Reply:
    """Any bytes; with a claimed length above theirs the body is cut short."""
    return Reply(body=body, claimed_length=claimed_length)


def hang() -> Reply:
    return Reply(hang=True)


def stream(
    *texts: str,
    finish: str | None = "stop",
    usage: dict[str, Any] | None = USAGE,
    drop: bool = False,
    hang: bool = False,
    done: bool = True,
    deltas: Sequence[dict[str, Any]] = (),
) -> Reply:
    """A stream of chunks; ``deltas`` are sent before the texts."""

    def chunk(choices: list[dict[str, Any]], **extra: Any) -> str:
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1}
        return json.dumps({**head, "model": "tiny", "choices": choices, **extra})

    events = [
        chunk([{"index": 0, "delta": delta, "finish_reason": None}])
        for delta in [{"role": "assistant"}, *deltas, *({"content": t} for t in texts)]
    ]
    if not (drop or hang):
        if finish:
            events.append(chunk([{"index": 0, "delta": {}, "finish_reason": finish}]))
        if usage is not None:
            events.append(chunk([], usage=usage))
        if done:
            events.append("[DONE]")
    return Reply(events=events, drop=drop, hang=hang)


@dataclass
class FaultyServer:
    """Answers each request with the next reply of its script."""

    replies: list[Reply]
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    cut: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client went away during a reply that hangs."""
    called: asyncio.Event = field(default_factory=asyncio.Event)
    unexpected: int = 0
    running: int = 0
    most_at_once: int = 0

    async def handle(self, call: Call, connection: Connection) -> None:
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await self._answer(call, connection)
        finally:
            self.running -= 1

    async def _answer(self, call: Call, connection: Connection) -> None:
        self.calls.append(call)
        self.called.set()
        if len(self.calls) > len(self.replies):
            self.unexpected += 1
            await connection.send_json({"error": {"message": "script is over"}}, 400)
            return
        reply = self.replies[len(self.calls) - 1]
        await asyncio.sleep(reply.delay)
        if reply.events is not None:
            connection.start_events()
            for event in reply.events:
                await connection.send_event(event)
        if reply.hang:
            await connection.gone.wait()
            self.cut.set()
        elif reply.drop:
            connection.writer.transport.abort()
        elif reply.events is not None:
            await connection.end_events()
        else:
            await connection.send(
                reply.status, reply.body, reply.headers, length=reply.claimed_length
            )

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [call.body for call in self.calls]


@asynccontextmanager
async def faulty(*replies: Reply) -> AsyncIterator[FaultyServer]:
    """Run a server with this script; every reply must be used, and no more."""
    server = FaultyServer(list(replies))
    async with serve(server.handle) as url:
        server.url = url
        yield server
    assert not server.unexpected, f"{server.unexpected} calls beyond the script"
    assert len(server.calls) == len(replies), (
        f"{len(server.calls)} of {len(replies)} scripted replies were asked for"
    )
