import heapq
import random
from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from ponder.graphs.search.environment_search import EnvironmentPolicy, Searches
from ponder.graphs.search.simulate import search, shape
from ponder.graphs.search.tree import Expansion, Node, Step, Tree


def told(policy: EnvironmentPolicy, tree: Tree[Searches], *steps: Step) -> Node:
    """Ask for one action, tell what it led to, return where it was done."""
    (wish,) = policy.ask(tree)
    policy.tell(tree, wish, steps)
    return wish.node


def published(
    values: dict[tuple[int, ...], float], d: int, b: int, c: int
) -> set[tuple[int, ...]]:
    """Run one search as the authors' program does; return the states it evaluates.

    A state is the indices of its actions. The heap holds (-value of the state before,
    first action, own index among the later ones, evaluations when it was proposed).
    """
    heap: list[tuple[float, int, int, int, tuple[int, ...]]]
    heap = [(-0.5, i, -1, 0, (i,)) for i in range(b)]
    heapq.heapify(heap)
    evaluated: set[tuple[int, ...]] = set()
    while heap and len(evaluated) < c:
        _, branch, _, _, state = heapq.heappop(heap)
        evaluated.add(state)
        if values[state] == 1:
            break
        if len(state) < d:
            for i in range(b):
                item = (-values[state], branch, i, len(evaluated), (*state, i))
                heapq.heappush(heap, item)
    return evaluated


def states(tree: Tree[Searches]) -> dict[int, tuple[int, ...]]:
    """Return the nodes as indices of actions: the i-th child is the i-th action."""
    found: dict[int, tuple[int, ...]] = {0: ()}
    for node in sorted(tree.nodes.values(), key=lambda node: node.id):
        if node.parent is not None:
            index = node.parent.children.index(node)
            found[node.id] = (*found[node.parent.id], index)
    return found


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("coarse", [True, False])
def test_it_evaluates_the_states_that_the_published_search_does(
    seed: int, coarse: bool
) -> None:
    d, b, c = 3, 3, 20
    rng = random.Random(seed)

    def draw() -> float:
        return rng.choice([0, 0.5, 0.75]) if coarse else rng.random()

    values: dict[tuple[int, ...], float] = {}
    for i in range(b):
        values[(i,)] = draw()
        for j in range(b):
            values[(i, j)] = draw()
            values.update({(i, j, k): draw() for k in range(b)})
    policy = EnvironmentPolicy(d=d, b=b, c=c, max_actions=3)
    tree = policy.start()

    def world(expansion: Expansion) -> list[Step]:
        state = (*states(tree)[expansion.node.id], len(expansion.node.children))
        return [Step(score=values[state])]

    while tree.asked < c and (batch := policy.ask(tree)):
        for expansion in batch:
            policy.tell(tree, expansion, world(expansion))

    assert set(states(tree).values()) - {()} == published(values, d, b, c)


def test_it_goes_back_when_a_state_is_worth_less() -> None:
    policy = EnvironmentPolicy(b=2)
    tree = policy.start()
    assert told(policy, tree, Step(score=0.8)).id == 0
    assert told(policy, tree, Step(score=0.1)).id == 1
    assert told(policy, tree, Step(score=0.2)).id == 1

    # Both actions of state 1 were tried; the second first action is worth 0.5.
    assert policy.ask(tree)[0].node.id == 0


def test_a_value_of_theta_ends_it() -> None:
    policy = EnvironmentPolicy(theta=0.7)
    tree = policy.start()
    told(policy, tree, Step(score=0.6))
    told(policy, tree, Step(score=0.7))

    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 2


def test_the_first_of_equal_states_is_the_best() -> None:
    policy = EnvironmentPolicy(b=3, d=1, c=3, max_actions=1)
    tree = policy.start()
    for score in (0.5, 0.9, 0.9):
        told(policy, tree, Step(score=score))

    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 2


def test_after_c_evaluations_it_commits_and_searches_from_there() -> None:
    policy = EnvironmentPolicy(b=2, c=2, max_actions=2)
    tree = policy.start()
    assert told(policy, tree, Step(score=0.3)).id == 0
    assert told(policy, tree, Step(score=0.4)).id == 0
    assert told(policy, tree, Step(score=0.1)).id == 2
    best = policy.best(tree)
    assert best is not None and best.id == 3

    assert told(policy, tree, Step(score=0.2)).id == 2
    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 4


def test_a_search_that_finds_nothing_keeps_what_it_is_committed_to() -> None:
    policy = EnvironmentPolicy(b=1, c=1)
    tree = policy.start()
    told(policy, tree, Step(score=0.3))
    assert told(policy, tree).id == 1

    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 1


def test_an_episode_that_ended_is_not_gone_on_with() -> None:
    policy = EnvironmentPolicy(b=2, c=2)
    tree = policy.start()
    told(policy, tree, Step(score=0.9, final=True))
    assert told(policy, tree, Step(score=0.1)).id == 0

    assert policy.done(tree)


def test_actions_that_led_nowhere_cost_no_evaluation() -> None:
    policy = EnvironmentPolicy(b=4, c=2, d=1, max_actions=1)
    tree = policy.start()
    for steps in ([], [Step(score=0.1)], [], [Step(score=0.2)]):
        told(policy, tree, *steps)

    assert policy.done(tree) and len(tree.nodes) == 3


def test_states_without_a_value_come_last_and_are_never_the_best() -> None:
    policy = EnvironmentPolicy(b=2, c=5)
    tree = policy.start()
    told(policy, tree, Step())
    assert told(policy, tree, Step(score=0.0)).id == 0
    assert [told(policy, tree, Step(score=0.0)).id for _ in range(2)] == [2, 3]

    best = policy.best(tree)
    assert best is not None and best.id == 2


def test_it_goes_on_where_no_state_has_a_value() -> None:
    policy = EnvironmentPolicy(b=2, c=4)
    tree = policy.start()
    order = [told(policy, tree, Step()).id for _ in range(4)]

    assert order == [0, 0, 1, 3]
    assert policy.done(tree) and policy.best(tree) is not None


@pytest.mark.parametrize("parallel", [1, 3, 7])
def test_no_more_than_c_evaluations_and_d_actions(parallel: int) -> None:
    policy = EnvironmentPolicy(d=3, b=4, c=30, max_actions=3, parallel=parallel)
    rng = random.Random(1)

    def world(expansion: Expansion) -> Sequence[Step]:
        return [Step(score=0.9 * rng.random())]

    tree = search(policy, lambda e: list(world(e)))

    assert tree.asked == 30 and policy.done(tree)
    assert max(node.depth for node in tree.nodes.values()) == 3


def test_the_order_of_answers_does_not_matter_to_several_at_once() -> None:
    policy = EnvironmentPolicy(parallel=4)
    trees = [
        search(
            policy,
            lambda e: [Step(score=random.Random(e.first).random())],
            shuffle=random.Random(shuffle),
        )
        for shuffle in range(3)
    ]

    shapes = [shape([tree.nodes[i] for i in sorted(tree.nodes)]) for tree in trees]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"d": 0},
        {"b": 0},
        {"c": 0},
        {"theta": 1.1},
        {"theta": -0.1},
        {"max_actions": 0},
        {"parallel": 0},
    ],
)
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        EnvironmentPolicy.model_validate(wrong)
