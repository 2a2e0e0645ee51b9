import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.evals.statistics.independence import effective_samples

outcomes = st.dictionaries(
    st.sampled_from("abcdef"), st.lists(st.booleans(), max_size=8), max_size=6
)


def test_by_hand() -> None:
    # 3 of 4 and 1 of 4: between 4 (1/16 + 1/16) / 1 = 1/2, within (3/4 + 3/4) / 6
    # = 1/4, rho = (1/2 - 1/4) / (1/2 + 3/4) = 1/5, and 4 / (1 + 3/5) = 2.5.
    found = effective_samples({"a": [True] * 3 + [False], "b": [False] * 3 + [True]})
    assert found == pytest.approx(2.5)


def test_samples_that_always_agree_are_worth_one() -> None:
    assert effective_samples({"a": [True] * 8, "b": [False] * 8}) == 1


def test_problems_that_are_alike_are_worth_all() -> None:
    even = [True, False] * 4
    assert effective_samples({"a": even, "b": even, "c": even[::-1]}) == 8


def test_unknown() -> None:
    assert effective_samples({}) is None
    assert effective_samples({"a": [True, False]}) is None
    assert effective_samples({"a": [True], "b": [False]}) is None
    assert effective_samples({"a": [True, True], "b": [True, True]}) is None
    assert effective_samples({"a": [False, False], "b": [False]}) is None


@given(outcomes)
def test_bounds(found: dict[str, list[bool]]) -> None:
    effective = effective_samples(found)
    sizes = [len(right) for right in found.values() if right]
    if effective is not None:
        assert 1 <= effective <= sum(sizes) / len(sizes) + 1e-9


@given(outcomes)
def test_right_and_wrong_are_alike(found: dict[str, list[bool]]) -> None:
    swapped = {name: [not x for x in right] for name, right in found.items()}
    here, there = effective_samples(found), effective_samples(swapped)
    assert (here is None) == (there is None)
    if here is not None:
        assert there == pytest.approx(here)


@pytest.mark.parametrize("rho", [0.1, 0.4, 0.8])
def test_recovers_the_correlation_of_the_beta_binomial(rho: float) -> None:
    random = np.random.default_rng(0)
    scale = (1 - rho) / rho
    p = random.beta(0.6 * scale, 0.4 * scale, 4000)
    right = random.random((4000, 16)) < p[:, None]
    found = effective_samples({str(i): row.tolist() for i, row in enumerate(right)})
    assert found == pytest.approx(16 / (1 + 15 * rho), rel=0.05)


def test_is_what_the_share_of_right_votes_scatters_like() -> None:
    random = np.random.default_rng(1)
    p = random.beta(1.2, 0.8, 3000)
    right = random.random((3000, 10)) < p[:, None]
    found = effective_samples({str(i): row.tolist() for i, row in enumerate(right)})
    mean = right.mean()
    assert found == pytest.approx(
        mean * (1 - mean) / right.mean(axis=1).var(), rel=0.01
    )
