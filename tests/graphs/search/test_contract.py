"""What every search policy keeps, whatever its algorithm."""

import importlib
import inspect
import itertools
import pkgutil
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.errors import InvalidParameter
from ponder.graphs import search as package
from ponder.graphs.search.a_star import AStarPolicy
from ponder.graphs.search.best_first import BestFirstPolicy
from ponder.graphs.search.entropic import EntropicPolicy
from ponder.graphs.search.mindstar import LevinPolicy, MindstarBeamPolicy
from ponder.graphs.search.particles import ParticlePolicy
from ponder.graphs.search.policy import PATIENCE, Policy
from ponder.graphs.search.simulate import noise, search, shape
from ponder.graphs.search.tot_dfs import DepthFirstPolicy
from ponder.graphs.search.tree import Expansion, Step


def _policies() -> list[type[Policy[Any]]]:
    found: set[type[Policy[Any]]] = set()
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for _, kind in inspect.getmembers(importlib.import_module(module.name)):
            if inspect.isclass(kind) and issubclass(kind, Policy):
                if not inspect.isabstract(kind) and "[" not in kind.__name__:
                    found.add(kind)
    return sorted(found, key=lambda kind: kind.__name__)


every_policy = pytest.mark.parametrize(
    "kind", _policies(), ids=lambda kind: kind.__name__
)


@every_policy
@pytest.mark.parametrize("seed", range(3))
def test_it_ends_within_its_limit_and_has_an_answer(
    kind: type[Policy[Any]], seed: int
) -> None:
    tree = search(kind(), noise(seed), seed=seed, k=8, limit=200)

    assert 0 < tree.asked <= 200
    assert len(tree.nodes) == tree.asked + 1
    assert not tree.open
    assert kind().best(tree) is not None


@every_policy
@given(seed=st.integers(0, 1000), k=st.integers(1, 9))
@settings(max_examples=15, deadline=None)
def test_no_batch_is_larger_than_asked_for(
    kind: type[Policy[Any]], seed: int, k: int
) -> None:
    policy = kind()
    tree = policy.start(seed=seed)
    world = noise(seed)
    while tree.asked < 60 and (batch := policy.ask(tree, k)):
        assert 1 <= sum(expansion.n for expansion in batch) <= k
        for expansion in batch:
            assert not expansion.node.final
            policy.tell(tree, expansion, world(expansion))


@every_policy
def test_the_same_seed_grows_the_same_tree(kind: type[Policy[Any]]) -> None:
    trees = [search(kind(), noise(3), seed=5, k=4, limit=120) for _ in range(2)]

    assert shape([*trees[0].nodes.values()]) == shape([*trees[1].nodes.values()])
    first, second = map(kind().best, trees)
    assert first is not None and second is not None and first.id == second.id


@every_policy
def test_telling_twice_changes_nothing(kind: type[Policy[Any]]) -> None:
    policy, world = kind(), noise(1)
    once, twice = policy.start(seed=2), policy.start(seed=2)
    for tree in (once, twice):
        while tree.asked < 80 and (batch := policy.ask(tree, 4)):
            for expansion in batch:
                born = policy.tell(tree, expansion, world(expansion))
                if tree is twice:
                    assert policy.tell(tree, expansion, [Step(score=0.0)]) == born

    assert shape([*once.nodes.values()]) == shape([*twice.nodes.values()])


@every_policy
def test_the_order_of_answers_in_a_batch_does_not_matter(
    kind: type[Policy[Any]],
) -> None:
    orders = [None, random.Random(1), random.Random(2)]
    trees = [
        search(kind(), noise(4), seed=1, k=6, limit=120, shuffle=order)
        for order in orders
    ]

    found = [shape([tree.nodes[id] for id in sorted(tree.nodes)]) for tree in trees]
    assert found[0] == found[1] == found[2]


@every_policy
@pytest.mark.parametrize(
    "trouble",
    [{"unreadable": 0.5}, {"unreadable": 1.0}, {"failing": 0.4}, {"logprobs": False}],
    ids=str,
)
def test_it_goes_on_without_scores_samples_or_logprobs(
    kind: type[Policy[Any]], trouble: dict[str, Any]
) -> None:
    policy = kind()
    tree = search(policy, noise(7, **trouble), seed=3, k=8, limit=120)

    assert len(tree.nodes) >= 2
    best = policy.best(tree)
    assert best is not None
    if any(node.score is not None for node in tree.finals):
        assert best.score is not None


@every_policy
def test_a_dead_model_ends_the_search(kind: type[Policy[Any]]) -> None:
    tree = search(kind(), noise(0, failing=1.0), k=8, limit=60)

    assert len(tree.nodes) == 1
    assert kind().best(tree) is None


@every_policy
def test_one_call_that_fails_does_not_end_the_search(kind: type[Policy[Any]]) -> None:
    calls, world = 0, noise(2)

    def second_fails(expansion: Expansion) -> list[Step]:
        nonlocal calls
        calls += 1
        return [] if calls == 2 else world(expansion)

    tree = search(kind(), second_fails, limit=200)

    assert calls > 2 and tree.finals


@pytest.mark.parametrize("policy", [AStarPolicy(k=2), LevinPolicy(n=2)], ids=repr)
def test_the_best_node_is_not_lost_with_one_call(policy: Policy[Any]) -> None:
    poor, live = Step(score=0.2, final=True), Step(score=0.9)
    outcomes = iter([[poor, live], [], [Step(score=0.95, final=True)]])
    tree = search(policy, lambda expansion: next(outcomes, []))

    best = policy.best(tree)
    assert best is not None and best.score == 0.95


@pytest.mark.parametrize(
    "policy",
    [AStarPolicy(k=4), AStarPolicy(k=4, parallel=4), BestFirstPolicy(w=4, k=1)]
    + [BestFirstPolicy(w=4, k=1, parallel=4), DepthFirstPolicy(k=4)]
    + [LevinPolicy(n=4), LevinPolicy(n=4, parallel=4)],
    ids=repr,
)
def test_nodes_that_always_fail_do_not_end_the_search(policy: Policy[Any]) -> None:
    def world(expansion: Expansion) -> list[Step]:
        if expansion.node.depth == 0:
            return [Step(score=s, logprob=s - 1) for s in (0.9, 0.9, 0.9, 0.6)]
        live = expansion.node.score == 0.6
        return [Step(score=1.0, logprob=-0.1, final=True)] if live else []

    best = policy.best(search(policy, world, limit=200))
    assert best is not None and best.final


def test_a_dead_model_is_asked_a_few_times_and_then_once_for_each_node() -> None:
    def dying(expansion: Expansion) -> list[Step]:
        return [Step(score=0.5)] * 8 if next(calls) < 20 else []

    for policy in (AStarPolicy(k=8), DepthFirstPolicy(k=8, t=50, steps=999)):
        calls = itertools.count()
        tree = search(policy, dying, limit=10_000)
        waiting = 1 + 20 * 8 - 20
        assert next(calls) == 20 + waiting + PATIENCE * (PATIENCE - 1)
        assert len(tree.nodes) == 1 + 20 * 8


@pytest.mark.parametrize(
    "policy",
    [AStarPolicy(k=1), BestFirstPolicy(w=1, k=1), DepthFirstPolicy(k=1, t=3)]
    + [LevinPolicy(n=1), MindstarBeamPolicy(n=1), ParticlePolicy(n=1)]
    + [EntropicPolicy(n=1)],
    ids=lambda policy: type(policy).__name__,
)
def test_a_step_that_is_alone_is_asked_for_again(policy: Policy[Any]) -> None:
    outcomes = iter([[Step(score=0.5)], [], [], [Step(score=1.0, final=True)]])
    tree = search(policy, lambda expansion: next(outcomes, []))

    assert len(tree.finals) == 1 and policy.done(tree)


@every_policy
def test_nonsense_is_refused_and_changes_nothing(kind: type[Policy[Any]]) -> None:
    policy = kind()
    tree, other = policy.start(), policy.start()
    (expansion, *_) = policy.ask(tree, 1)
    with pytest.raises(InvalidParameter, match="0 to 1"):
        policy.tell(tree, expansion, [Step(score=1.5)])
    with pytest.raises(InvalidParameter, match="0 to 1"):
        policy.tell(tree, expansion, [Step(score=float("nan"))])
    with pytest.raises(InvalidParameter, match="finite"):
        policy.tell(tree, expansion, [Step(logprob=float("-inf"))])
    with pytest.raises(InvalidParameter, match="2 steps"):
        policy.tell(tree, expansion, [Step(), Step()])
    with pytest.raises(InvalidParameter, match="not asked for"):
        policy.tell(other, expansion, [Step()])
    with pytest.raises(InvalidParameter, match="at least one"):
        policy.ask(tree, 0)

    assert list(tree.nodes) == [0] and len(tree.open) == 1
    assert policy.tell(tree, expansion, [Step(score=0.5)])
