"""Search in two stages: a shortlist by a few dimensions, the ranking by all.

AdANNS lets every stage of a search use as many dimensions of a Matryoshka embedding
as that stage needs, https://arxiv.org/abs/2305.19435. The stages here are those of the
adaptive retrieval of Matryoshka embeddings, https://arxiv.org/abs/2205.13147: the
nearest by the first d' dimensions, renormalised, then the order by all d. Where the
short vectors have an index, its clusters are of d' dimensions too, as in AdANNS-IVF.

It pays only for embeddings that were trained so that a prefix is an embedding itself.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ponder.errors import InvalidParameter
from ponder.retrieval.lexical import best
from ponder.retrieval.vectors import INDEX_FROM, PROBES, Vectors

Vector = NDArray[np.float32]

SHORTLIST = 10
"""Candidates of the first stage for each result of the second: ponder's choice."""


def prefix(array: Vector, short: int) -> Vector:
    """Return the first dimensions of vectors, at length 1.

    Args:
        array: Shape (n, d).
        short: d', 1 to d.

    Raises:
        InvalidParameter: d' is out of its range, or a prefix is zero.
    """
    if not 1 <= short <= array.shape[1]:
        raise InvalidParameter(
            f"short is {short}: give 1 to the {array.shape[1]} dimensions there are."
        )
    cut = array[:, :short]
    lengths = np.linalg.norm(cut, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise InvalidParameter(
            f"The first {short} dimensions of a vector are zero or not finite. Use "
            "more dimensions for the shortlist."
        )
    return cast(Vector, cut / lengths)


class MatryoshkaArray:
    """Two-stage search over vectors in memory."""

    def __init__(self, array: Vector, short: int, *, shortlist: int = SHORTLIST):
        """Take the vectors.

        Args:
            array: Shape (n, d).
            short: d', the dimensions of the first stage.
            shortlist: Candidates for each result, 1 or more.

        Raises:
            InvalidParameter: A number is out of its range, or a vector is zero.
        """
        _check_shortlist(shortlist)
        self._full = prefix(array, array.shape[1])
        self._short = np.ascontiguousarray(prefix(array, short))
        self.shortlist = shortlist

    def search(self, vector: Vector, k: int) -> list[tuple[int, float]]:
        """Return the rows most similar to a vector, and their cosine similarities.

        Args:
            vector: Shape (d,).
            k: At most so many, 1 or more.

        Raises:
            InvalidParameter: k is below 1, or the vector is of no use.
        """
        if k < 1:
            raise InvalidParameter(f"k is {k}: ask for 1 vector or more.")
        query = vector[np.newaxis]
        full, short = prefix(query, len(vector)), prefix(query, self._short.shape[1])
        # From 0 up: a candidate may point away from the query.
        near = best(self._short @ short[0] + 2, k * self.shortlist)
        scores = self._full[near] @ full[0]
        pairs = zip(near, map(float, scores), strict=True)
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:k]


class MatryoshkaVectors:
    """Two-stage search over vectors on disk; used as ``Vectors`` is.

    There are two stores: the prefixes, which are searched, and the whole vectors, of
    which a search reads the shortlist alone.
    """

    def __init__(self, short: Vectors, full: Vectors, shortlist: int) -> None:
        """Use two stores; see ``open``."""
        self.dimension, self.shortlist = full.dimension, shortlist
        self._short, self._full = short, full

    @classmethod
    def open(
        cls,
        folder: Path,
        dimension: int,
        short: int,
        *,
        shortlist: int = SHORTLIST,
        index_from: int = INDEX_FROM,
    ) -> "MatryoshkaVectors":
        """Open a store, an empty one if there is none yet.

        Args:
            folder: Its own.
            dimension: d, of the whole vectors.
            short: d', of the first stage.
            shortlist: Candidates for each result, 1 or more.
            index_from: Vectors from which ``compact`` indexes the prefixes.

        Raises:
            InvalidParameter: A number is out of its range.
            RetrievalError: The folder cannot be read, or was made with other numbers.
            MissingExtra: LanceDB is not installed.
        """
        _check_shortlist(shortlist)
        if not 1 <= short <= dimension:
            raise InvalidParameter(f"short is {short}: give 1 to {dimension}.")
        first = Vectors.open(folder / "short", short, index_from=index_from)
        full = Vectors.open(folder / "full", dimension, index_from=None)
        return cls(first, full, shortlist)

    def add(self, ids: Sequence[str], array: Vector) -> None:
        """Add vectors, or replace those whose ids are there.

        Raises:
            InvalidParameter: Ids or shape are wrong, or a prefix is zero.
            RetrievalError: They cannot be written.
        """
        if not ids:
            return
        cut = prefix(array, self._short.dimension)
        # The whole ones first: a kill in between leaves nothing that cannot be ranked.
        self._full.add(ids, array)
        self._short.add(ids, cut)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete vectors; ``compact`` removes them from the disk.

        Raises:
            RetrievalError: They cannot be deleted.
        """
        self._short.delete(ids)
        self._full.delete(ids)

    def search(
        self, vector: Vector, k: int, *, probes: int = PROBES, exact: bool = False
    ) -> list[tuple[str, float]]:
        """Return the most similar vectors, with their cosine similarities.

        Args:
            vector: Shape (d,).
            k: At most so many, 1 or more.
            probes: As in ``Vectors.search``, in the first stage.
            exact: Scan all prefixes.

        Raises:
            InvalidParameter: The vector is of no use, or k or probes is below 1.
            RetrievalError: A store cannot be read.
        """
        query = vector[np.newaxis]
        short = prefix(query, self._short.dimension)[0]
        full = prefix(query, len(vector))[0]
        near = self._short.search(short, k * self.shortlist, probes=probes, exact=exact)
        found = self._full.fetch([id for id, _ in near])
        scored = [
            (id, float(whole @ full / np.linalg.norm(whole)))
            for id, whole in found.items()
        ]
        return sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:k]

    def count(self) -> int:
        """Return how many vectors can be found."""
        return self._short.count()

    @property
    def indexed(self) -> bool:
        """Whether the prefixes have an index."""
        return self._short.indexed

    def compact(self) -> None:
        """Do what ``Vectors.compact`` does, with both stores.

        Raises:
            RetrievalError: The files cannot be written.
        """
        self._short.compact()
        self._full.compact()


def _check_shortlist(shortlist: int) -> None:
    if shortlist < 1:
        raise InvalidParameter(f"shortlist is {shortlist}: give 1 or more.")
