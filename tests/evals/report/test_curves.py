"""Accuracy over tokens, and coverage over attempts."""

import pytest

from ponder.evals.record import Cell
from ponder.evals.report.curves import cost_curves, coverage_curve, coverage_curves
from ponder.graphs.coverage import pass_at_k
from tests.support.studies import attempt, bank, cell, record


def priced(strategy: str, tokens: int, right: int, **fields: object) -> Cell:
    """Return a cell with so many right answers of ten, at so many tokens each."""
    records = [
        record(f"p{i}", i < right, [attempt("x", True, output_tokens=tokens - 20)])
        for i in range(10)
    ]
    return cell(strategy, records, **fields)


def test_the_front_holds_what_nothing_beats() -> None:
    (curve,) = cost_curves(
        [
            priced("cheap", 100, 3),
            priced("beaten", 200, 2),
            priced("good", 300, 6),
            priced("dear", 900, 6),
        ]
    )

    assert [(p.label, p.on_front) for p in curve.points] == [
        ("cheap", True),
        ("beaten", False),
        ("good", True),
        ("dear", False),
    ]
    assert [p.tokens for p in curve.points] == [100, 200, 300, 900]
    assert curve.points[2].accuracy.low < 0.6 < curve.points[2].accuracy.high


def test_ties_are_all_on_the_front() -> None:
    (curve,) = cost_curves([priced("one", 100, 5), priced("two", 100, 5)])

    assert all(point.on_front for point in curve.points)


def test_a_lucky_control_is_never_on_the_front_nor_beats_anyone() -> None:
    lucky = priced("best_of_n", 50, 10, verifier="random")

    (curve,) = cost_curves([lucky, priced("direct", 100, 5)])

    assert [point.on_front for point in curve.points] == [False, True]


def test_points_of_one_line_share_their_series() -> None:
    (curve,) = cost_curves([priced('sc{"n": 4}', 100, 5), priced('sc{"n": 8}', 200, 6)])

    assert {point.series for point in curve.points} == {"sc"}


def test_tasks_and_models_have_curves_of_their_own_and_empty_cells_none() -> None:
    found = cost_curves(
        [
            priced("direct", 100, 5),
            priced("direct", 100, 5, task="other"),
            priced("direct", 100, 5, model="other"),
            cell("direct", [], task="empty"),
        ]
    )

    assert [(c.task, c.model) for c in found] == [
        ("arithmetic", "simulated"),
        ("other", "simulated"),
        ("arithmetic", "other"),
    ]


def test_coverage_is_the_unbiased_estimate_up_to_the_fewest_attempts() -> None:
    right, wrong = attempt("1", True), attempt("2", False)
    found = coverage_curve(
        cell(
            "sc",
            [
                record("a", True, [right, wrong, wrong, wrong, wrong, wrong]),
                record("b", False, [wrong] * 3 + [right] * 4),
                record("c", None, error="down"),
            ],
        )
    )

    assert [k for k, _ in found.points] == [1, 2, 4, 6]
    for k, share in found.points:
        expected = (pass_at_k(6, 1, k) + pass_at_k(7, 4, k)) / 2
        assert share == pytest.approx(expected)
    assert (found.runs, found.left_out) == (2, 1)
    assert found.selected == 0.5 and found.attempts == 6.5
    assert found.law is not None and found.law.a < 0 and found.law.b < 0


def test_where_nothing_is_ever_right_there_is_no_law() -> None:
    wrong = [attempt("2", False)] * 4
    found = coverage_curve(cell("sc", [record("a", False, wrong)]))

    assert [share for _, share in found.points] == [0, 0, 0]
    assert found.law is None and found.effective is None


def test_single_attempts_controls_and_empty_cells_have_no_curve() -> None:
    control = bank().model_copy(update={"verifier": "random"})

    assert coverage_curves([priced("direct", 100, 5), control, cell("tot", [])]) == []
    assert coverage_curve(cell("tot", [])).points == ()


def test_samples_that_stand_and_fall_together_are_worth_one() -> None:
    together = [
        record(f"p{i}", right, [attempt("x", right)] * 8)
        for i, right in enumerate([True, False] * 10)
    ]

    found = coverage_curve(cell("sc", together))

    assert found.effective == pytest.approx(1)
