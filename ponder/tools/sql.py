"""A SQLite database to ask questions of, by queries that can change nothing."""

import asyncio
import math
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from ponder.errors import InvalidParameter, PonderError
from ponder.result import Candidate, Task
from ponder.tools.environment import Environment, Observation

INSTRUCTIONS = """\
You answer a question by a query of a SQLite database. An action is one SELECT \
statement on its own: you are shown its rows and can try another one. When a query \
gives exactly what the question asks for, the last action is SUBMIT, which hands in \
the query before it, or SUBMIT followed by a query."""

LONGEST_VALUE = 1_000_000
"""Bytes of a text or blob, so that no query can fill the memory with one value."""
CELL = 80
"""Characters shown of a value."""

_SUBMIT = re.compile(r"\s*submit\b[\s:]*", re.IGNORECASE)
_ALLOWED = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
)
# What they give differs from call to call, or reaches outside the database.
_FORBIDDEN_FUNCTIONS = frozenset({"random", "randomblob", "load_extension"})


class SqlDatabase(Environment):
    """Queries on a database in memory; the episode ends when a query is submitted.

    Its answer is the query. An error of SQLite is shown as an observation, and a
    query that fails cannot be submitted.
    """

    instructions = INSTRUCTIONS

    def __init__(
        self,
        script: str,
        *,
        name: str = "sql",
        seconds: float = 5.0,
        rows: int = 20,
    ) -> None:
        """Describe the database; it is built when an episode starts.

        Args:
            script: SQL statements that create and fill the tables.
            name: Identity of the database.
            seconds: Longest time of a query, more than 0.
            rows: Most rows that are shown, 1 or more.

        Raises:
            InvalidParameter: A limit is outside its range.
        """
        if not 0 < seconds < math.inf or rows < 1:
            raise InvalidParameter(
                f"seconds={seconds}, rows={rows}: give more than 0 seconds, 1 row."
            )
        self.script, self.name = script, name
        self.seconds, self.rows = seconds, rows
        self._database: sqlite3.Connection | None = None
        self._last = ""

    async def start(self) -> Observation:
        """Build the database, unless it is there: no query changes it."""
        if self._database is None:
            self._database = _built(self.script)
        self._last = ""
        return Observation(text=f"The database has these tables:\n{self._schema()}")

    async def act(self, action: str) -> Observation:
        """Execute a query, or submit it."""
        submitted = _SUBMIT.match(action)
        query = action.strip()
        if submitted:
            query = action[submitted.end() :].strip() or self._last
        try:
            names, rows = await self.execute(query, limit=self.rows + 1)
        except sqlite3.Error as error:
            return Observation(text=f"Error: {error}")
        self._last = query
        shown = _table(names, rows, self.rows)
        if submitted is None:
            return Observation(text=shown)
        return Observation(text=f"Submitted.\n{shown}", done=True, answer=query)

    async def save(self) -> Any:
        """Return the last query: the database itself does not change."""
        return self._last

    async def load(self, state: Any) -> None:
        """Go back to a last query."""
        await self.start()
        self._last = state

    async def aclose(self) -> None:
        """Drop the database."""
        if self._database is not None:
            self._database.close()
            self._database = None

    async def execute(
        self, query: str, *, limit: int | None = None
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Execute a query that reads.

        Args:
            query: One statement.
            limit: Most rows to fetch; by default all.

        Returns:
            The names of the columns, and the rows.

        Raises:
            sqlite3.Error: It is wrong, forbidden, or took longer than ``seconds``.
            PonderError: There is no episode.
        """
        database = self._database
        if database is None:
            raise PonderError(f"The database '{self.name}' is closed. Reset it first.")
        if not query:
            raise sqlite3.OperationalError("the query is empty")
        try:
            # Beside the loop, so that a long query stops nobody else.
            return await asyncio.to_thread(self._fetched, database, query, limit)
        except asyncio.CancelledError:
            database.interrupt()
            raise

    def _fetched(
        self, database: sqlite3.Connection, query: str, limit: int | None
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        end = time.monotonic() + self.seconds
        database.set_progress_handler(lambda: time.monotonic() > end, 1000)
        try:
            cursor = database.execute(query)
            rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
            names = [column[0] for column in cursor.description or ()]
            cursor.close()
        except sqlite3.OperationalError as error:
            if time.monotonic() > end:
                message = f"stopped after {self.seconds:g} seconds"
                raise sqlite3.OperationalError(message) from error
            raise
        finally:
            database.set_progress_handler(None, 0)
        return names, rows

    def _schema(self) -> str:
        statement = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        database = self._database
        found = database.execute(statement).fetchall() if database else []
        return "\n".join(f"{sql};" for (sql,) in found)


def gives_rows_of(
    script: str, reference: str, *, ordered: bool = False
) -> Callable[[Task, Candidate], Any]:
    """Return a verifier: does the query that is the answer give the same rows?

    This is execution accuracy, the measure of Spider and BIRD: names of columns do not
    count, and without ``ordered`` neither does the order of rows.

    Args:
        script: The database that both queries are executed on.
        reference: A right query.
        ordered: Whether the question asks for an order.
    """

    async def gives_the_right_rows(task: Task, candidate: Candidate) -> bool:
        database = SqlDatabase(script)
        try:
            await database.reset()
            _, wanted = await database.execute(reference)
            try:
                query, most = candidate.answer or "", len(wanted) + 1
                _, found = await database.execute(query, limit=most)
            except (sqlite3.Error, UnicodeError):
                return False
        finally:
            await database.aclose()
        return found == wanted if ordered else Counter(found) == Counter(wanted)

    return gives_the_right_rows


def _built(script: str) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        database.executescript(script)
    except sqlite3.Error as error:
        database.close()
        raise InvalidParameter(f"The script of the database fails: {error}") from error
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    database.set_authorizer(_reads_only)
    return database


def _reads_only(
    action: int, first: str | None, second: str | None, *_: str | None
) -> int:
    if action == sqlite3.SQLITE_FUNCTION:
        forbidden = (second or "").lower() in _FORBIDDEN_FUNCTIONS
        return sqlite3.SQLITE_DENY if forbidden else sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _table(names: list[str], rows: list[tuple[Any, ...]], limit: int) -> str:
    lines = [" | ".join(names), *(" | ".join(map(_cell, row)) for row in rows[:limit])]
    if len(rows) > limit:
        lines.append(f"... and more than these {limit} rows")
    return "\n".join(lines if rows else [*lines, "(no rows)"])


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    text = f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)
    return text if len(text) <= CELL else f"{text[: CELL - 1]}…"
