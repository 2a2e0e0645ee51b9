import pytest

from ponder.errors import InvalidParameter
from ponder.evals.statistics.control import random_choice_accuracy


def test_is_the_mean_share_of_right_candidates() -> None:
    correct = [[True, False, False, True], [True], [False, False]]
    assert random_choice_accuracy(correct) == pytest.approx((0.5 + 1 + 0) / 3)


def test_a_problem_without_candidates_is_not_right() -> None:
    assert random_choice_accuracy([[], [True]]) == 0.5


def test_needs_a_problem() -> None:
    with pytest.raises(InvalidParameter, match="one problem"):
        random_choice_accuracy([])
