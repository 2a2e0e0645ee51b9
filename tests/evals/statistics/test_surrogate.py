from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import InvalidParameter
from ponder.evals.statistics.interval import mean_interval
from ponder.evals.statistics.surrogate import corrected_mean


def test_by_hand() -> None:
    # 1, 0, 1 + (0 - 1) / 0.5 = -1, 0 + (1 - 0) / 0.5 = 2: mean 0.5, s^2 = 5/3.
    found = corrected_mean(
        [1, 0, 1, 0], [None, None, 0, 1], [False, False, True, True], 0.5
    )
    assert found.estimate == 0.5
    # t_3 = 3.182446 (any table).
    assert found.high - 0.5 == pytest.approx(3.182446 * sqrt(5 / 3) / 2, rel=1e-6)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=20))
def test_checking_everything_is_the_mean_of_the_truth(
    pairs: list[tuple[float, float]],
) -> None:
    says, truth = [g for g, _ in pairs], [y for _, y in pairs]
    found = corrected_mean(says, truth, [True] * len(pairs), 1.0)
    plain = mean_interval(truth, [str(i) for i in range(len(pairs))])
    assert found.estimate == pytest.approx(plain.estimate)
    assert found.low == pytest.approx(plain.low, abs=1e-9)


def test_each_item_may_have_its_own_probability_and_problem() -> None:
    found = corrected_mean(
        [1, 1, 0, 0],
        [1, None, 1, None],
        [True, False, True, False],
        [1.0, 0.5, 0.25, 0.5],
        clusters=list("aabb"),
    )
    assert found.estimate == (1 + 1 + 4 + 0) / 4
    assert (found.observations, found.clusters) == (4, 2)


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="2 judgements have 1 labels"):
        corrected_mean([1, 0], [1], [True, False], 0.5)
    with pytest.raises(InvalidParameter, match="probability is not"):
        corrected_mean([1, 0], [1, None], [True, False], 0.0)
    with pytest.raises(InvalidParameter, match="No item was checked"):
        corrected_mean([1, 0], [None, None], [False, False], 0.5)
    with pytest.raises(InvalidParameter, match="Item 1 was sampled but has no"):
        corrected_mean([1, 0], [1, None], [True, True], 0.5)
    with pytest.raises(InvalidParameter, match="Item 1 was not sampled though"):
        corrected_mean([1, 0], [1, None], [True, False], [0.5, 1.0])
