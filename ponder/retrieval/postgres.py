"""Passages in a PostgreSQL server with pgvector: one corpus for many machines."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ponder.errors import InvalidParameter, MissingExtra, ModelError, RetrievalError
from ponder.passages import Passage, Retriever
from ponder.retrieval.embedding import Embedder, Vector

INDEXED_DIMENSIONS = 2000
"""pgvector's limit for an index over single-precision vectors."""


class PostgresRetriever(Retriever):
    """Searches a table of passages by the cosine similarity of their vectors.

    The table is made at the first use. It remembers whose vectors it holds: another
    embedder is refused. Every write is one transaction. One connection serves all
    searches of one event loop, one after the other; where it is lost, that search
    fails and the next one connects again. Needs pgvector 0.8 or newer on the server.
    """

    def __init__(
        self, address: str, embedder: Embedder, *, table: str = "ponder_passages"
    ) -> None:
        """Name the server; nothing is opened before the first use.

        Args:
            address: As libpq takes it: ``postgresql://user@host/database``. The role
                needs the extension ``vector`` in the database, or the right to create
                it.
            embedder: Whose vectors are stored and searched; ``aclose`` closes it.
            table: Its name, created if it is not there.

        Raises:
            InvalidParameter: The table's name is no word of at most 50 bytes.
            MissingExtra: psycopg or pgvector is not installed.
        """
        _psycopg()
        # Longer names of its indexes would be cut by the server, and then be the same.
        if not table.isidentifier() or len(table.encode()) > 50:
            raise InvalidParameter(
                f"table is '{table}': give a word of letters, digits and _, at most "
                "50 bytes."
            )
        self.name = f"postgres:{table}:{embedder.name}"
        self.table, self._embedder = table, embedder
        self._address = address
        self._connection: Any | None = None
        self._dimension: int | None = None
        self._lock = asyncio.Lock()

    async def add(self, passages: Sequence[Passage]) -> None:
        """Add passages, all or none; those whose ids are there are replaced.

        Raises:
            InvalidInput: A text is empty.
            RetrievalError: The server or the embedder failed.
        """
        if not passages:
            return
        vectors = await self._embedded([_searched(p) for p in passages])
        rows = [
            (p.id, p.source, p.model_dump_json(exclude={"score"}), vector)
            for p, vector in zip(passages, vectors, strict=True)
        ]
        async with self._open(vectors.shape[1]) as connection:
            async with connection.transaction(), connection.cursor() as cursor:
                await cursor.executemany(self._sql(_UPSERT), rows)

    async def delete(self, ids: Sequence[str]) -> None:
        """Delete passages; ids that are not there are passed over.

        Raises:
            RetrievalError: The server failed.
        """
        await self._delete(_DELETE_IDS, list(ids))

    async def delete_source(self, source: str) -> None:
        """Delete all passages of a document.

        Raises:
            RetrievalError: The server failed.
        """
        await self._delete(_DELETE_SOURCE, source)

    async def _delete(self, statement: str, value: object) -> None:
        async with self._open() as connection:
            if self._dimension is not None:
                async with connection.transaction():
                    await connection.execute(self._sql(statement), (value,))

    async def search(self, query: str, k: int) -> list[Passage]:
        """Return the most similar passages.

        Raises:
            RetrievalError: The server or the embedder failed.
            InvalidParameter: k is below 1.
        """
        if k < 1:
            raise InvalidParameter(f"k is {k}: ask for 1 passage or more.")
        if not query.strip():
            return []
        vector = (await self._embedded([query]))[0]
        async with self._open() as connection:
            if self._dimension is None:
                return []
            self._check_dimension(len(vector))
            cursor = await connection.execute(self._sql(_SEARCH), (vector, k))
            rows = await cursor.fetchall()
        return [
            Passage.model_validate(passage).model_copy(update={"score": 1 - distance})
            for passage, distance in rows
        ]

    async def count(self) -> int:
        """Return how many passages there are.

        Raises:
            RetrievalError: The server failed.
        """
        async with self._open() as connection:
            if self._dimension is None:
                return 0
            cursor = await connection.execute(self._sql(_COUNT))
            return int((await cursor.fetchone())[0])

    async def create_index(self) -> None:
        """Index the vectors (HNSW), for tables too large to be scanned.

        Searches are approximate from then on. The index follows every change.

        Raises:
            RetrievalError: There is nothing to index, the vectors have more than 2000
                dimensions, or the server failed.
        """
        async with self._open() as connection:
            if self._dimension is None or self._dimension > INDEXED_DIMENSIONS:
                raise RetrievalError(
                    f"The table '{self.table}' has vectors of {self._dimension} "
                    f"dimensions; pgvector indexes 1 to {INDEXED_DIMENSIONS}."
                )
            await connection.execute(self._sql(_INDEX))

    async def aclose(self) -> None:
        """Close the connection and the embedder."""
        async with self._lock:
            if self._connection is not None:
                await self._connection.close()
                self._connection = None
        await self._embedder.aclose()

    async def _embedded(self, texts: Sequence[str]) -> Vector:
        try:
            return await self._embedder.embed(texts)
        except ModelError as error:
            raise RetrievalError(
                f"'{self.name}' cannot embed what it was given: {error}"
            ) from error

    @asynccontextmanager
    async def _open(self, dimension: int | None = None) -> AsyncIterator[Any]:
        """Give the connection to one caller; with a dimension, make the table."""
        psycopg = _psycopg()
        async with self._lock:
            try:
                connection = await self._connected(psycopg)
                if dimension is not None:
                    await self._made(connection, dimension)
                elif self._dimension is None:
                    await self._look(connection)
                yield connection
            except psycopg.Error as error:
                raise RetrievalError(
                    f"The table '{self.table}' on the PostgreSQL server cannot be "
                    f"used: {str(error).strip()}"
                ) from error

    async def _connected(self, psycopg: Any) -> Any:
        if self._connection is None or self._connection.closed:
            from pgvector.psycopg import register_vector_async

            connection = await psycopg.AsyncConnection.connect(
                self._address, autocommit=True
            )
            try:
                await connection.execute(_NO_NOTICES)
                await connection.execute(_EXTENSION)
                await connection.execute(_ITERATIVE)
                await register_vector_async(connection)
            except BaseException:
                await connection.close()
                raise
            self._connection = connection
        return self._connection

    async def _made(self, connection: Any, dimension: int) -> None:
        if self._dimension is None:
            await self._look(connection)
        if self._dimension is None:
            async with connection.transaction():
                await connection.execute(self._sql(_TABLE, dimension=dimension))
                await connection.execute(self._sql(_SOURCES))
                await connection.execute(
                    self._sql(_COMMENT, embedder=self._embedder.name)
                )
            self._dimension = dimension
        self._check_dimension(dimension)

    async def _look(self, connection: Any) -> None:
        """Find out about the table, if it is there."""
        cursor = await connection.execute(_LOOK, (self.table,))
        row = await cursor.fetchone()
        if row is None:
            return
        dimension, embedder = row
        if embedder != self._embedder.name:
            raise RetrievalError(
                f"The vectors in the table '{self.table}' are of '{embedder}', not of "
                f"'{self._embedder.name}'. Use the embedder that it was built with, or "
                "another table."
            )
        self._dimension = dimension

    def _check_dimension(self, dimension: int) -> None:
        if dimension != self._dimension:
            raise RetrievalError(
                f"The vectors in the table '{self.table}' have {self._dimension} "
                f"dimensions, and '{self._embedder.name}' gives {dimension}. Use the "
                "embedder that it was built with, or another table."
            )

    def _sql(self, statement: str, **values: object) -> Any:
        """Return a statement with the names and values that cannot be parameters."""
        from psycopg import sql

        literals = {name: sql.Literal(value) for name, value in values.items()}
        return sql.SQL(statement).format(
            table=sql.Identifier(self.table),
            index=sql.Identifier(f"{self.table}_vector"),
            sources=sql.Identifier(f"{self.table}_source"),
            **literals,
        )


_NO_NOTICES = "SET client_min_messages = warning"
_EXTENSION = "CREATE EXTENSION IF NOT EXISTS vector"
# Else an indexed search finds 40 passages at most, whatever k is.
_ITERATIVE = "SET hnsw.iterative_scan = strict_order"
_TABLE = """
CREATE TABLE {table} (
    id text PRIMARY KEY,
    source text NOT NULL,
    passage jsonb NOT NULL,
    vector vector({dimension}) NOT NULL
)"""
_SOURCES = "CREATE INDEX {sources} ON {table} (source)"
_COMMENT = "COMMENT ON TABLE {table} IS {embedder}"
_LOOK = """
SELECT atttypmod, obj_description(attrelid, 'pg_class') FROM pg_attribute
WHERE attrelid = to_regclass(quote_ident(%s)) AND attname = 'vector'"""
_UPSERT = """
INSERT INTO {table} (id, source, passage, vector) VALUES (%s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET source = EXCLUDED.source, passage = EXCLUDED.passage,
    vector = EXCLUDED.vector"""
_DELETE_IDS = "DELETE FROM {table} WHERE id = ANY(%s)"
_DELETE_SOURCE = "DELETE FROM {table} WHERE source = %s"
# The id decides between equals, so that a search finds the same every time.
_SEARCH = """
SELECT passage, distance FROM (
    SELECT id, passage, vector <=> %s AS distance FROM {table}
) AS measured ORDER BY distance, id LIMIT %s"""
_COUNT = "SELECT count(*) FROM {table}"
_INDEX = (
    "CREATE INDEX IF NOT EXISTS {index} ON {table} USING hnsw "
    "(vector vector_cosine_ops)"
)


def _searched(passage: Passage) -> str:
    return f"{passage.title}\n{passage.text}".strip()


def _psycopg() -> Any:
    try:
        import pgvector.psycopg  # noqa: F401  # needed as soon as there is a connection
        import psycopg
    except ImportError as error:
        raise MissingExtra(
            "psycopg and pgvector", "postgres", "A corpus in PostgreSQL"
        ) from error
    return psycopg
