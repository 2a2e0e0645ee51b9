"""Passages in memory, searched by words, by vectors, or both."""

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from ponder.errors import InvalidInput, InvalidParameter, ModelError, RetrievalError
from ponder.passages import Passage, Retriever
from ponder.retrieval.embedding import Embedder, Vector
from ponder.retrieval.fusion import RANK_CONSTANT, reciprocal_rank_fusion
from ponder.retrieval.lexical import BM25, best

Way = Literal["bm25", "dense", "hybrid"]

Ranking = list[tuple[str, float]]


class MemoryRetriever(Retriever):
    """Searches passages that are held in memory, such as the corpus of a benchmark.

    What is searched is the title and the text of a passage. Indexes are built at the
    first search, and again after a change; the vector of a text is computed once.
    """

    def __init__(
        self,
        passages: Iterable[Passage | str],
        *,
        embedder: Embedder | None = None,
        way: Way | None = None,
        name: str = "memory",
        k1: float = 1.5,
        b: float = 0.75,
        rank_constant: float = RANK_CONSTANT,
        depth: int = 100,
    ) -> None:
        """Take passages.

        Args:
            passages: The corpus; a string is the text of a passage.
            embedder: Computes vectors; needed for ``dense`` and ``hybrid``.
            way: ``bm25``, ``dense`` (cosine similarity, exact) or ``hybrid``
                (reciprocal-rank fusion of both); by default ``hybrid`` with an
                embedder and ``bm25`` without.
            name: Its name begins with this; a fingerprint of the corpus follows, so
                that a run's journal never mistakes one corpus for another.
            k1: Of BM25.
            b: Of BM25.
            rank_constant: k of the fusion.
            depth: Passages of each ranking that are fused.

        Raises:
            InvalidInput: Two passages have the same id.
            InvalidParameter: ``way`` needs an embedder, or depth is below 1.
        """
        self.way: Way = way or ("hybrid" if embedder else "bm25")
        if (self.way != "bm25" and embedder is None) or depth < 1:
            raise InvalidParameter(
                f"The way '{self.way}' needs an embedder, and depth ({depth}) must be "
                "1 or more."
            )
        self._embedder, self._base = embedder, name
        self._k1, self._b = k1, b
        self._rank_constant, self._depth = rank_constant, depth
        self._passages: dict[str, Passage] = {}
        self._known: dict[str, Vector] = {}
        self._words: BM25 | None = None
        self._matrix: Vector | None = None
        self._lock = asyncio.Lock()
        self._take(passages)

    def __len__(self) -> int:
        """Return how many passages there are."""
        return len(self._passages)

    async def add(self, passages: Iterable[Passage | str]) -> None:
        """Add passages.

        Raises:
            InvalidInput: An id is there already; nothing was added then.
        """
        async with self._lock:
            self._take(passages)

    async def delete(self, ids: Iterable[str]) -> None:
        """Forget passages; ids that are not there are passed over."""
        async with self._lock:
            for id in ids:
                self._passages.pop(id, None)
                self._known.pop(id, None)
            self._changed()

    async def search(self, query: str, k: int) -> list[Passage]:
        """Return the best passages.

        Raises:
            RetrievalError: The embedder failed.
            InvalidParameter: k is below 1.
        """
        if k < 1:
            raise InvalidParameter(f"k is {k}: ask for 1 passage or more.")
        async with self._lock:
            if not self._passages or not query.strip():
                return []
            found = await self._ranked(query, k)
            return [
                self._passages[id].model_copy(update={"score": score})
                for id, score in found[:k]
            ]

    async def aclose(self) -> None:
        """Close the embedder."""
        if self._embedder is not None:
            await self._embedder.aclose()

    async def _ranked(self, query: str, k: int) -> Ranking:
        if self.way == "bm25":
            return await self._by_words(query, k)
        if self.way == "dense":
            return await self._by_vectors(query, k)
        depth = max(k, self._depth)
        rankings = (
            await self._by_words(query, depth),
            await self._by_vectors(query, depth),
        )
        ids = ([id for id, _ in ranking] for ranking in rankings)
        return reciprocal_rank_fusion(ids, self._rank_constant)

    async def _by_words(self, query: str, k: int) -> Ranking:
        if self._words is None:
            self._words = await asyncio.to_thread(
                BM25.build,
                list(self._passages),
                [_searched(p) for p in self._passages.values()],
                k1=self._k1,
                b=self._b,
            )
        return self._words.search(query, k)

    async def _by_vectors(self, query: str, k: int) -> Ranking:
        await self._embed_new()
        ids = [id for id in self._passages if id in self._known]
        if not ids:
            return []
        if self._matrix is None:
            self._matrix = np.stack([self._known[id] for id in ids])
        vector = (await self._embedded([query]))[0]
        similar = self._matrix @ vector
        # From 0 up, as ``best`` wants it: the least similar passage is found too.
        return [(ids[row], float(similar[row])) for row in best(similar + 2, k)]

    async def _embed_new(self) -> None:
        new = {
            id: _searched(passage)
            for id, passage in self._passages.items()
            # An empty text has no vector, and nobody looks for it.
            if id not in self._known and _searched(passage)
        }
        if new:
            vectors = await self._embedded(list(new.values()))
            self._known.update(zip(new, vectors, strict=True))

    async def _embedded(self, texts: Sequence[str]) -> Vector:
        if self._embedder is None:
            raise InvalidParameter("There is no embedder.")
        try:
            return await self._embedder.embed(texts)
        except ModelError as error:
            raise RetrievalError(
                f"'{self.name}' cannot be searched by vectors: {error}"
            ) from error

    def _take(self, passages: Iterable[Passage | str]) -> None:
        new = dict(self._passages)
        for number, value in enumerate(passages, start=len(new)):
            passage = value if isinstance(value, Passage) else _passage(value, number)
            if passage.id in new:
                raise InvalidInput(
                    f"Two passages have the id '{passage.id}'. Give each its own."
                )
            new[passage.id] = passage
        self._passages = new
        self._changed()

    def _changed(self) -> None:
        self._words = self._matrix = None
        digest = hashlib.blake2b(digest_size=6)
        for passage in self._passages.values():
            digest.update(passage.model_dump_json().encode())
        self.name = f"{self._base}:{digest.hexdigest()}:{self.way}"
        if self._embedder is not None and self.way != "bm25":
            self.name += f":{self._embedder.name}"


def _searched(passage: Passage) -> str:
    return f"{passage.title}\n{passage.text}".strip()


def _passage(text: str, number: int) -> Passage:
    return Passage(id=str(number), text=text)
