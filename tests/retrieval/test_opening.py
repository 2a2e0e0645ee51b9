from pathlib import Path

import pytest

from ponder.errors import InvalidInput, RetrievalError, UnknownName
from ponder.retrieval.index import Index
from ponder.retrieval.opening import (
    build_index,
    fresh_index,
    index_folder,
    open_index,
    open_retriever,
    remove_index,
)
from ponder.settings import Settings, load_settings
from tests.support.documents import write


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(tmp_path / "My notes", {"a.txt": "An apple."})


@pytest.fixture
def settings() -> Settings:
    return load_settings()


def test_an_index_lives_in_the_data_folder_under_the_name_of_its_folder(
    docs: Path, settings: Settings
) -> None:
    folder = index_folder([docs], settings)
    assert folder.parent == settings.data_dir / "indexes"
    assert folder.name.startswith("My-notes-")
    assert folder == index_folder([f"{docs}/../{docs.name}"], settings)
    assert folder != index_folder([docs, docs.parent], settings)
    assert index_folder([docs], settings, out="~/x") == Path.home() / "x"


async def test_a_fresh_index_is_built_once_and_then_updated(
    docs: Path, settings: Settings
) -> None:
    index, report = await fresh_index([docs], settings=settings)
    assert report.new == 1
    write(docs, {"b.txt": "A pear."})
    again, report = await fresh_index([docs], settings=settings)
    assert (again.folder, report.new, report.unchanged) == (index.folder, 1, 1)
    # An index is as good a name for the documents as their folder.
    third, report = await fresh_index([index.folder], settings=settings)
    assert (third.folder, report.unchanged) == (index.folder, 2)


async def test_a_retriever_is_opened_by_the_name_that_it_has(
    docs: Path, settings: Settings
) -> None:
    index, _ = await build_index([docs], settings=settings)
    for name in (index.name, f"index:{index.folder}", f"index:{docs}"):
        opened = open_retriever(name, settings)
        assert isinstance(opened, Index)
        assert opened.name == index.name
        assert [p.text for p in await opened.search("apple", 1)] == ["An apple."]


async def test_a_folder_may_have_a_sign_in_its_name(tmp_path: Path) -> None:
    docs = write(tmp_path / "c#bm25", {"a.txt": "An apple."})
    index, _ = await build_index([docs], out=tmp_path / "i#1")
    assert open_retriever(index.name).name == index.name
    assert open_retriever(f"index:{tmp_path / 'i#1'}").name == index.name


async def test_what_cannot_be_opened_is_named(docs: Path, settings: Settings) -> None:
    with pytest.raises(UnknownName, match="Unknown retriever 'web'.*index:FOLDER"):
        open_retriever("web", settings)
    with pytest.raises(RetrievalError, match="no index of .*ponder index build"):
        open_retriever(f"index:{docs}", settings)
    with pytest.raises(RetrievalError, match="Build it: .* --out here"):
        open_index([docs], out="here", settings=settings)
    await build_index([docs], settings=settings)
    with pytest.raises(UnknownName, match="mode of search 'dens'. Did you mean dense"):
        open_index([docs], mode="dens", settings=settings)


async def test_an_index_is_never_written_among_other_files(docs: Path) -> None:
    with pytest.raises(InvalidInput, match="is not empty and holds no index"):
        await build_index([docs], out=docs)
    with pytest.raises(InvalidInput, match="is not empty"):
        await build_index([docs], out=docs / "a.txt")


async def test_removing_an_index_leaves_what_is_not_its_own(docs: Path) -> None:
    index, _ = await build_index([docs], out=docs.parent / "index")
    (index.folder / "mine.txt").write_text("stays")
    remove_index(index.folder)
    assert [p.name for p in index.folder.iterdir()] == ["mine.txt"]
    with pytest.raises(RetrievalError, match="nothing to remove"):
        remove_index(index.folder)


async def test_parameters_outside_their_ranges_are_refused(docs: Path) -> None:
    with pytest.raises(InvalidInput, match="overlap of 90"):
        await build_index([docs], out=docs.parent / "index", size=100, overlap=90)
    assert not (docs.parent / "index").exists()
