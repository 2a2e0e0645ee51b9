import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.graphs.search.a_star import AStarFrontier, AStarPolicy, cost, heuristic
from ponder.graphs.search.simulate import noise, search, shape
from ponder.graphs.search.tree import Node, Step, Tree
from tests.support.searching import given_up


def told(policy: AStarPolicy, tree: Tree[AStarFrontier], *steps: Step) -> Node:
    """Ask for one expansion, tell it, return the node that was expanded."""
    (wish,) = policy.ask(tree)
    policy.tell(tree, wish, steps)
    return wish.node


def f(rewards: list[float]) -> float:
    """f of a prefix from the rewards on its path: drops of r, plus 1 - r."""
    drops = [a - b for a, b in zip(rewards, rewards[1:], strict=False) if a > b]
    return sum(drops) + 1 - rewards[-1]


@given(rewards=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_f_of_a_path_is_its_lost_reward_plus_what_is_missing(
    rewards: list[float],
) -> None:
    policy = AStarPolicy(k=1)
    tree = policy.start()
    for reward in rewards:
        told(policy, tree, Step(score=reward))
    policy.done(tree)

    last = tree.nodes[len(rewards)]
    assert [n.score for n in last.path()] == rewards
    assert tree.memory.g[last.id] + heuristic(last.score) == pytest.approx(f(rewards))


def test_cost_and_heuristic() -> None:
    assert heuristic(0.25) == 0.75
    assert cost(0.75, 0.5) == 0.25
    assert cost(0.5, 0.75) == 0
    assert cost(None, 0.5) == cost(0.5, None) == 0


def test_a_loss_of_reward_counts_unless_g_is_zero() -> None:
    expanded = []
    for policy in (AStarPolicy(k=2), AStarPolicy(k=2, g="zero")):
        tree = policy.start()
        told(policy, tree, Step(score=0.9), Step(score=0.55))
        # 3 has f = 0.4 + 0.3 with its cost and 0.4 without; 2 has 0.45.
        told(policy, tree, Step(score=0.6), Step(score=0.1))
        expanded.append(policy.ask(tree)[0].node.id)

    assert expanded == [2, 3]


def test_of_equal_f_the_lower_h_goes_first_then_the_first() -> None:
    policy = AStarPolicy(k=2)
    tree = policy.start()
    told(policy, tree, Step(score=0.75), Step(score=0.25))
    told(policy, tree, Step(score=0.5), Step(score=0.5))

    # Both children have f = 0.25 + 0.5, as has 2 with h = 0.75.
    assert [given_up(policy, tree) for _ in range(3)] == [3, 4, 2]


def test_rounding_errors_do_not_decide_a_tie() -> None:
    """0.8 then 0.7 and 0.6 at once both have f = 0.4; the former has the lower h."""
    policy = AStarPolicy(k=2)
    tree = policy.start()
    told(policy, tree, Step(score=0.8), Step(score=0.6))
    told(policy, tree, Step(score=0.7), Step(score=0.1))

    assert told(policy, tree).id == 3


def test_it_stops_at_the_first_solution_taken_not_at_the_first_found() -> None:
    policy = AStarPolicy(k=2)
    tree = policy.start()
    told(policy, tree, Step(score=0.9), Step(score=0.6, final=True))
    assert not policy.done(tree)
    told(policy, tree, Step(score=0.8), Step(score=0.95, final=True))

    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 4


def test_a_solution_behind_an_open_prefix_is_not_taken_yet() -> None:
    policy = AStarPolicy(k=2, parallel=2)
    tree = policy.start()
    told(policy, tree, Step(score=0.9), Step(score=0.8, final=True))
    (wish,) = policy.ask(tree)
    assert wish.node.id == 1 and tree.memory.answer is None
    policy.tell(tree, wish, [Step(score=0.1), Step(score=0.95, final=True)])

    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 4


def test_prefixes_without_a_reward_come_last_and_pass_on_what_is_known() -> None:
    policy = AStarPolicy(k=3)
    tree = policy.start()
    told(policy, tree, Step(), Step(score=0.0), Step(score=0.5))
    order = [given_up(policy, tree) for _ in range(2)]
    assert order == [3, 2]
    # 1 counts as 0.0, the lowest of its siblings: its child loses nothing.
    assert told(policy, tree, Step(score=0.4), Step(score=0.3)).id == 1
    best = told(policy, tree)
    assert best.score == 0.4 and tree.memory.g[best.id] == 0


def test_an_unscored_solution_never_beats_a_scored_one() -> None:
    policy = AStarPolicy(k=2)
    tree = policy.start()
    told(policy, tree, Step(final=True), Step(score=0.0, final=True))

    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 2


@pytest.mark.parametrize("parallel", [1, 3])
def test_passes_of_the_verifier_are_never_more_than_allowed(parallel: int) -> None:
    policy = AStarPolicy(k=4, max_scores=10, parallel=parallel)
    tree = search(policy, lambda e: [Step(score=0.5) for _ in e.ids])

    assert tree.asked == tree.memory.scores == 10
    assert policy.done(tree)


def test_tokens_are_counted_apart_and_end_it_once_spent() -> None:
    policy = AStarPolicy(k=2, max_tokens_total=100)
    tree = search(policy, lambda e: [Step(score=0.5, tokens=30) for _ in e.ids])

    assert tree.memory.tokens == 120
    assert tree.memory.scores == 4


def test_when_a_budget_is_spent_the_best_solution_is_the_answer() -> None:
    policy = AStarPolicy(k=3, max_scores=3)
    tree = policy.start()
    finals = [Step(score=x, final=True) for x in (0.3, 0.6)]
    told(policy, tree, Step(score=0.9), *finals)

    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 3


def test_failed_samples_cost_no_pass() -> None:
    policy = AStarPolicy(k=4, max_scores=4)
    tree = policy.start()
    told(policy, tree, Step(score=0.5))
    (wish,) = policy.ask(tree)

    assert wish.n == 3


def test_batches_do_not_change_the_search() -> None:
    policy = AStarPolicy(k=5)
    trees = [search(policy, noise(8), k=k, limit=1000) for k in (1, 3, 100)]

    shapes = [shape(list(tree.nodes.values())) for tree in trees]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize(
    "wrong", [{"k": 0}, {"g": "sum"}, {"max_tokens_total": 0}, {"max_scores": 0}]
)
def test_impossible_parameters_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AStarPolicy.model_validate(wrong)
