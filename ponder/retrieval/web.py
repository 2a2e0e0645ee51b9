"""The web as a corpus, through any search engine that speaks SearXNG's JSON."""

import asyncio
import html
import ipaddress
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ponder.concurrency import settle
from ponder.errors import InvalidParameter, RetrievalError
from ponder.passages import Passage, Retriever

if TYPE_CHECKING:
    import httpx

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which another try may help."""
REDIRECTS = 3
LARGEST_PAGE = 2_000_000
"""Bytes of a page that are read."""

_TAG = re.compile(r"<[^>]{0,200}>")
_HIDDEN = frozenset({"script", "style", "noscript", "template", "title", "svg"})
_BLOCKS = frozenset(
    "p div section article main li ul ol dl dt dd table tr br hr pre blockquote "
    "h1 h2 h3 h4 h5 h6 header footer nav".split()
)


class WebSearch(Retriever):
    """Finds web pages.

    The endpoint is that of SearXNG (https://docs.searxng.org/dev/search_api), a search
    engine that needs no key and that anybody can host: ``GET URL/search?q=...&format=
    json``. Its ``settings.yml`` must list ``json`` under ``search.formats``.

    A passage is the extract that the engine shows of a page or, with ``pages``, the
    page's text. Pages are fetched from the open web only: an address of this machine
    or a private network is not followed, unless it is the endpoint's own. Names that
    resolve to such addresses are not recognised.
    """

    def __init__(
        self,
        url: str,
        *,
        pages: bool = False,
        timeout: float = 10.0,
        retries: int = 2,
        pause: float = 0.5,
        language: str = "",
    ) -> None:
        """Say where the search engine is; nothing is sent yet.

        Args:
            url: Base address of the instance, such as ``http://localhost:8080``.
            pages: Fetch the pages that are found; one that cannot be fetched is
                represented by its extract.
            timeout: Seconds for each request.
            retries: How often a failed search is repeated.
            pause: Seconds before the first repetition; doubled for each further one.
            language: Code of the wanted language; empty: that of the instance.

        Raises:
            InvalidParameter: The address is none, or a number is out of its range.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidParameter(
                f"'{url}' is no address of a search engine: give one like "
                "http://localhost:8080."
            )
        if timeout <= 0 or retries < 0 or pause < 0:
            raise InvalidParameter(
                f"timeout={timeout}, retries={retries}, pause={pause}: give a positive "
                "time, and no negative number."
            )
        self.url = url.rstrip("/").removesuffix("/search")
        self.name = f"web({self.url}{', pages' if pages else ''})"
        self.pages, self.timeout = pages, timeout
        self.retries, self.pause, self.language = retries, pause, language

    async def search(self, query: str, k: int) -> list[Passage]:
        """Return the first k results of a query; see ``Retriever.search``.

        Raises:
            RetrievalError: The engine did not answer after all tries, refused, or
                answered with something else than results.
        """
        import httpx

        async with httpx.AsyncClient(timeout=self.timeout) as client:
            found = self._passages(await self._results(client, query))[:k]
            if not self.pages:
                return found
            fetched = await settle([self._with_text(client, p) for p in found])
        passages = []
        for outcome in fetched:
            if isinstance(outcome, Exception):
                raise outcome
            passages.append(outcome)
        return passages

    # -- the search ------------------------------------------------------------------

    async def _results(self, client: "httpx.AsyncClient", query: str) -> list[Any]:
        import httpx

        wanted = {"q": query, "format": "json", "language": self.language}
        parameters = {name: value for name, value in wanted.items() if value}
        said = ""
        for tried in range(self.retries + 1):
            if tried:
                await asyncio.sleep(self.pause * 2 ** (tried - 1))
            try:
                async with asyncio.timeout(self.timeout):
                    reply = await client.get(f"{self.url}/search", params=parameters)
            except (httpx.HTTPError, TimeoutError) as error:
                said = str(error) or f"no answer within {self.timeout:g} s"
                continue
            if reply.status_code not in PASSING:
                return self._read(reply)
            said = f"status {reply.status_code}"
        raise RetrievalError(
            f"The search engine at {self.url} did not answer after {self.retries + 1} "
            f"tries: {said}. Is it running there? Check the address, or raise timeout "
            "or retries."
        )

    def _read(self, reply: "httpx.Response") -> list[Any]:
        if reply.status_code == 403:
            raise RetrievalError(
                f"The search engine at {self.url} refuses JSON (status 403): list json "
                "under search.formats in its settings.yml, or use an instance that "
                "allows it."
            )
        if reply.status_code != 200:
            raise RetrievalError(
                f"The search engine at {self.url} answered with status "
                f"{reply.status_code}: is this the base address of an instance?"
            )
        try:
            results = reply.json()["results"]
        except (ValueError, KeyError, TypeError) as error:
            raise RetrievalError(
                f"The search engine at {self.url} answered with something else than "
                "results in SearXNG's JSON: is this the base address of an instance?"
            ) from error
        if not isinstance(results, list):
            raise RetrievalError(f"The results of {self.url} are no list.")
        return results

    def _passages(self, results: list[Any]) -> list[Passage]:
        found: dict[str, Passage] = {}
        for result in results:
            url = result.get("url") if isinstance(result, dict) else None
            if not isinstance(url, str) or not url.startswith(("http://", "https://")):
                continue
            title, text = _plain(result.get("title")), _plain(result.get("content"))
            score = result.get("score")
            if text or title:
                passage = Passage(
                    id=url,
                    text=text or title,
                    source=url,
                    title=title,
                    score=float(score) if isinstance(score, int | float) else None,
                )
                found.setdefault(url, passage)
        return list(found.values())

    # -- the pages -------------------------------------------------------------------

    async def _with_text(
        self, client: "httpx.AsyncClient", passage: Passage
    ) -> Passage:
        import httpx

        try:
            async with asyncio.timeout(self.timeout):
                text = await self._page(client, passage.source)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            text = ""
        if not text:
            return passage
        return passage.model_copy(update={"text": text, "start": 0, "end": len(text)})

    async def _page(self, client: "httpx.AsyncClient", url: str) -> str:
        for _ in range(REDIRECTS + 1):
            if not self._allowed(url):
                return ""
            async with client.stream("GET", url) as reply:
                if reply.next_request is not None:
                    url = str(reply.next_request.url)
                    continue
                kind = reply.headers.get("content-type", "").partition(";")[0].strip()
                if reply.status_code != 200 or kind not in ("text/html", "text/plain"):
                    return ""
                body = bytearray()
                async for chunk in reply.aiter_bytes():
                    body += chunk
                    if len(body) > LARGEST_PAGE:
                        break
                text = body.decode(reply.charset_encoding or "utf-8", errors="replace")
                return page_text(text) if kind == "text/html" else text.strip()
        return ""

    def _allowed(self, url: str) -> bool:
        parts, own = urlsplit(url), urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return False
        if parts.netloc == own.netloc:
            return True
        if parts.hostname == "localhost" or parts.hostname.endswith(".localhost"):
            return False
        try:
            return ipaddress.ip_address(parts.hostname).is_global
        except ValueError:
            return True


def page_text(source: str) -> str:
    """Return the text of an HTML page, one line for each block of it."""
    reader = _TextReader()
    reader.feed(source)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return "\n".join(line for line in lines if line)


class _TextReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            # A line break in the source is no more than a space.
            self.parts.append(data.replace("\n", " "))


def _plain(value: object) -> str:
    """Return text without entities and mark-up, which engines leave in extracts."""
    if not isinstance(value, str):
        return ""
    return " ".join(html.unescape(_TAG.sub("", value)).split())
