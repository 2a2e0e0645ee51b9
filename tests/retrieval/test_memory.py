import asyncio

import pytest

from ponder.errors import InvalidInput, InvalidParameter, RetrievalError
from ponder.passages import Passage
from ponder.retrieval.fusion import reciprocal_rank_fusion
from ponder.retrieval.lexical import BM25
from ponder.retrieval.memory import MemoryRetriever
from tests.support.corpora import TEXTS, corpus
from tests.support.hashed_embedder import HashedEmbedder

QUERY = "the capital on the river Vistula"


async def ranking(retriever: MemoryRetriever, k: int = 100) -> list[tuple[str, float]]:
    found = await retriever.search(QUERY, k)
    return [(p.id, p.score) for p in found if p.score is not None]


async def test_words_are_those_of_bm25() -> None:
    index = BM25.build(list(TEXTS), list(TEXTS.values()))
    assert await ranking(MemoryRetriever(corpus())) == index.search(QUERY, 100)


async def test_vectors_are_exact_cosines() -> None:
    embedder = HashedEmbedder()
    found = await ranking(MemoryRetriever(corpus(), embedder=embedder, way="dense"))
    rows = await embedder.embed([*TEXTS.values(), QUERY])
    cosines = dict(zip(TEXTS, rows[:-1] @ rows[-1], strict=True))
    assert dict(found) == pytest.approx(cosines, abs=1e-5)
    assert found == sorted(found, key=lambda pair: -pair[1])


async def test_hybrid_is_the_fusion_of_both() -> None:
    embedder = HashedEmbedder()
    parts = [
        await ranking(MemoryRetriever(corpus())),
        await ranking(MemoryRetriever(corpus(), embedder=embedder, way="dense")),
    ]
    fused = reciprocal_rank_fusion([[id for id, _ in part] for part in parts])
    hybrid = MemoryRetriever(corpus(), embedder=embedder)
    assert hybrid.way == "hybrid"
    assert await ranking(hybrid) == fused
    assert await ranking(hybrid, 2) == fused[:2]


async def test_titles_are_searched_too() -> None:
    passage = Passage(id="a", title="Marie Curie", text="She was born in 1867.")
    retriever = MemoryRetriever([passage, "Nothing of her."])
    assert [p.id for p in await retriever.search("Curie", 5)] == ["a"]


async def test_every_text_is_embedded_once() -> None:
    embedder = HashedEmbedder()
    retriever = MemoryRetriever(corpus(), embedder=embedder)
    await retriever.search(QUERY, 1)
    await retriever.search(QUERY, 1)
    await retriever.add(["A new one."])
    await retriever.search(QUERY, 1)
    texts = [text for call in embedder.calls for text in call if text != QUERY]
    assert sorted(texts) == sorted([*TEXTS.values(), "A new one."])


async def test_what_is_added_is_found_and_names_the_corpus_anew() -> None:
    retriever = MemoryRetriever(corpus(), name="cities")
    before = retriever.name
    assert await retriever.search("platypus", 3) == []
    await retriever.add([Passage(id="new", text="A platypus lays eggs.")])
    assert [p.id for p in await retriever.search("platypus", 3)] == ["new"]
    assert len(retriever) == len(TEXTS) + 1
    assert before.startswith("cities:") and retriever.name != before
    await retriever.delete(["new"])
    assert retriever.name == before == MemoryRetriever(corpus(), name="cities").name


async def test_a_passage_added_under_a_deleted_id_has_its_own_vector() -> None:
    retriever = MemoryRetriever(["oak"], embedder=HashedEmbedder(), way="dense")
    await retriever.search("oak", 1)
    await retriever.delete(["0"])
    await retriever.add([Passage(id="0", text="elm")])
    (found,) = await retriever.search("elm", 1)
    assert found.text == "elm" and found.score == pytest.approx(1)


async def test_empty_texts_are_no_obstacle() -> None:
    retriever = MemoryRetriever(["", "oak"], embedder=HashedEmbedder())
    assert [p.text for p in await retriever.search("oak", 5)] == ["oak"]


async def test_two_passages_of_one_id_are_refused_whole() -> None:
    with pytest.raises(InvalidInput, match="the id 'a'"):
        MemoryRetriever([Passage(id="a", text="x"), Passage(id="a", text="y")])
    retriever = MemoryRetriever([Passage(id="a", text="x")])
    with pytest.raises(InvalidInput, match="the id 'a'"):
        await retriever.add([Passage(id="b", text="y"), Passage(id="a", text="z")])
    assert len(retriever) == 1


@pytest.mark.parametrize("way", ["dense", "hybrid"])
def test_vectors_need_an_embedder(way: str) -> None:
    with pytest.raises(InvalidParameter, match=f"'{way}' needs an embedder"):
        MemoryRetriever([], way=way)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match="depth"):
        MemoryRetriever([], depth=0)


async def test_an_embedder_that_fails_is_an_error_and_may_work_again() -> None:
    retriever = MemoryRetriever(["oak"], embedder=HashedEmbedder(), way="dense")
    with pytest.raises(RetrievalError, match="cannot be searched by vectors"):
        await retriever.search("fail", 1)
    assert len(await retriever.search("oak", 1)) == 1


async def test_searches_side_by_side_build_once() -> None:
    embedder = HashedEmbedder()
    retriever = MemoryRetriever(corpus(), embedder=embedder)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(retriever.search(QUERY, 2)) for _ in range(5)]
    assert all(task.result() == tasks[0].result() for task in tasks)
    assert sum(call == list(TEXTS.values()) for call in embedder.calls) == 1


async def test_closing_closes_the_embedder() -> None:
    embedder = HashedEmbedder()
    await MemoryRetriever([], embedder=embedder).aclose()
    assert embedder.closed
