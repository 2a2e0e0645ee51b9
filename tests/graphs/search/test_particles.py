import math
import random
import time
from collections import defaultdict
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.errors import InvalidParameter
from ponder.graphs.search.particles import (
    EPSILON,
    ParticlePolicy,
    Resampling,
    effective_sample_size,
    log_weight,
    logit,
    multinomial,
    resample,
    softmax,
    strata,
    systematic,
    vote,
)
from ponder.graphs.search.simulate import World, noise, search
from ponder.graphs.search.tree import Expansion, Node, Step, Tree

weights_of_any_kind = st.lists(st.floats(0, 1), min_size=1, max_size=12).filter(
    lambda weights: sum(weights) > 1e-3
)
both_schemes = pytest.mark.parametrize("scheme", ["systematic", "multinomial"])

# A chain over the states A and B, which a scorer sees: the known answer.
START = {"A": 0.5, "B": 0.5}
MOVE = {"A": {"A": 0.7, "B": 0.3}, "B": {"A": 0.2, "B": 0.8}}
SCORE = {"A": 0.8, "B": 0.4}
STEPS = 4


def two_states(seed: int, early: float = 0.0) -> World:
    """The chain, four steps long, or ended by a step to A with some probability."""
    # Not the stream of the policy, whose choices would follow from the world's.
    rng = random.Random(f"world {seed}")

    def step(node: Node) -> Step:
        law = START if node.parent is None else MOVE[node.step.value]
        state = "A" if rng.random() < law["A"] else "B"
        over = node.depth + 1 == STEPS or (state == "A" and rng.random() < early)
        return Step(value=state, score=SCORE[state], final=over)

    return lambda expansion: [step(expansion.node) for _ in expansion.ids]


def odds(state: str) -> float:
    return SCORE[state] / (1 - SCORE[state])


def exact(early: float = 0.0) -> dict[tuple[str, bool], float]:
    """Unnormalised filtering distribution over (state, finished) after four steps."""
    mass: dict[tuple[str, bool], float] = {("", False): 1.0}
    for t in range(1, STEPS + 1):
        after: defaultdict[tuple[str, bool], float] = defaultdict(float)
        for (state, over), m in mass.items():
            if over:
                after[state, True] += m * odds(state)
                continue
            for new, p in (MOVE[state] if state else START).items():
                end = 1.0 if t == STEPS else early * (new == "A")
                after[new, True] += m * p * end * odds(new)
                after[new, False] += m * p * (1 - end) * odds(new)
        mass = dict(after)
    return mass


def mean_and_error(values: list[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    variance = math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))


# -- formulas ------------------------------------------------------------------------


def test_logit_and_softmax_are_those_of_the_paper() -> None:
    assert logit(0.8) == pytest.approx(math.log(4))
    assert logit(0.5) == 0
    # softmax(logit r) shares out the odds.
    assert softmax([logit(0.8), logit(0.4)]) == pytest.approx([6 / 7, 1 / 7])
    assert softmax([2.0, 0.0], tau=2) == pytest.approx(softmax([1.0, 0.0]))
    assert softmax([5.0, 0.0], tau=math.inf) == [0.5, 0.5]
    assert softmax([]) == []


def test_scores_at_the_edges_are_cut_to_epsilon() -> None:
    assert logit(1.0) == pytest.approx(-math.log(EPSILON), rel=1e-6)
    assert logit(0.0) == pytest.approx(math.log(EPSILON), rel=1e-6)
    assert softmax([logit(1.0), logit(0.0)])[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([1, 1, 1, 1], 4), ([1, 0, 0], 1), ([0.5, 0.25, 0.25], 1 / 0.375), ([4, 2], 1.8)],
)
def test_effective_sample_size(weights: list[float], expected: float) -> None:
    assert effective_sample_size(weights) == pytest.approx(expected)


@given(weights=weights_of_any_kind, n=st.integers(1, 20), seed=st.integers(0, 99))
def test_systematic_counts_are_within_one_of_their_mean(
    weights: list[float], n: int, seed: int
) -> None:
    counts = systematic(weights, n, random.Random(seed))

    assert sum(counts) == n
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count - n * weight / sum(weights)) < 1 + 1e-9
        assert count == 0 or weight > 0


@given(weights=weights_of_any_kind, n=st.integers(1, 20))
def test_systematic_resampling_is_unbiased(weights: list[float], n: int) -> None:
    grid = 400
    runs = [strata(weights, n, (g + 0.5) / grid) for g in range(grid)]

    for i, weight in enumerate(weights):
        mean = sum(run[i] for run in runs) / grid
        # A count changes twice between u = 0 and u = 1: the midpoint rule is that good.
        assert mean == pytest.approx(n * weight / sum(weights), abs=2 / grid)


@both_schemes
@pytest.mark.parametrize("weights", [[0.5, 0.3, 0.2], [3, 0, 1, 4, 0.5], [1e-9, 1]])
def test_resampling_is_unbiased(scheme: Resampling, weights: list[float]) -> None:
    rng, n = random.Random(3), 8
    runs = [resample(weights, n, rng, scheme) for _ in range(4000)]

    assert all(sum(run) == n for run in runs)
    for i, weight in enumerate(weights):
        mean, error = mean_and_error([run[i] for run in runs])
        assert abs(mean - n * weight / sum(weights)) <= 4.5 * error + 1e-6


def test_multinomial_draws_are_independent() -> None:
    rng = random.Random(0)
    runs = [multinomial([1, 3], 4, rng)[0] for _ in range(8000)]

    law = [math.comb(4, k) * 0.25**k * 0.75 ** (4 - k) for k in range(5)]
    for k, p in enumerate(law):
        assert runs.count(k) / 8000 == pytest.approx(p, abs=0.02)


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0, -0.5], [math.nan]])
@both_schemes
def test_there_is_no_drawing_from_no_weights(
    scheme: Resampling, weights: list[float]
) -> None:
    with pytest.raises(InvalidParameter, match="at least 0"):
        resample(weights, 2, random.Random(0), scheme)


def test_a_particle_without_a_score_keeps_the_weight_of_its_parent() -> None:
    assert log_weight(0.9, before=-3.0) == logit(0.9)
    assert log_weight(None, before=-3.0) == -3.0

    policy = ParticlePolicy(n=2)
    first, second = {0: [Step(), Step(score=0.9)]}, {2: [Step(), Step()]}
    tree, _ = told(policy, first, second)
    assert tree.memory.logs[1] == 0 == logit(0.5)
    assert tree.memory.logs[3] == tree.memory.logs[4] == logit(0.9)


# -- the known answer ----------------------------------------------------------------


@both_schemes
def test_the_estimate_is_unbiased_on_a_two_state_model(scheme: Resampling) -> None:
    policy, truth = ParticlePolicy(n=6, resampling=scheme), exact()
    totals, shares_of_a = [], []
    for seed in range(1500):
        tree = search(policy, two_states(seed), seed=seed)
        by_step: dict[int, list[float]] = {}
        for node in list(tree.nodes.values())[1:]:
            by_step.setdefault(node.depth, []).append(odds(node.step.value))
        means = [sum(values) / len(values) for values in by_step.values()]
        assert [len(values) for values in by_step.values()] == [6] * STEPS
        totals.append(math.prod(means))
        ends_in_a = sum(odds("A") for n in tree.finals if n.step.value == "A") / 6
        shares_of_a.append(math.prod(means[:-1]) * ends_in_a)

    mean, error = mean_and_error(totals)
    assert abs(mean - sum(truth.values())) < 3.5 * error
    assert error < 0.02 * mean
    mean, error = mean_and_error(shares_of_a)
    assert abs(mean - truth["A", True]) < 3.5 * error


@both_schemes
@pytest.mark.parametrize("early", [0.0, 0.4])
def test_the_vote_is_the_filtering_distribution(
    scheme: Resampling, early: float
) -> None:
    policy, truth = ParticlePolicy(n=200, resampling=scheme), exact(early)
    expected = truth["A", True] / sum(truth.values())
    found = []
    for seed in range(60):
        tree = search(policy, two_states(seed, early), seed=seed, limit=2000)
        leaves = policy.leaves(tree)
        assert sum(share for _, share in leaves) == pytest.approx(1)
        found.append(sum(share for node, share in leaves if node.step.value == "A"))

    mean, error = mean_and_error(found)
    assert abs(mean - expected) < 4 * error + 0.005
    assert error < 0.01


def test_the_exact_answer_agrees_with_all_paths() -> None:
    total = ends_in_a = 0.0
    for path in product("AB", repeat=STEPS):
        p = START[path[0]] * math.prod(odds(state) for state in path)
        p *= math.prod(MOVE[a][b] for a, b in zip(path, path[1:], strict=False))
        total += p
        ends_in_a += p if path[-1] == "A" else 0

    assert sum(exact().values()) == pytest.approx(total)
    assert exact()["A", True] == pytest.approx(ends_in_a)


# -- transitions ---------------------------------------------------------------------


def told(
    policy: ParticlePolicy, *levels: dict[int, list[Step]], seed: int = 0
) -> tuple[Tree[Any], list[Expansion]]:
    """Play levels; each gives the steps below the node with that id."""
    tree = policy.start(seed=seed)
    batch: list[Expansion] = policy.ask(tree)
    for level in levels:
        for one in batch:
            policy.tell(tree, one, level[one.node.id][: one.n])
        batch = policy.ask(tree)
    return tree, batch


def test_a_node_drawn_several_times_is_expanded_that_often() -> None:
    good, bad = Step(score=1.0), Step(score=0.0)
    _, batch = told(ParticlePolicy(n=4), {0: [bad, good, bad, bad]})

    assert [(one.node.id, one.n) for one in batch] == [(2, 4)]


def test_the_latest_score_counts_and_not_the_product() -> None:
    steps = [Step(score=0.9), Step(score=0.9)]
    low, high = Step(score=0.0), Step(score=0.7)
    _, batch = told(ParticlePolicy(n=2), {0: steps}, {1: [low], 2: [high]})

    assert [(one.node.id, one.n) for one in batch] == [(4, 2)]


def test_a_finished_particle_drawn_twice_is_held_twice() -> None:
    done = Step(score=0.9, final=True)
    live = Step(score=0.9)
    policy = ParticlePolicy(n=4)
    tree, batch = told(policy, {0: [done, Step(score=0.0), live, Step(score=0.0)]})

    assert [(one.node.id, one.n) for one in batch] == [(3, 2)]
    assert [node.id for node in tree.memory.particles] == [1, 1]
    end = Step(score=0.5, final=True)
    policy.tell(tree, batch[0], [end, end])
    assert policy.ask(tree) == [] and policy.done(tree)
    # Odds 9 twice, 1 and 1.
    shares = {node.id: share for node, share in policy.leaves(tree)}
    assert shares == pytest.approx({1: 0.9, 5: 0.05, 6: 0.05})


def test_copies_count_in_the_vote_and_not_in_the_choice() -> None:
    policy = ParticlePolicy(n=3)
    common, best = (Step(score=s, final=True) for s in (0.6, 0.7))
    tree, _ = told(policy, {0: [common, best, Step(score=0.0, final=True)]})
    one, two, _ = tree.finals
    tree.memory.particles = [one, one, two]

    shares = dict(policy.leaves(tree))
    assert shares[one] > shares[two]
    assert policy.best(tree) is two


def test_ties_go_to_the_first_told() -> None:
    policy = ParticlePolicy(n=3)
    tree, _ = told(policy, {0: [Step(score=0.4, final=True)] * 3})
    best = policy.best(tree)

    assert best is not None and best.id == 1


def test_unscored_solutions_are_not_chosen_over_scored_ones() -> None:
    policy = ParticlePolicy(n=3)
    unread, poor = Step(final=True), Step(score=0.01, final=True)
    tree, _ = told(policy, {0: [unread, poor, unread]})
    best = policy.best(tree)
    assert best is not None and best.id == 2
    assert [node.id for node, _ in policy.leaves(tree)] == [2]

    tree, _ = told(policy, {0: [unread] * 3})
    best = policy.best(tree)
    assert best is not None and best.id == 1
    assert policy.leaves(tree) == []


def test_a_solution_that_was_dropped_is_the_last_resort() -> None:
    policy = ParticlePolicy(n=2, resampling="multinomial")
    tree, batch = told(policy, {0: [Step(score=0.0, final=True), Step(score=1.0)]})
    assert [node.id for node in tree.memory.particles] == []
    best = policy.best(tree)
    assert best is not None and best.id == 1

    policy.tell(tree, batch[0], [Step(score=0.5, final=True)] * 2)
    assert [node.id for node, _ in policy.leaves(tree)] == [3, 4]


def test_particles_lost_to_failures_are_drawn_anew() -> None:
    _, batch = told(ParticlePolicy(n=5), {0: [Step(score=0.5)]})

    assert [(one.node.id, one.n) for one in batch] == [(1, 5)]


def test_finished_particles_survive_a_level_that_failed() -> None:
    policy = ParticlePolicy(n=2)
    done, live = Step(score=0.6, final=True), Step(score=0.6)
    tree, batch = told(policy, {0: [done, live]})
    assert [(one.node.id, one.n) for one in batch] == [(2, 1)]
    policy.tell(tree, batch[0], [])

    assert policy.ask(tree) == []
    assert [node.id for node, _ in policy.leaves(tree)] == [1]


def test_no_path_grows_beyond_the_depth_cap() -> None:
    policy = ParticlePolicy(n=4, depth=3)
    tree = search(policy, lambda one: [Step(score=0.5)] * one.n)

    assert tree.asked == 12
    assert max(node.depth for node in tree.nodes.values()) == 3
    assert policy.leaves(tree) == [] and policy.best(tree) is not None


def test_the_order_of_tells_changes_neither_tree_nor_vote() -> None:
    policy = ParticlePolicy(n=12)
    votes = []
    for order in (None, random.Random(1), random.Random(2)):
        tree = search(policy, noise(5, unreadable=0.2), k=3, shuffle=order)
        votes.append([(node.id, share) for node, share in policy.leaves(tree)])

    assert votes[0] == votes[1] == votes[2] != []


def test_a_vote_on_nothing_is_empty() -> None:
    assert vote([]) == []


@pytest.mark.parametrize("wrong", [{"n": 0}, {"depth": 0}, {"resampling": "none"}])
def test_impossible_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ParticlePolicy(**wrong)


@pytest.mark.parametrize("score", [0.5, None])
@pytest.mark.parametrize(("n", "depth"), [(1000, 20), (10, 2000)])
def test_many_samples_are_quick(n: int, depth: int, score: float | None) -> None:
    policy = ParticlePolicy(n=n, depth=depth)
    begin = time.process_time()
    tree = search(policy, lambda e: [Step(score=score)] * e.n, limit=20_000)

    assert tree.asked == 20_000
    assert time.process_time() - begin < 2
