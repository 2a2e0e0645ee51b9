import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.graphs.search.levels import merged
from ponder.graphs.search.self_evaluation import (
    Beams,
    Chain,
    SelfEvaluationPolicy,
    draw,
    samples,
    step_score,
    temperature,
)
from ponder.graphs.search.tree import Node, Step, Tree


def told(
    policy: SelfEvaluationPolicy, tree: Tree[Beams], *steps: Step
) -> list[tuple[int, int]]:
    """Ask for a level, tell all steps to its first beam, return (beam, samples)."""
    wishes = policy.ask(tree)
    for wish in wishes:
        policy.tell(tree, wish, steps if wish is wishes[0] else [])
    return [(wish.node.id, wish.n) for wish in wishes]


def chained(*steps: Step, lam: float = 1.0) -> Chain:
    """Return the chain of these steps."""
    chain = Chain()
    for step in steps:
        chain = chain.then(step, lam)
    return chain


@given(
    c=st.floats(0, 1),
    token_logprobs=st.lists(st.floats(-10, 0), min_size=1, max_size=30),
    lam=st.floats(0, 1),
)
def test_step_score_weighs_c_against_the_mean_token_probability(
    c: float, token_logprobs: list[float], lam: float
) -> None:
    product = math.prod(math.exp(x) for x in token_logprobs)
    p = product ** (1 / len(token_logprobs))

    found = step_score(c, sum(token_logprobs), len(token_logprobs), lam)
    assert found == pytest.approx(c**lam * p ** (1 - lam))


def test_without_log_probabilities_a_step_scores_c() -> None:
    assert step_score(0.3, None, 5, 0.5) == 0.3


@given(
    steps=st.lists(
        st.tuples(st.floats(0.01, 1), st.floats(-5, 0)), min_size=1, max_size=16
    )
)
def test_a_chain_scores_the_geometric_mean_of_its_steps(
    steps: list[tuple[float, float]],
) -> None:
    chain = [Step(score=c, logprob=x, tokens=3) for c, x in steps]
    product = math.prod(math.sqrt(c * math.exp(x / 3)) for c, x in steps)

    assert chained(*chain, lam=0.5).score == pytest.approx(product ** (1 / len(steps)))


def test_unknown_steps_are_left_out_and_impossible_ones_are_not() -> None:
    assert chained(Step(score=0.5), Step()).score == pytest.approx(0.5)
    assert chained(Step(score=0.5), Step(score=0.0), Step(score=0.9)).score == 0
    assert chained(Step(), Step(logprob=-1.0)) == Chain()


def test_the_temperature_decays() -> None:
    assert [temperature(0.5, 0.5, t) for t in range(3)] == [0.5, 0.25, 0.125]


def test_a_draw_has_the_probabilities_of_the_softmax_without_replacement() -> None:
    scores, tau, rng = [0.9, 0.5, 0.1], 0.5, random.Random(1)
    weights = [math.exp(s / tau) for s in scores]
    runs = 20_000
    found = Counter(tuple(draw(scores, 2, tau, rng)) for _ in range(runs))

    for i, j in ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)):
        total = sum(weights)
        p = weights[i] / total * weights[j] / (total - weights[i])
        # Six standard deviations of a share of this size.
        assert abs(found[i, j] / runs - p) < 6 * math.sqrt(p * (1 - p) / runs)


@pytest.mark.parametrize("tau", [0.0, 0.001])
def test_a_cold_draw_takes_the_best_and_the_first_of_equals(tau: float) -> None:
    rng = random.Random(3)
    before = rng.getstate()

    assert draw([0.2, 0.7, 0.7, 0.1], 3, tau, rng) == [1, 2, 0]
    assert draw([0.2], 3, tau, rng) == [0]
    assert draw([0.2], -1, tau, rng) == []
    assert rng.getstate() == before


def test_texts_that_say_the_same_are_merged_within_a_chain() -> None:
    root, other = (Node(i, None, Step()) for i in (0, 9))
    texts = [("a", None), ("a", 0.5), ("b", 0.1), ("", 0.1), ("", 0.1)]
    nodes = [Node(i, root, Step(text=t, score=s)) for i, (t, s) in enumerate(texts, 1)]
    elsewhere = Node(8, other, Step(text="a", score=0.2))

    kept = merged([*nodes, elsewhere])
    assert [node.id for node in kept] == [2, 3, 4, 5, 8]


def test_few_samples_are_topped_up_to_fill_the_beams() -> None:
    assert samples(16, 5, 1) == 16
    assert samples(2, 5, 1) == 10
    assert samples(2, 5, 2) == 5
    assert samples(2, 5, 3) == 2


def test_the_best_k_are_expanded_and_duplicates_take_no_place() -> None:
    policy = SelfEvaluationPolicy(k=2, n=4, tau=0)
    tree = policy.start()
    scores = {"a": 0.9, "b": 0.2, "c": 0.5}
    steps = [Step(text=text, score=scores[text]) for text in "aabc"]
    assert told(policy, tree, *steps) == [(0, 4)]

    assert told(policy, tree) == [(1, 4), (4, 4)]


def test_the_probability_of_a_step_counts() -> None:
    policy = SelfEvaluationPolicy(k=1, n=2, tau=0)
    tree = policy.start()
    likely, unlikely = Step(score=0.7, logprob=-0.1), Step(score=0.8, logprob=-3.0)
    told(policy, tree, unlikely, likely)

    assert policy.ask(tree)[0].node.id == 2


def test_finished_beams_compete_on_until_all_drawn_are_finished() -> None:
    policy = SelfEvaluationPolicy(k=2, n=3, tau=0)
    tree = policy.start()
    done, good, bad = Step(score=0.6, final=True), Step(score=0.9), Step(score=0.1)
    told(policy, tree, done, good, bad)
    assert [node.id for node in tree.memory.beams] == [0]
    assert told(policy, tree, bad, bad, Step(score=0.8, final=True)) == [(2, 3)]

    assert policy.done(tree)
    assert [node.id for node in tree.memory.beams] == [6, 1]
    weights = {node.id: weight for node, weight in policy.leaves(tree)}
    assert weights == pytest.approx({1: 0.6, 6: math.sqrt(0.9 * 0.8)})
    best = policy.best(tree)
    assert best is not None and best.id == 6


def test_a_solution_that_fell_out_of_the_beam_is_no_answer() -> None:
    policy = SelfEvaluationPolicy(k=1, n=2, tau=0)
    tree = policy.start()
    told(policy, tree, Step(score=0.8, final=True), Step(score=0.9))
    told(policy, tree, Step(score=0.4, final=True), Step(score=0.1, final=True))

    assert policy.done(tree)
    assert [node.id for node, _ in policy.leaves(tree)] == [3]
    assert math.sqrt(0.9 * 0.4) < 0.8


def test_the_probability_alone_needs_no_c() -> None:
    """lambda = 0: C^0 P^1 = P."""
    policy = SelfEvaluationPolicy(k=1, n=2, tau=0, lam=0)
    for steps in ([-9.0, -0.1], [-0.1, -9.0]):
        tree = policy.start()
        told(policy, tree, *(Step(logprob=x) for x in steps))
        assert policy.ask(tree)[0].node.step.logprob == -0.1


def test_steps_without_c_are_drawn_only_after_all_with_one() -> None:
    policy = SelfEvaluationPolicy(k=2, n=4, tau=0.5)
    for seed in range(20):
        tree = policy.start(seed=seed)
        told(policy, tree, Step(), Step(score=0.0), Step(), Step(score=0.1))
        wishes = policy.ask(tree)
        assert {wish.node.id for wish in wishes} == {2, 4}


def test_without_any_c_the_beams_are_filled_all_the_same() -> None:
    policy = SelfEvaluationPolicy(k=2, n=3)
    tree = policy.start()
    told(policy, tree, Step(), Step(), Step())

    assert len(policy.ask(tree)) == 2


def test_no_chain_is_longer_than_max_steps() -> None:
    policy = SelfEvaluationPolicy(k=1, n=2, depth=2)
    tree = policy.start()
    for _ in range(2):
        told(policy, tree, Step(score=0.5), Step(score=0.5))

    assert policy.done(tree)
    assert max(node.depth for node in tree.nodes.values()) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 0},
        {"n": 0},
        {"lam": 1.1},
        {"lam": -0.1},
        {"tau": -1},
        {"alpha": 1.5},
        {"depth": 0},
    ],
)
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        SelfEvaluationPolicy.model_validate(wrong)
