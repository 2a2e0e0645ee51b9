"""The content-addressed log of everything a run paid for, on SQLite.

One row is one call, found again by its logical path in the run and checked by the
hash of its content. Many processes may read; each run has one writer at a time.
See docs/design/journal.md.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from ponder.errors import InvalidParameter, JournalError, UnknownName
from ponder.messages import Usage, Value

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, created REAL NOT NULL, status TEXT NOT NULL,
    owner TEXT, record TEXT NOT NULL, result TEXT);
CREATE TABLE IF NOT EXISTS entries (
    run_id TEXT NOT NULL, path TEXT NOT NULL, step INTEGER NOT NULL,
    key TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, sum TEXT NOT NULL,
    PRIMARY KEY (run_id, path)) WITHOUT ROWID;
"""

Kind = Literal["reply", "value", "refusal", "failure", "lost"]
"""``lost`` is a call that was cancelled: its tokens are spent, it has no reply."""


class RunStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """Its process is gone; ``resume`` goes on where it was."""


class RunRecord(Value):
    """What is needed to start a run again."""

    run_id: str
    question: str
    history: list[dict[str, Any]] = Field(default_factory=list)
    examples: list[dict[str, Any]] = Field(default_factory=list)
    strategy: str
    """Name and parameters; see ``ponder.graphs.base.Strategy.spec``."""
    model: str
    capabilities: dict[str, Any] = Field(default_factory=dict)
    """Of the model: they decide the way of a strategy, also in a replay."""
    verifier: str | None = None
    retriever: str | None = None
    budget: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    forked_from: str | None = None


class RunInfo(Value):
    """A run as listed."""

    run_id: str
    created: float
    """Unix time, seconds."""
    status: RunStatus
    record: RunRecord
    result: dict[str, Any] | None = None


class Entry(Value):
    """One thing that was paid for, or decided, at one place."""

    path: str
    key: str
    """Hash of the request's content."""
    kind: Kind
    body: dict[str, Any]
    usage: Usage = Usage()
    elapsed: float
    """Seconds from the start of the run to the end of this call."""
    step: int = 0
    """Order of completion, from 1."""


def _sum(entries: Iterable[Entry]) -> Usage:
    total = Usage()
    for entry in entries:
        total = total + entry.usage
    return total.model_copy(update={"seconds": 0.0})


def _by_role(entries: Iterable[Entry]) -> dict[str, Usage]:
    roles: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.usage.calls:
            role = str(entry.body.get("role", "generator"))
            roles.setdefault(role, []).append(entry)
    return {role: _sum(found) for role, found in roles.items()}


def content_key(content: str) -> str:
    """Return the hash under which a request is known."""
    return hashlib.sha256(content.encode()).hexdigest()[:32]


class RunLog:
    """The entries of one run: read at its start, appended while it goes on."""

    def __init__(self, journal: "Journal", run_id: str, *, read_only: bool) -> None:
        """Load what the run has so far."""
        self.run_id = run_id
        self.read_only = read_only
        self.warnings: list[str] = []
        self._journal = journal
        self._unsaved: list[Entry] = []
        self._entries, damaged = journal._load(run_id)
        self._unmet = dict(self._entries)
        self._steps = max((e.step for e in self._entries.values()), default=0)
        if damaged:
            self.warnings.append(
                f"{len(damaged)} damaged journal rows are ignored and will be paid "
                f"again: {', '.join(damaged[:5])}"
            )

    @property
    def elapsed(self) -> float:
        """Seconds that the run had used when it stopped."""
        return max((e.elapsed for e in self._entries.values()), default=0.0)

    @property
    def entries(self) -> list[Entry]:
        """All entries in order of completion."""
        return sorted(self._entries.values(), key=lambda e: e.step)

    @property
    def spent(self) -> Usage:
        """What all entries of the run have used; ``seconds`` is left at 0."""
        return _sum(self._entries.values())

    @property
    def lost(self) -> dict[str, Usage]:
        """The part of ``spent`` that went to calls without a reply, by role."""
        entries = self._entries.values()
        return _by_role(e for e in entries if e.kind in ("lost", "failure"))

    @property
    def unmet(self) -> dict[str, Usage]:
        """What was paid before, by role, and the run has not come to again."""
        known = self._unmet.values()
        return _by_role(e for e in known if e.kind not in ("lost", "failure"))

    def met(self, path: str) -> None:
        """Note that the run has come again to what was found at a place."""
        self._unmet.pop(path, None)

    def find(self, path: str, key: str) -> Entry | None:
        """Return the entry at this place if its content is the same."""
        entry = self._entries.get(path)
        if entry is not None and entry.key != key:
            self.warnings.append(f"'{path}' has changed since it was journaled.")
            return None
        return entry

    def record(self, entry: Entry) -> None:
        """Keep an entry. If the disk fails, keep it in memory and try again later.

        What was paid for at this place before is kept, as lost.
        """
        if self.read_only:
            return
        before = self._entries.get(entry.path)
        if before is not None and before.usage.calls:
            body = {"role": str(before.body.get("role", "generator"))}
            path = f"{before.path}/lost@{before.step}"
            lost = {"path": path, "kind": "lost", "body": body}
            self._add(before.model_copy(update=lost))
        self._add(entry)
        self.flush()

    def _add(self, entry: Entry) -> None:
        self._steps += 1
        entry = entry.model_copy(update={"step": self._steps})
        self._entries[entry.path] = entry
        self._unsaved.append(entry)

    def flush(self) -> None:
        """Write what could not be written before."""
        if not self._unsaved:
            return
        try:
            self._journal._append(self.run_id, self._unsaved)
        except (JournalError, ValueError) as error:
            message = f"{error} The run goes on, but cannot be resumed from here."
            if message not in self.warnings:
                self.warnings.append(message)
            if not isinstance(error, JournalError):
                # The disk may come back; what cannot be written never will be.
                self._unsaved.clear()
        else:
            self._unsaved.clear()


class Journal:
    """All runs of one user, in one SQLite file."""

    def __init__(self, path: Path | str) -> None:
        """Open the journal, creating it if it is not there.

        A file that is not a readable database is moved aside, never deleted.

        Args:
            path: The file, or ``":memory:"``.

        Raises:
            JournalError: The file cannot be opened or created.
        """
        self.path = path
        self.warnings: list[str] = []
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise JournalError(
                    f"Cannot open the journal {path}: {error}. Choose another place "
                    "with PONDER_DATA_DIR."
                ) from error
            self._set_aside(str(error))
            self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        if self.path != ":memory:":
            try:
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise JournalError(
                    f"Cannot create the journal's folder: {error}. Choose another "
                    "place with PONDER_DATA_DIR."
                ) from error
        db = sqlite3.connect(
            self.path, timeout=10.0, isolation_level=None, check_same_thread=False
        )
        try:
            # WAL with NORMAL survives a killed process without an fsync per call.
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            self._migrate(db)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _migrate(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            db.close()
            raise JournalError(
                f"The journal {self.path} was written by a newer ponder (format "
                f"{version}, this one knows {SCHEMA_VERSION}). Update ponder."
            )
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _set_aside(self, reason: str) -> None:
        aside = f"{self.path}.corrupt-{time.time_ns()}"
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(f"{self.path}{suffix}"):
                os.replace(f"{self.path}{suffix}", f"{aside}{suffix}")
        self.warnings.append(
            f"The journal {self.path} is corrupt ({reason}). It was moved to "
            f"{aside}, and a new one was started."
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(f"The journal {self.path} failed: {error}.") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other process write between what is read and what is written."""
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def start(self, record: RunRecord) -> RunLog:
        """Create a run and return its log."""
        with self._translated():
            self._db.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, ?, NULL)",
                (
                    record.run_id,
                    time.time(),
                    RunStatus.RUNNING,
                    _process(os.getpid()),
                    record.model_dump_json(),
                ),
            )
        return RunLog(self, record.run_id, read_only=False)

    def reopen(self, run_id: str, record: RunRecord | None = None) -> RunLog:
        """Return the log of a run that stopped, to go on with it.

        Args:
            run_id: The run.
            record: As it goes on, where that is with another budget or model.

        Raises:
            InvalidParameter: Another process is working on it.
        """
        with self._alone():
            info = self.run(run_id)
            if info.status is RunStatus.RUNNING:
                raise InvalidParameter(
                    f"Run {info.run_id} is still running in another process. Wait for "
                    "it, or stop that process, then resume."
                )
            self._db.execute(
                "UPDATE runs SET status = ?, owner = ?, record = ? WHERE run_id = ?",
                (
                    RunStatus.RUNNING,
                    _process(os.getpid()),
                    (record or info.record).model_dump_json(),
                    info.run_id,
                ),
            )
        return RunLog(self, info.run_id, read_only=False)

    def read(self, run_id: str) -> RunLog:
        """Return the log of a run for reading only."""
        return RunLog(self, self.run(run_id).run_id, read_only=True)

    def finish(
        self, run_id: str, status: RunStatus, result: dict[str, Any] | None = None
    ) -> None:
        """Note how a run ended; a result that it had before is kept."""
        with self._translated():
            self._db.execute(
                "UPDATE runs SET status = ?, owner = NULL, "
                "result = COALESCE(?, result) WHERE run_id = ?",
                (status, json.dumps(result) if result else None, run_id),
            )

    def fork(self, run_id: str, record: RunRecord, *, at: int) -> RunLog:
        """Start a run that shares the first ``at`` steps of another one.

        Args:
            run_id: The run to fork.
            record: The new run.
            at: How many steps to keep, 0 to the number of steps.
        """
        entries = self.read(run_id).entries
        if not 0 <= at <= len(entries):
            raise InvalidParameter(
                f"Run {run_id} has {len(entries)} steps; cannot fork at step {at}."
            )
        self.start(record)
        self._append(record.run_id, entries[:at])
        return RunLog(self, record.run_id, read_only=False)

    def run(self, run_id: str) -> RunInfo:
        """Return one run. A unique beginning of its id is enough.

        Raises:
            UnknownName: There is no such run, or more than one.
        """
        where = "WHERE substr(run_id, 1, length(?1)) = ?1"
        runs = list(self._runs(where, (run_id,)))
        exact = [r for r in runs if r.run_id == run_id] or runs
        if len(exact) != 1:
            raise UnknownName("run", run_id, [r.run_id for r in runs or self.runs(20)])
        return exact[0]

    def runs(self, limit: int = 100) -> list[RunInfo]:
        """Return the newest runs, newest first."""
        return list(self._runs("", (), limit))

    def _runs(
        self, where: str, values: tuple[str, ...], limit: int = 100
    ) -> Iterator[RunInfo]:
        with self._translated():
            rows = self._db.execute(
                "SELECT run_id, created, status, owner, record, result FROM runs "
                f"{where} ORDER BY created DESC, rowid DESC LIMIT {limit}",
                values,
            ).fetchall()
        for run_id, created, status, owner, record, result in rows:
            if status == RunStatus.RUNNING and not _alive(owner):
                status = RunStatus.INTERRUPTED
            yield RunInfo(
                run_id=run_id,
                created=created,
                status=RunStatus(status),
                record=RunRecord.model_validate_json(record),
                result=json.loads(result) if result else None,
            )

    def _append(self, run_id: str, entries: list[Entry]) -> None:
        rows = []
        for entry in entries:
            body = entry.model_dump_json(include={"elapsed", "usage", "body"})
            checked = _checksum(entry.path, entry.key, entry.kind, body)
            rows.append(
                (run_id, entry.path, entry.step, entry.key, entry.kind, body, checked)
            )
        with self._translated():
            if len(rows) == 1:
                self._db.execute(_INSERT, rows[0])
                return
        with self._alone():
            self._db.executemany(_INSERT, rows)

    def _load(self, run_id: str) -> tuple[dict[str, Entry], list[str]]:
        with self._translated():
            rows = self._db.execute(
                "SELECT path, step, key, kind, body, sum FROM entries "
                "WHERE run_id = ? ORDER BY step",
                (run_id,),
            ).fetchall()
        entries: dict[str, Entry] = {}
        damaged: list[str] = []
        for path, step, key, kind, body, checked in rows:
            entry = _read(path, step, key, kind, body, checked)
            if entry is None:
                damaged.append(str(path))
            else:
                entries[entry.path] = entry
        return entries, damaged

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_INSERT = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)"


def _checksum(path: str, key: str, kind: str, body: str) -> str:
    return content_key("\x00".join((path, key, kind, body)))


def _read(
    path: str, step: int, key: str, kind: str, body: str, checked: str
) -> Entry | None:
    """Return the entry, or ``None`` if the row is damaged."""
    try:
        if _checksum(path, key, kind, body) != checked:
            return None
        data = json.loads(body)
        return Entry.model_validate(
            {"path": path, "step": step, "key": key, "kind": kind, **data}
        )
    except (ValidationError, ValueError, TypeError, KeyError):
        return None


def _process(pid: int) -> str:
    """Name a process so that a later one with the same number differs."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return str(pid)
    # Field 22 is the start time; the name before it may contain anything but ')'.
    return f"{pid}:{stat.rpartition(')')[2].split()[19]}"


def _alive(owner: str | None) -> bool:
    if not owner:
        return False
    pid = int(owner.partition(":")[0])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _process(pid) == owner
