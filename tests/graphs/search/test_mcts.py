import math
import random

import pytest
from pydantic import ValidationError

from ponder.graphs.search.mcts import MctsPolicy, Statistics, Visits, ucb, value
from ponder.graphs.search.simulate import World, noise, search
from ponder.graphs.search.tree import Expansion, Node, Step, Tree

MEANS = [0.3, 0.4, 0.8, 0.5]


def family(node: Node) -> int:
    """Return which child of the root a node goes back to."""
    return node.path()[0].id


def bandit(expansion: Expansion) -> list[Step]:
    """Score the arm that the root's child stands for; refining never helps."""
    steps = []
    for id in expansion.ids:
        arm = id if expansion.node.parent is None else family(expansion.node)
        coin = random.Random(f"bandit/{id}")
        steps.append(Step(score=float(coin.random() < MEANS[arm - 1])))
    return steps


def ladder(expansion: Expansion) -> list[Step]:
    """Score better the deeper below the second child of the root, else not."""
    node = expansion.node
    below = node.parent is not None and family(node) == 2
    return [Step(score=min(1.0, 0.2 * node.depth) if below else 0.0)] * expansion.n


def scripted(scores: list[float | None]) -> World:
    left = iter(scores)
    return lambda expansion: [Step(score=next(left)) for _ in expansion.ids]


def statistics(tree: Tree[Statistics], policy: MctsPolicy) -> dict[int, Visits]:
    policy.plan(tree)  # Backs up what was told.
    return tree.memory.visits


def test_ucb_is_the_formula_of_uct() -> None:
    # Q/N + 2 C_p sqrt(ln t / s) with C_p = 1/sqrt(2), Kocsis & Szepesvari 2006.
    expected = 2.4 / 3 + 2 / math.sqrt(2) * math.sqrt(math.log(20) / 3)

    assert ucb(2.4, 3, 0, 20, MctsPolicy().c) == pytest.approx(expected)
    assert ucb(2.4, 3, 2, 20, 1.0) == pytest.approx(0.8 + math.sqrt(math.log(20) / 5))
    assert ucb(2.4, 3, 0, 20, 0.0) == pytest.approx(0.8)


def test_a_node_without_scores_comes_after_all_others() -> None:
    bad, unread, tried = Visits(n=9), Visits(), Visits(sent=2)

    order = sorted([tried, bad, unread], key=lambda v: value(v, 10, 0.0), reverse=True)
    assert order == [bad, unread, tried]


def test_statistics_are_those_of_the_subtree() -> None:
    policy = MctsPolicy(k=2)
    world = scripted([0.2, 0.8, 0.5, None, 1.0, 0.9])
    tree = search(policy, world, k=1, limit=6)
    visits = statistics(tree, policy)

    # The second child is expanded first: 0.8 > 0.2 at one visit each. Its second child
    # is unreadable and stays on the way, so N' = 4 at the root: 1.865 for the first
    # child, 1.611 for the second.
    bounds = [0.2 + math.sqrt(2 * math.log(4)), 0.65 + math.sqrt(2 * math.log(4) / 3)]
    third = 1 if bounds[0] > bounds[1] else 3
    assert third == 1
    parents = [node.parent.id for node in tree.nodes.values() if node.parent]
    assert parents == [0, 0, 2, 2, third, third]
    below = [n for n in tree.nodes.values() if n.parent and n.score is not None]
    assert visits[0].n == len(below) == 5
    assert visits[0].q == pytest.approx(sum(n.score for n in below if n.score))


def test_every_visit_is_that_of_a_descendant() -> None:
    policy = MctsPolicy(k=3)
    tree = search(policy, noise(5, unreadable=0.2, failing=0.2), k=5, limit=150)
    visits = statistics(tree, policy)

    for node in tree.nodes.values():
        inside = [n for n in tree.nodes.values() if node in [*n.path(), tree.root]]
        scores = [n.score for n in inside if n.score is not None]
        assert visits[node.id].n == len(scores)
        assert visits[node.id].q == pytest.approx(sum(scores))


def test_a_batch_expands_different_leaves() -> None:
    policy = MctsPolicy(k=2)
    tree = search(policy, noise(depth=50), limit=40)
    batch = policy.ask(tree, 8)

    assert len({expansion.node.id for expansion in batch}) == 4
    assert all(not expansion.node.children for expansion in batch)


def test_it_waits_for_the_root_and_ends_with_the_last_leaf() -> None:
    policy = MctsPolicy(k=2)
    tree = policy.start()
    (first,) = policy.ask(tree, 8)
    assert policy.ask(tree, 8) == [] and not policy.done(tree)

    policy.tell(tree, first, [Step(score=0.1, final=True), Step(score=0.2, final=True)])
    assert policy.done(tree)


@pytest.mark.parametrize("k", [1, 6])
def test_it_finds_the_best_arm_of_a_bandit(k: int) -> None:
    tree = search(MctsPolicy(), bandit, k=k, limit=1200)

    visits = [tree.memory.visits[arm].n for arm in range(1, 5)]
    assert max(range(4), key=visits.__getitem__) == MEANS.index(max(MEANS))
    assert visits[2] > sum(visits) / 2


def test_it_goes_deep_where_depth_helps() -> None:
    tree = search(MctsPolicy(), ladder, k=1, limit=200)

    deepest = max(tree.nodes.values(), key=lambda node: node.depth)
    assert family(deepest) == 2
    # Level by level, 200 nodes of 4 children each end at depth 4.
    assert deepest.depth > 4
    best = MctsPolicy().best(tree)
    assert best is not None and best.score == 0.8


def test_c_trades_depth_for_width() -> None:
    def depth(c: float) -> int:
        tree = search(MctsPolicy(c=c), ladder, k=1, limit=200)
        return max(node.depth for node in tree.nodes.values())

    assert depth(0.1) > depth(10.0)


def test_missing_children_are_asked_for_again_until_patience_ends() -> None:
    policy = MctsPolicy(k=3, patience=4)
    tree = policy.start()
    (one,) = policy.ask(tree)
    policy.tell(tree, one, [Step(score=0.5)])
    (again,) = policy.ask(tree)
    assert again.node is tree.root and again.n == 2
    policy.tell(tree, again, [])
    (other,) = policy.ask(tree)
    assert other.node is tree.nodes[1]

    dead = search(MctsPolicy(k=3, patience=4), lambda expansion: [], limit=100)
    assert dead.asked == 6


def test_a_node_that_was_not_read_is_entered_last() -> None:
    policy = MctsPolicy(k=2)
    tree = search(policy, scripted([None, 0.0, None, None, 0.1, 0.1]), k=2, limit=6)

    parents = [node.parent.id for node in tree.nodes.values() if node.parent]
    # 1 was not read. Below 2, 3 and 4 were not: 2 is worth 0, and is entered again.
    assert parents == [0, 0, 2, 2, 3, 3]


def test_all_unread_it_spreads_over_the_least_tried() -> None:
    tree = search(MctsPolicy(k=2), scripted([None] * 10), k=2, limit=10)

    parents = [node.parent.id for node in tree.nodes.values() if node.parent]
    assert parents == [0, 0, 1, 1, 2, 2, 3, 3, 5, 5]
    assert MctsPolicy(k=2).best(tree) is not None


def test_a_roll_out_values_the_child_it_starts_from() -> None:
    policy = MctsPolicy(k=2, rollout=True, answers=False)
    tree = policy.start()
    (first,) = policy.ask(tree)
    policy.tell(tree, first, [Step(score=0.9), Step(score=0.1)])
    one, two = policy.ask(tree, 2)
    assert [(e.node.id, e.whole) for e in (one, two)] == [(1, True), (2, True)]
    policy.tell(tree, one, [Step(score=0.3, final=True)])
    policy.tell(tree, two, [Step(score=0.4, final=True)])

    assert [expansion.node.id for expansion in policy.ask(tree)] == [2]
    visits = tree.memory.visits
    assert [(visits[i].n, visits[i].q) for i in (0, 1, 2)] == [
        (2, pytest.approx(0.7)),
        (1, 0.3),
        (1, 0.4),
    ]
    assert policy.leaves(tree) == [(tree.nodes[3], 0.3), (tree.nodes[4], 0.4)]


def test_answers_are_candidates_though_not_final() -> None:
    world = scripted([0.2, None, 0.7, 0.3])
    tree = search(MctsPolicy(k=2), world, k=1, limit=4)

    assert [node.id for node, _ in MctsPolicy().leaves(tree)] == [1, 3, 4]
    assert MctsPolicy().best(tree) is tree.nodes[3]
    assert MctsPolicy(answers=False).leaves(tree) == []


@pytest.mark.parametrize(
    "wrong", [{"c": -1}, {"c": math.inf}, {"k": 0}, {"patience": 0}], ids=str
)
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        MctsPolicy.model_validate(wrong)


def test_answers_cannot_be_rolled_out() -> None:
    with pytest.raises(ValidationError, match="set answers=False"):
        MctsPolicy(rollout=True)
