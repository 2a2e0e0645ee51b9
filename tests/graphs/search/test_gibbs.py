import math
import random
from collections import Counter
from itertools import product

import pytest
from pydantic import ValidationError

from ponder.graphs.search.gibbs import GibbsPolicy, Sweeps, conditional
from ponder.graphs.search.particles import Resampling, logit, softmax, systematic
from ponder.graphs.search.policy import PATIENCE
from ponder.graphs.search.simulate import World, noise, search
from ponder.graphs.search.tree import Node, Step, Tree

both_schemes = pytest.mark.parametrize("scheme", ["systematic", "multinomial"])

START = {"A": 0.5, "B": 0.5}
MOVE = {"A": {"A": 0.7, "B": 0.3}, "B": {"A": 0.2, "B": 0.8}}
# The score depends on the whole prefix, and misleads at first.
SCORE = {"A": 0.7, "B": 0.4, "AA": 0.3, "AB": 0.5, "BA": 0.8, "BB": 0.2}
STEPS = 3


def score(path: str) -> float:
    return SCORE[path[-2:]]


def world(seed: int) -> World:
    # Not the stream of the policy, whose choices would follow from the world's.
    rng = random.Random(f"world {seed}")

    def step(node: Node) -> Step:
        before = node.step.value or ""
        law = MOVE[before[-1]] if before else START
        path = before + ("A" if rng.random() < law["A"] else "B")
        return Step(value=path, score=score(path), final=len(path) == STEPS)

    return lambda expansion: [step(expansion.node) for _ in expansion.ids]


def exact() -> dict[str, float]:
    """Target over all paths: prior times the odds of every prefix."""
    mass = {}
    for path in map("".join, product("AB", repeat=STEPS)):
        p = START[path[0]]
        p *= math.prod(MOVE[a][b] for a, b in zip(path, path[1:], strict=False))
        for t in range(1, STEPS + 1):
            p *= score(path[:t]) / (1 - score(path[:t]))
        mass[path] = p
    return {path: p / sum(mass.values()) for path, p in mass.items()}


def chain(policy: GibbsPolicy, seed: int) -> tuple[Tree[Sweeps], list[list[Node]]]:
    """Run all sweeps; return the reference after each."""
    tree, answer = policy.start(seed=seed), world(seed)
    found: list[list[Node]] = []
    while True:
        batch = policy.ask(tree)
        if len(tree.memory.done) > len(found):
            found.append(tree.memory.reference)
        if not batch:
            return tree, found
        for expansion in batch:
            policy.tell(tree, expansion, answer(expansion))


@both_schemes
@pytest.mark.parametrize("n", [2, 5])
def test_the_references_have_the_exact_distribution(scheme: Resampling, n: int) -> None:
    r = 5000
    _, references = chain(GibbsPolicy(n=n, r=r, resampling=scheme), seed=4)
    counts = Counter(path[-1].step.value for path in references)

    for path, p in exact().items():
        # The chain forgets slowly with few particles: wider than independent draws.
        assert counts[path] / r == pytest.approx(p, abs=0.02 if n == 5 else 0.035)


@both_schemes
def test_one_sweep_leaves_the_distribution_as_it_is(scheme: Resampling) -> None:
    policy, law, rng = (
        GibbsPolicy(n=3, r=2, resampling=scheme),
        exact(),
        random.Random(9),
    )
    runs, counts = 2500, Counter[str]()
    for seed in range(runs):
        (path,) = rng.choices([*law], [*law.values()])
        tree, answer = policy.start(seed=seed), world(seed)
        while batch := policy.ask(tree):
            for one in batch:
                # All of the first sweep takes the path that is drawn from the target.
                known = path[: one.node.depth + 1]
                replay = [Step(known, score(known), final=known == path)] * one.n
                policy.tell(tree, one, answer(one) if tree.memory.done else replay)
        counts[tree.memory.reference[-1].step.value] += 1

    for path, p in law.items():
        error = math.sqrt(p * (1 - p) / runs)
        assert abs(counts[path] / runs - p) < 4 * error


@both_schemes
def test_the_reference_survives_and_no_sample_is_paid_for_it(
    scheme: Resampling,
) -> None:
    policy = GibbsPolicy(n=4, r=5, resampling=scheme)
    tree, references = chain(policy, seed=2)

    assert tree.asked == STEPS * (4 + 4 * 3)
    assert len(references) == len(tree.memory.done) == 5
    for reference, population in zip(references, tree.memory.done[1:], strict=False):
        assert len(population) == 4
        assert population[-1] is reference[-1]
        assert [node.depth for node in reference] == [1, 2, 3]


def test_the_reference_survives_where_all_weight_is_elsewhere() -> None:
    policy = GibbsPolicy(n=3, r=2)
    tree = policy.start()
    poor, good = Step(score=0.0, final=True), Step(score=1.0)
    (one,) = policy.ask(tree)
    (reference, *_) = policy.tell(tree, one, [Step(score=0.0)] * 3)
    for one in policy.ask(tree):
        policy.tell(tree, one, [poor] * one.n)
    (one,) = policy.ask(tree)
    assert (one.node, one.n) == (tree.root, 2)
    end = tree.memory.reference[-1]
    policy.tell(tree, one, [good, Step(score=0.0)])
    (one,) = policy.ask(tree)

    # Both free particles leave for the good node; the reference moves along unpaid.
    assert (one.node.score, one.n) == (1.0, 2)
    policy.tell(tree, one, [Step(score=1.0, final=True)] * 2)
    assert policy.ask(tree) == []
    assert end in tree.memory.done[-1]
    assert end.path()[0].score == reference.score == 0.0


def test_a_free_particle_may_branch_off_the_reference() -> None:
    policy = GibbsPolicy(n=2, r=2)
    tree = policy.start()
    (one,) = policy.ask(tree)
    policy.tell(tree, one, [Step(score=1.0)])
    for one in policy.ask(tree):
        policy.tell(tree, one, [Step(score=0.5, final=True)])
    (one,) = policy.ask(tree)
    policy.tell(tree, one, [Step(score=0.0)])
    (one,) = policy.ask(tree)

    assert (one.node, one.n) == (tree.memory.reference[0], 1)


def test_only_multinomial_draws_are_the_same_beside_a_reference() -> None:
    """The law of n draws, told that one of them is the reference, by rejection."""
    weights, n, runs = [0.1, 0.35, 0.15, 0.4], 4, 20_000
    rng = random.Random(5)
    told: Counter[tuple[int, ...]] = Counter()
    for _ in range(runs):
        order = rng.sample(range(4), 4)
        drawn, counts = systematic([weights[i] for i in order], n, rng), [0] * 4
        for i, c in zip(order, drawn, strict=True):
            counts[i] = c
        # One of n places at random; kept if the reference is in it.
        if rng.random() < counts[-1] / n:
            told[(*counts[:-1], counts[-1] - 1)] += 1
    found = Counter(
        tuple(conditional(weights, n, rng, "systematic")) for _ in range(runs)
    )

    assert len(told) > 2
    for counts_of in {*told, *found}:
        expected = told[counts_of] / told.total()
        assert found[counts_of] / runs == pytest.approx(expected, abs=0.02)


@both_schemes
@pytest.mark.parametrize("weight", [0.0, 1e-30, 1e-9, 1.0])
def test_the_reference_may_have_hardly_any_weight(
    scheme: Resampling, weight: float
) -> None:
    rng = random.Random(1)
    for _ in range(50):
        counts = conditional([0.25, 1.0, weight], 4, rng, scheme)
        assert sum(counts) == 3 and min(counts) >= 0
        assert weight == 1.0 or counts[-1] == 0


def test_one_sweep_is_a_particle_filter() -> None:
    tree = search(GibbsPolicy(n=5, r=1), world(3), seed=3)

    assert tree.asked == 5 * STEPS
    assert len(tree.memory.done) == 1


def test_the_vote_is_on_the_last_sweep_or_on_all() -> None:
    last, pooled = GibbsPolicy(n=3, r=4), GibbsPolicy(n=3, r=4, pooled=True)
    tree, _ = chain(last, seed=6)
    sweeps = tree.memory.done

    def share(node: Node, population: list[Node]) -> float:
        weights = softmax([logit(score(p.step.value)) for p in population])
        return sum(w for p, w in zip(population, weights, strict=True) if p is node)

    assert dict(last.leaves(tree)) == pytest.approx(
        {node: share(node, sweeps[-1]) for node in sweeps[-1]}
    )
    leaves = dict(pooled.leaves(tree))
    assert sum(leaves.values()) == pytest.approx(1)
    for node, found in leaves.items():
        mean = sum(share(node, population) for population in sweeps) / 4
        assert found == pytest.approx(mean)


def test_a_sweep_that_is_cut_off_does_not_count_unless_it_is_the_first() -> None:
    policy = GibbsPolicy(n=3, r=2)
    tree = policy.start()
    (one,) = policy.ask(tree)
    policy.tell(tree, one, [Step(score=0.4, final=True), Step(score=0.4)])
    assert [node.id for node, _ in policy.leaves(tree)] == [1]

    tree = policy.start()
    (one,) = policy.ask(tree)
    policy.tell(tree, one, [Step(score=0.4, final=True)] * 3)
    (one,) = policy.ask(tree)
    policy.tell(tree, one, [Step(score=0.9, final=True), Step(score=0.9)])
    assert [node.id for node, _ in policy.leaves(tree)] == [1, 2, 3]


def test_a_failed_level_does_not_end_the_sweep_of_the_others() -> None:
    policy = GibbsPolicy(n=3, r=2, resampling="systematic")
    tree = policy.start()
    (one,) = policy.ask(tree)
    done, live = Step(score=0.5, final=True), Step(score=0.5)
    policy.tell(tree, one, [done, done, live])
    while batch := policy.ask(tree):
        if tree.memory.done:
            break
        for one in batch:
            policy.tell(tree, one, [])

    # The finished particles ended the first sweep, and the second begins.
    assert [(one.node, one.n) for one in batch] == [(tree.root, 2)]
    for _ in range(PATIENCE):
        policy.tell(tree, batch[0], [])
        batch = policy.ask(tree)
    assert batch == [] and policy.done(tree)


def test_the_order_of_tells_changes_neither_tree_nor_vote() -> None:
    policy = GibbsPolicy(n=6, r=3)
    votes = []
    for order in (None, random.Random(1), random.Random(2)):
        tree = search(policy, noise(5, unreadable=0.2), k=3, shuffle=order)
        votes.append([(node.id, share) for node, share in policy.leaves(tree)])

    assert votes[0] == votes[1] == votes[2] != []


def test_a_reference_alone_is_no_sweep() -> None:
    with pytest.raises(ValidationError, match="at least 2"):
        GibbsPolicy(n=1, r=2)
    with pytest.raises(ValidationError, match="r"):
        GibbsPolicy(r=0)
    assert GibbsPolicy(n=1, r=1).n == 1
