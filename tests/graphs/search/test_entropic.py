import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.graphs.search.entropic import (
    EntropicPolicy,
    entropy_temperature,
    ess_temperature,
    modulated,
    normalised_entropy,
)
from ponder.graphs.search.particles import ParticlePolicy, logit, softmax
from ponder.graphs.search.simulate import noise, search, shape
from ponder.graphs.search.tree import Expansion, Step, Tree

PLAIN: dict[str, Any] = {"look_ahead": False}


def asks(batch: list[Expansion]) -> list[tuple[int, int]]:
    return [(one.node.id, one.n) for one in batch]


def told(
    policy: EntropicPolicy, *levels: dict[int, list[Step]], seed: int = 0
) -> tuple[Tree[Any], list[Expansion]]:
    """Play levels; each gives the steps below the node with that id."""
    tree = policy.start(seed=seed)
    batch: list[Expansion] = policy.ask(tree)
    for level in levels:
        for one in batch:
            policy.tell(tree, one, level[one.node.id][: one.n])
        batch = policy.ask(tree)
    return tree, batch


# -- formulas ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ess", "n", "t", "depth", "expected"),
    [(2, 8, 1, 10, 3.6), (1, 8, 4, 10, 4.8), (8, 8, 0, 10, 1), (4, 8, 6, 10, 1)],
)
def test_tau_by_effective_sample_size(
    ess: float, n: int, t: int, depth: int, expected: float
) -> None:
    assert max(1, (n / ess) * (1 - t / depth)) == pytest.approx(expected)
    assert ess_temperature(ess / n, t / depth) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("entropy", "progress", "expected"),
    [(0.5, 0.0, 2), (0.2, 0.25, 2.5), (1.0, 0.3, 1), (0.0, 1.0, 1), (0.0, 0.1, 10)],
)
def test_tau_by_entropy(entropy: float, progress: float, expected: float) -> None:
    assert entropy_temperature(entropy, progress) == pytest.approx(expected)
    assert entropy_temperature(0, 0) == math.inf


def test_normalised_entropy() -> None:
    assert normalised_entropy([0.25] * 4) == pytest.approx(1)
    assert normalised_entropy([1.0, 0.0, 0.0]) == 0
    by_hand = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert normalised_entropy([0.75, 0.25]) == pytest.approx(by_hand)
    assert normalised_entropy([1.0]) == 1


@given(now=st.floats(0.01, 0.99), later=st.floats(0.01, 0.99))
def test_modulation_multiplies_the_weight_by_the_score(
    now: float, later: float
) -> None:
    expected = now / (1 - now) * later
    assert math.exp(modulated(logit(now), logit(later))) == pytest.approx(expected)


@given(
    logs=st.lists(st.floats(-16, 16), min_size=2, max_size=20),
    t=st.integers(1, 10),
    kind=st.sampled_from(["ess", "entropy"]),
)
def test_annealing_flattens_early_collapsed_weights_and_no_others(
    logs: list[float], t: int, kind: Any
) -> None:
    policy = EntropicPolicy(depth=10, annealing=kind)
    weights = softmax(logs)
    tau = policy.tau(weights, t)
    ess = 1 / sum(w**2 for w in weights)

    assert tau >= 1
    if ess / len(logs) >= 0.5 + 1e-9 or t >= 5:
        assert tau == 1
    flat = softmax(logs, tau)
    assert max(flat) <= max(weights) + 1e-12
    assert 1 / sum(w**2 for w in flat) >= ess * (1 - 1e-9)


def test_tau_uses_the_parameters() -> None:
    weights = [0.97, 0.01, 0.01, 0.01]
    ess = 1 / sum(w**2 for w in weights)

    assert EntropicPolicy(depth=10).tau(weights, 2) == pytest.approx(4 / ess * 0.8)
    assert EntropicPolicy(depth=10, threshold=0.2).tau(weights, 2) == 1
    assert EntropicPolicy(depth=10, early=0.2).tau(weights, 2) == 1
    h = normalised_entropy(weights)
    by_entropy = EntropicPolicy(depth=10, annealing="entropy").tau(weights, 2)
    assert by_entropy == pytest.approx(1 / (h + (1 - h) * 0.2))


# -- transitions ---------------------------------------------------------------------


@pytest.mark.parametrize("off", [{"threshold": 0.0}, {"early": 0.0}])
@pytest.mark.parametrize("seed", range(5))
def test_without_its_two_changes_it_is_a_particle_filter(
    off: dict[str, float], seed: int
) -> None:
    entropic = EntropicPolicy(n=7, **PLAIN, **off)
    trees: list[Tree[Any]] = [
        search(entropic, noise(seed, failing=0.1, unreadable=0.1), seed=seed),
        search(
            ParticlePolicy(n=7), noise(seed, failing=0.1, unreadable=0.1), seed=seed
        ),
    ]

    shapes = [shape([*tree.nodes.values()]) for tree in trees]
    assert shapes[0] == shapes[1]
    assert [node.id for node in trees[0].memory.particles] == [
        node.id for node in trees[1].memory.particles
    ]


def test_annealed_resampling_keeps_what_plain_resampling_drops() -> None:
    steps = [Step(score=0.97), *[Step(score=0.55)] * 7]
    plain = told(EntropicPolicy(n=8, threshold=0, **PLAIN), {0: steps})[1]
    soft = told(EntropicPolicy(n=8, **PLAIN), {0: steps})[1]

    assert dict(asks(plain))[1] >= 6
    assert dict(asks(soft))[1] < dict(asks(plain))[1]
    assert len(soft) > len(plain)
    assert sum(one.n for one in soft) == 8


def test_the_share_drawn_is_that_of_the_annealed_weights() -> None:
    scores, n = [0.97, 0.4, 0.55, 0.6], 4
    policy = EntropicPolicy(n=n, depth=8, **PLAIN)
    logs = [math.log(r / (1 - r)) for r in scores]
    odds = [math.exp(value) for value in logs]
    ess = sum(odds) ** 2 / sum(o**2 for o in odds)
    tau = max(1.0, n / ess * (1 - 1 / 8))
    soft = [math.exp(value / tau) for value in logs]
    totals, runs = [0] * n, 3000
    for seed in range(runs):
        batch = told(policy, {0: [Step(score=r) for r in scores]}, seed=seed)[1]
        for id, copies in asks(batch):
            totals[id - 1] += copies

    assert ess / n < 0.5 and tau > 1
    for total, weight in zip(totals, soft, strict=True):
        # Below 4 times the largest deviation that systematic counts can have.
        assert total / runs == pytest.approx(n * weight / sum(soft), abs=0.04)


def test_the_final_choice_is_by_plain_weights() -> None:
    policy = EntropicPolicy(n=3)
    scores = [0.9, 0.5, 0.2]
    tree, batch = told(policy, {0: [Step(score=r, final=True) for r in scores]})

    assert batch == []
    shares = [share for _, share in policy.leaves(tree)]
    assert shares == pytest.approx(softmax([logit(r) for r in scores]))


def test_one_successor_of_each_particle_is_sampled_before_resampling() -> None:
    steps = [Step(score=0.9), Step(score=0.5), Step(score=0.9, final=True)]
    _, batch = told(EntropicPolicy(n=3), {0: steps})

    assert asks(batch) == [(1, 1), (2, 1)]


def test_the_successor_decides_and_is_the_next_step() -> None:
    steps = [Step(score=0.6), Step(score=0.6)]
    dead, alive = Step(score=0.0), Step(score=0.8)
    policy = EntropicPolicy(n=2, threshold=0)
    tree, batch = told(policy, {0: steps}, {1: [dead], 2: [alive]})

    # Both copies are of node 2: one is its successor 4, the other gets a new one.
    assert asks(batch) == [(2, 1)]
    assert [node.id for node in tree.memory.particles] == [4]
    policy.tell(tree, batch[0], [Step(score=0.3)])
    assert asks(policy.ask(tree)) == [(4, 1), (5, 1)]


def test_where_all_go_on_once_the_next_look_follows_at_once() -> None:
    policy = EntropicPolicy(n=2)
    same = Step(score=0.5)
    tree, batch = told(policy, {0: [same, same]}, {1: [same], 2: [same]})

    assert asks(batch) == [(3, 1), (4, 1)]
    assert tree.asked == 6


def test_the_share_drawn_is_that_of_the_modulated_weights() -> None:
    now, later, runs = [0.6, 0.5, 0.3], [0.2, 0.9, 0.6], 3000
    policy = EntropicPolicy(n=3, threshold=0)
    totals = [0] * 3
    for seed in range(runs):
        first = {0: [Step(score=r) for r in now]}
        second = {i + 1: [Step(score=r)] for i, r in enumerate(later)}
        tree, batch = told(policy, first, second, seed=seed)
        if not tree.memory.looking:
            for id, copies in asks(batch):
                totals[id - 1] += copies
        for node in tree.memory.particles:
            assert node.parent is not None
            totals[node.parent.id - 1] += 1

    weights = [r / (1 - r) * s for r, s in zip(now, later, strict=True)]
    for total, weight in zip(totals, weights, strict=True):
        assert total / runs == pytest.approx(3 * weight / sum(weights), abs=0.04)


def test_an_unscored_successor_counts_as_its_parent() -> None:
    policy = EntropicPolicy(n=2, threshold=0)
    steps = [Step(score=0.5), Step(score=0.5)]
    tree, batch = told(policy, {0: steps}, {1: [Step()], 2: [Step(score=0.5)]})

    assert [node.id for node in tree.memory.particles] == [3, 4]
    assert asks(batch) == [(3, 1), (4, 1)]


def test_who_fails_to_look_ahead_is_dropped() -> None:
    policy = EntropicPolicy(n=2, threshold=0)
    steps = [Step(score=0.9), Step(score=0.1)]
    tree, batch = told(policy, {0: steps}, {1: [], 2: [Step(score=0.1)]})

    assert asks(batch) == [(2, 1)]
    policy.tell(tree, batch[0], [])
    # The copy failed too, but the successor goes on.
    assert [node.parent.id for node in tree.memory.particles] == [2]
    (one,) = policy.ask(tree)
    assert one.node in tree.memory.particles and one.n == 1


def test_a_look_ahead_costs_at_most_as_much_again() -> None:
    policy, steps = EntropicPolicy(n=8, depth=6), 6
    tree = search(
        policy, lambda one: [Step(score=random.Random(i).random()) for i in one.ids]
    )

    assert 8 * steps <= tree.asked <= 8 + 2 * 8 * (steps - 1)
    assert max(node.depth for node in tree.nodes.values()) == steps


@pytest.mark.parametrize("look_ahead", [True, False])
def test_the_order_of_tells_changes_neither_tree_nor_vote(look_ahead: bool) -> None:
    policy = EntropicPolicy(n=12, look_ahead=look_ahead)
    votes = []
    for order in (None, random.Random(1), random.Random(2)):
        tree = search(policy, noise(5, unreadable=0.2), k=3, shuffle=order)
        votes.append([(node.id, share) for node, share in policy.leaves(tree)])

    assert votes[0] == votes[1] == votes[2] != []


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.5}, {"early": -0.1}, {"annealing": "hot"}, {"n": 0}]
)
def test_impossible_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        EntropicPolicy(**wrong)
