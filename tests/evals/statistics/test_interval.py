from math import inf, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import InvalidParameter
from ponder.evals.statistics.interval import (
    Interval,
    accuracy_interval,
    check_level,
    mean_interval,
    normal_quantile,
    t_quantile,
)

Sample = tuple[list[float], list[str]]


def each_its_own(outcomes: list[float]) -> Interval:
    return accuracy_interval(outcomes, [str(i) for i in range(len(outcomes))])


def samples(values: st.SearchStrategy[float]) -> st.SearchStrategy[Sample]:
    pairs = st.lists(st.tuples(values, st.sampled_from("abcdef")), min_size=1)
    return pairs.map(lambda found: ([v for v, _ in found], [c for _, c in found]))


graded = samples(st.floats(0, 1))
right_or_wrong = samples(st.sampled_from([0.0, 1.0]))


def test_one_outcome_each_is_the_wilson_interval() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    found = each_its_own([1.0] * 81 + [0.0] * 182)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    found = each_its_own([1.0] * 15 + [0.0] * 133)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0624, 0.1605)
    found = each_its_own([0.0] * 20)
    assert (found.low, round(found.high, 4)) == (0.0, 0.1611)
    found = each_its_own([1.0] + [0.0] * 28)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0061, 0.1718)


def test_clusters_enter_through_the_design_effect() -> None:
    # Means 1, 1/2, 0, 1/2, each of two: r = (1, 0, -1, 0), V = 4/3 * 2 / 64 = 1/24,
    # p (1 - p) / (N - 1) = 1/28, so deff = 7/6; the kurtosis of r is 2, below 3.
    outcomes, clusters = [1.0, 1, 1, 0, 0, 0, 0, 1], list("aabbccdd")
    found = accuracy_interval(outcomes, clusters)
    n = 8 / (7 / 6) * (t_quantile(0.95, 7) / t_quantile(0.95, 3)) ** 2
    # Below 4, what the problems alone are worth.
    assert n < 4
    z = 1.959964
    half = z * sqrt(0.25 / 4 + z * z / 64) / (1 + z * z / 4)
    assert found.estimate == 0.5
    assert found.low == pytest.approx(0.5 - half)
    assert found.high == pytest.approx(0.5 + half)
    assert (found.observations, found.clusters) == (8, 4)


def test_effective_number_of_many_problems() -> None:
    # 20 problems all right, 20 half right, 20 all wrong, of two outcomes each:
    # V = 60/59 * 40 / 120^2, s^2 = 1/4, kurtosis (40/60) / (40/60)^2 = 1.5.
    outcomes = [1.0, 1.0] * 20 + [1.0, 0.0] * 20 + [0.0, 0.0] * 20
    found = accuracy_interval(outcomes, [str(i // 2) for i in range(120)])
    deff = (60 / 59 * 40 / 120**2) / (0.25 / 119)
    n = 120 / deff * (t_quantile(0.95, 119) / t_quantile(0.95, 59)) ** 2
    assert 60 < n < 120
    z = normal_quantile(0.95)
    half = z * sqrt(0.25 / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert found.high - found.low == pytest.approx(2 * half)


def test_heavy_tails_widen() -> None:
    """Few problems that fail often tell little of the variance."""
    clusters = [str(i // 8) for i in range(240)]
    few = [0.0] * 24 + [1.0] * 216
    spread = [0.0 if i % 8 == 0 and i < 192 else 1.0 for i in range(240)]
    assert sum(few) == sum(spread)
    narrow, wide = (accuracy_interval(x, clusters) for x in (spread, few))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_repeating_an_outcome_adds_nothing() -> None:
    outcomes = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    once = each_its_own(outcomes)
    often = accuracy_interval(outcomes * 5, list("abcdef") * 5)
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_partial_credit_is_narrower_than_right_or_wrong() -> None:
    partial = each_its_own([0.4, 0.6] * 15)
    whole = each_its_own([0.0, 1.0] * 15)
    assert partial.estimate == whole.estimate == 0.5
    assert partial.high - partial.low < 0.4 * (whole.high - whole.low)


def test_one_problem_is_worth_one_outcome() -> None:
    many = accuracy_interval([1.0] * 50, ["a"] * 50)
    assert (many.low, many.high) == (each_its_own([1.0]).low, 1.0)


@given(graded)
def test_bounds(sample: Sample) -> None:
    found = accuracy_interval(*sample)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.high - found.low > 0.01


@given(graded)
def test_swapping_right_and_wrong_mirrors(sample: Sample) -> None:
    outcomes, clusters = sample
    found = accuracy_interval(outcomes, clusters)
    mirrored = accuracy_interval([1 - x for x in outcomes], clusters)
    if found.estimate * (1 - found.estimate) > 1e-6:
        assert mirrored.low == pytest.approx(1 - found.high, abs=1e-6)
        assert mirrored.high == pytest.approx(1 - found.low, abs=1e-6)


@given(right_or_wrong)
def test_never_narrower_than_without_clusters(sample: Sample) -> None:
    clustered, alone = accuracy_interval(*sample), each_its_own(sample[0])
    assert clustered.high - clustered.low >= alone.high - alone.low - 1e-9


@given(right_or_wrong, st.floats(0.5, 0.9), st.floats(0.91, 0.999))
def test_a_higher_level_is_wider(sample: Sample, low: float, high: float) -> None:
    narrow, wide = accuracy_interval(*sample, low), accuracy_interval(*sample, high)
    assert wide.low <= narrow.low <= narrow.high <= wide.high


def test_mean_is_a_t_interval() -> None:
    # Mean 5, s = sqrt(10), n = 5, t_4 = 2.776445 (any table).
    found = mean_interval([1.0, 3, 5, 7, 9], list("abcde"))
    half = 2.776445 * sqrt(10) / sqrt(5)
    assert found.estimate == 5
    assert 5 - found.low == pytest.approx(half, rel=1e-6)
    assert found.high - 5 == pytest.approx(half, rel=1e-6)


def test_mean_of_equal_clusters_is_that_of_their_means() -> None:
    values = [100.0, 300, 500, 900, 50, 70]
    clustered = mean_interval(values, list("aabbcc"))
    means = mean_interval([200.0, 700, 60], list("abc"))
    assert clustered.low == pytest.approx(means.low)
    assert clustered.high == pytest.approx(means.high)


def test_one_problem_tells_nothing_of_the_mean_of_others() -> None:
    found = mean_interval([3.0, 4.0], ["a", "a"])
    assert (found.estimate, found.low, found.high) == (3.5, -inf, inf)


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="at least one value"):
        accuracy_interval([], [])
    with pytest.raises(InvalidParameter, match="mean_interval"):
        accuracy_interval([1.5], ["a"])
    with pytest.raises(InvalidParameter, match="outside 0 to 1"):
        accuracy_interval([float("nan")], ["a"])
    with pytest.raises(InvalidParameter, match="2 values have 1 clusters"):
        mean_interval([1.0, 2.0], ["a"])
    with pytest.raises(InvalidParameter, match=r"level is 95\.0"):
        mean_interval([1.0, 2.0], ["a", "b"], 95.0)
    with pytest.raises(InvalidParameter, match="level"):
        check_level(float("nan"))


def test_quantiles() -> None:
    # Two-sided 95 %: 1.959964; t with 10 degrees of freedom 2.228139 (any table).
    assert normal_quantile(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert t_quantile(0.95, 10) == pytest.approx(2.228139, abs=1e-6)
