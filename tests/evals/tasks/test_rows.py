import gzip
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from ponder.errors import InvalidInput, MissingExtra
from ponder.evals.benchmark import Grade, Problem
from ponder.evals.tasks._rows import Loaded, Row, read_rows

ROWS = [{"q": "one", "a": "1"}, {"q": "two, or\n2", "a": "2"}]


class Echo(Loaded):
    name: ClassVar[str] = "echo"
    source: ClassVar[str] = "this test"

    def problem(self, row: Row, id: str) -> Problem:
        return Problem(id=id, question=row.text("q"), reference=row.text("a"))

    def grade(self, problem: Problem, text: str) -> Grade:
        return Grade(correct=text == problem.reference)


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.jsonl", lines(*ROWS)),
        ("rows.JSONL", "\ufeff" + lines(*ROWS).replace("\n", "\r\n")),
        ("rows.json", json.dumps(ROWS)),
        ("rows.json", json.dumps({"canary": "x", "examples": ROWS})),
        ("rows.v2.csv", 'q,a\none,1\n"two, or\n2",2\n'),
    ],
)
def test_layouts_hold_the_same_rows(tmp_path: Path, name: str, text: str) -> None:
    plain, packed = tmp_path / name, tmp_path / f"{name}.gz"
    plain.write_text(text, encoding="utf-8", newline="")
    packed.write_bytes(gzip.compress(text.encode()))
    for path in (plain, packed):
        assert [row.values for row in read_rows(path)] == ROWS


def test_an_object_alone_is_one_row(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text(json.dumps(ROWS[0]))
    assert [row.values for row in read_rows(tmp_path / "1.json")] == ROWS[:1]


def test_a_row_knows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n" + lines(ROWS[0]) + "\n" + lines(ROWS[1]))
    assert [row.number for row in read_rows(path)] == [2, 4]
    path = tmp_path / "rows.csv"
    path.write_text('q,a\n"one\n1",1\n\ntwo,2\n')
    assert [row.number for row in read_rows(path)] == [2, 5]


def test_rare_line_separators_are_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"q": "a\u2028b", "a": "1"}\n', encoding="utf-8")
    assert read_rows(path)[0].text("q") == "a\u2028b"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"q": 1}\n{"q": \n', "a.jsonl, row 2: no valid JSON"),
        ("a.jsonl", b'{"q": 1}\n[1]\n', "a.jsonl, row 2: a row has to be an object"),
        ("a.json", b'[{"q": 1},\n{"q" 2}]', "a.json: no valid JSON .* line 2, column"),
        ("a.json", b"[1]", "a.json, row 1: a row has to be an object, but is int"),
        ("a.json", b"3", "a.json has to hold a list"),
        ("a.json", b"9" * 5000, "a.json: JSON that cannot be read"),
        ("a.json", b"[" * 100_000, "a.json: JSON that cannot be read"),
        ("a.csv", b'q,a\n1,2\n"x"y,2\n', "a.csv, row 3: no valid CSV"),
        ("a.csv", b"q,a\n1,2,3\n", "a.csv, row 2: 3 cells under a header of 2"),
        ("a.jsonl", b"", "a.jsonl holds no rows"),
        ("a.json", b" \n", "a.json holds no rows"),
        ("a.json", b"[]", "a.json holds no rows"),
        ("a.csv", b"q,a\n", "a.csv holds no rows"),
        ("a.jsonl", b'{"q": "\xe9"}', "a.jsonl is not UTF-8 text .byte 7."),
        ("a.jsonl.gz", b"plain", "no whole gzip file"),
        ("a.jsonl.gz", gzip.compress(b"x" * 99)[:-9], "no whole gzip file"),
        ("a.txt", b"x", "has to end in .jsonl, .json, .csv"),
        ("a.gz", b"x", "has to end in .jsonl, .json, .csv"),
    ],
)
def test_damaged_files_are_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        read_rows(tmp_path / name)


def test_unreadable_paths_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="none.jsonl cannot be read: No such file"):
        read_rows(tmp_path / "none.jsonl")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InvalidInput, match="folder.json cannot be read: Is a dir"):
        read_rows(tmp_path / "folder.json")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"a": "2"}, "row 2: the field 'q' is missing. Fields of this row: 'a'"),
        ({"q": None, "a": "2"}, "row 2: the field 'q' is missing"),
        ({}, "row 2: the field 'q' is missing. Fields of this row: none"),
        ({"q": "two", "a": 2}, "row 2: the field 'a' has to be text, but is int"),
        ({"q": " ", "a": "2"}, "row 2: the field 'q' is empty"),
    ],
)
def test_fields_are_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text(lines(ROWS[0], row))
    with pytest.raises(InvalidInput, match=f"^some.jsonl, {message}"):
        Echo(path=path).every()


def test_a_list_of_texts() -> None:
    row = Row({"a": ["x", "y"], "b": "x", "c": [1]}, "f", 1)
    assert row.texts("a") == ["x", "y"]
    for field in ("b", "c"):
        with pytest.raises(InvalidInput, match=f"'{field}' has to be a list of texts"):
            row.texts(field)


def test_a_label_outside_its_options() -> None:
    row = Row({"label": "Maybe"}, "some.jsonl", 7)
    with pytest.raises(InvalidInput, match="row 7: .*'Maybe'.* options Yes, No"):
        row.label("label", ("Yes", "No"))


def test_ids(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text(lines(ROWS[0], {**ROWS[1], "id": 0}, {**ROWS[1], "id": ""}))
    assert [p.id for p in Echo(path=path).every()] == ["echo-1", "0", "echo-3"]


def test_two_rows_with_the_same_id(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text(lines(*({**ROWS[0], "id": i} for i in ("x", "y", "x"))))
    with pytest.raises(InvalidInput, match="row 3: the id 'x' is .* some.jsonl, row 1"):
        Echo(path=path).every()


def fake_datasets(monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    module = ModuleType("datasets")
    module.load_dataset = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_rows_through_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(*args: Any, **settings: Any) -> list[dict[str, str]]:
        asked.append((args, settings))
        return ROWS

    fake_datasets(monkeypatch, load)
    found = Echo(dataset="me/echo", config="easy", dataset_split="dev").every()
    assert [(p.id, p.reference) for p in found] == [("echo-1", "1"), ("echo-2", "2")]
    assert asked == [(("me/echo", "easy"), {"split": "dev"})]


def test_datasets_errors_are_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: Any, **settings: Any) -> list[dict[str, str]]:
        raise ConnectionError("offline")

    fake_datasets(monkeypatch, load)
    with pytest.raises(InvalidInput, match="'test' .* 'me/echo' .*offline.* path"):
        Echo(dataset="me/echo").every()
    fake_datasets(monkeypatch, lambda *args, **settings: [])
    with pytest.raises(InvalidInput, match="me/echo holds no rows"):
        Echo(dataset="me/echo").every()


def test_without_datasets_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"with: pip install datasets\.") as error:
        Echo(dataset="me/echo").every()
    assert error.value.package == "datasets"
