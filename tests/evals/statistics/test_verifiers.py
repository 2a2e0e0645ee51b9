from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import InvalidParameter
from ponder.evals.statistics.verifiers import (
    Bin,
    Judged,
    accepted_precision,
    best_number_of_samples,
    verifier_report,
)
from ponder.models.simulated import Separation

probability = st.floats(0, 1)
judged = st.builds(
    Judged,
    st.sampled_from("abc"),
    st.none() | st.integers(0, 5).map(lambda n: n / 5),
    st.none() | st.booleans(),
    st.booleans(),
)


def item(
    score: float | None,
    correct: bool,
    *,
    problem: str = "a",
    passed: bool | None = None,
) -> Judged:
    return Judged(problem, score, passed, correct)


def test_rates_by_hand() -> None:
    items = [item(None, True, problem=str(i), passed=i < 6) for i in range(8)] + [
        item(None, False, problem=str(i), passed=i < 1) for i in range(8, 12)
    ]
    items += [item(None, False, problem="x", passed=True)]
    found = verifier_report(items)
    assert found.true_positive_rate is not None
    assert found.false_positive_rate is not None
    assert found.precision is not None
    assert found.true_positive_rate.estimate == 6 / 8
    assert found.true_positive_rate.clusters == 8
    assert found.false_positive_rate.estimate == 1 / 5
    assert found.precision.estimate == 6 / 7
    assert found.precision.low < 6 / 7 < found.precision.high


def test_auc_by_hand() -> None:
    # Right .9 .5, wrong .5 .1: wins 2 + 1 and half a win, of 4 pairs.
    items = [item(0.9, True), item(0.5, True), item(0.5, False), item(0.1, False)]
    assert verifier_report(items).auc == 3.5 / 4


def test_auc_within_problems_is_another_thing() -> None:
    """Here the score only tells the easy problem from the hard one."""
    items = [item(0.9, True, problem="easy")] * 9 + [item(0.9, False, problem="easy")]
    items += [item(0.2, True, problem="hard")] + [item(0.2, False, problem="hard")] * 9
    items += [item(0.7, True, problem="all right")]
    found = verifier_report(items)
    assert found.auc_within == 0.5
    assert found.auc is not None
    assert found.auc > 0.8


@pytest.mark.parametrize("auc", [0.5, 0.7, 0.95])
def test_auc_of_a_judge_with_a_known_one(auc: float) -> None:
    judge, random = Separation(auc=auc), np.random.default_rng(0)
    items = [
        item(judge.p_yes(right, float(u)), right)
        for right in (True, False)
        for u in random.random(2000)
    ]
    assert verifier_report(items).auc == pytest.approx(auc, abs=4 * sqrt(1 / 3 / 2000))


def test_calibration_by_hand() -> None:
    items = [item(0.1, False), item(0.3, True), item(0.9, True), item(1.0, True)]
    found = verifier_report(items, bins=2)
    assert [b.count for b in found.bins] == [2, 2]
    assert [b.mean_score for b in found.bins] == pytest.approx([0.2, 0.95])
    assert [b.share_correct for b in found.bins] == [0.5, 1.0]
    assert found.expected_calibration_error == pytest.approx((0.3 + 0.05) / 2)
    assert found.brier == pytest.approx((0.01 + 0.49 + 0.01 + 0) / 4)


def test_a_perfect_verifier() -> None:
    items = [
        item(float(right), right, problem=str(i), passed=right)
        for i in range(10)
        for right in (True, False)
    ]
    found = verifier_report(items)
    assert (found.auc, found.auc_within) == (1, 1)
    assert (found.brier, found.expected_calibration_error) == (0, 0)
    assert found.bins == (Bin(0, 0, 10), Bin(1, 1, 10))
    assert found.false_positive_rate is not None
    # Ten wrong solutions refused do not prove that none is ever accepted.
    assert found.false_positive_rate.high > 0.2


def test_silence_is_counted_and_never_a_zero() -> None:
    said = [item(0.8, True, passed=True), item(0.3, False, passed=False)]
    silent = [item(None, True), item(None, False)]
    alone, both = verifier_report(said), verifier_report(said + silent)
    assert (both.candidates, both.unscored, both.undecided) == (4, 2, 2)
    assert both.brier == alone.brier
    assert both.true_positive_rate == alone.true_positive_rate


def test_what_cannot_be_computed_is_none() -> None:
    found = verifier_report([])
    assert found.false_positive_rate is None
    assert found.true_positive_rate is None
    assert found.precision is None
    assert found.auc is None
    assert found.auc_within is None
    assert found.expected_calibration_error is None
    assert found.brier is None
    assert found.bins == ()
    only_right = verifier_report([item(0.5, True, passed=False)])
    assert only_right.auc is None
    assert only_right.false_positive_rate is None
    assert only_right.precision is None


@given(st.lists(judged, max_size=20), st.integers(1, 12))
def test_bounds(items: list[Judged], bins: int) -> None:
    found = verifier_report(items, bins=bins)
    numbers = [
        found.auc,
        found.auc_within,
        found.brier,
        found.expected_calibration_error,
    ]
    assert all(0 <= n <= 1 for n in numbers if n is not None)
    assert sum(b.count for b in found.bins) == found.candidates - found.unscored


@given(st.lists(judged, max_size=20))
def test_turned_scores_turn_the_auc(items: list[Judged]) -> None:
    turned = [
        Judged(i.problem, None if i.score is None else 1 - i.score, i.passed, i.correct)
        for i in items
    ]
    here, there = verifier_report(items).auc, verifier_report(turned).auc
    assert (here is None) == (there is None)
    if here is not None and there is not None:
        assert here + there == pytest.approx(1)


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="score"):
        verifier_report([item(1.2, True)])
    with pytest.raises(InvalidParameter, match="0 bins"):
        verifier_report([], bins=0)
    with pytest.raises(InvalidParameter, match="t is 2"):
        accepted_precision(0.5, 2, 0.5)
    with pytest.raises(InvalidParameter, match="one accuracy or more"):
        best_number_of_samples([], 1, 0, 1, 1, 0, 8)
    with pytest.raises(InvalidParameter, match="costs"):
        best_number_of_samples(0.5, 1, 0, 1, -1, 0, 8)
    with pytest.raises(InvalidParameter, match="p is"):
        best_number_of_samples([0.5, 1.5], 1, 0, 1, 1, 0, 8)


def test_accepted_precision_by_hand() -> None:
    assert accepted_precision(0.3, 0.9, 0.1) == pytest.approx(0.27 / (0.27 + 0.07))
    assert accepted_precision(0.4, 1, 1) == 0.4
    assert accepted_precision(0.4, 1, 0) == 1
    assert accepted_precision(0.4, 0, 0) is None


@given(probability, probability, probability, probability)
def test_more_false_positives_never_help(
    p: float, t: float, f: float, g: float
) -> None:
    few, many = (accepted_precision(p, t, rate) for rate in sorted((f, g)))
    if few is not None and many is not None:
        assert many <= few + 1e-12


def test_precision_is_what_resampling_comes_to() -> None:
    p, t, f = 0.3, 0.8, 0.2
    random = np.random.default_rng(0)
    right = random.random((20_000, 200)) < p
    passed = random.random(right.shape) < np.where(right, t, f)
    first = passed.argmax(axis=1)
    accuracy = right[np.arange(len(right)), first].mean()
    assert accuracy == pytest.approx(accepted_precision(p, t, f), abs=0.015)


def simulated_utility(
    accuracies: list[float], t: float, f: float, cost: float, price: float, k: int
) -> float:
    random, studies = np.random.default_rng(0), 40_000
    total = 0.0
    for p in accuracies:
        right = random.random((studies, k)) < p
        passed = random.random((studies, k)) < np.where(right, t, f)
        drawn = np.where(passed.any(axis=1), passed.argmax(axis=1) + 1, k)
        chosen = right[np.arange(studies), passed.argmax(axis=1)]
        worth = np.where(chosen, 1.0, -cost) * passed.any(axis=1)
        total += float((worth - price * drawn).mean())
    return total / len(accuracies)


def test_utility_is_that_of_simulated_resampling() -> None:
    accuracies, t, f, cost, price = [0.6, 0.05], 0.9, 0.1, 1.5, 0.01
    k, utility = best_number_of_samples(accuracies, t, f, 1, cost, price, 50)
    assert 0 < k < 50
    assert utility == pytest.approx(
        simulated_utility(accuracies, t, f, cost, price, k), abs=0.01
    )


def test_costly_mistakes_bend_the_curve_down() -> None:
    """On hard problems what is accepted late is mostly wrong (Stroebl et al. 2024)."""
    accuracies = [0.8, 0.5, 0.02, 0.0]
    best = [
        best_number_of_samples(accuracies, 0.95, 0.05, 1, cost, 0, 100)[0]
        for cost in (0, 1, 4, 1000)
    ]
    assert best[0] > best[1] > best[2] > best[3] == 0
    assert best[2] < 10


def test_abstaining_is_worth_nothing_and_may_be_best() -> None:
    assert best_number_of_samples(0.1, 0.5, 0.5, 1, 1, 0, 20) == (0, 0)
    assert best_number_of_samples(0.0, 0.9, 0.0, 1, 1, 0.1, 20) == (0, 0)


def test_one_accuracy_takes_all_or_nothing() -> None:
    k, utility = best_number_of_samples(0.3, 0.9, 0.1, 1, 1, 0.01, 12)
    a = 0.27 + 0.07
    assert k == 12
    assert utility == pytest.approx((1 - (1 - a) ** 12) / a * (0.27 - 0.07 - 0.01))


def test_a_sure_acceptance_needs_one_sample() -> None:
    assert best_number_of_samples(1.0, 1, 0, 1, 1, 0.1, 9) == (1, 0.9)


@given(
    st.lists(probability, min_size=1, max_size=4),
    probability,
    probability,
    st.floats(0, 5),
    st.floats(0, 1),
)
def test_never_worse_than_abstaining(
    p: list[float], t: float, f: float, cost: float, price: float
) -> None:
    k, utility = best_number_of_samples(p, t, f, 1, cost, price, 10)
    assert 0 <= k <= 10
    assert 0 <= utility <= 1
