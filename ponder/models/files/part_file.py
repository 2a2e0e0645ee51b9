"""A file that grows over several attempts, with a note of what it is made from.

``NAME.part`` holds the bytes and ``NAME.part.json`` says which source they come from
and how many of them are certain. What a killed process wrote beyond that is dropped.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from ponder.messages import Value

ALL = -1


class Note(Value):
    """What is known of the bytes in a part file."""

    origin: str
    """Identity of the source: bytes of two sources are never mixed."""
    size: int = 0
    """Bytes that are certain; ``ALL`` if every one is."""
    pieces: int = 0
    """Pieces that these bytes are made of, where the source has pieces."""
    etag: str = ""
    """The server's mark of the version that the bytes belong to."""
    sha256: str | None = None
    """Of the whole file, as the server announced it."""


class PartFile:
    """The bytes fetched so far from one source."""

    def __init__(self, path: Path, origin: str) -> None:
        """Take up what an earlier attempt has left.

        Args:
            path: Place of the bytes.
            origin: Identity of the source. What another one has left is dropped.
        """
        self.path, self._note_path = path, path.with_name(path.name + ".json")
        self.note = self._read_note(origin)
        if not path.exists() or self.size < self.note.size:
            self.restart()
        elif self.note.size != ALL and self.size > self.note.size:
            os.truncate(path, self.note.size)

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def restart(self, **known: Any) -> None:
        """Drop all bytes.

        Args:
            **known: Fields of ``Note``, for the bytes that will come.
        """
        self.path.write_bytes(b"")
        self.update(**known)

    def update(self, **known: Any) -> None:
        """Write down what is certain from now on: fields of ``Note``."""
        self.note = Note(origin=self.note.origin, **known)
        temporary = self._note_path.with_name(self._note_path.name + ".tmp")
        temporary.write_text(self.note.model_dump_json(), encoding="utf-8")
        temporary.replace(self._note_path)

    @contextmanager
    def append(self) -> Iterator[IO[bytes]]:
        """Open the file at its end; it is on the disk when the block has ended."""
        with self.path.open("ab") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

    def delete(self) -> None:
        """Remove bytes and note."""
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def _read_note(self, origin: str) -> Note:
        try:
            found = Note(**json.loads(self._note_path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError, ValidationError):
            found = None
        return found if found and found.origin == origin else Note(origin=origin)
