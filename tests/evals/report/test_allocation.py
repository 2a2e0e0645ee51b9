"""What the allocation model chooses, against the best configuration found."""

from collections.abc import Callable
from math import log

import pytest

from ponder.evals.allocation import Theta, sigmoid
from ponder.evals.benchmark import Grade
from ponder.evals.record import Cell, Record
from ponder.evals.report.allocation import LEAST, allocations
from ponder.evals.report.markdown import markdown
from ponder.evals.report.study import analyse
from ponder.messages import Usage

PROBLEMS = 8
GRID = [(k, m) for k in (1, 2, 4) for m in (0, 1, 2)]


def law(k: int, m: int, problem: int) -> float:
    """Return P as the model has it: more documents help, demonstrations harm."""
    return sigmoid(0.6 * log(k + 0.01) - 0.2 * log(m + 0.01) - 1)


def drag(k: int, m: int, performance: Callable[[int, int, int], float]) -> Cell:
    tokens = 100 + 50 * k * (m + 1)
    records = tuple(
        Record(
            problem=str(i),
            grade=Grade(correct=False, answer="x", score=performance(k, m, i)),
            roles={"generator": Usage(input_tokens=tokens)},
        )
        for i in range(PROBLEMS)
    )
    spec = f'drag{{"k": {k}, "m": {m}}}'
    return Cell(task="t", strategy=spec, model="m", records=records)


def test_where_the_law_holds_the_model_chooses_the_best_within_each_budget() -> None:
    (found,) = allocations([drag(k, m, law) for k, m in GRID])

    assert found.metric == "score"
    assert found.fitted.a["k"].value == pytest.approx(0.6)
    assert found.fitted.r2 == pytest.approx(1)
    assert [c.budget for c in found.choices] == [200, 250, 300, 700]
    for choice in found.choices:
        assert choice.mean("fitted_measured") == choice.mean("most")
    assert {half.fitted for half in found.choices[-1].halves} == {Theta(k=4)}


def test_what_was_the_best_by_chance_is_measured_on_other_problems() -> None:
    def lucky(k: int, m: int, problem: int) -> float:
        by_chance = (k, m) == (4, 2) and problem % 2 == 0
        return 1.0 if by_chance else law(k, m, problem)

    (found,) = allocations([drag(k, m, lucky) for k, m in GRID])
    first, second = found.choices[-1].halves

    assert first.found == Theta(k=4, m=2)
    assert first.found_measured == pytest.approx(law(4, 2, 1))
    assert (second.found, second.most) == (Theta(k=4), 1.0)


def test_too_few_or_equal_configurations_are_left_out() -> None:
    assert allocations([drag(k, m, law) for k, m in GRID[: LEAST - 1]]) == []
    assert allocations([drag(k, m, lambda *_: 0.5) for k, m in GRID]) == []


def test_the_report_shows_it() -> None:
    cells = [drag(k, m, law) for k, m in GRID]
    text = markdown(analyse(cells), [], title="Retrieval")

    assert "### Allocation of context" in text
    assert "a_k = +0.60 (+0.60 to +0.60)" in text
    assert "n was always 1" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| 700 |")]
    assert row.split(" | ")[1:3] == ["9", "(4, 0, 1)"]
