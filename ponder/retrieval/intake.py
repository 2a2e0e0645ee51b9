"""Reading what has changed in the folders of an index into its store."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ponder.errors import MissingExtra, RetrievalError
from ponder.messages import Value
from ponder.passages import Passage
from ponder.retrieval.chunking import chunk
from ponder.retrieval.documents import Found, Problem
from ponder.retrieval.readers import read
from ponder.retrieval.store import FileState, IndexSettings, Store

BATCH_FILES, BATCH_BYTES = 64, 1_000_000
"""Files are noted together up to these: a commit costs as much as reading a few."""
YOUNG_SECONDS = 2.0
"""A file changed so shortly before it was read may change again at the same time."""


class Progress(Value):
    """How far an update is."""

    stage: str
    done: int = 0
    total: int = 0
    item: str = ""
    """What is at work now."""


OnProgress = Callable[[Progress], None]


class Report(Value):
    """What an update did."""

    new: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    """Files, as are the three before."""
    passages: int = 0
    """In the index now."""
    problems: tuple[Problem, ...] = ()
    """Files and parts of files that could not be read, or only by a guess."""
    other: dict[str, int] = {}
    """Files left out because of their kind: how many, by suffix."""
    seconds: float = 0.0

    @property
    def files(self) -> int:
        """Files in the index now."""
        return self.new + self.changed + self.unchanged


class _Taken(NamedTuple):
    source: str
    state: FileState
    passages: list[Passage] | None
    problems: list[Problem]


async def take_in(store: Store, known: IndexSettings, tell: OnProgress) -> Report:
    """Bring the store in step with the files.

    Args:
        store: Of the index.
        known: How it was built.
        tell: Told of every file.

    Raises:
        RetrievalError: A folder is gone: nothing is forgotten then.
    """
    found = await asyncio.to_thread(known.selection.find, skip=store.folder)
    before, dropped = store.files(), store.dropped()
    files = {s: path for s, path in found.files.items() if s not in dropped}
    work = _Work(store, known, before, dropped, len(files), tell)
    for batch in _batches(files):
        await asyncio.to_thread(work.take, batch)
    gone = [source for source in before if source not in work.readable]
    if gone:
        await asyncio.to_thread(store.remove, gone)
    return _report(found, work, gone)


def _report(found: Found, work: "_Work", gone: list[str]) -> Report:
    kinds = Counter(PurePosixPath(s).suffix.lower() or "no suffix" for s in found.other)
    return Report(
        **work.outcomes,
        removed=len(gone),
        passages=work.store.counts().passages,
        problems=tuple(work.problems),
        other=dict(kinds.most_common()),
    )


class _Work:
    """One update under way."""

    def __init__(
        self,
        store: Store,
        known: IndexSettings,
        before: dict[str, FileState],
        dropped: set[str],
        total: int,
        tell: OnProgress,
    ) -> None:
        self.store, self.known, self.before = store, known, before
        self.dropped, self.total, self.tell = dropped, total, tell
        self.readable: set[str] = set()
        self.problems: list[Problem] = []
        self.outcomes: Counter[str] = Counter()
        self._begun = 0

    def take(self, batch: list[tuple[str, Path]]) -> None:
        """Read files and note them in one transaction."""
        taken = []
        for source, path in batch:
            self.tell(
                Progress(
                    stage="reading", done=self._begun, total=self.total, item=source
                )
            )
            self._begun += 1
            try:
                one = self._taken(source, path)
            except (RetrievalError, MissingExtra) as error:
                reason = str(error).removeprefix(f"{source}: ")
                self.problems.append(Problem(source=source, reason=reason))
            else:
                self.readable.add(source)
                if one is not None:
                    taken.append(one)
                    self.problems += one.problems
        if taken:
            self.store.put([(t.source, t.state, t.passages) for t in taken])

    def _taken(self, source: str, path: Path) -> _Taken | None:
        old = self.before.get(source)
        state = _state(path, source)
        if old is not None and old.mtime_ns and old[1:] == state[1:]:
            self.outcomes["unchanged"] += 1
            return None
        state = state._replace(digest=_digest(path, source))
        if old is not None and old.digest == state.digest:
            self.outcomes["unchanged"] += 1
            return _Taken(source, state, None, [])
        documents, problems = read(path, source)
        passages = [
            passage
            for document in documents
            if document.source not in self.dropped
            for passage in chunk(
                document, size=self.known.size, overlap=self.known.overlap
            )
        ]
        self.outcomes["new" if old is None else "changed"] += 1
        return _Taken(source, state, passages, problems)


def _batches(files: dict[str, Path]) -> Iterator[list[tuple[str, Path]]]:
    batch: list[tuple[str, Path]] = []
    size = 0
    for source, path in files.items():
        batch.append((source, path))
        size += path.stat().st_size if path.exists() else 0
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _state(path: Path, source: str) -> FileState:
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(source, error) from error
    young = time.time() - found.st_mtime < YOUNG_SECONDS
    return FileState("", found.st_size, 0 if young else found.st_mtime_ns)


def _digest(path: Path, source: str) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
    except OSError as error:
        raise _unreadable(source, error) from error


def _unreadable(source: str, error: OSError) -> RetrievalError:
    return RetrievalError(
        f"{source}: cannot be read: {error.strerror}. Allow reading it, or leave it "
        "out with --exclude."
    )
