"""Documents: what they are, and which files of a folder hold them."""

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from pydantic import Field

from ponder.errors import RetrievalError
from ponder.messages import Value

TEXT = frozenset({".txt", ".text", ".rst", ".org", ".tex", ".log"})
MARKDOWN = frozenset({".md", ".markdown", ".mdown"})
HTML = frozenset({".html", ".htm", ".xhtml"})
PDF = frozenset({".pdf"})
JSONL = frozenset({".jsonl", ".ndjson"})
KNOWN = TEXT | MARKDOWN | HTML | PDF | JSONL
"""Suffixes that are read unless other files are asked for."""


class Document(Value):
    """The text of a file, or of a line of a JSONL file."""

    source: str = Field(min_length=1)
    """Path of the file below the indexed folder; ``facts.jsonl#7`` for a line."""
    text: str
    title: str = ""
    pages: tuple[int, ...] = ()
    """Offset in ``text`` at which each page begins; empty without pages."""

    def page_at(self, offset: int) -> int | None:
        """Return the page of a character, from 1; ``None`` without pages."""
        return bisect_right(self.pages, offset) if self.pages else None


class Problem(Value):
    """A file, or a part of one, that could not be read."""

    source: str
    reason: str
    """What is wrong and what helps."""


class Selection(Value):
    """Which files are documents."""

    roots: tuple[Path, ...] = Field(min_length=1)
    """Folders and single files, absolute."""
    include: tuple[str, ...] = ()
    """Globs of files to read, whatever their suffix; empty for all of ``KNOWN``.
    ``*`` also matches ``/``; a glob without a ``/`` is matched with the file name."""
    exclude: tuple[str, ...] = ()
    """Globs of files and folders to leave out; a glob without a ``/`` is matched with
    every part of the path."""

    @property
    def base(self) -> Path:
        """The folder below which sources are named."""
        folders = [r if r.is_dir() else r.parent for r in self.roots]
        return Path(os.path.commonpath(folders))

    def find(self, *, skip: Path | None = None) -> "Found":
        """Return the files that are there now; hidden ones are left out.

        Args:
            skip: A folder to leave out: that of the index itself.

        Raises:
            RetrievalError: A folder is not there or cannot be read.
        """
        base, files, other = self.base, {}, []
        for root in self.roots:
            for path in _walk(root, skip):
                source = PurePosixPath(path.relative_to(base)).as_posix()
                if self._excluded(source):
                    continue
                if self._wanted(source):
                    files[source] = path
                else:
                    other.append(source)
        return Found(files=dict(sorted(files.items())), other=tuple(sorted(set(other))))

    def _wanted(self, source: str) -> bool:
        if not self.include:
            return PurePosixPath(source).suffix.lower() in KNOWN
        name = PurePosixPath(source).name
        return any(fnmatchcase(source if "/" in g else name, g) for g in self.include)

    def _excluded(self, source: str) -> bool:
        parts = PurePosixPath(source).parts
        return any(
            _matches_path(source, glob)
            if "/" in glob
            else any(fnmatchcase(part, glob) for part in parts)
            for glob in self.exclude
        )


class Found(Value):
    """The files of a selection."""

    files: dict[str, Path]
    """By source, in order."""
    other: tuple[str, ...] = ()
    """Sources of files whose kind is not read."""


def selection(
    folders: Sequence[Path | str],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Selection:
    """Return a selection of files.

    Args:
        folders: Folders with documents, or single files.
        include: See ``Selection``.
        exclude: See ``Selection``.

    Raises:
        RetrievalError: A folder is not there, or none is given.
    """
    if not folders:
        raise RetrievalError("No folder with documents is given. Name one.")
    roots = sorted({Path(f).expanduser().resolve() for f in folders})
    for root in roots:
        _check_root(root)
    return Selection(roots=tuple(roots), include=tuple(include), exclude=tuple(exclude))


def _matches_path(source: str, glob: str) -> bool:
    glob = glob.strip("/")
    return fnmatchcase(source, glob) or fnmatchcase(source, f"{glob}/*")


def _check_root(root: Path) -> None:
    if not root.exists():
        raise RetrievalError(
            f"There is no folder {root}. Correct the name; if it was moved or is not "
            "mounted, bring it back: its index is kept."
        )


def _walk(root: Path, skip: Path | None) -> Iterator[Path]:
    _check_root(root)
    if root.is_file():
        yield root
        return
    for folder, names, files in os.walk(root, onerror=_unreadable):
        here = Path(folder)
        names[:] = sorted(
            n for n in names if not n.startswith(".") and here / n != skip
        )
        for name in files:
            path = here / name
            if not name.startswith(".") and path.is_file():
                yield path


def _unreadable(error: OSError) -> None:
    raise RetrievalError(
        f"Cannot read the folder {error.filename}: {error.strerror}. Allow it, or "
        "leave the folder out with --exclude."
    ) from error
