import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.graphs.search.phi import (
    Foresight,
    PhiPolicy,
    draw,
    final_weights,
    in_width,
    lowest,
    mean_logprob,
    minus,
    softmax,
    step_weights,
)
from ponder.graphs.search.simulate import World, noise, search
from ponder.graphs.search.tree import Expansion, Step, Tree

RED, BLUE, GREEN = "red apples and cherries", "blue sky over water", "green grass field"


def drawn(of: Callable[[random.Random], int], times: int = 4000) -> dict[int, float]:
    """Return how often each outcome is drawn."""
    counts = Counter(of(random.Random(f"draw {i}")) for i in range(times))
    return {outcome: n / times for outcome, n in counts.items()}


def levels(tree: Tree[Foresight]) -> list[list[int]]:
    """Return the ids of the steps that were chosen, by level."""
    chosen: dict[int, list[int]] = {}
    for id in tree.memory.values:
        chosen.setdefault(tree.nodes[id].depth, []).append(id)
    return [sorted(chosen[depth]) for depth in sorted(chosen) if depth > 0]


def world(
    steps: Callable[[int], float] = lambda id: -1.0,
    ahead: Callable[[int], float] = lambda id: -1.0,
    text: Callable[[int], str] = lambda id: RED,
    final: Callable[[int], bool] = lambda id: False,
) -> World:
    """Return a world whose mean log-probabilities and roll-outs are given."""

    def expand(wish: Expansion) -> list[Step]:
        if wish.whole:
            return [
                Step(logprob=10 * ahead(i), tokens=10, final=True, text=text(i))
                for i in wish.ids
            ]
        return [
            Step(logprob=5 * steps(i), tokens=5, final=final(i), text=f"step {i}")
            for i in wish.ids
        ]

    return expand


# -- the formulas --------------------------------------------------------------------


def test_f_is_the_mean_over_tokens_and_a_its_growth() -> None:
    assert mean_logprob(Step(logprob=-6.0, tokens=4)) == -1.5
    assert mean_logprob(Step(logprob=None, tokens=4)) is None
    assert mean_logprob(Step(logprob=0.0, tokens=0)) is None
    assert mean_logprob(Step(logprob=-math.inf, tokens=3)) is None
    assert minus(-0.5, -1.25) == 0.75
    assert minus(None, -1.0) is None and minus(-1.0, None) is None


def test_in_width_pruning_drops_what_is_a_deviation_below_the_mean() -> None:
    means = [-0.1, -0.2, -0.3, -2.0]
    mu = sum(means) / 4
    sigma = math.sqrt(sum((x - mu) ** 2 for x in means) / 4)
    expected = [i for i, x in enumerate(means) if x >= mu - sigma]

    assert expected == [0, 1, 2]
    assert in_width(means, 2, 1.0, 0.1, random.Random(0)) == expected
    assert in_width(means, 2, 2.0, 0.1, random.Random(0)) == [0, 1, 2, 3]


@given(
    means=st.lists(st.floats(-9, 0) | st.none(), min_size=1, max_size=16),
    width=st.integers(1, 6),
    sigma=st.floats(0, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_in_width_pruning_leaves_the_best_and_enough(
    means: list[float | None], width: int, sigma: float, seed: int
) -> None:
    kept = in_width(means, width, sigma, 0.1, random.Random(seed))

    assert kept == sorted(set(kept))
    assert len(kept) >= min(width, len(means))
    known = [x for x in means if x is not None]
    if known:
        assert any(means[i] == max(known) for i in kept)


def test_what_was_dropped_comes_back_by_its_softmax_if_too_few_are_left() -> None:
    means = [0.0, -0.95, -1.0, -1.05]
    weights = [math.exp(x / 0.1) for x in means[1:]]

    def back(rng: random.Random) -> int:
        first, second = in_width(means, 2, 0.0, 0.1, rng)
        assert first == 0
        return second

    found = drawn(back)
    for i, weight in enumerate(weights, start=1):
        assert found[i] == pytest.approx(weight / sum(weights), abs=0.03)


def test_equal_and_unknown_steps_are_not_pruned() -> None:
    rng = random.Random(0)

    assert in_width([-0.7] * 7, 4, 1.0, 0.1, rng) == list(range(7))
    assert in_width([None] * 5, 4, 1.0, 0.1, rng) == list(range(5))


def test_an_unknown_step_is_treated_as_the_worst_known_one() -> None:
    assert lowest([None, -1.0, -3.0]) == [-3.0, -1.0, -3.0]
    assert lowest([None, None]) is None
    for means in ([-0.1, -0.1, -0.1, -2.0, None], [-0.1, -0.1, -0.1, -2.0, -2.0]):
        assert in_width(means, 2, 1.0, 0.1, random.Random(0)) == [0, 1, 2]


def test_steps_are_drawn_by_advantage_and_alignment() -> None:
    gains = [0.3, 0.2, 0.25, 0.1]
    texts = [RED, BLUE, RED, RED]
    weights, top = step_weights(gains, texts, 2, 2, 0.1, random.Random(0))

    share = [0.75, 0.25, 0.75, 0.75]
    advantage = [math.exp(a / 0.1) for a in gains]
    alignment = [math.exp(c) for c in share]
    assert top == 0.75
    assert weights == pytest.approx(
        [
            (a / sum(advantage) + c / sum(alignment)) / 2
            for a, c in zip(advantage, alignment, strict=True)
        ]
    )


def test_steps_that_gain_nothing_or_say_nothing_take_no_part() -> None:
    gains = [0.3, -0.2, 0.25, 0.9, 0.0]
    texts = [RED, RED, BLUE, "  ", BLUE]
    weights, top = step_weights(gains, texts, 2, 3, 0.1, random.Random(0))

    assert [i for i, weight in enumerate(weights) if weight > 0] == [0, 2]
    assert sum(weights) == pytest.approx(1) and top == 0.5


def test_advantages_alone_decide_if_too_few_are_above_zero() -> None:
    gains = [0.1, -0.2, -0.3]
    raised = [math.exp(a / 0.1) for a in gains]
    weights, top = step_weights(gains, [RED] * 3, 2, 3, 0.1, random.Random(0))

    assert weights == pytest.approx([x / sum(raised) for x in raised])
    assert top == 0.0


def test_alignment_alone_decides_without_log_probabilities() -> None:
    texts = [RED, BLUE, RED]
    raised = [math.exp(2 / 3), math.exp(1 / 3), math.exp(2 / 3)]
    weights, top = step_weights([None] * 3, texts, 2, 2, 0.1, random.Random(0))

    assert weights == pytest.approx([x / sum(raised) for x in raised])
    assert top == pytest.approx(2 / 3)
    weights, top = step_weights([None] * 3, [""] * 3, 2, 2, 0.1, random.Random(0))
    assert weights == pytest.approx([1 / 3] * 3)
    assert top == 0.0


def test_the_final_solution_is_from_the_largest_cluster_that_gains() -> None:
    values = [0.2, 0.9, 0.1, -0.4]
    raised = [math.exp(0.2 / 0.1), math.exp(0.1 / 0.1)]

    assert final_weights(values, [RED, BLUE, RED, BLUE], 2, 0.1) == pytest.approx(
        [raised[0] / sum(raised), 0, raised[1] / sum(raised), 0]
    )
    assert final_weights([0.1, 0.2], [RED, BLUE], 2, 0.1) == [0, 1]
    assert final_weights([-0.1, None, -0.5], [RED, RED, BLUE], 2, 0.1) == (
        pytest.approx([1 / (1 + math.exp(-4)), 1 / (1 + math.exp(4)), 0])
    )
    assert final_weights([None, None, None], [RED, RED, BLUE], 2, 0.1) == [0.5, 0.5, 0]
    assert final_weights([None, None], ["", ""], 2, 0.1) == [0.5, 0.5]
    assert final_weights([], [], 2, 0.1) == []


def test_softmax_never_gives_up_a_weight() -> None:
    weights = softmax([0.0, -1e6], 0.1)

    assert weights[0] == 1 and weights[1] > 0
    assert sorted(draw(weights, 5, random.Random(0))) == [0, 1]


def test_draws_are_without_replacement_in_proportion() -> None:
    weights = [0.5, 0.3, 0.2, 0.0]
    found = drawn(lambda rng: draw(weights, 2, rng)[1])

    for second in range(3):
        expected = sum(
            weights[first] * weights[second] / (1 - weights[first])
            for first in range(3)
            if first != second
        )
        assert found[second] == pytest.approx(expected, abs=0.03)
    assert 3 not in found


# -- the search ----------------------------------------------------------------------


def test_a_step_is_sampled_pruned_rolled_out_and_chosen() -> None:
    policy = PhiPolicy(m=2, n=2)
    tree = policy.start()
    expand = world(steps=lambda id: -3.0 if id == 3 else -0.1)

    (first,) = policy.ask(tree)
    assert (first.node, first.n, first.whole) == (tree.root, 4, False)
    policy.tell(tree, first, expand(first))
    ahead = policy.ask(tree)
    assert [(e.node.id, e.n, e.whole) for e in ahead] == [
        (1, 1, True),
        (2, 1, True),
        (4, 1, True),
    ]
    for expansion in reversed(ahead):
        policy.tell(tree, expansion, expand(expansion))
    second = policy.ask(tree)
    assert [(e.n, e.whole, e.node.depth) for e in second] == [(2, False, 1)] * 2
    assert {e.node.id for e in second} < {1, 2, 4}


def test_a_better_future_is_chosen_more_often() -> None:
    def first_beam(rng: random.Random) -> int:
        policy = PhiPolicy(m=1, n=3, k=1, t_min=1, t_max=1)
        expand = world(ahead=lambda id: -0.5 if id == 5 else -0.7)
        tree: Tree[Foresight] = search(policy, expand, seed=rng.randrange(10**9))
        return tree.memory.beams[0].id

    # Roll-outs 4, 5 and 6 belong to steps 1, 2 and 3.
    raised = [math.exp(x / 0.1) for x in (-0.7, -0.5, -0.7)]
    found = drawn(first_beam, 600)
    assert found[2] == pytest.approx(raised[1] / sum(raised), abs=0.06)


def test_advantage_is_over_the_step_before_of_the_same_beam() -> None:
    tree = search(PhiPolicy(m=2, n=2, t_min=2, t_max=2), world(), seed=3)

    assert tree.memory.t == 2
    assert tree.memory.values[0] == 0.0
    assert {tree.memory.values[b.id] for b in tree.memory.beams} == {-1.0}


def test_foresight_ends_at_the_last_step_and_every_beam_is_finished() -> None:
    policy = PhiPolicy(m=2, n=2, t_min=3, t_max=3)
    tree = search(policy, world(steps=lambda id: -1.0 - id % 3), seed=1)

    assert [len(level) for level in levels(tree)] == [2, 2, 2]
    last = {node.parent.id for node in tree.memory.finished if node.parent}
    assert last == {node.id for node in tree.memory.beams}
    assert policy.done(tree)
    assert policy.best(tree) in tree.memory.finished


def improving(text: Callable[[int], str]) -> World:
    """Return a world in which every roll-out is better than those before it."""
    return world(ahead=lambda id: -1 / (1 + id), text=text)


def test_foresight_ends_where_most_roll_outs_agree_but_not_before_t_min() -> None:
    agree = improving(lambda id: RED)
    differ = improving(lambda id: (RED, BLUE, GREEN)[id % 3])

    assert search(PhiPolicy(t_min=3), agree).memory.t == 3
    assert search(PhiPolicy(t_min=1), agree).memory.t == 2
    assert search(PhiPolicy(t_min=3), differ).memory.t == 8


def test_foresight_ends_where_all_chosen_steps_are_the_same() -> None:
    def same(wish: Expansion) -> list[Step]:
        return [
            Step(text="same", logprob=-1.0, final=wish.whole) for _ in range(wish.n)
        ]

    assert search(PhiPolicy(), same).memory.t == 4
    assert search(PhiPolicy(m=1, k=1), same).memory.t == 8


def test_a_step_that_ends_keeps_its_place_and_is_a_solution() -> None:
    policy = PhiPolicy(m=2, n=2, t_min=3, t_max=3)
    tree = policy.start()
    expand = world(
        steps=lambda id: -0.1 if id == 1 else -5.0,
        ahead=lambda id: -5.0 if id < 16 else -5.5,
        final=lambda id: id == 1,
    )
    seen = []
    while batch := policy.ask(tree):
        seen.append([(e.n, e.whole) for e in batch])
        for expansion in batch:
            policy.tell(tree, expansion, expand(expansion))

    step, ahead = [(2, False)], [(1, True)] * 2
    assert seen == [[(4, False)], [(1, True)] * 3, step, ahead, step, ahead, ahead[:1]]
    assert tree.memory.beams[0].id == 1
    # Its advantage over itself is 0; that of the other, -5.5 over -5, is below.
    best = policy.best(tree)
    assert best is not None and best.id == 1


def test_a_search_of_steps_that_all_end_needs_no_roll_out() -> None:
    policy = PhiPolicy(m=2, n=3)
    tree = search(policy, world(final=lambda id: True))

    assert tree.asked == 6
    assert policy.best(tree) in tree.memory.beams
    assert {node for node, _ in policy.leaves(tree)} <= set(tree.memory.beams)


def test_a_roll_out_is_an_answer_if_the_search_is_cut_off() -> None:
    policy = PhiPolicy(m=2, n=2)
    expand = world(ahead=lambda id: -0.1 if id == 6 else -2.0)
    tree = search(policy, expand, k=1, limit=7)

    best = policy.best(tree)
    assert best is not None and best.id == 6
    assert [node.id for node, _ in policy.leaves(tree)] == [5, 6, 7]
    assert sum(weight for _, weight in policy.leaves(tree)) == pytest.approx(1)
    assert tree.memory.chosen is None


def test_before_any_solution_the_best_is_a_step_without_a_weight() -> None:
    policy = PhiPolicy(m=2, n=2)
    tree = search(policy, world(), k=1, limit=2)

    assert policy.leaves(tree) == []
    best = policy.best(tree)
    assert best is not None and best.id == 1


def test_the_final_choice_is_drawn_by_its_weights() -> None:
    policy = PhiPolicy(m=2, n=1, k=2, t_min=1, t_max=1)

    # Roll-outs 3 and 4 look ahead from steps 1 and 2; 5 and 6 finish them.
    def final(rng: random.Random) -> int:
        expand = world(ahead=lambda id: {5: -0.8, 6: -0.9}.get(id, -1.0))
        tree = search(policy, expand, seed=rng.randrange(10**9))
        best = policy.best(tree)
        assert best is not None and best is tree.memory.chosen
        return best.id

    assert drawn(final, 600)[5] == pytest.approx(1 / (1 + math.exp(-1)), abs=0.06)


def test_an_unreadable_solution_is_not_chosen_where_another_is_scored() -> None:
    for seed in range(8):
        policy = PhiPolicy(m=2, n=2)
        tree = search(policy, noise(seed, depth=12, unreadable=0.7), seed=seed)
        best = policy.best(tree)
        assert best is not None and best.score is not None
        assert all(node.score is not None for node, _ in policy.leaves(tree))


@pytest.mark.parametrize("trouble", [{}, {"unreadable": 1.0}, {"logprobs": False}])
def test_it_comes_to_a_choice(trouble: dict[str, Any]) -> None:
    for seed in range(6):
        tree = search(PhiPolicy(), noise(seed, depth=20, **trouble), seed=seed)
        assert PhiPolicy().done(tree)
        assert tree.memory.chosen is not None
        assert tree.memory.chosen.final


def test_a_level_of_which_all_fails_ends_the_search_with_an_earlier_roll_out() -> None:
    policy = PhiPolicy(m=2, n=2)
    plain = world(ahead=lambda id: -0.5 if id == 7 else -1.0)
    tree = search(policy, lambda wish: plain(wish) if wish.first < 9 else [])

    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 7 and tree.memory.chosen is None


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ({"t_min": 9}, "lower t_min"),
        ({"m": 1, "n": 2}, "lower k"),
        ({"tau": 0}, "greater than 0"),
        ({"m": 0}, "greater than or equal to 1"),
        ({"threshold": 1.5}, "less than or equal to 1"),
        ({"sigma": math.inf}, "finite"),
    ],
)
def test_impossible_parameters_are_refused(
    fields: dict[str, float], remedy: str
) -> None:
    with pytest.raises(ValidationError, match=remedy):
        PhiPolicy.model_validate(fields)
