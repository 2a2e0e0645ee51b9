import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import InvalidParameter
from ponder.evals.statistics.multiplicity import holm

p_values = st.lists(st.floats(0, 1), max_size=10)


def test_step_down_by_hand() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04, and never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_test_is_left_alone_and_none_is_fine() -> None:
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@given(p_values)
def test_between_the_plain_and_the_bonferroni_p_value(found: list[float]) -> None:
    for p, adjusted in zip(found, holm(found), strict=True):
        assert p <= adjusted <= min(1, len(found) * p)


@given(p_values)
def test_keeps_the_order(found: list[float]) -> None:
    adjusted = holm(found)
    order = sorted(range(len(found)), key=lambda i: found[i])
    ranked = [adjusted[i] for i in order]
    assert ranked == sorted(ranked)


@given(p_values)
def test_does_not_depend_on_the_order(found: list[float]) -> None:
    assert holm(found[::-1]) == holm(found)[::-1]


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_nonsense_is_refused(p: float) -> None:
    with pytest.raises(InvalidParameter):
        holm([0.5, p])
