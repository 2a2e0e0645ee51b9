from itertools import product
from math import comb, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.errors import InvalidParameter
from ponder.evals.statistics import paired
from ponder.evals.statistics.interval import t_quantile
from ponder.evals.statistics.paired import Difference, paired_difference

halves = st.integers(-4, 4).map(lambda n: n / 4)
some = st.lists(halves, min_size=1, max_size=12)


def of(differences: list[float], level: float = 0.95) -> Difference:
    treatment = {str(i): d for i, d in enumerate(differences)}
    return paired_difference(treatment, dict.fromkeys(treatment, 0.0), level)


def test_interval_of_right_or_wrong_is_that_of_agresti_and_min() -> None:
    # 20 wins and 10 losses on 100 problems: their formula, with a t quantile.
    found = of([1.0] * 20 + [-1.0] * 10 + [0.0] * 70)
    half = t_quantile(0.95, 101) * sqrt(31 - 10**2 / 102) / 102
    assert found.estimate == 0.1
    assert found.low == pytest.approx(10 / 102 - half)
    assert found.high == pytest.approx(10 / 102 + half)


def test_p_value_of_right_or_wrong_is_the_exact_mcnemar_test() -> None:
    # 9 wins, 2 losses: 2 (C(11,0) + C(11,1) + C(11,2)) / 2^11.
    found = of([1.0] * 9 + [-1.0] * 2 + [0.0] * 30)
    assert found.p_value == pytest.approx(2 * (1 + 11 + 55) / 2**11)


def test_drawn_patterns_come_near_the_exact_test() -> None:
    wins, losses = 20, 8
    exact = 2 * sum(comb(28, k) for k in range(losses + 1)) / 2**28
    found = of([1.0] * wins + [-1.0] * losses)
    assert found.p_value == pytest.approx(exact, abs=4 * sqrt(exact / paired.DRAWS))


def test_drawn_p_value_is_never_zero() -> None:
    assert of([1.0] * 60).p_value == 1 / (paired.DRAWS + 1)


@given(st.lists(halves.filter(bool), min_size=1, max_size=8))
def test_p_value_counts_sign_patterns(differences: list[float]) -> None:
    bar = abs(sum(differences))
    patterns = list(product((1, -1), repeat=len(differences)))
    hits = sum(
        abs(sum(s * d for s, d in zip(p, differences, strict=True))) >= bar
        for p in patterns
    )
    assert of(differences).p_value == pytest.approx(hits / len(patterns))


def test_all_ties() -> None:
    found = of([0.0] * 50)
    assert found.estimate == 0
    assert found.low < 0 < found.high
    assert found.p_value == 1


def test_one_problem() -> None:
    found = of([1.0])
    assert found.low < 0
    assert found.high > 1
    assert found.p_value == 1


@given(some)
def test_swapping_the_two_mirrors(differences: list[float]) -> None:
    here, there = of(differences), of([-d for d in differences])
    assert there.estimate == -here.estimate
    assert there.low == pytest.approx(-here.high)
    assert there.high == pytest.approx(-here.low)
    assert there.p_value == here.p_value


@given(some)
def test_bounds(differences: list[float]) -> None:
    found = of(differences)
    assert found.low < found.estimate < found.high
    assert 0 < found.p_value <= 1


@given(some.filter(any), st.sampled_from([0.5, 2.0, 1024.0]))
def test_units_do_not_matter(differences: list[float], unit: float) -> None:
    here, there = of(differences), of([unit * d for d in differences])
    assert there.low == pytest.approx(unit * here.low)
    assert there.high == pytest.approx(unit * here.high)
    assert there.p_value == here.p_value


@given(some)
def test_a_higher_level_is_wider(differences: list[float]) -> None:
    narrow, wide = of(differences, 0.8), of(differences, 0.99)
    assert wide.low < narrow.low
    assert narrow.high < wide.high


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(30)))
def test_order_of_the_problems_does_not_matter(order: list[int]) -> None:
    values = {i: (i % 5 - 1) / 4 for i in range(30)}
    treatment = {str(i): values[i] for i in order}
    baseline = {str(i): 0.0 for i in reversed(order)}
    first = {str(i): values[i] for i in range(30)}
    assert paired_difference(treatment, baseline) == paired_difference(first, baseline)


def test_the_seed_decides_the_draws() -> None:
    treatment = {str(i): (i % 7 - 2.5) / 4 for i in range(40)}
    baseline = dict.fromkeys(treatment, 0.0)
    found = {
        paired_difference(treatment, baseline, seed=s).p_value for s in (1, 1, 2, 3)
    }
    assert 1 < len(found) <= 3


def test_only_shared_problems_are_compared() -> None:
    found = paired_difference(
        {"a": 1.0, "b": 0.5, "c": 0.0}, {"b": 0.0, "c": 0.0, "d": 1.0, "e": 1.0}
    )
    assert (found.estimate, found.problems, found.unpaired) == (0.25, 2, 3)


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="share no problem"):
        paired_difference({"a": 1.0}, {"b": 1.0})
    with pytest.raises(InvalidParameter, match="level is 0"):
        paired_difference({"a": 1.0}, {"a": 1.0}, 0)
