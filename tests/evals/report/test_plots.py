"""Drawing: layout of labels, styles, and files of both kinds."""

import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import MissingExtra
from ponder.evals.report.canvas import canvas, spread, styles
from ponder.evals.report.curves import coverage_curves
from ponder.evals.report.plots import distinct, plots, slug
from ponder.evals.report.study import analyse
from tests.support.studies import attempt, bank, cell, record, simulated_study


def test_a_study_is_drawn_as_png_and_svg() -> None:
    made = plots(analyse(simulated_study(("arithmetic",), problems=6)))

    assert [plot.name for plot in made] == [
        "01-arithmetic-cost",
        "01-arithmetic-coverage",
        "01-arithmetic-calibration",
    ]
    for plot in made:
        assert plot.png.startswith(b"\x89PNG") and b"<svg" in plot.svg


def test_the_same_study_gives_the_same_bytes() -> None:
    study = analyse([bank()])

    assert plots(study) == plots(study)


def test_only_what_there_is_is_drawn() -> None:
    single = cell("direct", [record("a", True, [attempt("1", True)])])

    assert [plot.kind for plot in plots(analyse([single]))] == ["cost"]
    assert plots(analyse([cell("direct", [])])) == []


def test_names_with_signs_are_drawn_as_they_are() -> None:
    tried = [attempt("1", True)]
    odd = cell("direct", [record("a", True, tried)], task="a$b_{$c", verifier="$x_{")

    (plot,) = plots(analyse([odd]))

    assert plot.name == "01-a-b-c-cost"


def test_runs_that_used_no_tokens_are_not_drawn() -> None:
    dead = cell("direct", [record("a", None, error="down")])

    assert plots(analyse([dead])) == []
    assert [plot.kind for plot in plots(analyse([dead, bank()]))] == [
        "cost",
        "coverage",
    ]


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(MissingExtra, match=r"pip install 'ponder\[evals\]'"):
        with canvas(1, 1):
            pytest.fail("there is no matplotlib")


@given(st.lists(st.floats(-2, 2), max_size=12).map(sorted), st.floats(0.01, 0.5))
def test_labels_keep_their_order_and_distance(wanted: list[float], gap: float) -> None:
    placed = spread(wanted, gap)

    assert len(placed) == len(wanted)
    assert all(b - a >= gap - 1e-9 for a, b in pairwise(placed))
    assert sum(placed) == pytest.approx(sum(wanted), abs=1e-6)


def test_labels_with_room_stay_where_they_belong() -> None:
    assert spread([0.1, 0.5, 0.9], 0.2) == pytest.approx([0.1, 0.5, 0.9])
    assert spread([0.5, 0.5], 0.2) == pytest.approx([0.4, 0.6])


def test_styles_are_distinct_and_the_baseline_is_black() -> None:
    found = styles([f"s{i}" for i in range(20)] + ["base", "s0"], first="base")

    assert len(set(found.values())) == len(found) == 21
    assert found["base"].colour == "#000000"


def test_equal_coverage_is_one_line_and_the_longest_of_a_series_is_kept() -> None:
    long, short = bank(samples=8), bank(samples=4)
    twin = long.model_copy(update={"strategy": "rpc"})

    found = distinct(coverage_curves([short, long, twin]))

    assert [[c.label for c in group] for group in found] == [
        ["self_consistency (n=8)", "rpc"]
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [("calendar:people=3", "calendar-people-3"), ("É", "task"), ("x" * 90, "x" * 60)],
)
def test_tasks_become_names_of_files(text: str, name: str) -> None:
    assert slug(text) == name
