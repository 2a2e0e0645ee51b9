"""Rows of the table, on cells built by hand."""

import pytest

from ponder.errors import InvalidInput
from ponder.evals.cells import parameters, series_label, short_label
from ponder.evals.report.table import NO_ROLE, row, table
from ponder.messages import Usage
from tests.support.studies import attempt, cell, record


def test_accuracy_is_of_selected_answers_and_coverage_of_all_attempts() -> None:
    tried = [attempt("1", True), attempt("2", False)]
    found = row(
        cell(
            'best_of_n{"n": 2}',
            [
                record("a", True, tried),
                record("b", False, tried),
                record("c", False, [attempt("2", False), attempt("3", False)]),
                record("d", False, tried),
            ],
        )
    )

    assert found.accuracy is not None and found.coverage is not None
    assert found.accuracy.value == pytest.approx(1 / 4)
    assert found.coverage.value == pytest.approx(3 / 4)
    assert found.tried.right == pytest.approx(3 / 8)
    assert found.tried.per_run == 2
    # Wilson's interval of 1 right of 4.
    assert found.accuracy.low == pytest.approx(0.0456, abs=1e-3)
    assert found.accuracy.high == pytest.approx(0.6994, abs=1e-3)


def test_repetitions_of_a_problem_are_one_cluster() -> None:
    once = [record(f"p{i}", i < 5) for i in range(10)]
    often = [r.model_copy(update={"epoch": e}) for r in once for e in range(8)]

    narrow, wide = row(cell("direct", once)), row(cell("direct", often))

    assert narrow.accuracy is not None and wide.accuracy is not None
    assert (wide.problems, wide.runs) == (10, 80)
    # The same answers eight times over tell nothing new.
    assert wide.accuracy.low == pytest.approx(narrow.accuracy.low, abs=0.02)
    assert wide.accuracy.high == pytest.approx(narrow.accuracy.high, abs=0.02)


def test_unreadable_and_failed_runs_are_counted_apart() -> None:
    found = row(
        cell(
            "direct",
            [
                record("a", True, [attempt("1", True)], stop_reason="verified"),
                record("b", None, [attempt(None, None, truncated=True)]),
                record("c", None, error="The model did not answer."),
                record("d", None, [attempt(None, None, failed=True)]),
            ],
        )
    )

    assert (found.unreadable, found.failed) == (2, 1)
    assert found.errors == {"The model did not answer.": 1}
    assert found.stop_reasons == {"finished": 2, "verified": 1}
    assert found.accuracy is not None
    assert found.accuracy.value == pytest.approx(1 / 4)
    assert found.tried.attempts == 3
    assert (found.tried.truncated, found.tried.failed) == (1, 1)
    assert found.tried.unreadable == 1


def test_all_unreadable_is_no_right_answer_with_an_interval_of_some_width() -> None:
    lost = [record(f"p{i}", None, [attempt(None, None)]) for i in range(8)]

    found = row(cell("direct", lost))

    assert found.unreadable == 8
    assert found.accuracy is not None
    assert found.accuracy.value == found.accuracy.low == 0
    assert 0.2 < found.accuracy.high < 0.5
    assert found.tried.right == 0


def test_without_attempts_coverage_is_not_known() -> None:
    found = row(cell("plangen", [record("a", True), record("b", False)]))

    assert found.coverage is None and found.tried.right is None
    assert found.tried.attempts == 0
    assert found.accuracy is not None and found.accuracy.value == 0.5


def test_an_empty_cell_has_no_numbers() -> None:
    (found,) = table([cell("direct", [])])

    assert found.accuracy is None and found.coverage is None
    assert found.spent.cost is None and found.spent.tokens == 0
    assert found.problems == found.runs == 0


def test_a_single_problem_has_a_wide_interval() -> None:
    found = row(cell("direct", [record("a", True, [attempt("1", True)])]))

    assert found.accuracy is not None
    assert found.accuracy.value == 1 and found.accuracy.low < 0.3


def test_tokens_are_means_divided_by_role() -> None:
    def used(output: int) -> Usage:
        return Usage(calls=1, input_tokens=10, output_tokens=output)

    total = Usage(calls=3, input_tokens=30, output_tokens=170, seconds=4)
    found = row(
        cell(
            "plangen",
            [
                record(
                    "a",
                    True,
                    usage=total,
                    roles={"generator": used(90), "verifier": used(40)},
                    critical_tokens=120,
                ),
                record("b", True, usage=total, roles={"planner": used(190)}),
            ],
        )
    )

    assert found.spent.tokens == 200
    assert found.spent.by_role == {
        "generator": 50,
        "verifier": 25,
        "planner": 100,
        NO_ROLE: 25,
    }
    assert list(found.spent.by_role)[-1] == NO_ROLE
    assert found.spent.critical_tokens == 60
    assert found.spent.seconds == 4


@pytest.mark.parametrize(
    ("costs", "mean"),
    [
        ([0.02, 0.04], 0.03),
        ([0.02, None], None),
        ([None, None], None),
    ],
)
def test_money_is_known_only_if_every_price_is(
    costs: list[float | None], mean: float | None
) -> None:
    records = [
        record(f"p{i}", True, usage=Usage(calls=1, cost=cost))
        for i, cost in enumerate(costs)
    ]

    assert row(cell("direct", records)).spent.cost == pytest.approx(mean)


def test_a_run_that_made_no_call_cost_nothing() -> None:
    records = [
        record("a", True, usage=Usage(calls=1, cost=0.5)),
        record("b", None, error="refused"),
    ]

    assert row(cell("direct", records)).spent.cost == 0.25


def test_substitutes_are_counted_once_for_each_run() -> None:
    found = row(
        cell(
            "rpc",
            [
                record("a", True, substitutes=("votes", "votes", "prompt")),
                record("b", True, substitutes=("votes",)),
            ],
        )
    )

    assert found.substitutes == {"votes": 2, "prompt": 1}


def test_labels_are_for_readers() -> None:
    one = cell('best_of_n{"n": 8, "temperature": 0.3}', [], verifier="judge")

    assert short_label(one) == "best_of_n (n=8, temperature=0.3) + judge"
    assert series_label(one) == "best_of_n (temperature=0.3) + judge"
    assert short_label(cell("direct", [])) == "direct"


def test_a_spec_that_cannot_be_read_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="best_of_n"):
        parameters(cell('best_of_n{"n": ', []))
