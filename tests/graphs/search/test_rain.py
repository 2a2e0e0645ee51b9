import math
import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.graphs.search.policy import PATIENCE
from ponder.graphs.search.rain import (
    RainPolicy,
    Visits,
    blend,
    evaluation,
    exploration,
    priors,
    scaled,
    similarity,
)
from ponder.graphs.search.simulate import World, search
from ponder.graphs.search.tree import Expansion, Node, Step


def grown(make: Callable[[Node, int], Step]) -> World:
    """A world in which the i-th child of a node is ``make(node, i)``."""

    def expand(expansion: Expansion) -> list[Step]:
        first = len(expansion.node.children)
        return [make(expansion.node, first + i) for i in range(expansion.n)]

    return expand


def test_exploration_and_scales_are_those_of_the_paper() -> None:
    assert exploration(0.5, 3, 16) == 0.5 * math.sqrt(16) / 4
    assert exploration(0.5, 0, 0) == 0
    assert [evaluation(x) for x in (0, 0.5, 1)] == [-1, 0, 1]
    assert [scaled(evaluation(x)) for x in (0.0, 0.3, 1.0)] == [0.0, 0.3, 1.0]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_on_a_path_the_value_is_the_mean_of_the_evaluations(
    values: list[float],
) -> None:
    visits = Visits()
    for s in values:
        visits.add(s)

    assert visits.v == pytest.approx(sum(values) / len(values), abs=1e-9)
    assert visits.n == len(values)


def test_a_similar_sibling_takes_a_share() -> None:
    """v := (v n + gamma s_xy s) / (n + gamma s_xy) and n := n + gamma s_xy."""
    v, n, s, share = 0.5, 3.0, -1.0, 0.2 * 0.97
    visits = Visits(n=n, weight=n, v=v)
    visits.add(s, share)

    assert visits.v == pytest.approx((v * n + share * s) / (n + share))
    assert visits.n == n + share
    assert blend(v, n, s, 1) == pytest.approx((3 * 0.5 - 1) / 4)


def test_an_unreadable_evaluation_is_a_visit_and_no_value() -> None:
    visits = Visits()
    visits.add(None)
    assert visits.n == 1 and visits.v is None
    visits.add(0.4)
    assert visits.n == 2 and visits.v == 0.4


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=12))
def test_priors_are_the_probabilities_over_their_sum(logprobs: list[float]) -> None:
    probabilities = [math.exp(x) for x in logprobs]
    expected = [p / sum(probabilities) for p in probabilities]

    assert priors(logprobs, [1] * len(logprobs)) == pytest.approx(expected)


def test_priors_per_token_and_without_logprobs() -> None:
    assert priors([-4.0, -1.0], [4, 1]) == [0.5, 0.5]
    assert priors([-4.0, None], [1, 1]) == [0.5, 0.5]
    assert priors([], []) == []


def test_similarity_is_the_cosine_of_word_counts() -> None:
    assert similarity("a b b", "b a b") == pytest.approx(1)
    assert similarity("a b", "a c") == pytest.approx(0.5)
    assert similarity("a", "b") == similarity("", "b") == 0


def test_it_commits_to_the_good_step_and_its_solution_is_the_answer() -> None:
    def make(node: Node, i: int) -> Step:
        good = i == 1 and (node.step.value in ("root", "good") or node.depth == 0)
        name = "good" if good else "bad"
        return Step(name, 0.95 if good else 0.2, -2.0 - i, final=node.depth == 1)

    policy = RainPolicy(q=3, epsilon=0.25)
    tree = search(policy, grown(make))

    best = policy.best(tree)
    assert best is not None and best is tree.memory.base
    assert [node.step.value for node in best.path()] == ["good", "good"]


def test_iteration_by_iteration_the_choice_is_the_largest_v_plus_c_u() -> None:
    """Two finished candidates, p = (0.8, 0.2), scores 0.25 and 0.75, c = 2."""
    scores, p = [0.25, 0.75], [0.8, 0.2]

    def make(node: Node, i: int) -> Step:
        return Step(i, scores[i], math.log(p[i]), final=True)

    policy = RainPolicy(q=2, t=12, t_more=1, v_t=1, epsilon=0)
    tree = search(policy, grown(make))

    n = [0, 0]
    for _ in range(11):  # the first of the 12 iterations is spent on the root
        u = [p[i] * math.sqrt(sum(n)) / (1 + n[i]) for i in (0, 1)]
        value = [(scores[i] if n[i] else 0) + 2 * u[i] for i in (0, 1)]
        n[max((0, 1), key=lambda i: (value[i], p[i]))] += 1
    assert [tree.memory.visits[i].own for i in (1, 2)] == n
    assert min(n) > 0
    answer = policy.best(tree)
    assert answer is not None and answer.step.value == n.index(max(n))


def test_it_commits_early_only_above_both_thresholds() -> None:
    def iterations(score: float) -> int:
        policy = RainPolicy(q=1, t=30, t_min=6, v_t=0.8)
        tree = search(policy, grown(lambda node, i: Step(i, score, final=True)))
        own: int = tree.memory.visits[1].own
        return own

    assert iterations(0.95) == 7, "more than T_m = 6 visits with v = 0.9 > 0.8"
    assert iterations(0.85) == 29, "v = 0.7 is not enough, so all T, one for the root"


def test_inherited_visits_count_but_new_iterations_are_allowed() -> None:
    policy = RainPolicy(q=1, t=20, t_more=5, v_t=1, depth=3)
    tree = search(policy, grown(lambda node, i: Step(i, 0.5)))

    # One path: the base of the second commitment inherits 19 of 20 visits.
    assert [tree.memory.visits[i].own for i in (1, 2, 3)] == [24, 28, 27]


def test_where_all_candidates_are_bad_one_is_added_until_the_limit() -> None:
    def make(node: Node, i: int) -> Step:
        return Step(i, 0.9 if i == 4 else 0.1, final=True)

    policy = RainPolicy(q=2)
    tree = search(policy, grown(make))
    assert len(tree.root.children) == 5
    best = policy.best(tree)
    assert best is not None and best.step.value == 4

    hopeless = search(RainPolicy(q=2, q_max=6), grown(lambda n, i: Step(i, 0.1, None)))
    assert max(len(n.children) for n in hopeless.nodes.values()) == 6


def test_two_steps_of_the_same_text_are_one_candidate() -> None:
    def make(node: Node, i: int) -> Step:
        return Step(i, 0.6, text="same" if i < 3 else "other", final=True)

    tree = search(RainPolicy(q=4), grown(make))

    assert [n.id for n in tree.memory.visits[0].next] == [1, 4]


def test_similar_siblings_share_evaluations_where_it_is_asked_for() -> None:
    def run(gamma: float) -> float:
        policy = RainPolicy(q=2, gamma=gamma, v_t=1, t=10, t_more=1)
        texts = ["a b c d", "d c b a"]
        world = grown(lambda n, i: Step(i, 0.6, text=texts[i], final=True))
        visits = search(policy, world).memory.visits
        shares: float = sum(visits[i].n - visits[i].own for i in (1, 2))
        return shares

    assert run(0.0) == 0
    # Nine visits of candidates; at the first two, the sibling had none yet:
    # 0.6 + 2 * 0.5 * 1 / 2 > 0 + 2 * 0.5 * 1.
    assert run(0.2) == pytest.approx(7 * 0.2)


def test_an_unscored_step_is_committed_to_only_where_none_has_a_score() -> None:
    def answer(scores: list[float | None]) -> object:
        policy = RainPolicy(q=2, v_add=-1)
        logprobs = [-0.01, -5.0]
        world = grown(lambda n, i: Step(i, scores[i], logprobs[i], final=True))
        best = policy.best(search(policy, world))
        return best and best.step.value

    assert answer([None, 0.2]) == 1
    assert answer([None, None]) == 0


def test_a_commitment_after_which_all_samples_fail_again_ends_the_search() -> None:
    def world(expansion: Expansion) -> list[Step]:
        return [Step(score=0.5)] if expansion.node.depth == 0 else []

    policy = RainPolicy(q=1)
    tree = search(policy, world)

    assert policy.done(tree) and tree.asked == 1 + PATIENCE
    best = policy.best(tree)
    assert best is not None and best.id == 1


def test_the_cost_of_a_sample_does_not_grow_with_the_tree() -> None:
    rng = random.Random(1)
    world = grown(lambda n, i: Step(i, rng.random(), -5 * rng.random()))

    start = time.perf_counter()
    tree = search(RainPolicy(t=10**6, v_t=1, depth=1000), world, limit=20_000)

    assert tree.asked >= 20_000
    assert time.perf_counter() - start < 2, "a fifth of 100,000 samples in 10 s"


@pytest.mark.parametrize(
    "wrong",
    [
        {"c": -1},
        {"c": math.inf},
        {"q": 0},
        {"t": 0},
        {"v_t": 2},
        {"gamma": 1.5},
        {"epsilon": -0.1},
    ],
    ids=str,
)
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        RainPolicy.model_validate(wrong)


def test_more_candidates_than_samples_are_refused() -> None:
    with pytest.raises(ValidationError, match="q_max >= q"):
        RainPolicy(q=30)
