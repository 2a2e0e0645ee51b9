import asyncio
import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from ponder.errors import InvalidInput, InvalidParameter, ModelError, RetrievalError
from ponder.retrieval.derived import writing
from ponder.retrieval.index import MODES, Index
from ponder.retrieval.intake import Progress, Report
from ponder.retrieval.opening import build_index
from tests.support.documents import pdf, write
from tests.support.hashed_embedder import HashedEmbedder
from tests.support.killed_indexing import holds

FILES: dict[str, str | bytes] = {
    "solar.md": "# The solar farm\n\nMarta Keller opened it in 1987.",
    "bridge.txt": "Jonas Brandt built the bridge over the Aare.",
    "sub/report.pdf": pdf("Nothing of note.", "The dam leaked in March."),
    "facts.jsonl": '{"id": "moon", "title": "Moon", "text": "It has no air."}\n'
    '{"id": "mars", "title": "Mars", "text": "It has thin air."}\n',
}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = write(tmp_path / "docs", FILES)
    age(folder)
    return folder


def age(folder: Path) -> None:
    """Make the files old enough for their times to be trusted."""
    before = time.time() - 60
    for path in folder.rglob("*"):
        os.utime(path, (before, before))


async def built(docs: Path, **options: object) -> tuple[Index, Report]:
    return await build_index([docs], out=docs.parent / "index", **options)  # type: ignore[arg-type]


async def test_passages_of_every_kind_are_found_with_their_places(docs: Path) -> None:
    index, report = await built(docs)
    assert (report.new, report.passages, report.problems) == (4, 6, ())
    assert index.name == f"index:{index.folder}#bm25"
    best = {
        query: (await index.search(query, 3))[0]
        for query in ("opened 1987", "bridge Aare", "dam leaked", "air on Mars")
    }
    places = {query: p.place for query, p in best.items()}
    assert places == {
        "opened 1987": "solar.md",
        "bridge Aare": "bridge.txt",
        "dam leaked": "sub/report.pdf, page 2",
        "air on Mars": "facts.jsonl#mars",
    }
    solar = best["opened 1987"]
    assert solar.title == "The solar farm"
    assert str(FILES["solar.md"])[solar.start : solar.end] == solar.text
    assert solar.score is not None and solar.score > 0
    assert await index.search("zeppelin", 3) == []
    assert await index.search(" ", 3) == []
    assert len(await index.search("the air it", 2)) <= 2


async def test_an_update_touches_only_what_has_changed(docs: Path) -> None:
    embedder = HashedEmbedder()
    index, _ = await built(docs, embedder=embedder)
    before = index.store.texts()
    embedder.calls.clear()
    assert (await index.update()).unchanged == 4
    assert (embedder.calls, index.store.texts()) == ([], before)
    write(docs, {"bridge.txt": "The bridge was closed.", "new.txt": "A new harbour."})
    (docs / "solar.md").unlink()
    report = await index.update()
    assert (report.new, report.changed, report.removed, report.unchanged) == (
        1,
        1,
        1,
        2,
    )
    assert sorted(t for call in embedder.calls for t in call) == [
        "A new harbour.",
        "The bridge was closed.",
    ]
    assert [p.source for p in await index.search("solar farm 1987", 5)] != ["solar.md"]
    assert (await index.search("harbour", 1))[0].source == "new.txt"
    assert index.counts() == (4, 6, 6)


async def test_a_file_that_is_only_touched_is_not_read_again(docs: Path) -> None:
    index, _ = await built(docs)
    generation = index.store.number("generation")
    (docs / "solar.md").touch()
    assert (await index.update()).unchanged == 4
    assert index.store.number("generation") == generation


async def test_a_change_of_the_same_length_right_after_indexing_is_seen(
    docs: Path,
) -> None:
    path = docs / "bridge.txt"
    path.write_text("Old harbour.")
    index, _ = await built(docs)
    state = path.stat()
    path.write_text("New harbour.")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (await index.update()).changed == 1
    assert (await index.search("harbour", 1))[0].text == "New harbour."


async def test_bad_files_are_told_of_and_stop_nobody(docs: Path) -> None:
    write(docs, {"photo.txt": bytes(200), "torn.pdf": b"%PDF-1.4", "cat.png": b"x"})
    index, report = await built(docs)
    assert [p.source for p in report.problems] == ["photo.txt", "torn.pdf"]
    assert "is binary" in report.problems[0].reason
    assert (report.files, report.other) == (4, {".png": 1})
    again = await index.update()
    assert [p.source for p in again.problems] == ["photo.txt", "torn.pdf"]
    write(docs, {"bridge.txt": bytes(200)})
    assert (await index.update()).removed == 1
    assert await index.search("bridge Aare", 1) == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "it holds no file that is read"),
        ({"a.py": "x = 1"}, r"are of other kinds \(.py\).*--include"),
        ({"a.txt": b"\0\0"}, "none can be read, such as a.txt: is binary"),
    ],
)
async def test_an_empty_corpus_is_a_clear_error(
    tmp_path: Path, files: dict[str, str | bytes], message: str
) -> None:
    (tmp_path / "docs").mkdir()
    with pytest.raises(RetrievalError, match=message):
        await built(write(tmp_path / "docs", files))
    with pytest.raises(RetrievalError, match="There is nothing to search"):
        await Index(tmp_path / "index").search("x", 1)


async def test_the_folder_of_the_index_is_not_indexed(docs: Path) -> None:
    index, report = await build_index([docs], out=docs / "index", include=["*"])
    assert report.new == 4
    assert (await index.update()).unchanged == 4


async def test_a_folder_that_is_gone_does_not_empty_the_index(docs: Path) -> None:
    index, _ = await built(docs)
    os.rename(docs, docs.with_name("moved"))
    with pytest.raises(RetrievalError, match="There is no folder"):
        await index.update()
    assert index.counts().passages == 6
    assert await index.search("bridge", 1)


async def test_dense_and_hybrid_search(docs: Path) -> None:
    index, _ = await built(docs, embedder=HashedEmbedder())
    assert index.mode == "hybrid"
    query = "Jonas Brandt built the bridge over the Aare."
    fused = await index.search(query, 6)
    dense = Index(index.folder, mode="dense", embedder=HashedEmbedder())
    nearest = await dense.search(query, 2)
    assert nearest[0].source == fused[0].source == "bridge.txt"
    assert nearest[0].score == pytest.approx(1)
    # Words rank it first, and so do vectors: 1 / 61 twice.
    assert fused[0].score == pytest.approx(2 / 61)
    words = Index(index.folder, mode="bm25")
    assert (await words.search(query, 1))[0].id == fused[0].id


async def test_vectors_that_were_deleted_are_made_again(docs: Path) -> None:
    index, _ = await built(docs, embedder=HashedEmbedder())
    shutil.rmtree(index.folder / "vectors-0")
    again = HashedEmbedder()
    index = Index(index.folder, embedder=again)
    await index.update()
    assert sum(map(len, again.calls)) == 6
    assert (await index.search("bridge Aare", 1))[0].source == "bridge.txt"


async def test_a_damaged_word_index_is_made_again(docs: Path) -> None:
    index, _ = await built(docs)
    (folder,) = index.folder.glob("bm25-*")
    (folder / "ids.npy").write_bytes(b"")
    (folder / "ponder.json").write_text("{")
    assert await Index(index.folder).search("bridge", 1)
    shutil.rmtree(folder)
    assert await Index(index.folder).search("bridge", 1)
    assert folder.is_dir()


async def test_a_failing_embedder_loses_nothing_that_was_done(docs: Path) -> None:
    write(docs, {"bad.txt": "fail"})
    with pytest.raises(ModelError, match="failed"):
        await built(docs, embedder=HashedEmbedder())
    folder = docs.parent / "index"
    assert await Index(folder, mode="bm25").search("bridge", 1)
    dense = Index(folder, mode="dense", embedder=HashedEmbedder())
    with pytest.raises(RetrievalError, match="has no embeddings yet.*index update"):
        await dense.search("bridge", 1)
    (docs / "bad.txt").unlink()
    await dense.update()
    assert (await dense.search("bridge Aare", 1))[0].source == "bridge.txt"


async def test_another_embedder_is_refused_by_both_names(docs: Path) -> None:
    index, _ = await built(docs, embedder=HashedEmbedder())
    with pytest.raises(RetrievalError, match="built with 'hashed'.*'other'.*build"):
        Index(index.folder, embedder=HashedEmbedder(name="other"))
    grown = Index(index.folder, mode="dense", embedder=HashedEmbedder(32))
    write(docs, {"more.txt": "More text."})
    with pytest.raises(RetrievalError, match="with 64 numbers.*now gives 32"):
        await grown.update()
    # Building again with another one is meant so.
    index, _ = await built(docs, embedder=HashedEmbedder(32, "other"))
    assert (await index.search("bridge Aare", 1))[0].source == "bridge.txt"
    assert [p.name for p in index.folder.glob("vectors-*")] == ["vectors-1"]
    index, _ = await built(docs)
    assert index.mode == "bm25"
    assert not list(index.folder.glob("vectors-*"))
    with pytest.raises(InvalidParameter, match="has no embeddings"):
        Index(index.folder, mode="hybrid")
    with pytest.raises(RetrievalError, match="built without embeddings.*'hashed'"):
        Index(index.folder, embedder=HashedEmbedder())


async def test_building_with_another_size_cuts_everything_again(docs: Path) -> None:
    write(docs, {"long.txt": "A sentence of a few words. " * 50})
    index, first = await built(docs)
    index, second = await built(docs, size=100)
    assert second.changed == 5
    assert second.passages > first.passages + 5
    assert max(len(t) for t in index.store.texts()[2]) <= 100 + len("The solar farm\n")


async def test_nothing_is_left_of_a_dropped_source(docs: Path) -> None:
    index, _ = await built(docs, embedder=HashedEmbedder())
    (found,) = await index.search("bridge Aare", 1)
    assert holds(index.folder, b"brandt")
    assert await index.drop("bridge.txt") == 1
    assert not holds(index.folder, b"brandt")
    assert not holds(index.folder, found.id.encode())
    for mode in MODES:
        there = Index(index.folder, mode=mode, embedder=HashedEmbedder())
        left = await there.search("Jonas Brandt built the bridge", 6)
        assert "bridge.txt" not in {p.source for p in left}
    # It stays out though the file is there, until the index is built again.
    report = await index.update()
    assert (report.new, index.counts().files) == (0, 3)
    _, report = await built(docs, embedder=HashedEmbedder())
    assert report.new == 1


async def test_one_document_of_a_file_can_be_dropped(docs: Path) -> None:
    index, _ = await built(docs)
    assert await index.drop("facts.jsonl#moon") == 1
    write(docs, {"facts.jsonl": f'{FILES["facts.jsonl"]!s}\n{{"text": "Venus."}}'})
    await index.update()
    sources = index.store.sources()
    assert "facts.jsonl#moon" not in sources
    assert {"facts.jsonl#mars", "facts.jsonl#4"} <= set(sources)
    with pytest.raises(InvalidInput, match="Did you mean facts.jsonl#mars"):
        await index.drop("facts.jsonl#marss")
    with pytest.raises(InvalidInput, match="It has 6, such as bridge.txt"):
        await index.drop("zzz", "bridge.txt")
    assert await index.search("bridge", 1)


async def test_a_search_goes_on_while_another_process_writes(docs: Path) -> None:
    index, _ = await built(docs)
    reader = Index(index.folder)
    with writing(index.folder, lambda: None):
        index.store.remove(["solar.md"])
        found = await reader.search("bridge farm opened", 5)
        assert [p.source for p in found] == ["bridge.txt"]
        fresh = Index(index.folder)
        assert [p.source for p in await fresh.search("bridge", 5)] == ["bridge.txt"]
    assert len(list(index.folder.glob("bm25-*"))) == 1


async def test_a_second_update_waits_and_can_be_given_up(docs: Path) -> None:
    index, _ = await built(docs)
    told: list[Progress] = []
    waiting = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell(progress: Progress) -> None:
        told.append(progress)
        loop.call_soon_threadsafe(waiting.set)

    with writing(index.folder, lambda: None):
        update = asyncio.create_task(index.update(tell))
        await waiting.wait()
        update.cancel()
        with pytest.raises(asyncio.CancelledError):
            await update
    assert told[0].stage.startswith("waiting")
    assert (await index.update()).unchanged == 4


async def test_searches_side_by_side_agree(docs: Path) -> None:
    index, _ = await built(docs)
    found = await asyncio.gather(*(index.search("bridge Aare", 2) for _ in range(20)))  # noqa: TID251
    assert all(f == found[0] for f in found)


async def test_progress_names_files_and_passages(docs: Path) -> None:
    told: list[Progress] = []
    await built(docs, embedder=HashedEmbedder(), on_progress=told.append)
    reading = [p for p in told if p.stage == "reading"]
    assert [(p.done, p.total) for p in reading] == [(i, 4) for i in range(4)]
    assert reading[0].item == "bridge.txt"
    embedding = [p for p in told if p.stage == "embedding"]
    assert [(p.done, p.total) for p in embedding] == [(0, 6), (6, 6)]


async def test_a_damaged_database_is_named_with_the_remedy(docs: Path) -> None:
    index, _ = await built(docs)
    index.store.path.write_bytes(b"This is no database at all. " * 40)
    with pytest.raises(RetrievalError, match="is damaged.*build the index again"):
        Index(index.folder)
    index.store.path.unlink()
    with pytest.raises(RetrievalError, match="There is no index in"):
        Index(index.folder)


async def test_an_index_of_a_newer_ponder_is_left_alone(docs: Path) -> None:
    index, _ = await built(docs)
    with sqlite3.connect(index.store.path) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    db.close()
    with pytest.raises(RetrievalError, match="newer ponder"):
        Index(index.folder)
