import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.graphs.search.best_first import BestFirstPolicy, Passes, priority
from ponder.graphs.search.simulate import noise, search, shape
from ponder.graphs.search.tree import Expansion, Node, Step, Tree
from tests.support.searching import given_up


def told(policy: BestFirstPolicy, tree: Tree[Passes], *steps: Step) -> Node:
    """Ask for one expansion, tell it, return the node that was expanded."""
    (wish,) = policy.ask(tree)
    policy.tell(tree, wish, steps)
    return wish.node


@given(
    logprobs=st.lists(st.floats(-20, 0), min_size=1, max_size=30),
    alpha=st.floats(0, 1),
)
def test_priority_is_equation_1(logprobs: list[float], alpha: float) -> None:
    product_of_logs = sum(logprobs) * math.exp(-alpha * math.log(len(logprobs)))

    assert priority(sum(logprobs), len(logprobs), alpha) == pytest.approx(
        product_of_logs
    )


@pytest.mark.parametrize(("alpha", "third"), [(0.0, 2), (0.5, 2), (1.0, 3)])
def test_alpha_decides_between_a_deep_and_a_shallow_path(
    alpha: float, third: int
) -> None:
    policy = BestFirstPolicy(alpha=alpha)
    tree = policy.start()
    assert told(policy, tree, Step(logprob=-1.0), Step(logprob=-1.3)).id == 0
    assert told(policy, tree, Step(logprob=-1.5), Step(logprob=-9.0)).id == 1

    # The sum of 3 is -2.5 over 2 steps: -1.77 and -1.25 where alpha is 0.5 and 1.
    (wish,) = policy.ask(tree)
    assert wish.node.id == third and wish.n == 2


def test_the_scores_do_not_order_what_has_probabilities() -> None:
    policy = BestFirstPolicy()
    tree = policy.start()
    told(policy, tree, Step(logprob=-2.0, score=1.0), Step(logprob=-1.0, score=0.1))

    assert policy.ask(tree)[0].node.id == 2


def test_ties_go_to_the_first() -> None:
    policy = BestFirstPolicy(w=3)
    tree = policy.start()
    told(policy, tree, *[Step(logprob=-1.0)] * 3)

    assert policy.ask(tree)[0].node.id == 1


def test_without_probabilities_it_goes_by_score_and_unknown_scores_go_last() -> None:
    policy = BestFirstPolicy(w=4, k=1)
    tree = policy.start()
    steps = [Step(), Step(score=0.0), Step(score=0.7), Step(logprob=-99.0)]
    told(policy, tree, *steps)
    wrong = Step(score=0.0, final=True)
    order = [told(policy, tree, wrong).id for _ in range(4)]

    assert order == [4, 3, 2, 1]


def test_without_anything_it_goes_down_first() -> None:
    policy = BestFirstPolicy()
    tree = policy.start()
    order = [told(policy, tree, Step(), Step()).id for _ in range(3)]

    assert order == [0, 1, 3]


def test_a_proof_ends_it_and_a_wrong_solution_only_drops_out() -> None:
    policy = BestFirstPolicy(w=3)
    tree = policy.start()
    wrong = Step(logprob=-0.1, final=True, score=0.9)
    told(policy, tree, wrong, Step(logprob=-1.0), Step(logprob=-2.0))
    assert told(policy, tree, wrong, Step(final=True, score=1.0)).id == 2

    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 5


def test_any_solution_ends_it_where_there_is_no_verdict() -> None:
    policy = BestFirstPolicy(success=None)
    tree = policy.start()
    told(policy, tree, Step(logprob=-1.0), Step(logprob=-9.0, final=True))

    assert policy.done(tree)
    best = policy.best(tree)
    assert best is not None and best.id == 2


def test_what_was_never_scored_is_chosen_by_its_probability() -> None:
    policy = BestFirstPolicy(n=1, k=1)
    tree = policy.start()
    finals: Sequence[Step] = [Step(logprob=x, final=True) for x in (-3.0, -1.0)]
    told(policy, tree, *finals)

    best = policy.best(tree)
    assert policy.done(tree) and best is not None and best.id == 2


@pytest.mark.parametrize("parallel", [1, 4])
def test_no_more_than_n_expansions(parallel: int) -> None:
    policy = BestFirstPolicy(n=10, w=2, k=1, parallel=parallel)
    tree = search(policy, lambda e: [Step(logprob=-1.0) for _ in e.ids], limit=100)

    assert tree.asked == 20 and policy.done(tree)


def test_a_pass_that_runs_dry_or_out_is_followed_by_another() -> None:
    policy = BestFirstPolicy(n=2, w=1, k=3)
    tree = policy.start()
    wrong, partial = Step(logprob=-0.1, final=True), Step(logprob=-1.0)
    dry = [told(policy, tree, wrong).id]
    out = [told(policy, tree, partial).id for _ in range(2)]
    last = [told(policy, tree, partial).id for _ in range(2)]

    # The second pass may not go on from node 3, the third not from anything older.
    assert (dry, out, last) == ([0], [0, 2], [0, 4])
    assert policy.done(tree)


def test_a_model_that_died_ends_it_but_one_failure_does_not() -> None:
    policy = BestFirstPolicy()
    tree = policy.start()
    assert told(policy, tree).id == 0
    assert told(policy, tree, Step(final=True)).id == 0
    assert [given_up(policy, tree) for _ in range(3)] == [0, 0, 0]

    assert policy.done(tree)


def test_a_node_that_always_fails_ends_a_pass_and_not_the_search() -> None:
    def world(expansion: Expansion) -> list[Step]:
        if expansion.node.depth == 0:
            return [Step(score=0.5, logprob=-1.0)]
        return [] if expansion.node.id == 1 else [Step(score=1.0, final=True)]

    policy = BestFirstPolicy(w=1, k=20)
    tree = search(policy, world)

    best = policy.best(tree)
    assert best is not None and best.score == 1


def test_batches_do_not_change_the_search() -> None:
    policy = BestFirstPolicy(w=5, n=20, k=3)
    trees = [search(policy, noise(3), k=k, limit=1000) for k in (1, 3, 100)]

    shapes = [shape(list(tree.nodes.values())) for tree in trees]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize(
    "wrong",
    [{"alpha": -0.1}, {"alpha": 1.1}, {"w": 0}, {"n": 0}, {"k": 0}, {"parallel": 0}],
)
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        BestFirstPolicy.model_validate(wrong)
