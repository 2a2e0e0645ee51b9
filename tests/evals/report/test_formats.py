"""Numbers and tables as text."""

import csv
import io

import pytest

from ponder.evals.cells import Estimate
from ponder.evals.report.comparison import comparisons
from ponder.evals.report.formats import (
    as_csv,
    counts,
    gap,
    markdown_table,
    money,
    number,
    p_value,
    percent,
    with_interval,
)
from ponder.evals.report.table import table
from ponder.messages import Usage
from tests.support.studies import attempt, bank, cell, record


def test_shares_are_in_percent_with_one_decimal() -> None:
    assert with_interval(Estimate(value=0.467, low=0.3309, high=0.6081)) == (
        "46.7 (33.1 - 60.8)"
    )
    assert with_interval(None) == percent(None) == number(None) == p_value(None) == "-"
    assert percent(1) == "100.0"


def test_differences_have_signs_and_no_negative_zero() -> None:
    assert gap(Estimate(value=0.04, low=-0.012, high=0.092)) == "+4.0 (-1.2 to +9.2)"
    assert gap(Estimate(value=-0.0001, low=-0.1, high=0.1)).startswith("+0.0 ")
    assert percent(-0.0001) == "0.0"


@pytest.mark.parametrize(
    ("dollars", "text"),
    [(None, "not known"), (0.0, "$0.00"), (0.00123, "$0.0012"), (1.5, "$1.50")],
)
def test_money_is_readable_down_to_a_fraction_of_a_cent(
    dollars: float | None, text: str
) -> None:
    assert money(dollars) == text


def test_small_p_values_are_not_rounded_to_zero() -> None:
    assert (p_value(0.0004), p_value(0.0421), p_value(1.0)) == (
        "< 0.001",
        "0.042",
        "1.000",
    )


def test_counts_are_told_in_words() -> None:
    assert counts({"finished": 40, "tokens": 10}) == "finished 40, tokens 10"
    assert counts({}) == "-"


def test_a_table_survives_bars_and_line_breaks() -> None:
    text = markdown_table(("A", "B"), [("x|y\nz", "1")], text={"A"})

    assert text.splitlines() == ["| A | B |", "| --- | ---: |", "| x\\|y z | 1 |"]


def test_csv_has_a_column_for_each_number() -> None:
    roles = {"generator": Usage(input_tokens=30), "verifier": Usage(input_tokens=10)}
    study = [
        cell("direct", [record("a", True, [attempt("1", True)])]),
        cell("tot", [record("a", None, roles=roles, usage=Usage(input_tokens=40))]),
        cell("empty", []),
    ]

    direct, tot, empty = csv.DictReader(io.StringIO(as_csv(table(study))))

    assert (direct["accuracy"], direct["coverage_high"]) == ("1.0", "1.0")
    assert float(direct["accuracy_low"]) == pytest.approx(0.2065, abs=1e-3)
    assert direct["stop_reasons"] == "finished 1"
    assert direct["spent_by_role_generator"] == "100.0"
    assert direct["spent_by_role_verifier"] == ""
    assert tot["spent_by_role_verifier"] == "10.0"
    assert tot["coverage"] == empty["accuracy"] == empty["spent_cost"] == ""


def test_rows_that_are_not_compared_are_in_the_csv_without_numbers() -> None:
    study = [bank(samples=2), cell("tot", bank(samples=8).records)]

    rows = list(csv.DictReader(io.StringIO(as_csv(comparisons(study)))))

    (found,) = [r for r in rows if r["label"] == "tot" and r["equal_tokens"] == "True"]
    # The largest bank has two samples, and the strategy spent eight.
    assert found["verdict"] == "not compared" and "too small" in found["note"]
    assert found["difference"] == found["difference_low"] == found["p_value"] == ""
