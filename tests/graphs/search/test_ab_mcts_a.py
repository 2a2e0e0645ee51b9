import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import stats

from ponder.graphs.search.ab_mcts_a import (
    AbMctsAPolicy,
    Beliefs,
    Sums,
    beta,
    gaussian,
    largest,
)
from ponder.graphs.search.simulate import World, noise, search
from ponder.graphs.search.tree import Expansion, Node, Step, Tree

Floats = NDArray[np.float64]
both = pytest.mark.parametrize("dist", ["gaussian", "beta"])
MEANS = [0.2, 0.3, 0.85, 0.4]


def bandit(expansion: Expansion) -> list[Step]:
    """Fresh answers are arms of four kinds in turn; refining stays with the kind."""
    steps = []
    for id in expansion.ids:
        path = expansion.node.path()
        kind = path[0].step.value if path else id % 4
        score = random.Random(f"bandit/{id}").gauss(MEANS[kind], 0.05)
        steps.append(Step(value=kind, score=min(max(score, 0.0), 1.0)))
    return steps


def ladder(expansion: Expansion) -> list[Step]:
    """Score better the deeper."""
    return [Step(score=min(1.0, 0.2 + 0.1 * expansion.node.depth))] * expansion.n


def kinds(tree: Tree[Beliefs]) -> Counter[int]:
    """Count the refinements of each kind."""
    deep = [node for node in tree.nodes.values() if node.depth > 1]
    return Counter(node.step.value for node in deep)


def depth(tree: Tree[Beliefs]) -> int:
    return max(node.depth for node in tree.nodes.values())


def row(scores: list[float]) -> tuple[Floats, Floats, Floats]:
    sums = Sums(1)
    for score in scores:
        sums.add(0, score)
    return sums.of()  # type: ignore[return-value]


# The formulas.

scores_of_an_arm = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(scores=scores_of_an_arm)
def test_the_gaussian_posterior_is_the_textbooks(scores: list[float]) -> None:
    m, kappa, nu, tau2 = 0.3, 2.0, 3.0, 0.2
    n, mean = len(scores), float(np.mean(scores))
    spread = sum((x - mean) ** 2 for x in scores)
    pull = n * kappa * (m - mean) ** 2 / (kappa + n)
    expected = (
        (kappa * m + n * mean) / (kappa + n),
        kappa + n,
        nu + n,
        (nu * tau2 + spread + pull) / (nu + n),
    )

    found = gaussian(*row(scores), m, kappa, nu, tau2)
    assert [float(x[0]) for x in found] == pytest.approx(expected, rel=1e-9)


def test_the_gaussian_posterior_is_that_of_brute_force() -> None:
    scores, (m, kappa, nu, tau2) = [0.7, 0.9, 0.4], (0.0, 1.0, 1.0, 0.1)
    # Midpoints, so that the points below fall between two cells.
    mu = np.arange(-4.0015, 5, 0.003)[:, None]
    # Even in the logarithm; the Jacobian of that is one factor of variance.
    variance = np.exp(np.linspace(-8, 6, 1401))
    log = -(nu / 2) * np.log(variance) - nu * tau2 / (2 * variance)
    log = log - np.log(variance) / 2 - kappa * (mu - m) ** 2 / (2 * variance)
    for x in scores:
        log = log - np.log(variance) / 2 - (x - mu) ** 2 / (2 * variance)
    density = np.exp(log - log.max()).sum(1)
    density /= density.sum()

    mean, scale, dof = (float(x[0]) for x in AbMctsAPolicy().student(*row(scores)))
    assert (density @ mu).item() == pytest.approx(mean, abs=1e-3)
    for point in (0.1, 0.5, 0.8, 1.2):
        below = density[mu[:, 0] <= point].sum()
        expected = stats.t.cdf((point - mean) / scale, dof)
        assert below == pytest.approx(expected, abs=3e-3)


def test_without_scores_a_posterior_is_the_prior() -> None:
    n, s, q = Sums(1).of()
    found = gaussian(n, s, q, 0.2, 1.5, 2.0, 0.3)

    assert [float(x[0]) for x in found] == pytest.approx([0.2, 1.5, 2.0, 0.3])
    assert [float(x[0]) for x in beta(n, s, 0.5, 0.5)] == [0.5, 0.5]


def test_the_beta_posterior_counts_shares_of_successes() -> None:
    n, s, _ = row([1.0, 0.25, 0.0])

    a, b = beta(n, s, 0.5, 0.5)
    assert (a[0], b[0]) == (1.75, 2.25)


def test_draws_follow_the_posterior() -> None:
    many = [np.repeat(x, 20_000) for x in row([0.7, 0.9, 0.4])]
    rng = np.random.default_rng(1)
    policy = AbMctsAPolicy()
    mean, scale, nu = (float(x[0]) for x in policy.student(*row([0.7, 0.9, 0.4])))

    drawn = policy.draw(rng, *many)
    assert stats.kstest(drawn, stats.t(nu, mean, scale).cdf).pvalue > 0.01
    drawn = AbMctsAPolicy(dist="beta").draw(rng, *many)
    assert stats.kstest(drawn, stats.beta(2.5, 1.5).cdf).pvalue > 0.01


def test_the_short_way_to_the_largest_draw_wins_as_often_as_the_long_one() -> None:
    rng = np.random.default_rng(2)
    n = np.repeat([1.0, 3.0, 20.0], 60)
    s = n * rng.random(180)
    mean, scale, nu = AbMctsAPolicy().student(n, s, s * s / n)
    # Some arms high, wide or light-tailed enough that each way is used.
    mean[-20:] += 1.5

    short = [largest(rng, mean, scale, nu) for _ in range(4000)]
    drawn = mean + scale * rng.standard_t(nu, (4000, n.size))
    # In groups, so that each has enough for a test of equal frequencies.
    groups = [np.bincount(x, minlength=180).reshape(18, 10).sum(1) for x in (
        np.array(short), drawn.argmax(1)
    )]  # fmt: skip
    table = np.array(groups)[:, np.array(groups).sum(0) > 10]
    assert table.shape[1] > 5
    assert stats.chi2_contingency(table).pvalue > 0.01


@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=80), seed=st.integers(0, 99)
)
def test_the_short_way_is_exact_for_the_numbers_it_draws(
    scores: list[float], seed: int
) -> None:
    ones = np.array(scores)
    arms = AbMctsAPolicy().student(np.ones_like(ones), ones, ones**2)
    mean, scale, nu = arms

    u = np.random.default_rng(seed).random(ones.size)
    drawn = mean + scale * stats.t.ppf(u, nu)
    found = largest(np.random.default_rng(seed), *arms)
    assert drawn[found] == pytest.approx(drawn.max(), rel=1e-9)


# The tree.


def scripted(scores: list[float | None], final: tuple[int, ...] = ()) -> World:
    return lambda expansion: [
        Step(score=scores[id - 1], final=id in final) for id in expansion.ids
    ]


def refine(tree: Tree[Beliefs], node: Node, score: float) -> Node:
    """Hang a refinement below a node, as if the draws had led there."""
    policy = AbMctsAPolicy()
    tree.waiting.clear()
    tree.waiting.append(Expansion(node))
    (expansion,) = policy.ask(tree, 1)
    (born,) = policy.tell(tree, expansion, [Step(score=score)])
    policy.plan(tree)
    return born


def test_a_score_goes_to_gen_below_and_to_cont_and_the_way_above() -> None:
    policy = AbMctsAPolicy()
    tree = policy.start()
    one = refine(tree, tree.root, 0.5)
    two = refine(tree, tree.root, 0.25)
    below = refine(tree, one, 0.75)
    refine(tree, below, 1.0)

    def sums(node: Node) -> list[list[float]]:
        return [x.tolist() for x in tree.memory.arms[node.id].sums.of()]

    # GEN, CONT, then the children: how many scores, their sum, the sum of squares.
    assert sums(tree.root) == [
        [2, 2, 3, 1],
        [0.75, 1.75, 2.25, 0.25],
        [0.3125, 1.5625, 1.8125, 0.0625],
    ]
    assert sums(one) == [[1, 1, 2], [0.75, 1.0, 1.75], [0.5625, 1.0, 1.5625]]
    assert sums(below) == [[1, 0, 1], [1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]
    assert two.id not in tree.memory.arms and one.parent is tree.root


@both
def test_it_finds_the_best_kind_of_a_bandit(dist: str) -> None:
    policy = AbMctsAPolicy.model_validate({"dist": dist})
    tree = search(policy, bandit, seed=1, k=1, limit=600)

    (kind, most), *others = kinds(tree).most_common()
    assert kind == MEANS.index(max(MEANS))
    assert most > 3 * others[0][1]
    best = policy.best(tree)
    assert best is not None and best.step.value == kind


@both
def test_it_goes_deep_where_refining_helps_and_wide_where_not(dist: str) -> None:
    policy = AbMctsAPolicy.model_validate({"dist": dist})
    deep = search(policy, ladder, seed=1, k=1, limit=300)
    flat = search(policy, scripted([0.5] * 300), seed=1, k=1, limit=300)

    assert depth(deep) >= 5 > depth(flat)
    assert len(flat.root.children) > 3 * len(deep.root.children)


def test_answers_that_are_final_or_unread_are_not_refined() -> None:
    world = scripted([0.9, None, 0.8] + [0.1] * 97, final=(1, 3))
    tree = search(AbMctsAPolicy(), world, seed=2, k=3, limit=100)

    assert all(not tree.nodes[id].children for id in (1, 2, 3))
    assert any(node.children for node in tree.nodes.values() if node.id > 3)


def test_all_unread_it_samples_anew() -> None:
    tree = search(AbMctsAPolicy(), scripted([None] * 20), k=4, limit=20)

    assert len(tree.root.children) == 20
    assert AbMctsAPolicy().best(tree) is tree.nodes[1]


def test_it_ends_when_patience_is_spent() -> None:
    policy = AbMctsAPolicy(patience=5)
    assert search(policy, lambda expansion: [], k=1, limit=100).asked == 5
    failing = noise(3, failing=0.5)
    assert search(policy.model_copy(update={"patience": 50}), failing).asked == 400


def test_every_answer_with_a_score_is_a_candidate() -> None:
    tree = search(AbMctsAPolicy(), scripted([0.3, None, 0.9, 0.9]), k=4, limit=4)

    assert AbMctsAPolicy().leaves(tree) == [
        (tree.nodes[1], 0.3),
        (tree.nodes[3], 0.9),
        (tree.nodes[4], 0.9),
    ]
    assert AbMctsAPolicy().best(tree) is tree.nodes[3]


def test_wide_nodes_are_searched_the_short_way() -> None:
    # A prior so narrow that draws keep near the scores.
    policy = AbMctsAPolicy(tau2=1e-4, nu=50)
    tree = policy.start(seed=4)
    tree.waiting.append(Expansion(tree.root, 1500))
    (wide,) = policy.ask(tree)
    scores = [Step(score=1.0 if id == 700 else 0.0) for id in wide.ids]
    policy.tell(tree, wide, scores)
    for _ in range(20):
        refine(tree, tree.nodes[700], 1.0)

    # Twenty refinements of 1.0 against 1500 answers of 0.0: CONT, then this child.
    assert policy.choose(tree.memory, tree.root) is tree.nodes[700]


@pytest.mark.parametrize(
    "wrong",
    [{"kappa": 0}, {"nu": 0}, {"tau2": 0}, {"a": 0}, {"b": -1}, {"dist": "normal"}],
    ids=str,
)
def test_impossible_parameters_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        AbMctsAPolicy.model_validate(wrong)
