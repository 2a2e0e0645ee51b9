import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from ponder.errors import InvalidParameter
from ponder.graphs.posterior import THRESHOLD, beta_stop, dirichlet_stop

votes = st.lists(st.integers(0, 40), max_size=6)


@pytest.mark.parametrize(
    ("counts", "probability"),
    [
        ([], 0.5),
        ([0], 0.5),
        ([1], 0.75),
        ([3], 0.9375),
        ([4], 0.96875),
        ([2, 2], 0.5),
        ([3, 1], 0.8125),
        ([1, 0, 3], 0.8125),
    ],
)
def test_beta_by_hand(counts: list[int], probability: float) -> None:
    assert beta_stop(counts) == probability
    assert min(n for n in range(9) if beta_stop([n]) >= THRESHOLD) == 4


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_beta_is_the_tail_of_the_beta_distribution(a: int, b: int) -> None:
    v1, v2 = max(a, b), min(a, b)
    assert beta_stop([a, b]) == pytest.approx(beta.sf(0.5, v1 + 1, v2 + 1), abs=1e-12)


@settings(deadline=None)
@given(votes, st.randoms())
def test_order_does_not_matter(counts: list[int], random: object) -> None:
    backwards = counts[::-1]
    assert beta_stop(counts) == beta_stop(backwards)
    assert dirichlet_stop(counts) == pytest.approx(dirichlet_stop(backwards), abs=1e-12)


@settings(deadline=None)
@given(votes)
def test_more_rivals_make_the_leader_less_sure(counts: list[int]) -> None:
    assert 0.5 <= beta_stop(counts) <= 1
    assert dirichlet_stop(counts) <= beta_stop(counts) + 1e-9
    assert dirichlet_stop([*counts, 0]) <= dirichlet_stop(counts) + 1e-9


@pytest.mark.parametrize("counts", [[], [3], [7, 2], [0, 0]])
def test_dirichlet_is_beta_for_two(counts: list[int]) -> None:
    assert dirichlet_stop(counts) == beta_stop(counts)


@pytest.mark.parametrize("answers", [3, 5, 12])
@pytest.mark.parametrize("each", [0, 1, 9, 200])
def test_a_tie_is_symmetric(answers: int, each: int) -> None:
    assert dirichlet_stop([each] * answers) == pytest.approx(1 / answers, abs=1e-10)


def test_dirichlet_by_hand() -> None:
    # One vote against two unseen answers. Normalised Exp(1) variables X, Y and
    # Z ~ Gamma(2): P(Z > max(X, Y)) = integral of x e^-x (1 - e^-x)^2 dx
    # = 1 - 2/4 + 1/9.
    assert dirichlet_stop([1, 0, 0]) == pytest.approx(1 - 1 / 2 + 1 / 9, abs=1e-12)


def test_dirichlet_agrees_with_sampling() -> None:
    counts = [9, 5, 4, 1]
    draws = np.random.default_rng(0).dirichlet(np.array(counts) + 1, size=200_000)
    observed = (draws.argmax(axis=1) == 0).mean()
    assert dirichlet_stop(counts) == pytest.approx(observed, abs=0.005)


def test_large_counts_stay_exact() -> None:
    assert dirichlet_stop([5000, 10, 10]) == pytest.approx(1.0)
    assert beta_stop([5000, 5000]) == 0.5


@pytest.mark.parametrize("rule", [beta_stop, dirichlet_stop])
def test_negative_counts_are_refused(rule: object) -> None:
    assert callable(rule)
    with pytest.raises(InvalidParameter, match="0 or more"):
        rule([3, -1])
