"""A store of vectors on disk, with LanceDB.

LanceDB, because it is maintained, under Apache-2.0, needs no server, reads from disk
what a search touches and so outgrows memory, and commits every write as a version, so
that a kill leaves the last whole one. Rejected: sqlite-vec, which compares every query
with every vector; hnswlib and usearch, which hold the index in memory and write it as
a whole; faiss, whose indexes in memory cannot delete and whose indexes on disk need
care of their own.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ponder.errors import InvalidParameter, MissingExtra, PonderError, RetrievalError

Vector = NDArray[np.float32]

TABLE = "vectors"
INDEX_FROM = 50_000
"""Vectors from which ``compact`` builds an index; fewer are scanned in milliseconds."""
PARTITION = 2048
"""Vectors of a partition. LanceDB 0.40 merges partitions of a few hundred into ones of
many thousand whenever it tidies up, so that sqrt(n) partitions would not last."""
PROBES = 16
"""Partitions that a search looks into."""
_CHUNK = 500
"""Ids of one statement."""
_AT_ONCE = timedelta(milliseconds=1)
"""Age from which an old version is deleted; LanceDB warns about zero."""


class Vectors:
    """Vectors by id, searched by cosine similarity.

    A small table is scanned, which is exact. ``compact`` gives a table of
    ``index_from`` vectors or more an inverted file (IVF_FLAT): the vectors are put
    into n / 2048 partitions by k-means, and a search scans the ``probes`` partitions
    nearest to the query. Vectors are kept as they are, without quantisation, so that
    recall depends on ``probes`` alone: all partitions make it exact. What was added
    since the index was built is scanned besides, so nothing is ever missing.

    One process writes at a time; any number may read meanwhile, but not while
    ``compact`` runs.
    """

    def __init__(
        self, database: Any, folder: Path, dimension: int, index_from: int | None
    ) -> None:
        """Use an open database; see ``open``."""
        self.folder, self.dimension, self.index_from = folder, dimension, index_from
        self._database = database
        self._table = self._opened()
        # Its presence says that deleted vectors are still in the files.
        self._remains = folder / "remains"

    @classmethod
    def open(
        cls, folder: Path, dimension: int, *, index_from: int | None = INDEX_FROM
    ) -> "Vectors":
        """Open a store, an empty one if there is none yet.

        Args:
            folder: Its own; nothing else may be kept there.
            dimension: Numbers of each vector.
            index_from: Vectors from which ``compact`` builds an index; ``None`` for
                never, where vectors are only fetched.

        Raises:
            InvalidParameter: A number is below 1.
            RetrievalError: The folder cannot be read, or its vectors have another
                dimension.
            MissingExtra: LanceDB is not installed.
        """
        if dimension < 1 or (index_from is not None and index_from < 1):
            raise InvalidParameter(
                f"dimension is {dimension}, index_from {index_from}: give 1 or more."
            )
        lancedb = _lancedb()
        with _translated(folder, "opened"):
            folder.mkdir(parents=True, exist_ok=True)
            # Readers see what others wrote, at the price of a look at the folder.
            database = lancedb.connect(folder, read_consistency_interval=timedelta(0))
            vectors = cls(database, folder, dimension, index_from)
        vectors._check_dimension()
        return vectors

    def _opened(self) -> Any:
        try:
            return self._database.open_table(TABLE)
        except ValueError:  # there is none
            return self._database.create_table(TABLE, schema=self._schema)

    def add(self, ids: Sequence[str], array: Vector) -> None:
        """Add vectors, in one version: all of them or, after a kill, none.

        Args:
            ids: All different. A vector whose id is there already replaces it.
            array: Shape (ids, dimension); of any length but zero.

        Raises:
            InvalidParameter: Ids or shape are wrong, or a number is not finite.
            RetrievalError: They cannot be written.
        """
        if not ids:
            return
        self._check_new(ids, array)
        batch = self._batch(ids, array)
        with _translated(self.folder, "written"):
            if not self._table.count_rows():
                self._table.add(batch)
                return
            merge = self._table.merge_insert("id").when_matched_update_all()
            result = merge.when_not_matched_insert_all().execute(batch)
            if result.num_updated_rows:
                self._remains.touch()

    def delete(self, ids: Sequence[str]) -> None:
        """Delete vectors: no search finds them, and ``compact`` removes them from disk.

        Args:
            ids: Those that are not there are passed over.

        Raises:
            RetrievalError: They cannot be deleted.
        """
        with _translated(self.folder, "written"):
            if ids:
                self._remains.touch()
            for condition in _conditions(ids):
                self._table.delete(condition)

    def search(
        self, vector: Vector, k: int, *, probes: int = PROBES, exact: bool = False
    ) -> list[tuple[str, float]]:
        """Return the most similar vectors, the most similar first.

        Args:
            vector: Shape (dimension,).
            k: At most so many, 1 or more.
            probes: Partitions to look into, where there is an index: more find more
                of the true neighbours, and take longer in proportion.
            exact: Scan everything, index or not.

        Returns:
            Ids with cosine similarities, -1 to 1; of equals the smaller id first.

        Raises:
            InvalidParameter: The shape is wrong, the vector has no direction, or k or
                probes is below 1.
            RetrievalError: The table cannot be read.
        """
        if k < 1 or probes < 1:
            raise InvalidParameter(f"k is {k}, probes {probes}: give 1 or more.")
        self._check_vectors(vector[np.newaxis])
        with _translated(self.folder, "searched"):
            query = self._table.search(
                vector, vector_column_name="vector", query_type="vector"
            )
            query = query.distance_type("cosine").select(["id", "_distance"]).limit(k)
            query = query.bypass_vector_index() if exact else query.nprobes(probes)
            found = query.to_arrow()
        ids = cast(list[str], found["id"].to_pylist())
        scores = 1 - found["_distance"].to_numpy()
        pairs = zip(ids, map(float, scores), strict=True)
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))

    def fetch(self, ids: Sequence[str]) -> dict[str, Vector]:
        """Return vectors by their ids; those that are not there are left out.

        Raises:
            RetrievalError: The table cannot be read.
        """
        found: dict[str, Vector] = {}
        with _translated(self.folder, "searched"):
            for condition in _conditions(ids):
                rows = self._table.search().where(condition).limit(_CHUNK).to_arrow()
                matrix = _matrix(rows["vector"], self.dimension)
                found.update(zip(rows["id"].to_pylist(), matrix, strict=True))
        return found

    def count(self) -> int:
        """Return how many vectors there are.

        Raises:
            RetrievalError: The table cannot be read.
        """
        with _translated(self.folder, "searched"):
            return int(self._table.count_rows())

    @property
    def indexed(self) -> bool:
        """Whether there is an index."""
        with _translated(self.folder, "searched"):
            return any(i.columns == ["vector"] for i in self._table.list_indices())

    def compact(self) -> None:
        """Remove what was deleted from the disk, and bring the index up to date.

        Deleted and replaced vectors are gone from all files afterwards: LanceDB only
        marks them, so the table is written anew. Nobody else may use the store
        meanwhile. After a kill, do it again.

        Raises:
            RetrievalError: The files cannot be written.
        """
        with _translated(self.folder, "written"):
            remains = self._remains.exists()
            if remains:
                self._rewrite()
            self._index()
            # What is deleted is in versions that are old enough by then.
            time.sleep(5 * _AT_ONCE.total_seconds())
            self._table.optimize(cleanup_older_than=_AT_ONCE, delete_unverified=True)
            self._remains.unlink(missing_ok=True)

    def _rewrite(self) -> None:
        """Write the table anew, as one more version, without what was deleted."""
        self._table = self._database.create_table(
            TABLE,
            data=self._table.search().to_batches(),
            schema=self._schema,
            mode="overwrite",
        )

    def _index(self) -> None:
        """Build each index that is missing, or that the table has outgrown."""
        from lancedb.index import BTree, IvfFlat

        count = self._table.count_rows()
        if self._outgrown("id", INDEX_FROM, count):
            # For replacements, deletions and ``fetch``.
            self._table.create_index("id", config=BTree(), replace=True)
        if self._outgrown("vector", self.index_from, count):
            partitions = max(1, round(count / PARTITION))
            config = IvfFlat(distance_type="cosine", num_partitions=partitions)
            self._table.create_index("vector", config=config, replace=True)

    def _outgrown(self, column: str, least: int | None, count: int) -> bool:
        """Whether a column needs a new index: at first, and when it has doubled."""
        if least is None or count < least:
            return False
        indexes = {index.columns[0]: index.name for index in self._table.list_indices()}
        if column not in indexes:
            return True
        stats = self._table.index_stats(indexes[column])
        return bool(stats.num_unindexed_rows > stats.num_indexed_rows)

    @property
    def _schema(self) -> Any:
        import pyarrow as pa

        vector = pa.list_(pa.float32(), self.dimension)
        return pa.schema(
            [
                pa.field("id", pa.string(), nullable=False),
                pa.field("vector", vector, nullable=False),
            ]
        )

    def _batch(self, ids: Sequence[str], array: Vector) -> Any:
        import pyarrow as pa

        numbers = pa.array(np.ascontiguousarray(array, np.float32).ravel())
        column = pa.FixedSizeListArray.from_arrays(numbers, self.dimension)
        return pa.table({"id": list(ids), "vector": column}, schema=self._schema)

    def _check_new(self, ids: Sequence[str], array: Vector) -> None:
        if len(ids) != len(array) or len(set(ids)) != len(ids):
            raise InvalidParameter(
                f"{len(ids)} ids, {len(set(ids))} of them different, for "
                f"{len(array)} vectors: give every vector an id of its own."
            )
        self._check_vectors(array)

    def _check_vectors(self, array: Vector) -> None:
        if array.ndim != 2 or array.shape[1] != self.dimension:
            raise InvalidParameter(
                f"Vectors of shape {array.shape} were given to a store of dimension "
                f"{self.dimension}."
            )
        lengths = np.linalg.norm(array, axis=1)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise InvalidParameter("A vector is zero or not finite.")

    def _check_dimension(self) -> None:
        there = self._table.schema.field("vector").type.list_size
        if there != self.dimension:
            raise RetrievalError(
                f"The vectors in {self.folder} have {there} dimensions, and the "
                f"embeddings in use have {self.dimension}. Use the embeddings that it "
                "was built with, or build it again."
            )


def _conditions(ids: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(ids), _CHUNK):
        quoted = [_quoted(id) for id in ids[start : start + _CHUNK]]
        yield f"id IN ({', '.join(quoted)})"


def _quoted(id: str) -> str:
    return "'" + id.replace("'", "''") + "'"


def _matrix(column: Any, dimension: int) -> Vector:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return cast(Vector, flat.reshape(-1, dimension))


@contextmanager
def _translated(folder: Path, done: str) -> Iterator[None]:
    """Raise whatever LanceDB, Arrow and the file system raise as ``RetrievalError``."""
    try:
        yield
    except PonderError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise RetrievalError(
            f"The vectors in {folder} cannot be {done}: "
            f"{reason[0] if reason else type(error).__name__}. If they are damaged, "
            "delete the folder and build the index again."
        ) from error


def _lancedb() -> Any:
    try:
        import lancedb
    except ImportError as error:
        raise MissingExtra("lancedb", "retrieval", "Searching by vectors") from error
    return lancedb
