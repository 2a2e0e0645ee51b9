"""A stand-in for a search engine and the web behind it, on 127.0.0.1."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.http_server import Call, Connection, serve


@dataclass
class Reply:
    """What the server says to one request."""

    body: bytes = b""
    status: int = 200
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


def results(*found: dict[str, Any]) -> Reply:
    """A page of search results, as SearXNG gives it."""
    body = {"query": "q", "number_of_results": 0, "results": list(found)}
    return Reply(json.dumps(body).encode())


def page(text: str, kind: str = "text/html; charset=utf-8", **more: Any) -> Reply:
    """A web page."""
    return Reply(text.encode(), headers={"Content-Type": kind}, **more)


@dataclass
class WebServer:
    """Answers searches in the order of a script, the last reply for ever."""

    searches: Sequence[Reply]
    pages: dict[str, Reply] = field(default_factory=dict)
    url: str = ""
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    async def handle(self, call: Call, connection: Connection) -> None:
        parts = urlsplit(call.path)
        if parts.path == "/search":
            self.asked.append(parse_qs(parts.query))
            reply = self.searches[min(len(self.asked), len(self.searches)) - 1]
        else:
            self.fetched.append(parts.path)
            reply = self.pages.get(parts.path, Reply(status=404))
        await asyncio.sleep(reply.delay)
        await connection.send(reply.status, reply.body, reply.headers)


@asynccontextmanager
async def web(
    *searches: Reply, pages: dict[str, Reply] | None = None
) -> AsyncIterator[WebServer]:
    """Serve on a free port; ``url`` of the server is the base address."""
    server = WebServer(searches, pages or {})
    async with serve(server.handle) as url:
        server.url = url.removesuffix("/v1")
        yield server
