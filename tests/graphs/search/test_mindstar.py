import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.graphs.search.mindstar import (
    Beam,
    LevinFrontier,
    LevinPolicy,
    MindstarBeamPolicy,
    log_levin_cost,
    log_policy,
)
from ponder.graphs.search.policy import Policy
from ponder.graphs.search.simulate import noise, search, shape
from ponder.graphs.search.tree import Expansion, Node, Step, Tree
from tests.support.searching import given_up


def told_beam(policy: MindstarBeamPolicy, tree: Tree[Beam], *steps: Step) -> list[int]:
    """Ask for a level, tell all steps to its first node, return the nodes."""
    wishes = policy.ask(tree)
    for wish in wishes:
        policy.tell(tree, wish, steps if wish is wishes[0] else [])
    return [wish.node.id for wish in wishes]


def told(policy: LevinPolicy, tree: Tree[LevinFrontier], *steps: Step) -> Node:
    """Ask for one expansion, tell it, return the node that was expanded."""
    (wish,) = policy.ask(tree)
    policy.tell(tree, wish, steps)
    return wish.node


def test_the_beam_follows_the_highest_reward() -> None:
    policy = MindstarBeamPolicy(n=3)
    tree = policy.start()
    told_beam(policy, tree, Step(score=0.2), Step(score=0.8), Step(score=0.8))

    assert told_beam(policy, tree, Step(score=0.1), Step(), Step(score=0.0)) == [2]
    assert told_beam(policy, tree, Step(), Step(), Step()) == [4]
    # Where no step has a reward, the first is as good as any.
    assert told_beam(policy, tree) == [7]


def test_the_beam_ends_when_it_chooses_a_solution_not_when_one_is_found() -> None:
    policy = MindstarBeamPolicy(n=2)
    tree = policy.start()
    told_beam(policy, tree, Step(score=0.9), Step(score=0.7, final=True))
    assert not policy.done(tree)
    told_beam(policy, tree, Step(score=0.5, final=True), Step(score=0.4))

    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 3


def test_a_chosen_solution_without_reward_yields_to_one_with() -> None:
    policy = MindstarBeamPolicy(n=2)
    tree = policy.start()
    told_beam(policy, tree, Step(score=0.9), Step(score=0.0, final=True))
    told_beam(policy, tree, Step(final=True), Step())

    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 2


def test_a_wider_beam_keeps_k_steps() -> None:
    policy = MindstarBeamPolicy(n=4, k=2)
    tree = policy.start()
    told_beam(policy, tree, *[Step(score=x) for x in (0.1, 0.4, 0.3, 0.2)])

    assert [wish.node.id for wish in policy.ask(tree)] == [2, 3]


@pytest.mark.parametrize(
    "policy",
    [
        MindstarBeamPolicy(n=2, max_tokens_total=50),
        LevinPolicy(n=2, max_tokens_total=50),
    ],
    ids=["beam", "levin"],
)
def test_nothing_is_expanded_when_the_tokens_are_spent(
    policy: Policy[LevinFrontier],
) -> None:
    tree = search(policy, lambda e: [Step(score=0.5, tokens=10) for _ in e.ids])

    assert sum(node.step.tokens for node in tree.nodes.values()) == 60


@given(rewards=st.lists(st.floats(0.01, 1), min_size=1, max_size=12))
def test_the_levin_cost_is_depth_plus_one_over_the_product_of_rewards(
    rewards: list[float],
) -> None:
    policy = LevinPolicy(n=1)
    tree = policy.start()
    for reward in rewards:
        told(policy, tree, Step(score=reward))
    policy.done(tree)

    found = log_levin_cost(len(rewards), tree.memory.log_pi[len(rewards)])
    assert math.exp(found) == pytest.approx((len(rewards) + 1) / math.prod(rewards))


def test_log_levin_cost_at_the_root_and_where_nothing_is_possible() -> None:
    assert log_levin_cost(0, 0.0) == 0
    assert log_levin_cost(3, math.log(0.25)) == pytest.approx(math.log(16))
    assert log_levin_cost(3, -math.inf) == math.inf


@given(
    rewards=st.lists(st.floats(0, 1), min_size=1, max_size=20), tau=st.floats(0.05, 2)
)
def test_with_tau_children_share_the_probability_of_their_parent(
    rewards: list[float], tau: float
) -> None:
    total = sum(math.exp(r / tau) for r in rewards)
    expected = [math.exp(r / tau) / total for r in rewards]

    found = [math.exp(x) for x in log_policy(rewards, tau)]
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert sum(found) == pytest.approx(1)


def test_a_solution_in_a_wider_beam_waits_for_what_is_ahead_of_it() -> None:
    policy = MindstarBeamPolicy(n=2, k=2)
    tree = policy.start()
    told_beam(policy, tree, Step(score=0.9), Step(score=0.3, final=True))
    assert told_beam(policy, tree, Step(score=0.95, final=True)) == [1]

    best = policy.best(tree)
    assert policy.done(tree) and best is not None and best.score == 0.95


def test_depth_makes_it_go_back() -> None:
    policy = LevinPolicy(n=2)
    tree = policy.start()
    told(policy, tree, Step(score=0.8), Step(score=0.5))
    # 3 / (0.8 * 0.9) = 4.17 is more than 2 / 0.5 = 4, though 0.72 is likelier than 0.5.
    assert told(policy, tree, Step(score=0.9), Step(score=0.1)).id == 1
    assert given_up(policy, tree) == 2
    assert given_up(policy, tree) == 3


def test_it_ends_at_the_first_solution_taken() -> None:
    policy = LevinPolicy(n=2)
    tree = policy.start()
    told(policy, tree, Step(score=0.5, final=True), Step(score=0.9))
    assert not policy.done(tree)
    told(policy, tree, Step(score=0.7, final=True), Step(score=0.8, final=True))

    # Costs: 4 for the first solution, 4.76 and 4.17 for the others.
    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 1


@pytest.mark.parametrize("goal", [(0, 0, 0), (1, 0, 2), (2, 2, 1)])
def test_no_more_expansions_than_theorem_3_allows(goal: tuple[int, ...]) -> None:
    """A complete tree of width 3 in which one path of three steps is the solution."""
    policy = LevinPolicy(n=3, tau=0.2)
    rewards = (0.9, 0.6, 0.5)

    def world(expansion: Expansion) -> list[Step]:
        way = [node.step.value for node in expansion.node.path()]
        return [
            Step(value=i, score=rewards[i], final=(*way, i) == goal) for i in range(3)
        ]

    tree = search(policy, world, limit=10_000)
    share = [
        math.exp(r / 0.2) / sum(math.exp(x / 0.2) for x in rewards) for r in rewards
    ]
    pi = math.prod(share[i] for i in goal)

    assert tree.memory.answer is not None
    # Taking the solution is its own expansion in the theorem's count.
    assert tree.memory.expansions + 1 <= 4 / pi


def test_steps_without_a_reward_come_last() -> None:
    policy = LevinPolicy(n=3)
    tree = policy.start()
    told(policy, tree, Step(), Step(score=0.0), Step(score=0.5))
    order = [given_up(policy, tree) for _ in range(3)]

    assert order == [3, 2, 1]


def test_without_any_rewards_it_is_breadth_first() -> None:
    policy = LevinPolicy(n=2)
    tree = policy.start()
    order = [told(policy, tree, Step(), Step()).id for _ in range(4)]

    assert order == [0, 1, 2, 3]


def test_batches_do_not_change_the_search() -> None:
    policy = LevinPolicy(n=5, tau=0.1)
    trees = [search(policy, noise(8), k=k, limit=1000) for k in (1, 3, 100)]

    shapes = [shape(list(tree.nodes.values())) for tree in trees]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize("wrong", [{"n": 0}, {"max_tokens_total": 0}])
@pytest.mark.parametrize("kind", [MindstarBeamPolicy, LevinPolicy])
def test_impossible_parameters_are_refused(
    kind: type[MindstarBeamPolicy] | type[LevinPolicy], wrong: dict[str, int]
) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(wrong)


def test_impossible_parameters_of_one_are_refused() -> None:
    with pytest.raises(ValidationError):
        LevinPolicy(tau=0)
    with pytest.raises(ValidationError):
        MindstarBeamPolicy(k=0)
