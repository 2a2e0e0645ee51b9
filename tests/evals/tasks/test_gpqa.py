import csv
from pathlib import Path

import pytest

from ponder.errors import InvalidInput
from ponder.evals.benchmark import UNREADABLE, Problem
from ponder.evals.tasks.gpqa import GPQA, RIGHT, WRONG

HEADER = ("Record ID", "Question", RIGHT, *WRONG, "Subdomain")


def write(folder: Path, *rows: tuple[str, ...]) -> Path:
    path = folder / "gpqa_diamond.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def rows(count: int) -> list[tuple[str, ...]]:
    return [
        (f"rec{i}", "How\nlarge?", "10^-4 eV\n", "10^4 eV", "1 eV", "0, eV", "Physics")
        for i in range(count)
    ]


def letters(problems: list[Problem]) -> list[str]:
    return [problem.data["answer"] for problem in problems]


def test_loads_and_grades(tmp_path: Path) -> None:
    bench = GPQA(path=write(tmp_path, *rows(1)))
    (problem,) = bench.every()
    options, answer = problem.data["options"], problem.data["answer"]
    assert problem.id == "rec0"
    assert sorted(options.values()) == ["0, eV", "1 eV", "10^-4 eV", "10^4 eV"]
    assert f"({answer}) 10^-4 eV\n" in problem.question + "\n"
    for right in (problem.reference, f"\\boxed{{({answer})}}", r"\boxed{10^-4 eV}"):
        assert bench.grade(problem, right).correct is True
    others = [letter for letter in "ABCD" if letter != answer]
    for wrong in (*others, "10^4 eV", "E", f"({others[0]}) 10^-4 eV"):
        assert bench.grade(problem, f"\\boxed{{{wrong}}}").correct is False
    assert bench.grade(problem, "Hard to say.") == UNREADABLE


def test_options_are_shuffled_by_the_id_alone(tmp_path: Path) -> None:
    many = rows(40)
    first = letters(GPQA(path=write(tmp_path, *many)).every())
    assert set(first) == set("ABCD")
    again = letters(GPQA(path=write(tmp_path, *reversed(many))).every())
    assert again == first[::-1]


def test_an_option_of_the_same_text_is_right_too(tmp_path: Path) -> None:
    bench = GPQA(path=write(tmp_path, ("r", "Which?", "same", "same", "b", "c", "")))
    (problem,) = bench.every()
    right = [k for k, text in problem.data["options"].items() if text == "same"]
    assert [bench.grade(problem, f"\\boxed{{{k}}}").correct for k in right] == [
        True
    ] * 2


def test_a_missing_option_is_named(tmp_path: Path) -> None:
    bad = ("r", "Which?", "a", "b", "", "c", "")
    with pytest.raises(InvalidInput, match="csv, row 5: .*'Incorrect Answer 2' is emp"):
        GPQA(path=write(tmp_path, rows(1)[0], bad)).every()
