import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.graphs.search.rebase import RebasePolicy, widths
from ponder.graphs.search.simulate import noise, search
from ponder.graphs.search.tree import Step


def formula(rewards: list[float], budget: int, t_b: float) -> list[float]:
    """Equation for W_j of Wu et al. 2024, before rounding."""
    total = sum(math.exp(r / t_b) for r in rewards)
    return [budget * math.exp(r / t_b) / total for r in rewards]


def test_widths_are_those_of_the_formula() -> None:
    rewards = [0.9, 0.8, 0.7]
    expected = formula(rewards, 16, 0.1)

    assert [round(w, 2) for w in expected] == [10.64, 3.92, 1.44]
    assert widths(rewards, 16, 0.1) == [11, 4, 1]
    assert widths([0.5, 0.5], 16, 0.1) == [8, 8]


@given(
    rewards=st.lists(st.floats(0, 1), min_size=1, max_size=20),
    budget=st.integers(0, 64),
    t_b=st.floats(0.02, 2),
)
def test_widths_sum_to_the_budget(
    rewards: list[float], budget: int, t_b: float
) -> None:
    shares = widths(rewards, budget, t_b)

    ideal = formula(rewards, budget, t_b)
    assert sum(shares) == budget
    assert all(abs(w - q) < 1 + 1e-9 for w, q in zip(shares, ideal, strict=True))
    by_reward = sorted(range(len(rewards)), key=lambda j: (-rewards[j], j))
    served = [shares[j] for j in by_reward]
    assert served == sorted(served, reverse=True)
    rounded = [round(q) for q in ideal]
    halves = any(abs(q % 1 - 0.5) < 1e-9 for q in ideal)
    if sum(rounded) == budget and not halves:
        assert shares == rounded


def test_what_rounding_leaves_goes_to_the_better_and_the_known() -> None:
    assert widths([0.93, 0.68, 0.65, 0.65], 4, 0.1) == [4, 0, 0, 0]
    assert widths([0.84, 0.86, 0.88, 0.9], 1, 0.1) == [0, 0, 0, 1]
    assert widths([0.9, 0.9], 1, 0.1) == [1, 0]
    assert widths([None, 0.9], 1, 0.1) == [0, 1]
    assert widths([0.9, 0.1], 0, 0.1) == [0, 0]
    assert widths([], 3, 0.1) == []


def test_unknown_rewards_count_as_the_lowest_and_none_known_as_equal() -> None:
    assert widths([0.9, None, 0.8], 8, 0.1) == widths([0.9, 0.8, 0.8], 8, 0.1)
    assert widths([None, None], 8, 0.1) == [4, 4]


@pytest.mark.parametrize("n", [1, 7, 16])
def test_n_solutions_are_finished_and_no_more(n: int) -> None:
    tree = search(RebasePolicy(n=n), noise(2))

    assert len(tree.finals) == n


def test_the_width_shrinks_with_each_level_and_by_default_does_not() -> None:
    assert level_widths(RebasePolicy(n=10, shrink=1, depth=20)) == list(
        range(10, 0, -1)
    )
    assert level_widths(RebasePolicy(n=4, shrink=3, depth=20)) == [4, 1]
    assert level_widths(RebasePolicy(n=3, depth=4)) == [3, 3, 3, 3]


def level_widths(policy: RebasePolicy) -> list[int]:
    """Return the samples of each level where no solution ever ends."""
    tree, widths_ = policy.start(seed=1), []
    while asked := policy.ask(tree):
        widths_.append(sum(one.n for one in asked))
        for one in asked:
            policy.tell(tree, one, [Step(score=0.5) for _ in range(one.n)])
    return widths_


def test_finished_solutions_take_their_width_beside_what_it_shrinks_by() -> None:
    policy = RebasePolicy(n=10, shrink=1)
    tree = policy.start(seed=1)
    (first,) = policy.ask(tree)
    policy.tell(tree, first, [Step(score=0.5, final=i < 3) for i in range(10)])
    assert sum(one.n for one in policy.ask(tree)) == 10 - 1 - 3
