"""What every retriever promises.

To put another one under the contract, write how to make it, and add it to ``MAKERS``;
one that can forget passages says so by a method ``delete(ids)``.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytest

from ponder.errors import InvalidParameter, RetrievalError
from ponder.passages import Passage, Retriever
from ponder.retrieval.fusion import Hybrid
from ponder.retrieval.memory import MemoryRetriever
from ponder.retrieval.postgres import PostgresRetriever
from ponder.retrieval.scripted import ScriptedRetriever
from tests.support.corpora import corpus
from tests.support.hashed_embedder import HashedEmbedder


@runtime_checkable
class Forgets(Protocol):
    async def delete(self, ids: Sequence[str]) -> None: ...

    async def search(self, query: str, k: int) -> list[Passage]: ...


Make = Callable[[list[Passage], Path, pytest.FixtureRequest], Awaitable[Retriever]]

_tables = itertools.count()


async def scripted(
    passages: list[Passage], folder: Path, request: pytest.FixtureRequest
) -> Retriever:
    return ScriptedRetriever(passages)


async def by_words(
    passages: list[Passage], folder: Path, request: pytest.FixtureRequest
) -> Retriever:
    return MemoryRetriever(passages)


async def by_vectors(
    passages: list[Passage], folder: Path, request: pytest.FixtureRequest
) -> Retriever:
    return MemoryRetriever(passages, embedder=HashedEmbedder(), way="dense")


async def by_both(
    passages: list[Passage], folder: Path, request: pytest.FixtureRequest
) -> Retriever:
    return MemoryRetriever(passages, embedder=HashedEmbedder())


async def fused(
    passages: list[Passage], folder: Path, request: pytest.FixtureRequest
) -> Retriever:
    parts = [MemoryRetriever(passages), ScriptedRetriever(passages[::-1])]
    return Hybrid(parts)


async def postgres(
    passages: list[Passage], folder: Path, request: pytest.FixtureRequest
) -> Retriever:
    address = request.getfixturevalue("postgres")
    table = f"contract_{next(_tables)}"
    retriever = PostgresRetriever(address, HashedEmbedder(), table=table)
    await retriever.add(passages)
    return retriever


MAKERS: list[Make] = [scripted, by_words, by_vectors, by_both, fused, postgres]

ODD = [
    "?!… —",
    "the of and",
    "क्या है",
    "東京",
    "\x00\x1b[0m",
    "' OR 1=1; --",
    "🦆" * 50,
    "Warsaw " * 5_000,
    "x" * 100_000,
]


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def make(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[list[Passage]], Any]:
    @asynccontextmanager
    async def opened(passages: list[Passage]) -> AsyncIterator[Retriever]:
        if request.param is postgres:
            pytest.importorskip("psycopg", reason="needs ponder[postgres]")
        retriever = await request.param(passages, tmp_path, request)
        try:
            yield retriever
        finally:
            await retriever.aclose()

    return opened


async def test_at_most_k_the_best_first_and_none_twice(make: Any) -> None:
    async with make(corpus()) as retriever:
        everything = await retriever.search("capital river Marie Curie", 100)
        for k in (1, 2, 3, 100):
            found = await retriever.search("capital river Marie Curie", k)
            assert [p.id for p in found] == [p.id for p in everything[:k]]
            assert 0 < len(found) <= k
            assert len({p.id for p in found}) == len(found)
            scores = [p.score for p in found if p.score is not None]
            assert scores == sorted(scores, reverse=True)


async def test_a_passage_comes_back_as_it_went_in(make: Any) -> None:
    before = {p.id: p for p in corpus()}
    async with make(corpus()) as retriever:
        for passage in await retriever.search("Marie Curie", 3):
            assert passage.model_copy(update={"score": None}) == before[passage.id]


async def test_what_has_all_the_words_is_found(make: Any) -> None:
    async with make(corpus()) as retriever:
        found = await retriever.search("Radium discovered by Pierre Curie", 4)
    assert "radium" in {p.id for p in found}


async def test_the_same_search_finds_the_same(make: Any) -> None:
    # Equal texts have equal scores: something else must decide, the same each time.
    twins = [Passage(id=f"twin {i}", text="the same capital") for i in range(30)]
    async with make(twins) as retriever:
        first = await retriever.search("capital", 7)
        assert len(first) == 7
        for _ in range(3):
            assert await retriever.search("capital", 7) == first


async def test_an_empty_corpus_finds_nothing(make: Any) -> None:
    async with make([]) as retriever:
        assert await retriever.search("capital", 3) == []


@pytest.mark.parametrize("query", ODD, ids=range(len(ODD)))
async def test_odd_queries_find_something_or_nothing(make: Any, query: str) -> None:
    async with make(corpus()) as retriever:
        found = await retriever.search(query, 2)
        assert len(found) <= 2
        assert await retriever.search(query, 2) == found


async def test_what_was_deleted_is_not_found(make: Any) -> None:
    async with make(corpus()) as retriever:
        if not isinstance(retriever, Forgets):
            pytest.skip("it forgets nothing")
        await retriever.search("capital of Poland", 3)
        await retriever.delete(["warsaw", "never there"])
        left = {p.id for p in await retriever.search("capital Warsaw Vistula", 100)}
        assert left and "warsaw" not in left
        await retriever.delete([p.id for p in corpus()])
        assert await retriever.search("capital Warsaw Vistula", 100) == []


async def test_it_has_a_name_and_closes_twice(make: Any) -> None:
    async with make(corpus()) as retriever:
        assert retriever.name
        await retriever.search("capital", 1)
        await retriever.aclose()


async def test_no_passage_cannot_be_asked_for(make: Any) -> None:
    async with make(corpus()) as retriever:
        if isinstance(retriever, ScriptedRetriever):
            pytest.skip("it finds what it was told to find")
        with pytest.raises(InvalidParameter, match="k is 0"):
            await retriever.search("capital", 0)


async def test_a_search_that_fails_says_so(make: Any) -> None:
    async with make(corpus()) as retriever:
        if isinstance(retriever, MemoryRetriever) and retriever.way == "bm25":
            pytest.skip("nothing in it can fail")
        with pytest.raises(RetrievalError, match="cannot"):
            await retriever.search("fail", 3)
