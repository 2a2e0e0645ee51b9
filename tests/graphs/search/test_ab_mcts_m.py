import random
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from ponder.graphs.search.ab_mcts_a import Beliefs
from ponder.graphs.search.ab_mcts_m import (
    AbMctsMPolicy,
    Scales,
    log_marginal,
    summarise,
)
from ponder.graphs.search.simulate import World, noise, search
from ponder.graphs.search.tree import Expansion, Step, Tree

Floats = NDArray[np.float64]
MEANS = [0.2, 0.3, 0.85, 0.4]
GROUPS = [[0.9, 0.7, 0.8], [0.3], [0.5, 0.65]]


def columns(groups: list[list[float]]) -> tuple[Floats, Floats, Floats]:
    """Return numbers, sums and sums of squares."""
    n = np.array([len(group) for group in groups], float)
    s = np.array([sum(group) for group in groups])
    return n, s, np.array([sum(x * x for x in group) for group in groups])


def predicted(
    policy: AbMctsMPolicy, groups: list[list[float]]
) -> tuple[Floats, Floats]:
    """Return mean and variance of the next score of each group and of a new one."""
    n, s, q = columns(groups)
    scales = policy.fit(n, s, q)
    points = np.arange(scales.weight.size)
    means, variances = [], []
    for size, total in zip([*n, 0.0], [*s, 0.0], strict=True):
        mean, variance = scales.group(points, np.array(size), np.array(total))
        average = scales.weight @ mean
        means.append(average)
        spread = variance + scales.y**2 + (mean - average) ** 2
        variances.append(scales.weight @ spread)
    return np.array(means), np.array(variances)


@dataclass
class Integral:
    """The model summed over a plain grid in all its parameters; no formula of ours."""

    policy: AbMctsMPolicy
    groups: list[list[float]]
    cells: int = 44

    def moments(self) -> tuple[Floats, Floats]:
        """Return mean and variance of the next scores, as ``predicted`` does."""
        mu = np.linspace(-0.4, 1.4, self.cells)[:, None, None, None]
        top = max(1.0, 4 * self.policy.sd_alpha)
        alpha = (top * (np.arange(self.cells) + 0.5) / self.cells)[:, None, None]
        y = np.geomspace(self.policy.sigma_min, 1.2, self.cells)[:, None]
        # alpha_j = mu + sigma_alpha z, z on a grid of its own for each group.
        z = np.linspace(-5, 5, 61)
        effect, normal = mu + alpha * z, np.exp(-(z**2) / 2)
        normal = normal / normal.sum()
        # y is spaced evenly in its logarithm: a factor of y makes up for that.
        weight = (np.log(y) + self._log_prior(mu, alpha, y))[..., 0]
        firsts, seconds = [], []
        for group in self.groups:
            like = normal * np.exp(
                sum(-((x - effect) ** 2) / (2 * y * y) - np.log(y) for x in group)
            )
            total = like.sum(-1)
            weight = weight + np.log(np.maximum(total, 1e-300))
            safe = np.maximum(total, 1e-300)
            firsts.append((like * effect).sum(-1) / safe)
            seconds.append((like * (effect**2 + y * y)).sum(-1) / safe)
        firsts.append((normal * effect).sum(-1) + 0 * weight)
        seconds.append((normal * (effect**2 + y * y)).sum(-1) + 0 * weight)
        density = np.exp(weight - weight.max())
        density /= density.sum()
        mean = np.array([(density * first).sum() for first in firsts])
        square = np.array([(density * second).sum() for second in seconds])
        return mean, square - mean**2

    def _log_prior(self, mu: Floats, alpha: Floats, y: Floats) -> Floats:
        policy = self.policy
        prior = ((mu - policy.mu) / policy.sd_mu) ** 2
        prior = prior + (alpha / policy.sd_alpha) ** 2 + (y / policy.sd_y) ** 2
        return np.asarray(-prior / 2)


@pytest.mark.parametrize(
    ("groups", "parameters"),
    [
        (GROUPS, {}),
        ([[0.4]], {}),
        ([[0.2, 0.25], [0.8, 0.75]], {"sd_alpha": 0.4, "mu": 0.3, "sd_y": 0.1}),
    ],
    ids=["three", "one", "apart"],
)
def test_predictions_are_those_of_brute_force(
    groups: list[list[float]], parameters: dict[str, float]
) -> None:
    policy = AbMctsMPolicy.model_validate(parameters)
    mean, variance = predicted(policy, groups)
    expected_mean, expected_variance = Integral(policy, groups).moments()

    assert mean == pytest.approx(expected_mean, abs=2e-3)
    assert np.sqrt(variance) == pytest.approx(np.sqrt(expected_variance), rel=0.01)


def test_the_marginal_is_that_of_a_multivariate_normal() -> None:
    scores = np.concatenate([np.array(group) for group in GROUPS])
    group = np.repeat(np.arange(3), [len(group) for group in GROUPS])
    same = (group[:, None] == group).astype(float)

    def log_density(alpha: float, y: float) -> float:
        covariance = alpha**2 * same + y**2 * np.eye(scores.size) + 0.2**2
        away = scores - 0.5
        square = away @ np.linalg.solve(covariance, away)
        return float(-(np.linalg.slogdet(covariance)[1] + square) / 2)

    points = [(0.05, 0.3), (0.3, 0.05), (0.2, 0.2), (0.7, 0.02)]
    alpha, y = (np.array(side) for side in zip(*points, strict=True))
    found = log_marginal(summarise(*columns(GROUPS), 0.5), alpha, y, 0.2)
    expected = np.array([log_density(*point) for point in points])
    assert found - found[0] == pytest.approx(expected - expected[0])


def test_draws_have_the_predicted_moments() -> None:
    policy = AbMctsMPolicy()
    mean, variance = predicted(policy, GROUPS)
    n, s, q = columns(GROUPS)
    scales = policy.fit(n, s, q)
    rng = np.random.default_rng(1)
    copies = 20_000
    drawn = scales.draw(
        rng, np.tile([*n, 0.0], copies), np.tile([*s, 0.0], copies)
    ).reshape(copies, 4)

    assert drawn.mean(0) == pytest.approx(mean, abs=0.01)
    assert drawn.std(0) == pytest.approx(np.sqrt(variance), rel=0.02)
    # Each has its own point of the grid and its own mu_alpha.
    together = np.asarray(np.corrcoef(drawn.T))
    assert together[~np.eye(4, dtype=bool)] == pytest.approx(0, abs=0.03)


def test_a_group_with_few_scores_is_pulled_to_the_others() -> None:
    mean, variance = predicted(AbMctsMPolicy(), [[0.9] * 2, [0.3, 0.4, 0.35] * 4])

    assert 0.4 < mean[0] < 0.9
    assert mean[1] == pytest.approx(0.35, abs=0.02)
    assert mean[1] < mean[2] < mean[0]
    assert variance[2] > variance[1]


def test_scores_that_are_all_the_same_are_no_trouble() -> None:
    mean, variance = predicted(AbMctsMPolicy(), [[0.6] * 200, [0.6] * 3])

    assert np.isfinite(mean).all() and np.isfinite(variance).all()
    assert mean == pytest.approx(0.6, abs=0.01)
    assert np.sqrt(variance[0]) == pytest.approx(0.01, rel=0.1)


def test_the_grid_finds_a_narrow_posterior() -> None:
    rng = np.random.default_rng(3)
    effects = rng.normal(0.5, 0.1, 120)
    groups = [[*rng.normal(effect, 0.03, 40)] for effect in effects]
    scales: Scales = AbMctsMPolicy().fit(*columns(groups))

    assert scales.weight @ scales.y == pytest.approx(0.03, rel=0.05)
    assert scales.weight @ scales.alpha == pytest.approx(effects.std(), rel=0.1)
    assert (scales.weight > scales.weight.max() / 100).sum() > 20


# The tree.


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
    """Score better the deeper below the first answer, elsewhere always alike."""
    path = expansion.node.path()
    gain = 0.1 * len(path) if path and path[0].id == 1 else 0.0
    return [Step(score=min(1.0, 0.2 + gain))] * expansion.n


def scripted(scores: list[float | None], final: tuple[int, ...] = ()) -> World:
    return lambda expansion: [
        Step(score=scores[id - 1], final=id in final) for id in expansion.ids
    ]


def depth(tree: Tree[Beliefs]) -> int:
    return max(node.depth for node in tree.nodes.values())


def test_a_score_goes_to_its_group_at_every_ancestor() -> None:
    tree = search(AbMctsMPolicy(), noise(2, unreadable=0.2), seed=1, k=3, limit=80)
    AbMctsMPolicy().plan(tree)

    for node in tree.nodes.values():
        for child in node.children:
            if child.score is None:
                assert child.id not in tree.memory.places
                continue
            inside = [n for n in tree.nodes.values() if child in n.path()]
            scores = [n.score for n in inside if n.score is not None]
            place = tree.memory.places[child.id]
            n, s, q = (x[place] for x in tree.memory.arms[node.id].sums.of())
            assert (n, s) == (len(scores), pytest.approx(sum(scores)))
            assert q == pytest.approx(sum(score**2 for score in scores))


def test_it_finds_the_best_kind_of_a_bandit() -> None:
    tree = search(AbMctsMPolicy(), bandit, seed=1, k=1, limit=250)

    deep = [node for node in tree.nodes.values() if node.depth > 1]
    (kind, most), *others = Counter(n.step.value for n in deep).most_common()
    assert kind == MEANS.index(max(MEANS))
    assert most > 3 * (others[0][1] if others else 0)


def test_it_goes_deep_where_refining_helps() -> None:
    policy = AbMctsMPolicy()
    tree = search(policy, ladder, seed=1, k=1, limit=200)
    flat = search(policy, scripted([0.2] * 200), seed=1, k=1, limit=200)

    # The model takes a fresh answer and its refinements for one group, so it is the
    # group that refining helps which it goes into.
    below = [node for node in tree.nodes.values() if tree.nodes[1] in node.path()]
    assert len(below) > 100
    assert depth(tree) > depth(flat)
    best = policy.best(tree)
    assert best is not None and best in below
    assert best.depth == depth(tree)


def test_answers_that_are_final_or_unread_are_not_refined() -> None:
    world = scripted([0.9, None, 0.8] + [0.1] * 57, final=(1, 3))
    tree = search(AbMctsMPolicy(), world, seed=2, k=3, limit=60)

    assert all(not tree.nodes[id].children for id in (1, 2, 3))
    assert any(node.children for node in tree.nodes.values() if node.id > 3)


def test_all_final_or_all_unread_it_samples_anew() -> None:
    for world in (scripted([None] * 12), scripted([0.5] * 12, (*range(13),))):
        tree = search(AbMctsMPolicy(), world, k=4, limit=12)
        assert len(tree.root.children) == 12
        assert AbMctsMPolicy().best(tree) is tree.nodes[1]


@pytest.mark.parametrize(
    "wrong",
    [{"sd_mu": 0}, {"sd_alpha": -1}, {"sd_y": 0}, {"sigma_min": 0}, {"mu": np.inf}],
    ids=str,
)
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        AbMctsMPolicy.model_validate(wrong)
