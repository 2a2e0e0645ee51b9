"""What an index knows for certain: sources, passages and settings, in SQLite."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from ponder.errors import RetrievalError
from ponder.messages import Value
from ponder.passages import Passage
from ponder.retrieval.chunking import OVERLAP, SIZE
from ponder.retrieval.documents import Selection

FILE = "index.sqlite"
FORMAT = 1
"""Of the tables; raised when an older ponder could not read them."""

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    number INTEGER PRIMARY KEY, source TEXT NOT NULL UNIQUE, digest TEXT NOT NULL,
    bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS passages (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    source TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
    "start" INTEGER, "end" INTEGER, page INTEGER, embedded INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS passages_of_file ON passages (file);
CREATE INDEX IF NOT EXISTS passages_of_source ON passages (source);
CREATE INDEX IF NOT EXISTS passages_pending ON passages (number) WHERE embedded = 0;
CREATE TABLE IF NOT EXISTS gone (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS dropped (source TEXT PRIMARY KEY);
COMMIT;
"""
_OF_SOURCE = "WHERE source = ?1 OR file = (SELECT number FROM files WHERE source = ?1)"
_COLUMNS = 'id, source, title, text, "start", "end", page'


class IndexSettings(Value):
    """How an index was built, which an update repeats."""

    selection: Selection
    size: int = SIZE
    """Most characters of a passage."""
    overlap: int = OVERLAP
    """Most characters shared by neighbours."""
    embedder: str | None = None
    """Whose vectors the index has; ``None`` if it has none."""
    dimension: int | None = Field(default=None, ge=1)
    """Of the vectors; ``None`` until there is one."""


class FileState(NamedTuple):
    """How a file was when it was read."""

    digest: str
    bytes: int
    mtime_ns: int
    """0 if the file was so young that its time says nothing."""


class Counts(NamedTuple):
    """How much an index holds."""

    files: int
    passages: int
    embedded: int


class Store:
    """The SQLite file of one index.

    Every method is one transaction on a connection of its own, so that a process may
    be killed at any moment, and any thread may call. What is deleted is overwritten.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder of the index; nothing is opened yet."""
        self.folder, self.path = folder, folder / FILE

    def create(self) -> None:
        """Create folder and tables where they are not there yet.

        Raises:
            RetrievalError: The folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RetrievalError(
                f"Cannot create the index {self.folder}: {error.strerror}. Choose "
                "another place with --out or PONDER_DATA_DIR."
            ) from error
        with self._connected("rwc") as db:
            db.executescript(_SCHEMA)

    def settings(self) -> IndexSettings | None:
        """Return the settings, ``None`` if no index was built here yet.

        Raises:
            RetrievalError: The file is damaged, or of a newer ponder.
        """
        if not self.path.exists():
            return None
        with self._connected() as db:
            if not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                return None
            values = dict(db.execute("SELECT key, value FROM meta"))
        if int(values.get("format", FORMAT)) > FORMAT:
            raise RetrievalError(
                f"The index {self.folder} was built by a newer ponder. Update ponder, "
                "or delete the folder and build the index again."
            )
        if "settings" not in values:
            return None
        try:
            return IndexSettings.model_validate_json(values["settings"])
        except ValidationError as error:
            raise RetrievalError(self._damaged("its settings")) from error

    def configure(self, settings: IndexSettings) -> None:
        """Change the settings; what no longer fits them counts as not done.

        Passages cut otherwise stay until their file was read again, so that a search
        meanwhile still finds something.
        """
        before = self.settings()
        with self._changing() as db:
            if before is not None and (before.size, before.overlap) != (
                settings.size,
                settings.overlap,
            ):
                db.execute("UPDATE files SET digest = '', mtime_ns = 0")
            if before is not None and before.embedder != settings.embedder:
                _forget_vectors(db)
            elif before is not None:
                dimension = before.dimension
                settings = settings.model_copy(update={"dimension": dimension})
            db.execute("DELETE FROM dropped")
            _set(db, "format", str(FORMAT))
            _set(db, "settings", settings.model_dump_json())

    def set_dimension(self, dimension: int) -> None:
        """Note the length of the vectors."""
        settings = self.settings()
        if settings is None:
            raise RetrievalError(self._damaged("its settings"))
        changed = settings.model_copy(update={"dimension": dimension})
        with self._changing() as db:
            _set(db, "settings", changed.model_dump_json())

    def number(self, key: str) -> int:
        """Return a counter: ``generation`` of the passages, ``vectors``; 0 at first."""
        with self._connected() as db:
            return _number(db, key)

    def counts(self) -> Counts:
        """Return how much there is."""
        with self._connected() as db:
            files = db.execute("SELECT count(*) FROM files").fetchone()[0]
            passages, embedded = db.execute(
                "SELECT count(*), coalesce(sum(embedded), 0) FROM passages"
            ).fetchone()
        return Counts(files, passages, embedded)

    def files(self) -> dict[str, FileState]:
        """Return all indexed files by source."""
        with self._connected() as db:
            rows = db.execute("SELECT source, digest, bytes, mtime_ns FROM files")
            return {source: FileState(*state) for source, *state in rows}

    def sources(self) -> list[str]:
        """Return what can be dropped: files, and documents within files."""
        with self._connected() as db:
            rows = db.execute(
                "SELECT source FROM files UNION SELECT source FROM passages"
            )
            return [source for (source,) in rows]

    def dropped(self) -> set[str]:
        """Return the sources that updates leave out."""
        with self._connected() as db:
            return {source for (source,) in db.execute("SELECT source FROM dropped")}

    def put(
        self, files: Iterable[tuple[str, FileState, Sequence[Passage] | None]]
    ) -> None:
        """Put files in the place of what they were before.

        Args:
            files: Source, state, and passages; ``None`` where only the state changed.
        """
        with self._changing() as db:
            changed = False
            for source, state, passages in files:
                number = _put_file(db, source, state)
                if passages is not None:
                    changed |= _put_passages(db, number, passages)
            if changed:
                _set(db, "generation", str(_number(db, "generation") + 1))

    def remove(self, sources: Sequence[str], *, for_good: bool = False) -> None:
        """Remove files, or documents within files, and all their passages.

        Args:
            sources: Of files or documents.
            for_good: Leave them out of updates, too, and overwrite every trace of
                their text in this file.
        """
        with self._changing() as db:
            for source in sources:
                db.execute(
                    f"INSERT OR IGNORE INTO gone SELECT id FROM passages {_OF_SOURCE}",
                    (source,),
                )
                db.execute(f"DELETE FROM passages {_OF_SOURCE}", (source,))
                db.execute("DELETE FROM files WHERE source = ?", (source,))
                if for_good:
                    db.execute("INSERT OR IGNORE INTO dropped VALUES (?)", (source,))
            _set(db, "generation", str(_number(db, "generation") + 1))
        if for_good:
            with self._connected() as db:
                db.execute("VACUUM")

    def texts(self) -> tuple[int, list[str], list[str]]:
        """Return the generation, and ids and searched texts of its passages."""
        with self._connected() as db:
            db.execute("BEGIN")
            generation = _number(db, "generation")
            rows = db.execute(
                "SELECT id, title, text FROM passages ORDER BY number"
            ).fetchall()
        return generation, [r[0] for r in rows], [_searched(r[1], r[2]) for r in rows]

    def get(self, ids: Sequence[str]) -> dict[str, Passage]:
        """Return passages by id; one that is not there any more is left out."""
        marks = ", ".join("?" * len(ids))
        with self._connected() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM passages WHERE id IN ({marks})", tuple(ids)
            ).fetchall()
        names = ("id", "source", "title", "text", "start", "end", "page")
        return {row[0]: Passage(**dict(zip(names, row, strict=True))) for row in rows}

    def pending(self, limit: int | None = None) -> list[tuple[str, str]]:
        """Return ids and searched texts of passages without a vector."""
        with self._connected() as db:
            rows = db.execute(
                "SELECT id, title, text FROM passages WHERE embedded = 0 "
                "ORDER BY number LIMIT ?",
                (-1 if limit is None else limit,),
            ).fetchall()
        return [(id, _searched(title, text)) for id, title, text in rows]

    def gone(self) -> list[str]:
        """Return ids of passages that are gone, whose vectors may be there still."""
        with self._connected() as db:
            return [id for (id,) in db.execute("SELECT id FROM gone")]

    def note_gone(self, ids: Sequence[str]) -> None:
        """Note that the vectors of these are deleted."""
        with self._changing() as db:
            db.executemany("DELETE FROM gone WHERE id = ?", [(id,) for id in ids])

    def note_embedded(self, ids: Sequence[str]) -> None:
        """Note that these have their vectors."""
        with self._changing() as db:
            db.executemany(
                "UPDATE passages SET embedded = 1 WHERE id = ?", [(id,) for id in ids]
            )

    def forget_vectors(self) -> None:
        """Note that no passage has a vector; ``number("vectors")`` rises by one."""
        with self._changing() as db:
            _forget_vectors(db)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._connected() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    @contextmanager
    def _connected(self, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        db = None
        try:
            db = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}",
                uri=True, timeout=30.0, isolation_level=None,
            )  # fmt: skip
            db.execute("PRAGMA foreign_keys = ON")
            # Deleted text must not stay in free pages; a rollback journal, unlike a
            # write-ahead log, is gone when the transaction is.
            db.execute("PRAGMA secure_delete = ON")
            yield db
        except sqlite3.OperationalError as error:
            raise RetrievalError(
                f"The index {self.path} cannot be used: {error}. Check that the disk "
                "has room and the folder can be written."
            ) from error
        except sqlite3.DatabaseError as error:
            raise RetrievalError(self._damaged(str(error))) from error
        finally:
            if db is not None:
                db.close()

    def _damaged(self, what: str) -> str:
        return (
            f"The index {self.path} is damaged ({what}). Delete the folder "
            f"{self.folder} and build the index again; the documents are not touched."
        )


def _searched(title: str, text: str) -> str:
    return f"{title}\n{text}" if title else text


def _number(db: sqlite3.Connection, key: str) -> int:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return int(row[0]) if row else 0


def _set(db: sqlite3.Connection, key: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _forget_vectors(db: sqlite3.Connection) -> None:
    db.execute("UPDATE passages SET embedded = 0")
    db.execute("DELETE FROM gone")
    _set(db, "vectors", str(_number(db, "vectors") + 1))


def _put_file(db: sqlite3.Connection, source: str, state: FileState) -> int:
    row = db.execute(
        "INSERT INTO files (source, digest, bytes, mtime_ns) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (source) DO UPDATE SET digest = excluded.digest, "
        "bytes = excluded.bytes, mtime_ns = excluded.mtime_ns RETURNING number",
        (source, *state),
    ).fetchone()
    return int(row[0])


def _put_passages(
    db: sqlite3.Connection, file: int, passages: Sequence[Passage]
) -> bool:
    """Exchange what differs: a passage whose text stays keeps its vector."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM passages WHERE file = ? ORDER BY number", (file,)
    ).fetchall()
    before = {row[0]: row for row in rows}
    after = {p.id: p for p in passages}
    old = [(id,) for id in before if id not in after]
    db.executemany("INSERT OR IGNORE INTO gone VALUES (?)", old)
    db.executemany("DELETE FROM passages WHERE id = ?", old)
    new = [(*_row(p), file) for p in passages if before.get(p.id) != _row(p)]
    db.executemany(
        f"INSERT INTO passages ({_COLUMNS}, file) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        'ON CONFLICT (id) DO UPDATE SET "start" = excluded."start", '
        '"end" = excluded."end", page = excluded.page, title = excluded.title, '
        "embedded = embedded AND title = excluded.title",
        new,
    )
    db.executemany("DELETE FROM gone WHERE id = ?", [(row[0],) for row in new])
    return bool(old or new)


def _row(passage: Passage) -> tuple[str | int | None, ...]:
    p = passage
    return p.id, p.source, p.title, p.text, p.start, p.end, p.page
