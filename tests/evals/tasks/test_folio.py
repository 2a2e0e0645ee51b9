import json
from pathlib import Path
from typing import Any

import pytest

from ponder.errors import InvalidInput
from ponder.evals.benchmark import UNREADABLE
from ponder.evals.tasks.folio import FOLIO

SAMPLE = Path(__file__).parents[4] / "shared" / "data" / "folio_train_150.jsonl"
needs_sample = pytest.mark.skipif(
    not SAMPLE.exists(), reason="the sample of FOLIO is not on this machine"
)


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "train.jsonl"
    row = {"premises": ["All cats purr.", " "], "conclusion": "Tom purrs."}
    path.write_text(json.dumps(row | {"label": "Unknown", "example_id": 7} | changes))
    return path


@needs_sample
def test_the_real_sample() -> None:
    bench = FOLIO(path=SAMPLE)
    problems = bench.every()
    assert len(problems) == 150
    assert problems[0].id == "1131"
    assert all(bench.grade(p, p.reference).correct for p in problems)
    said = [
        sum(bool(bench.grade(p, f"\\boxed{{{label}}}").correct) for p in problems)
        for label in ("True", "False", "Unknown")
    ]
    assert said == [58, 45, 47]


@pytest.mark.parametrize("premises", [["All cats purr.", " "], "All cats purr.\n\n"])
def test_premises_are_a_list_or_lines(tmp_path: Path, premises: Any) -> None:
    (problem,) = FOLIO(path=write(tmp_path, premises=premises)).every()
    assert problem.id == "7"
    assert "Premises:\n- All cats purr.\n\nConclusion: Tom purrs." in problem.question


@pytest.mark.parametrize("label", ["Unknown", "Uncertain"])
def test_both_words_mean_the_same(tmp_path: Path, label: str) -> None:
    bench = FOLIO(path=write(tmp_path, label=label))
    (problem,) = bench.every()
    assert problem.reference == "\\boxed{Unknown}"
    for right in ("\\boxed{Unknown}", "\\boxed{\\text{uncertain}}", "Answer: Unknown."):
        assert bench.grade(problem, right).correct is True
    for wrong in ("\\boxed{True}", "\\boxed{perhaps}"):
        assert bench.grade(problem, wrong).correct is False
    assert bench.grade(problem, "All cats purr.") == UNREADABLE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "Maybe"}, "'Maybe' .* options True, False, Unknown, Uncertain"),
        ({"label": None}, "'label' is missing"),
        ({"premises": []}, "'premises' is empty"),
        ({"premises": [1]}, "'premises' has to be a list of texts"),
        ({"conclusion": ""}, "'conclusion' is empty"),
    ],
)
def test_bad_rows(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=f"train.jsonl, row 1: .*{message}"):
        FOLIO(path=write(tmp_path, **change)).every()
