import json
from pathlib import Path
from typing import Any

import pytest

from ponder.errors import InvalidInput
from ponder.evals.benchmark import UNREADABLE
from ponder.evals.tasks.humaneval import HumanEval, read_code

SAMPLE = Path(__file__).parents[4] / "shared" / "data" / "HumanEval.jsonl.gz"
needs_sample = pytest.mark.skipif(
    not SAMPLE.exists(), reason="the sample of HumanEval is not on this machine"
)
ROW = {
    "task_id": "Test/0",
    "prompt": "from math import sqrt\n\ndef helper(x):\n    return x + 1\n\n"
    'def grow(x):\n    """Return one more."""\n',
    "entry_point": "grow",
    "canonical_solution": "    return helper(x)\n",
    "test": "def check(candidate):\n    assert candidate(helper(1)) == 3\n",
}


def only(folder: Path, **changes: Any) -> Path:
    path = folder / "some.jsonl"
    path.write_text(json.dumps(ROW | changes))
    return path


def fenced(code: str, language: str = "python") -> str:
    return f"Here:\n```{language}\n{code}\n```\nDone."


@needs_sample
def test_the_real_sample_is_read() -> None:
    problems = HumanEval(path=SAMPLE).every()
    assert len(problems) == 164
    assert problems[0].id == "HumanEval/0"
    for problem in problems:
        code = read_code(problem.reference, problem.data["function"])
        assert code is not None
        assert problem.reference == f"```python\n{code.rstrip()}\n```"


@needs_sample
def test_published_solutions_pass() -> None:
    bench = HumanEval(path=SAMPLE, seconds=30)
    # 38 and 50 have helpers that only the prompt defines.
    problems = bench.every()
    for problem in [*problems[::9], problems[38], problems[50]]:
        assert bench.grade(problem, problem.reference).correct is True


@needs_sample
def test_empty_solutions_fail() -> None:
    bench = HumanEval(path=SAMPLE, seconds=30)
    for problem in bench.every()[::55]:
        code = f"def {problem.data['function']}(*args):\n    return None"
        grade = bench.grade(problem, fenced(code))
        assert grade.correct is False
        assert grade.reasons[0].startswith(("assertion: ", "exception: "))


def test_grades(tmp_path: Path) -> None:
    bench = HumanEval(path=only(tmp_path))
    (problem,) = bench.every()
    assert problem.question.endswith('"""Return one more."""\n```')
    assert bench.grade(problem, problem.reference).correct is True
    right = bench.grade(
        problem, fenced("def grow(x):\n    return int(sqrt(x * x)) + 1")
    )
    assert right.correct is True
    wrong = bench.grade(problem, fenced("def grow(x):\n    return x"))
    assert (wrong.correct, wrong.reasons) == (False, ("assertion: AssertionError",))
    broken = bench.grade(problem, fenced("def grow(x) return x"))
    assert broken.correct is False
    assert broken.reasons[0].startswith("syntax: SyntaxError")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Add one to x.",
        "    return x + 1",
        fenced("return x + 1"),
        fenced("def shrink(x):\n    return x - 1"),
        fenced("def grow(x):\n    return x + 1", "javascript"),
        # Cut off in the middle.
        "```python\ndef grow(x):\n    return (x +",
        "The function def grow(x): is hard",
    ],
)
def test_replies_without_the_function_are_unreadable(tmp_path: Path, text: str) -> None:
    bench = HumanEval(path=only(tmp_path))
    assert bench.grade(bench.every()[0], text) == UNREADABLE


CODE = "def grow(x):\n    return x + 1"


@pytest.mark.parametrize(
    "text",
    [
        fenced(CODE),
        fenced(CODE, ""),
        fenced(CODE, "py"),
        f"~~~python\n{CODE}\n~~~",
        fenced(CODE) + "\nUse it:\n" + fenced("print(grow(1))"),
        fenced("def grow(x):\n    return x") + "\nNo:\n" + fenced(CODE),
        f"```python\n{CODE}",
        "1. So:\n   ```python\n   def grow(x):\n       return x + 1\n   ```",
        CODE,
    ],
)
def test_where_the_code_is_found(text: str) -> None:
    code = read_code(text, "grow")
    assert code is not None
    assert code.strip() == CODE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entry_point": "row"}, "the entry point 'row' is no function"),
        ({"test": "def check(:"}, "the field 'test' is no Python"),
        ({"canonical_solution": None}, "the field 'canonical_solution' is missing"),
    ],
)
def test_bad_rows(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=f"some.jsonl, row 1: {message}"):
        HumanEval(path=only(tmp_path, **change)).every()
