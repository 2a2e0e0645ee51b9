import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import Budget, Capabilities, ScriptedModel, Task
from ponder.agents.selector import UCB, Arm, bonus, priors, ratings, select, ucb
from ponder.errors import InvalidParameter, OutOfBudget
from tests.support.places import paths, place

TASK = Task(question="Plan 2 days in Rome.")
ALGORITHMS = {"best_of_n": "Sample, take the best.", "tot": "Search step by step."}
RATED = json.dumps({"best_of_n": 80, "tot": 35})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RATED, {"best_of_n": 0.8, "tot": 0.35}),
        ('{"TOT": 100, " Best_of_N ": 0, "x": 7}', {"best_of_n": 0.0, "tot": 1.0}),
        ("best_of_n: 80\n- **tot**: 35", {"best_of_n": 0.8, "tot": 0.35}),
        ("tot 9, no: tot 10; best_of_n 80", {"best_of_n": 0.8, "tot": 0.1}),
        ('{"best_of_n": 80}', None),
        ('{"best_of_n": 80, "tot": 101}', None),
        ('{"best_of_n": 80, "tot": true}', None),
        ('{"best_of_n": 0.8, "tot": 0.35}', None),
        ("best_of_n: 0.8, tot: 0.35", None),
        ("I prefer tot.", None),
        ("", None),
    ],
)
def test_reads_ratings_of_all_or_none(
    text: str, expected: dict[str, float] | None
) -> None:
    assert ratings(text, list(ALGORITHMS)) == expected


async def test_priors_are_the_models_ratings() -> None:
    with ScriptedModel([RATED]) as model:
        context = place(model)
        found = await priors(TASK, ["two days"], ALGORITHMS, context, "Too short.")
    assert found == {"best_of_n": 0.8, "tot": 0.35}
    (call,) = model.calls
    assert call.sampling.temperature == 0
    assert call.output_schema is not None
    assert call.output_schema["required"] == ["best_of_n", "tot"]
    for part in ("1. two days", "- tot: Search step by step.", "Too short."):
        assert part in call.messages[-1].content
    assert set(context.shared.roles) == {"selector"}


async def test_asked_again_it_is_read() -> None:
    with ScriptedModel(["tot!", RATED], capabilities=Capabilities()) as model:
        context = place(model)
        found = await priors(TASK, [], ALGORITHMS, context)
    assert found == {"best_of_n": 0.8, "tot": 0.35}
    assert paths(context) == ["here", "here/again"]
    assert "An earlier solution" not in model.calls[0].messages[-1].content


async def test_unreadable_twice_is_the_same_for_all_and_the_result_says_so() -> None:
    with ScriptedModel(["tot!", "tot!"]) as model:
        context = place(model)
        found = await priors(TASK, [], ALGORITHMS, context)
    assert len(set(found.values())) == 1
    assert list(found) == list(ALGORITHMS)
    (note,) = context.shared.substitutes.values()
    assert note.used == "the same prior for all"


async def test_one_algorithm_needs_no_call() -> None:
    with ScriptedModel() as model:
        assert await priors(TASK, [], {"tot": "Search."}, place(model)) == {"tot": 1.0}
        with pytest.raises(InvalidParameter, match="no algorithm"):
            await priors(TASK, [], {}, place(model))


async def test_out_of_budget_passes_through() -> None:
    with ScriptedModel(["tot!"]) as model:
        with pytest.raises(OutOfBudget):
            await priors(TASK, [], ALGORITHMS, place(model, budget=Budget(calls=1)))


def test_ucb_by_hand() -> None:
    arm = Arm(reward=1.5, plays=2, recoveries=1)
    weights = UCB(lambda_prior=3.0, alpha_diversity=0.6, alpha_recovery=0.2)
    expected = 0.75 + math.sqrt(2 * math.log(6) / 2) + 3 / 6 * 0.4 + 0.6 / 3 + 0.2 / 2
    assert ucb(arm, 5, 0.4, weights) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weights", "term"),
    [
        (UCB(0, 0, 0), 0.0),
        (UCB(1, 0, 0), 0.9 / 8),
        (UCB(0, 1, 0), 1 / 5),
        (UCB(0, 0, 1), 3 / 4),
    ],
)
def test_each_term_of_the_bonus(weights: UCB, term: float) -> None:
    assert bonus(Arm(2.0, 4, 3), 7, 0.9, weights) == pytest.approx(term)


def test_the_prior_decays_with_the_trials() -> None:
    weights = UCB(1, 0, 0)
    terms = [bonus(Arm(), trials, 1.0, weights) for trials in range(4)]
    assert terms == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])


def test_an_algorithm_never_selected_comes_first_and_priors_order_them() -> None:
    arms = {"a": Arm(), "b": Arm(), "c": Arm()}
    rated = {"a": 0.2, "b": 0.9, "c": 0.5}
    assert ucb(Arm(), 3, 0.2) == math.inf
    assert select(arms, rated) == "b"
    arms["b"] = arms["b"].played(1.0)
    assert select(arms, rated) == "c"


def test_equal_algorithms_go_in_order() -> None:
    assert select({"b": Arm(), "a": Arm()}, {"a": 0.5, "b": 0.5}) == "b"


def test_reward_decides_in_the_end() -> None:
    arms = {"good": Arm(90.0, 100), "bad": Arm(10.0, 100)}
    assert select(arms, {"good": 0.0, "bad": 1.0}) == "good"


@pytest.mark.parametrize("arms", [{}, {"a": Arm(), "b": Arm()}])
def test_every_algorithm_needs_a_prior(arms: dict[str, Arm]) -> None:
    with pytest.raises(InvalidParameter, match="a prior for each"):
        select(arms, {"a": 1.0})


def test_recovery_is_the_share_of_plays_that_improved() -> None:
    arm = Arm()
    assert arm.recovery == 0
    arm = arm.played(0.6, before=0.5).played(0.5, before=0.6).played(0.9)
    assert (arm.plays, arm.recoveries) == (3, 1)
    assert arm.reward == pytest.approx(2.0)
    assert arm.recovery == pytest.approx(1 / 3)


def test_a_plan_without_a_score_says_nothing_of_its_algorithm() -> None:
    assert Arm().played(None) == Arm(0.5, 1)
    assert Arm(1.5, 2).played(None, before=0.1) == Arm(2.25, 3)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9)), min_size=1, max_size=6),
    st.floats(0, 1),
)
def test_the_selected_has_the_largest_bound(
    played: list[tuple[float, int]], prior: float
) -> None:
    arms = {str(i): Arm(mean * n, n) for i, (mean, n) in enumerate(played)}
    trials = sum(arm.plays for arm in arms.values())
    bounds = {name: ucb(arm, trials, prior) for name, arm in arms.items()}
    assert bounds[select(arms, dict.fromkeys(arms, prior))] == max(bounds.values())
