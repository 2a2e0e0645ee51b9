"""Fetch a file from the model hub, from where the last attempt stopped.

The hub redirects to where the bytes are, and says in the redirect what their SHA-256
is (``X-Linked-Etag``): https://huggingface.co/docs/huggingface_hub/package_reference/
file_download#huggingface_hub.get_hf_file_metadata
"""

import http.client
import re
import ssl
import time
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ponder.errors import ModelFileError
from ponder.models.catalog import HubSource
from ponder.models.files.part_file import ALL, PartFile
from ponder.models.files.progress import Meter

TIMEOUT_SECONDS = 20.0
"""Without a byte for so long, the connection counts as lost."""
CHUNK_BYTES = 1 << 18
RETRY_SECONDS = (1.0, 2.0, 4.0, 8.0)
"""Waits before trying again, as long as no byte arrives in between."""

_LOST = (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError)
_NO_CONNECTION = (URLError, *_LOST)
_SHA256 = re.compile(r'^"?([0-9a-f]{64})"?$')


def hub_url(source: HubSource, base: str) -> str:
    """Return the address of the file."""
    file, revision = quote(source.file), quote(source.revision, safe="")
    return f"{base.rstrip('/')}/{source.repository}/resolve/{revision}/{file}"


class _NoteRedirects(HTTPRedirectHandler):
    """Keeps the header that only the first answer has."""

    announced: str | None = None

    def note(self, headers: Any) -> None:
        match = _SHA256.match(headers.get("X-Linked-Etag", ""))
        self.announced = match.group(1) if match else self.announced

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        self.note(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch_from_hub(url: str, part: PartFile, total: int, meter: Meter) -> None:
    """Fetch what is missing. A lost connection is taken up again, several times.

    Args:
        url: The file.
        part: Where the bytes go; its note keeps the SHA-256 that the hub announces.
        total: Bytes of the whole file.
        meter: Told of the bytes that are there.

    Raises:
        ModelFileError: The hub cannot be reached or has no such file. What was
            fetched stays.
        OSError: The bytes cannot be written.
    """
    failures, farthest = 0, part.size
    while part.size < total:
        reason = _try(url, part, total, meter)
        if part.size >= total:
            return
        failures = 1 if part.size > farthest else failures + 1
        farthest = max(farthest, part.size)
        if failures > len(RETRY_SECONDS):
            raise ModelFileError(f"{url}: {reason}, {failures} times without progress")
        wait = RETRY_SECONDS[failures - 1]
        meter.say(f"{reason}; trying again in {wait:g} s")
        time.sleep(wait)


def _try(url: str, part: PartFile, total: int, meter: Meter) -> str:
    """Fetch until the connection ends; return why it ended."""
    redirects = _NoteRedirects()
    try:
        response = build_opener(redirects).open(
            Request(url, headers=_headers(part)), timeout=TIMEOUT_SECONDS
        )
    except HTTPError as error:
        return _refused(error, url, part)
    except _NO_CONNECTION as error:
        # Not worth a second try: without the internet it is the next source's turn.
        reason = getattr(error, "reason", error)
        raise ModelFileError(f"{url}: no connection ({reason})") from error
    with response:
        redirects.note(response.headers)
        _check_length(response, part, total, url)
        _place(response, part, redirects.announced)
        return _copy(response, part, total, meter)


def _headers(part: PartFile) -> dict[str, str]:
    headers = {"User-Agent": "ponder"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if part.note.etag:
            headers["If-Range"] = part.note.etag
    return headers


def _refused(error: HTTPError, url: str, part: PartFile) -> str:
    """Return the reason if another try may help."""
    reason = f"the hub answered {error.code} {error.reason}"
    error.close()
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.restart()
        return reason
    if error.code == HTTPStatus.TOO_MANY_REQUESTS or error.code >= 500:
        return reason
    raise ModelFileError(f"{url}: {reason}") from error


def _check_length(response: Any, part: PartFile, total: int, url: str) -> None:
    length = response.headers.get("Content-Length")
    if length is None:
        return
    partial = response.status == HTTPStatus.PARTIAL_CONTENT
    whole = int(length) + (part.size if partial else 0)
    if whole != total:
        raise ModelFileError(f"{url}: the file has {whole:,} bytes, not {total:,}")


def _place(response: Any, part: PartFile, announced: str | None) -> None:
    """Begin anew unless the server goes on exactly where the part file ends."""
    content_range = response.headers.get("Content-Range", "")
    goes_on = content_range.startswith(f"bytes {part.size}-")
    if response.status == HTTPStatus.PARTIAL_CONTENT and goes_on:
        return
    etag = response.headers.get("ETag", "")
    # A weak mark may stay the same though the bytes differ.
    strong = "" if etag.startswith("W/") else etag
    part.restart(size=ALL, etag=strong, sha256=announced)


def _copy(response: Any, part: PartFile, total: int, meter: Meter) -> str:
    done = part.size
    with part.append() as file:
        while done < total:
            try:
                # What is there, not a full chunk: an interrupt loses less.
                chunk = response.read1(CHUNK_BYTES)
            except _LOST as error:
                return f"connection lost ({error})"
            if not chunk:
                break
            file.write(chunk)
            done += len(chunk)
            meter.at(done)
    return f"the connection ended at {done:,} of {total:,} bytes"
