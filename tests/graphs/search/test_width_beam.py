import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.graphs.search.simulate import noise, search
from ponder.graphs.search.tree import Step
from ponder.graphs.search.width_beam import WidthBeamPolicy, widths


@given(st.integers(1, 16), st.integers(1, 8))
def test_while_nothing_has_ended_m_steps_come_from_each_of_n_over_m(
    kept: int, m: int
) -> None:
    assert widths(kept * m, m) == [m] * kept


@given(st.integers(-3, 64), st.integers(1, 8))
def test_widths_sum_to_the_places_with_no_more_than_m_each(places: int, m: int) -> None:
    shares = widths(places, m)

    assert sum(shares) == max(places, 0)
    assert all(0 < w <= m for w in shares)


def test_the_best_n_over_m_are_kept() -> None:
    policy = WidthBeamPolicy(n=6, m=2)
    tree = policy.start()
    (first,) = policy.ask(tree)
    assert (first.node, first.n) == (tree.root, 6)
    scores = [0.1, 0.9, None, 0.3, 0.3, 0.8]
    policy.tell(tree, first, [Step(score=s) for s in scores])

    assert [(e.node.id, e.n) for e in policy.ask(tree)] == [(2, 2), (6, 2), (4, 2)]


def test_what_has_ended_leaves_and_counts_as_one_of_n() -> None:
    policy = WidthBeamPolicy(n=6, m=2)
    tree = policy.start()
    (first,) = policy.ask(tree)
    ends = [True, False, False, False, False, False]
    scores = [0.0, 0.9, 0.8, 0.7, 0.6, 0.5]
    steps = [Step(score=s, final=f) for s, f in zip(scores, ends, strict=True)]
    policy.tell(tree, first, steps)

    assert [(e.node.id, e.n) for e in policy.ask(tree)] == [(2, 2), (3, 2), (4, 1)]


@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 4), (16, 4), (15, 3)])
def test_n_solutions_result_with_the_weights_of_their_last_step(n: int, m: int) -> None:
    policy = WidthBeamPolicy(n=n, m=m)

    tree = search(policy, noise(5))

    assert len(tree.finals) == n
    assert sorted(w for _, w in policy.leaves(tree)) == sorted(
        node.step.score or 0 for node in tree.finals
    )


def test_the_rounds_are_the_most_steps() -> None:
    tree = search(WidthBeamPolicy(rounds=3), noise(5, depth=9))

    assert max(node.depth for node in tree.nodes.values()) == 3


def test_a_share_that_is_not_whole_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValidationError, match="take n=16"):
        WidthBeamPolicy(n=14, m=4)
    with pytest.raises(ValidationError, match="take n=4"):
        WidthBeamPolicy(n=2, m=4)


@pytest.mark.parametrize("name", ["n", "m", "rounds"])
def test_impossible_parameters_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        WidthBeamPolicy(**{name: 0})
