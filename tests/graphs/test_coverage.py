from itertools import combinations
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.errors import InvalidParameter
from ponder.graphs.coverage import PowerLaw, coverage, fit_power_law, pass_at_k


@settings(deadline=None)
@given(st.integers(1, 60), st.data())
def test_is_the_ratio_of_binomials(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    assert pass_at_k(n, c, k) == pytest.approx(1 - comb(n - c, k) / comb(n, k))


def test_is_the_share_of_subsets_with_a_right_one() -> None:
    right = [True, False, False, True, False]
    subsets = list(combinations(right, 3))
    assert pass_at_k(5, 2, 3) == pytest.approx(
        sum(any(s) for s in subsets) / len(subsets)
    )


def test_is_stable_for_many_samples() -> None:
    assert pass_at_k(1_000_000, 1, 10_000) == pytest.approx(0.01)
    assert pass_at_k(10_000, 10_000, 1) == 1.0
    assert pass_at_k(10_000, 0, 10_000) == 0.0


@pytest.mark.parametrize(("n", "c", "k"), [(5, 2, 0), (5, 2, 6), (5, 6, 1), (5, -1, 1)])
def test_nonsense_is_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(InvalidParameter):
        pass_at_k(n, c, k)


def test_coverage_needs_questions() -> None:
    with pytest.raises(InvalidParameter, match="at least one question"):
        coverage([], 1)


@settings(deadline=None)
@given(st.floats(-5, -0.05), st.floats(-1.5, -0.05))
def test_fit_recovers_the_law(a: float, b: float) -> None:
    law = PowerLaw(a, b)
    points = [(k, law.coverage(k)) for k in (1, 2, 5, 10, 50)]
    found = fit_power_law(points)
    assert found.a == pytest.approx(a, rel=1e-5)
    assert found.b == pytest.approx(b, rel=1e-5)
    assert found.coverage(5) == pytest.approx(law.coverage(5), rel=1e-5)


def test_fit_leaves_out_what_is_on_no_curve() -> None:
    law = PowerLaw(-3.0, -0.5)
    points = [(k, law.coverage(k)) for k in (1, 4, 9)]
    assert fit_power_law([*points, (2, 0.0), (99, 1.0)]).a == pytest.approx(-3.0)
    with pytest.raises(InvalidParameter, match="two or more"):
        fit_power_law([(1, 0.5), (2, 1.0), (3, 0.0)])
