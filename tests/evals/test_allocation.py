"""The computation allocation model: fitted, predicting, choosing."""

import re
import subprocess
import sys
from itertools import product
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import InvalidParameter
from ponder.evals.allocation import (
    EPSILON,
    AllocationModel,
    Informativeness,
    Observation,
    Theta,
    fit,
    sigmoid,
)
from ponder.evals.observations import ContextLength, grid

PAGE = Path(__file__).parents[2] / "docs/design/allocation.md"
# Table 8 of the paper, of Gemini 1.5 Flash.
A, B, C = (0.325, 0.101, 0.177), (-0.067, -0.008, 0.0), -0.730
TASKS = {
    "easy": Informativeness(documents=0.3, demonstrations=0.05),
    "hard": Informativeness(documents=0.1, demonstrations=0.2),
    "odd": Informativeness(documents=-0.05, demonstrations=0.1),
}
MANY = grid(k=(0, 1, 5, 20), m=(0, 1, 4), n=(1, 3, 5))


def performance(theta: Theta, i: Informativeness, noise: float = 0.0) -> float:
    """Equation 2, written out."""
    logit = C + noise
    worths = (i.documents, i.demonstrations, 0.0)
    for x, a, b, w in zip((theta.k, theta.m, theta.n), A, B, worths, strict=True):
        logit += (a + b * w) * log(x + 0.01)
    return 1 / (1 + exp(-logit))


def seen(
    thetas: list[Theta],
    tasks: dict[str, Informativeness],
    spread: float = 0.0,
    seed: int = 0,
) -> list[Observation]:
    draw = np.random.default_rng(seed)
    return [
        Observation(
            task=task,
            theta=theta,
            performance=performance(theta, i, float(draw.normal(0, spread))),
            problems=10**6,
        )
        for task, i in tasks.items()
        for theta in thetas
    ]


def test_known_coefficients_are_recovered() -> None:
    model = fit(seen(MANY, TASKS), TASKS)
    assert [model.a[n].value for n in "kmn"] == pytest.approx(A, abs=1e-9)
    assert [model.b[n].value for n in "km"] == pytest.approx(B[:2], abs=1e-9)
    assert model.c.value == pytest.approx(C, abs=1e-9)
    assert model.r2 == pytest.approx(1)
    assert model.mse == pytest.approx(0, abs=1e-15)
    assert model.constant == {}
    theta = Theta(k=50, m=2, n=4)
    for i in TASKS.values():
        assert model.predict(theta, i) == pytest.approx(performance(theta, i))


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    covered = []
    for seed in range(120):
        model = fit(seen(MANY, TASKS, spread=0.2, seed=seed), TASKS)
        for name, value in zip("kmn", A, strict=True):
            low, high = model.a[name].low, model.a[name].high
            covered.append(low is not None and high is not None and low < value < high)
    # 3.3 standard errors on both sides, were the three independent.
    assert abs(np.mean(covered) - 0.95) < 0.04


def test_r2_and_mse_tell_of_noise() -> None:
    model = fit(seen(MANY, TASKS, spread=0.2), TASKS)
    assert 0.5 < model.r2 < 0.999
    assert model.mse == pytest.approx(0.04, rel=0.3)


def test_least_squares_agree_with_the_normal_equations() -> None:
    observations = seen(MANY, {"easy": TASKS["easy"]}, spread=0.3)
    model = fit(observations)
    rows = [
        [log(x + EPSILON) for x in (o.theta.k, o.theta.m, o.theta.n)] + [1.0]
        for o in observations
    ]
    x, y = (
        np.array(rows),
        np.array([log(o.performance / (1 - o.performance)) for o in observations]),
    )
    beta = np.linalg.solve(x.T @ x, x.T @ y)
    assert [model.a[n].value for n in "kmn"] == pytest.approx(beta[:3].tolist())
    error = y - x @ beta
    assert model.r2 == pytest.approx(1 - error @ error / ((y - y.mean()) ** 2).sum())
    from scipy.stats import t

    spread = np.sqrt(error @ error / (len(y) - 4) * np.linalg.inv(x.T @ x)[0, 0])
    low = beta[0] - t.ppf(0.975, len(y) - 4) * spread
    assert model.a["k"].low == pytest.approx(low)


def test_what_was_never_varied_has_no_coefficient_and_no_prediction() -> None:
    model = fit(seen(grid(k=(0, 1, 5, 20), m=(0, 1, 4)), {"easy": TASKS["easy"]}))
    assert set(model.a) == {"k", "m"}
    assert model.b == {}
    assert model.constant == {"n": 1}
    with pytest.raises(InvalidParameter, match="knows n = 1 only"):
        model.predict(Theta(k=1, n=2))


def test_one_task_has_no_b_even_with_its_informativeness() -> None:
    one = {"easy": TASKS["easy"]}
    assert fit(seen(MANY, one), one).b == {}


def test_a_model_of_several_tasks_asks_for_the_informativeness() -> None:
    model = fit(seen(MANY, TASKS), TASKS)
    with pytest.raises(InvalidParameter, match="informativeness of the task"):
        model.predict(Theta(k=1))


def test_all_right_and_all_wrong_count_as_half_a_problem_less() -> None:
    ends = [
        Observation(task="t", theta=Theta(k=0), performance=0.0, problems=10),
        Observation(task="t", theta=Theta(k=5), performance=1.0, problems=10),
    ]
    model = fit(ends)
    assert model.predict(Theta(k=0)) == pytest.approx(0.05)
    assert model.predict(Theta(k=5)) == pytest.approx(0.95)
    assert model.a["k"].low is None
    assert AllocationModel.model_validate_json(model.model_dump_json()) == model


@pytest.mark.parametrize(
    ("observations", "known", "why"),
    [
        ([], None, "of one configuration, or there are none"),
        (seen([Theta(k=3)], TASKS), None, "of one configuration"),
        (seen([Theta(), Theta(k=1, m=2)], TASKS)[:2], None, "2 observations cannot"),
        (seen([Theta(k=j, m=j) for j in range(6)], TASKS), None, "varied together"),
        (seen(MANY, TASKS), {"easy": TASKS["easy"]}, "given for hard, odd"),
        (
            [Observation(task="t", theta=t, performance=0.5, problems=9) for t in MANY],
            None,
            "achieve the same",
        ),
    ],
)
def test_degenerate_data_is_refused(
    observations: list[Observation], known: dict[str, Informativeness], why: str
) -> None:
    with pytest.raises(InvalidParameter, match=why):
        fit(observations, known)


def test_epsilon_has_to_be_above_zero() -> None:
    with pytest.raises(InvalidParameter, match="epsilon is 0"):
        fit(seen(MANY, TASKS), epsilon=0)


@given(st.integers(480, 60_000), st.sampled_from(sorted(TASKS)))
def test_the_best_is_that_of_brute_force(budget: int, task: str) -> None:
    model = fit(seen(MANY, TASKS), TASKS)
    length = ContextLength(document=100, question=20)
    candidates = grid(k=(0, 1, 2, 5, 10, 20), m=(0, 1, 2, 4, 8), n=(1, 2, 3))
    best = model.best(budget, candidates, length.iterdrag, TASKS[task])
    assert length.iterdrag(best) <= budget
    top = max(
        performance(theta, TASKS[task])
        for theta in candidates
        if length.iterdrag(theta) <= budget
    )
    assert performance(best, TASKS[task]) == pytest.approx(top)


def test_of_equally_good_ones_the_cheapest_is_best() -> None:
    model = fit(seen(grid(k=(0, 1, 5)), {"easy": TASKS["easy"]}))
    same = [Theta(k=5), Theta(k=5)]
    costs = iter((9.0, 4.0))
    assert model.best(10, same, lambda theta: next(costs)) is same[1]


def test_a_budget_that_nothing_is_within_is_refused() -> None:
    model = fit(seen(MANY, {"easy": TASKS["easy"]}))
    with pytest.raises(InvalidParameter, match="cheapest of 36 takes 120"):
        model.best(50, MANY, ContextLength(document=100, question=20).drag)


@given(st.floats(-700, 700))
def test_sigmoid(x: float) -> None:
    assert sigmoid(x) == pytest.approx(0.5 * (1 + np.tanh(x / 2)), abs=1e-12)
    assert sigmoid(x) + sigmoid(-x) == pytest.approx(1)


def test_the_example_of_the_page_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    # In a process of its own, as a reader would: no other import may be needed.
    code = f"{block}\nassert isinstance(theta, Theta)"
    done = subprocess.run([sys.executable, "-c", code], timeout=120, check=False)
    assert done.returncode == 0


def test_a_grid_is_the_product() -> None:
    assert [(t.k, t.m, t.n) for t in grid((0, 1), (2, 3), (4,))] == list(
        product((0, 1), (2, 3), (4,))
    )
