from pathlib import Path

import pytest

from ponder.errors import RetrievalError
from ponder.retrieval.documents import Document, selection
from tests.support.documents import write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = [
        "a.md", "b.TXT", "cat.png", "sub/c.html", "sub/deep/d.txt", "sub/code.py",
        ".hidden.md", ".git/e.txt", "build/f.txt",
    ]  # fmt: skip
    return write(tmp_path / "docs", {name: name for name in names})


@pytest.mark.parametrize(
    ("include", "exclude", "found"),
    [
        ([], [], ["a.md", "b.TXT", "build/f.txt", "sub/c.html", "sub/deep/d.txt"]),
        (["*.py", "*.md"], [], ["a.md", "sub/code.py"]),
        (["sub/*"], ["*.html"], ["sub/code.py", "sub/deep/d.txt"]),
        ([], ["sub", "build"], ["a.md", "b.TXT"]),
        ([], ["sub/deep/", "build/f.*"], ["a.md", "b.TXT", "sub/c.html"]),
    ],
)
def test_files_are_chosen_by_globs(
    folder: Path, include: list[str], exclude: list[str], found: list[str]
) -> None:
    assert list(selection([folder], include, exclude).find().files) == found


def test_hidden_files_and_a_folder_to_skip_are_left_out(folder: Path) -> None:
    found = selection([folder]).find(skip=folder / "build")
    assert list(found.files) == ["a.md", "b.TXT", "sub/c.html", "sub/deep/d.txt"]
    assert found.other == ("cat.png", "sub/code.py")
    assert found.files["a.md"] == folder / "a.md"


def test_sources_of_several_folders_are_named_below_their_common_one(
    folder: Path,
) -> None:
    found = selection([folder / "sub" / "deep", folder / "build", folder / "a.md"])
    assert list(found.find().files) == ["a.md", "build/f.txt", "sub/deep/d.txt"]


def test_links_in_a_circle_do_not_hang(folder: Path) -> None:
    (folder / "sub" / "round").symlink_to(folder)
    (folder / "nowhere.txt").symlink_to(folder / "gone.txt")
    assert len(selection([folder]).find().files) == 5


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RetrievalError, match="There is no folder .*gone"):
        selection([tmp_path / "gone"])
    with pytest.raises(RetrievalError, match="No folder"):
        selection([])
    chosen = selection([write(tmp_path / "docs", {"a.txt": "x"})])
    (tmp_path / "docs" / "a.txt").unlink()
    (tmp_path / "docs").rmdir()
    with pytest.raises(RetrievalError, match="its index is kept"):
        chosen.find()


def test_pages_are_counted_from_1() -> None:
    document = Document(source="a.pdf", text="aabbcc", pages=(0, 2, 2, 4))
    assert [document.page_at(i) for i in range(6)] == [1, 1, 3, 3, 4, 4]
    assert Document(source="a.txt", text="x").page_at(0) is None
