import json
from pathlib import Path
from typing import Any

import pytest

from ponder.errors import InvalidInput
from ponder.evals.benchmark import UNREADABLE
from ponder.evals.tasks.math_problems import Math


def row(
    answer: str, level: Any = "Level 2", subject: str = "Algebra"
) -> dict[str, Any]:
    solution = f"First $1+1=2$, so it is $\\boxed{{{answer}}}$."
    return {"problem": "Find it.", "solution": solution, "level": level} | {
        "type": subject
    }


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("answer", "same", "other"),
    [
        (r"\frac{1}{2}", "0.5", "2"),
        (r"(3,\frac{\pi}{2})", r"\left(3, \pi/2\right)", r"(3,\frac{\pi}{3})"),
        (r"x^2+2x+1", "(x+1)^2", "(x-1)^2"),
        ("[-2,5)", "[-2, 5)", "[-2,5]"),
        (r"\text{Evelyn}", "Evelyn", "Angela"),
        (r"5\sqrt{2}", r"\sqrt{50}", r"\sqrt{52}"),
        ("1,-2", "-2, 1", "1,2"),
        (r"10\%", "10", "0.1"),
    ],
)
def test_grades_by_value(tmp_path: Path, answer: str, same: str, other: str) -> None:
    bench = Math(path=write(tmp_path, row(answer)))
    (problem,) = bench.every()
    assert bench.grade(problem, problem.reference).correct is True
    assert bench.grade(problem, f"Hence $\\boxed{{{same}}}$").correct is True
    assert bench.grade(problem, f"Hence $\\boxed{{{other}}}$").correct is False
    assert bench.grade(problem, "I give up.") == UNREADABLE


def test_the_last_box_counts_and_may_lack_braces(tmp_path: Path) -> None:
    two = row("3") | {"solution": r"Not $\boxed{2}$ but $\boxed{\frac{1}{3}}$."}
    bare = row("3") | {"solution": r"Hence it is $\boxed 9$."}
    framed = row("3") | {"solution": r"Hence it is \fbox{11}."}
    found = Math(path=write(tmp_path, two, bare, framed)).every()
    assert [p.data["answer"] for p in found] == [r"\frac{1}{3}", "9", "11"]


def test_a_solution_without_box(tmp_path: Path) -> None:
    path = write(tmp_path, row("1"), row("1") | {"solution": "The answer is 1."})
    with pytest.raises(InvalidInput, match="test.jsonl, row 2: .*'solution' has no"):
        Math(path=path).every()


def test_filters(tmp_path: Path) -> None:
    rows = [row("1", "Level 1"), row("2", 5, "Geometry"), row("3", "Level ?")]
    newer = {k: v for k, v in row("4", 5).items() if k != "type"}
    newer |= {"subject": "Geometry", "unique_id": "test/geometry/4.json"}
    path = write(tmp_path, *rows, newer)

    def answers(**settings: Any) -> list[str]:
        return [p.data["answer"] for p in Math(path=path, **settings).every()]

    assert answers() == ["1", "2", "3", "4"]
    assert answers(level=5) == ["2", "4"]
    assert answers(subject="algebra") == ["1", "3"]
    assert Math(path=path, level=5).every()[1].id == "test/geometry/4.json"
    with pytest.raises(InvalidInput, match="level 1 .* There are: .*Geometry 5"):
        answers(level=1, subject="Geometry")


def test_a_folder_with_one_file_per_problem(tmp_path: Path) -> None:
    for subject, number in (("geometry", 2), ("algebra", 1)):
        (tmp_path / subject).mkdir()
        file = tmp_path / subject / f"{number}.json"
        file.write_text(json.dumps(row(str(number), subject=subject)))
    found = Math(path=tmp_path).every()
    assert [(p.id, p.data["answer"]) for p in found] == [
        ("algebra/1.json", "1"),
        ("geometry/2.json", "2"),
    ]


def test_folders_of_another_layout(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no JSON file"):
        Math(path=tmp_path).every()
    (tmp_path / "all.json").write_text(json.dumps([row("1"), row("2")]))
    with pytest.raises(InvalidInput, match="all.json holds several problems"):
        Math(path=tmp_path).every()
