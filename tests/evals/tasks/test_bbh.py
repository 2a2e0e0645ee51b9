import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ponder.errors import InvalidInput, InvalidParameter, UnknownName
from ponder.evals.benchmark import UNREADABLE, Problem
from ponder.evals.tasks.bbh import BBH

SAMPLE = Path(__file__).parents[4] / "shared" / "data" / "bbh"
needs_sample = pytest.mark.skipif(
    not SAMPLE.exists(), reason="the sample of BIG-Bench Hard is not on this machine"
)
OPTIONS = "Which date?\nOptions:\n(A) 12/11/1937\n(B) 12/25/1937 \n(C) -5\n(D) 5"
DASHED = "Is the argument valid?\nOptions:\n- valid \n- invalid"


def only(folder: Path, question: str, target: str) -> tuple[BBH, Problem]:
    path = folder / "some_task.json"
    examples = [{"input": question, "target": target}]
    path.write_text(json.dumps({"canary": "c", "examples": examples}))
    bench = BBH(path=path)
    return bench, bench.every()[0]


@needs_sample
def test_the_real_sample() -> None:
    bench = BBH(path=SAMPLE)
    problems = bench.every()
    assert len(problems) == 6 * 250
    assert problems[0].id == "bbh-date_understanding-1"
    assert all(bench.grade(p, p.reference).correct for p in problems)
    assert not any(bench.grade(p, "\\boxed{Z}").correct for p in problems)
    counts: dict[str, int] = {}
    for problem in problems:
        counts[problem.data["kind"]] = counts.get(problem.data["kind"], 0) + 1
    assert counts == {"option": 750, "number": 250, "word": 250, "sequence": 250}


@needs_sample
def test_one_task_of_the_real_sample() -> None:
    problems = BBH(path=SAMPLE, task="web_of_lies").every()
    assert len(problems) == 250
    assert {p.data["target"] for p in problems} == {"Yes", "No"}
    alone = BBH(path=SAMPLE / "web_of_lies.json").every()
    assert alone == problems


@pytest.mark.parametrize(
    ("question", "target", "right", "wrong"),
    [
        (
            OPTIONS,
            "(B)",
            ["B", "(B)", "b", r"\text{(B)}", "12/25/1937", "(B) 12/25/1937", "B."],
            ["A", "12/11/1937", "(A) 12/25/1937", "F", "neither"],
        ),
        (OPTIONS, "(C)", ["C", "-5"], ["5", "D"]),
        (DASHED, "invalid", ["invalid", "Invalid."], ["valid", "no"]),
        ("Does she lie?", "No", ["No", "no", "No, she does not"], ["Yes", "Nothing"]),
        ("not True is", "False", ["False"], ["True"]),
        ("((-1 + 2)) =", "-35", ["-35", "-35.0", "$-35$"], ["35", "-36"]),
        (
            "Sort: the it&t a",
            "a it&t the",
            ["a it&t the", "a, it&t, the", r"\text{a it\&t the}", "A\nit&t the"],
            ["it&t the", "the a it&t", "a itt the"],
        ),
        ("Close: { [ <", "> ] }", ["> ] }", ">]}", r"> ] \}"], ["> } ]", "> ]"]),
        ("Close: { {", "} }", ["} }"], ["}"]),
    ],
)
def test_grades_by_kind(
    tmp_path: Path, question: str, target: str, right: list[str], wrong: list[str]
) -> None:
    bench, problem = only(tmp_path, question, target)
    assert problem.id == "bbh-some_task-1"
    assert bench.grade(problem, problem.reference).correct is True
    for answer in right:
        assert bench.grade(problem, f"So \\boxed{{{answer}}}.").correct is True
    for answer in wrong:
        assert bench.grade(problem, f"So \\boxed{{{answer}}}.").correct is False
    assert bench.grade(problem, "It is hard to say") == UNREADABLE


def test_the_question_tells_the_format(tmp_path: Path) -> None:
    _, problem = only(tmp_path, DASHED, "valid")
    ending = "Give the final answer, valid or invalid, in \\boxed{...}."
    assert problem.question == f"{DASHED}\n\n{ending}"


def test_a_target_may_be_the_text_of_an_option(tmp_path: Path) -> None:
    _, problem = only(tmp_path, OPTIONS, "12/25/1937")
    assert problem.data["target"] == "B"


@pytest.mark.parametrize(
    ("question", "target", "options"),
    [
        (OPTIONS, "(F)", r"\(A\), \(B\), \(C\), \(D\)"),
        (OPTIONS, "12/12/12", r"\(A\), \(B\), \(C\), \(D\)"),
        (DASHED, "maybe", "valid, invalid"),
    ],
)
def test_a_target_outside_its_options(
    tmp_path: Path, question: str, target: str, options: str
) -> None:
    with pytest.raises(InvalidInput, match=f"some_task.json, row 1: .*{options}"):
        only(tmp_path, question, target)


def test_a_target_that_fits_two_options(tmp_path: Path) -> None:
    question = "Which?\nOptions:\n(A) same\n(B) same"
    with pytest.raises(InvalidInput, match="row 1: .* the text of several"):
        only(tmp_path, question, "same")


def test_tasks_in_a_folder(tmp_path: Path) -> None:
    for name in ("two.json", "one.jsonl"):
        row = {"input": "Does it?", "target": "Yes"}
        (tmp_path / name).write_text(json.dumps(row))
    (tmp_path / "README.md").write_text("Not a task.")
    assert [p.id for p in BBH(path=tmp_path).every()] == ["bbh-one-1", "bbh-two-1"]
    assert [p.id for p in BBH(path=tmp_path, task="two").every()] == ["bbh-two-1"]
    with pytest.raises(UnknownName, match="Unknown task of BBH 'ones'.*one"):
        BBH(path=tmp_path, task="ones").every()
    with pytest.raises(InvalidParameter, match="is a file"):
        BBH(path=tmp_path / "two.json", task="one").every()


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no task of BBH"):
        BBH(path=tmp_path).every()


def test_a_task_is_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load(dataset: str, config: str, *, split: str) -> list[dict[str, str]]:
        asked.append((dataset, config, split))
        return [{"input": "Does it?", "target": "Yes"}]

    module = ModuleType("datasets")
    module.load_dataset = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    assert BBH(task="navigate").every()[0].id == "bbh-navigate-1"
    assert asked == [("lukaemon/bbh", "navigate", "test")]
    with pytest.raises(InvalidParameter, match="needs a path or a task"):
        BBH().every()
