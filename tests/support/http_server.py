"""A very small HTTP/1.1 server on asyncio streams, for tests on 127.0.0.1."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

REASONS = {200: "OK", 400: "Bad Request", 429: "Too Many Requests"}


@dataclass
class Call:
    """A request that arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Connection:
    """Where a handler writes its reply."""

    writer: asyncio.StreamWriter
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client has closed the connection."""

    def start(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        length: int | None = None,
    ) -> None:
        """Send a whole reply; a ``length`` above the body's is a truncated one."""
        self.start(
            status,
            {
                "Content-Type": "application/json",
                "Content-Length": str(len(body) if length is None else length),
                **(headers or {}),
            },
        )
        self.writer.write(body)
        await self.writer.drain()

    async def send_json(self, value: object, status: int = 200) -> None:
        await self.send(status, json.dumps(value).encode())

    def start_events(self) -> None:
        self.start(
            200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
        )

    async def send_event(self, data: str) -> None:
        block = f"data: {data}\n\n".encode()
        self.writer.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
        await self.writer.drain()

    async def end_events(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()


Handler = Callable[[Call, Connection], Awaitable[None]]


async def _read(reader: asyncio.StreamReader) -> Call | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.strip().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(first.split()[1], headers, json.loads(body) if body else {})


async def _watch(reader: asyncio.StreamReader, gone: asyncio.Event) -> None:
    """Notice the end of the connection: a client sends nothing while it waits."""
    with suppress(ConnectionError):
        await reader.read(1)
    gone.set()


async def _converse(
    handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    # One request per connection: then "gone" can be told from "next request".
    call = await _read(reader)
    if call is None:
        return
    connection = Connection(writer)
    watcher = asyncio.ensure_future(_watch(reader, connection.gone))
    try:
        await handler(call, connection)
    except ConnectionError:
        connection.gone.set()
    finally:
        watcher.cancel()


@asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[str]:
    """Serve on a free port; yield the base address, ``http://127.0.0.1:PORT/v1``."""
    handlers: set[asyncio.Task[Any]] = set()

    async def connected(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            await _converse(handler, reader, writer)
        except asyncio.CancelledError:
            pass  # the server is closing
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            handlers.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for task in handlers:
            task.cancel()
        if handlers:
            await asyncio.wait(set(handlers))
