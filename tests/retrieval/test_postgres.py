import sys

import pytest

from ponder.errors import InvalidParameter, MissingExtra, RetrievalError
from ponder.passages import Passage
from ponder.retrieval.memory import MemoryRetriever
from ponder.retrieval.postgres import PostgresRetriever
from tests.support.corpora import corpus
from tests.support.hashed_embedder import HashedEmbedder

pytest.importorskip("psycopg", reason="needs ponder[postgres]")


def retriever(
    address: str, table: str, embedder: HashedEmbedder | None = None
) -> PostgresRetriever:
    return PostgresRetriever(address, embedder or HashedEmbedder(), table=table)


async def test_ranks_as_an_exact_search_in_memory(postgres: str) -> None:
    memory = MemoryRetriever(corpus(), embedder=HashedEmbedder(), way="dense")
    served = retriever(postgres, "ranks")
    await served.add(corpus())
    for query in ("capital river Marie Curie", "Warsaw", "東京"):
        expected = {p.id: p.score for p in await memory.search(query, 6)}
        found = {p.id: p.score for p in await served.search(query, 6)}
        assert found == pytest.approx(expected, abs=1e-5)
    await served.aclose()


async def test_another_connection_sees_the_same(postgres: str) -> None:
    first, second = retriever(postgres, "shared"), retriever(postgres, "shared")
    assert await second.search("Curie", 3) == [] and await second.count() == 0
    await first.add(corpus())
    assert await second.count() == 6
    assert await second.search("Curie", 3) == await first.search("Curie", 3)
    await second.delete(["curie"])
    assert await first.count() == 5
    await first.aclose()
    await second.aclose()


async def test_adding_again_replaces(postgres: str) -> None:
    served = retriever(postgres, "replaced")
    await served.add(corpus())
    await served.add([Passage(id="curie", text="It's a 'quoted' elm.", source="new")])
    await served.add([])
    assert await served.count() == 6
    assert (await served.search("quoted elm", 1))[0].source == "new"
    await served.aclose()


async def test_a_document_is_deleted_whole(postgres: str) -> None:
    served = retriever(postgres, "sources")
    await served.delete_source("a.txt")
    parts = [Passage(id=f"a{i}", text=f"part {i}", source="a.txt") for i in range(5)]
    await served.add([*parts, *corpus()])
    await served.delete_source("a.txt")
    assert await served.count() == 6
    assert all(p.source != "a.txt" for p in await served.search("part", 20))
    await served.aclose()


async def test_an_indexed_table_gives_as_many_as_asked_for(postgres: str) -> None:
    served = retriever(postgres, "indexed")
    with pytest.raises(RetrievalError, match="1 to 2000"):
        await served.create_index()
    await served.add([Passage(id=f"{i:03}", text=f"w{i} same") for i in range(300)])
    await served.create_index()
    await served.create_index()
    async with served._open() as connection:
        await connection.execute("SET enable_seqscan = off")
    found = await served.search("w7 same", 100)
    assert len(found) == 100 and "007" in {p.id for p in found}
    await served.aclose()


async def test_other_embeddings_are_named(postgres: str) -> None:
    served = retriever(postgres, "embeddings")
    await served.add(corpus())
    await served.aclose()
    other = retriever(postgres, "embeddings", HashedEmbedder(name="other"))
    with pytest.raises(RetrievalError, match="'hashed', not of 'other'.*built with"):
        await other.search("Curie", 1)
    await other.aclose()
    shorter = retriever(postgres, "embeddings", HashedEmbedder(8))
    with pytest.raises(RetrievalError, match="64 dimensions, and 'hashed' gives 8"):
        await shorter.search("Curie", 1)
    with pytest.raises(RetrievalError, match="64 dimensions"):
        await shorter.add(corpus())
    await shorter.aclose()


async def test_all_are_added_or_none(postgres: str) -> None:
    served = retriever(postgres, "whole")
    await served.add(corpus())
    bad = [Passage(id="good", text="good"), Passage(id="bad", text="a\0b")]
    with pytest.raises(RetrievalError, match="cannot be used"):
        await served.add(bad)
    assert await served.count() == 6
    await served.aclose()


async def test_a_lost_connection_costs_one_search(postgres: str) -> None:
    served, other = retriever(postgres, "lost"), retriever(postgres, "lost")
    await served.add(corpus())
    async with served._open() as connection:
        pid = connection.info.backend_pid
    async with other._open() as connection:
        await connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
    with pytest.raises(RetrievalError, match="cannot be used"):
        await served.search("Curie", 1)
    assert len(await served.search("Curie", 1)) == 1
    await served.aclose()
    await other.aclose()


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    served = retriever("postgresql://me:secret@127.0.0.1:1/x", "none")
    with pytest.raises(RetrievalError, match="cannot be used") as caught:
        await served.search("Curie", 1)
    assert "secret" not in str(caught.value)
    await served.aclose()


@pytest.mark.parametrize("table", ["", "a b", "x; DROP TABLE y", "t" * 51])
def test_odd_tables_are_refused(table: str) -> None:
    with pytest.raises(InvalidParameter, match="table is"):
        retriever("", table)


async def test_the_embedder_is_closed_too(postgres: str) -> None:
    embedder = HashedEmbedder()
    await retriever(postgres, "closed", embedder).aclose()
    assert embedder.closed


def test_without_the_package_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"ponder\[postgres\]"):
        retriever("", "t")
