import json
from pathlib import Path

import pytest

from ponder.errors import InvalidInput
from ponder.evals.benchmark import UNREADABLE, benchmark
from ponder.evals.tasks.gsm8k import GSM8K

SAMPLE = Path(__file__).parents[4] / "shared" / "data" / "gsm8k_train_200.jsonl"
needs_sample = pytest.mark.skipif(
    not SAMPLE.exists(), reason="the sample of GSM8K is not on this machine"
)
EGGS = {"question": "Two hens lay 600 eggs each. How many?", "answer": "So\n#### 1,200"}


def write(folder: Path, *answers: str) -> Path:
    path = folder / "train.jsonl"
    rows = [{"question": "How many?", "answer": answer} for answer in answers]
    path.write_text("".join(json.dumps(row) + "\n" for row in (EGGS, *rows)))
    return path


@needs_sample
def test_the_real_sample() -> None:
    bench = GSM8K(path=SAMPLE)
    problems = bench.every()
    assert len(problems) == 200
    assert (problems[0].id, problems[0].data) == ("gsm8k-1", {"answer": "72"})
    assert all(bench.grade(p, p.reference).correct for p in problems)
    assert not any(bench.grade(p, "\\boxed{31415.5}").correct for p in problems)


def test_loads_and_grades(tmp_path: Path) -> None:
    bench = GSM8K(path=write(tmp_path))
    (problem,) = bench.every()
    assert problem.question.startswith(EGGS["question"])
    assert problem.question.endswith("\\boxed{...}.")
    for right in ("\\boxed{1200}", "The answer is 1200.0 eggs.", "so\n#### 1,200"):
        assert bench.grade(problem, right).correct is True
    wrong = bench.grade(problem, "\\boxed{600}")
    assert (wrong.correct, wrong.answer) == (False, "600")
    assert wrong.reasons == ("The answer '600' is wrong.",)
    assert bench.grade(problem, "Perhaps 1200, perhaps not") == UNREADABLE


@pytest.mark.parametrize("number", ["-3", "0.5", "$12", "50%", "1,234.5"])
def test_published_forms_of_numbers(tmp_path: Path, number: str) -> None:
    bench = GSM8K(path=write(tmp_path, f"#### {number}"))
    problem = bench.every()[1]
    assert bench.grade(problem, problem.reference).correct is True


@pytest.mark.parametrize("answer", ["72", "#### many", "#### 7 or 8"])
def test_an_answer_without_its_number(tmp_path: Path, answer: str) -> None:
    with pytest.raises(InvalidInput, match="train.jsonl, row 2: the field 'answer'"):
        GSM8K(path=write(tmp_path, answer)).every()


def test_by_name(tmp_path: Path) -> None:
    made, seed = benchmark(f"gsm8k:path={write(tmp_path)},seed=3")
    assert isinstance(made, GSM8K)
    assert (len(made.every()), seed) == (1, 3)
