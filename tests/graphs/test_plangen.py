"""PlanGEN: its machine, its choices, its reward and how it ends."""

import json
import math
import random
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from ponder.agents.verifier import Check
from ponder.budget import Budget
from ponder.drawing import text_tree
from ponder.errors import InvalidParameter, ModelUnreachable
from ponder.graphs.base import describe, strategy
from ponder.graphs.plangen import PlanGEN
from ponder.graphs.rebase import Rebase
from ponder.graphs.tree_of_thoughts import TreeOfThoughts
from ponder.journal import Journal
from ponder.messages import Request
from ponder.models.scripted import Reply, ScriptedModel
from ponder.result import Candidate, Result, StopReason, Task, Verdict
from ponder.run import asolve
from ponder.thoughts import Thought, ThoughtGraph

EXAMPLE = Path(__file__).parents[2] / "examples" / "plan_a_trip.py"
QUESTION = "Plan 2 days in Rome."
CONSTRAINTS = json.dumps({"constraints": ["Two days.", "Only in Rome."]})
NAMES = ("best_of_n", "tree_of_thoughts", "rebase")
SMALL: dict[str, Any] = {"n": 1, "k": 1, "b": 1, "t": 1, "width": 1}
"""Every algorithm writes one plan, in one step."""
AGAIN = "Solve the problem anew"

Script = dict[str, Reply]


def rated(**priors: int) -> str:
    return json.dumps({name: priors.get(name, 50) for name in NAMES})


def verdict(score: int, feedback: str = "Too late.") -> str:
    return json.dumps({"feedback": feedback, "score": score})


def whole(request: Request) -> str:
    """Write one plan for best-of-N, and another one step by step."""
    stepwise = "short steps" in request.messages[0].content
    return f"Plan {'S' if stepwise else 'W'}: \\boxed{{{'S' if stepwise else 'W'}}}"


def judging(**scores: int) -> Reply:
    """Give the score of the last of these words that a solution has."""

    def verify(request: Request) -> str:
        asked = request.messages[-1].content.partition("Proposed solution:")[2]
        asked = asked.partition("Go through")[0]
        return verdict([s for word, s in scores.items() if word in asked][-1])

    return verify


ALIKE, LOW, MIDDLING = rated(), verdict(20), verdict(50)


def model(
    *,
    verify: Reply = LOW,
    step: Reply = MIDDLING,
    ratings: Reply = ALIKE,
    constraints: Reply = CONSTRAINTS,
    plan: Reply = whole,
) -> ScriptedModel:
    """Return a model with an answer for each role."""
    return ScriptedModel(
        rules=[
            ("Write down every constraint", constraints),
            ("Rate how suitable", ratings),
            ("Check a proposed solution", verify),
            ("Check the beginning of a solution", step),
            (lambda request: True, plan),
        ]
    )


async def run(
    scripted: ScriptedModel,
    verifier: Check | None = None,
    budget: Budget | None = None,
    **parameters: Any,
) -> Result:
    return await asolve(
        QUESTION,
        strategy=PlanGEN(**(SMALL | parameters)),
        model=scripted,
        verifier=verifier,
        budget=budget or Budget(),
        journal=Journal(":memory:"),
    )


def asked(scripted: ScriptedModel, part: str) -> list[str]:
    """Return the last messages of the calls that contain a text."""
    said = [call.messages[-1].content for call in scripted.calls]
    return [text for text in said if part in text]


def thoughts(result: Result) -> dict[str, Thought]:
    graph = ThoughtGraph.from_json(result.graph)
    return {id: graph.thought(id) for id in graph.graph}


def chosen(result: Result) -> list[str]:
    """Return the algorithm of each try."""
    found = thoughts(result)
    return [found[f"try/{i}"].label for i in range(9) if f"try/{i}" in found]


# -- the machine -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "threshold", "reason", "tries"),
    [
        (95, 95, StopReason.VERIFIED, 1),
        (94, 95, StopReason.FINISHED, 3),
        (94, 90, StopReason.VERIFIED, 1),
    ],
)
async def test_a_plan_is_accepted_from_the_threshold_on(
    score: int, threshold: float, reason: StopReason, tries: int
) -> None:
    scripted = model(verify=verdict(score))
    result = await run(scripted, threshold=threshold, max_iterations=3)
    assert result.stop_reason is reason
    assert len(chosen(result)) == tries
    assert result.answer == "W"
    assert result.confidence == pytest.approx((score + 100) / 200)
    assert result.verdict is not None
    assert result.verdict.passed is (reason is StopReason.VERIFIED)


async def test_constraints_are_extracted_once_and_verified_against() -> None:
    scripted = model()
    await run(scripted, max_iterations=3)
    assert len(asked(scripted, "Write down every constraint")) == 1
    checks = asked(scripted, "Check a proposed solution")
    assert len(checks) == 3
    assert all("1. Two days.\n2. Only in Rome." in check for check in checks)


async def test_a_bad_plan_brings_its_feedback_and_another_algorithm() -> None:
    scripted = model(verify=verdict(-60, "The museum is closed."))
    result = await run(scripted, max_iterations=2)
    first, second = chosen(result)
    assert first != second
    (plan,) = asked(scripted, AGAIN)
    assert plan.startswith(QUESTION)
    assert "Plan W" in plan
    assert "The museum is closed." in plan
    assert "The museum is closed." in asked(scripted, "Rate how suitable")[1]


async def test_verification_sees_the_question_as_it_was_asked() -> None:
    scripted = model()
    await run(scripted, max_iterations=4)
    checks = asked(scripted, "Check ")
    assert checks
    assert not any(AGAIN in check for check in checks)


async def test_the_best_plan_of_all_tries_is_the_answer() -> None:
    def verify(request: Request) -> str:
        return verdict(40 if "Plan S" in request.messages[-1].content else 10)

    result = await run(model(verify=verify), max_iterations=3)
    assert result.stop_reason is StopReason.FINISHED
    assert (result.answer, result.confidence) == ("S", 0.7)
    assert len(result.candidates) == 3
    ids = [c.id for c in result.candidates]
    assert len(set(ids)) == 3
    assert {id.split("/")[1] for id in ids} == {"0", "1", "2"}


# -- the choice ------------------------------------------------------------------------


async def test_the_priors_say_where_to_begin() -> None:
    scripted = model(ratings=rated(rebase=90, tree_of_thoughts=70, best_of_n=10))
    result = await run(scripted, max_iterations=3)
    assert chosen(result) == ["rebase", "tree_of_thoughts", "best_of_n"]


WEIGHTS: dict[str, Any] = {
    "lambda_prior": 2.0,
    "alpha_diversity": 0.4,
    "alpha_recovery": 0.7,
}
PRIORS = {"best_of_n": 0.9, "tree_of_thoughts": 0.1, "rebase": 0.3}
SCORES = {"best_of_n": 0.35, "tree_of_thoughts": 0.8, "rebase": 0.8}


def expected_choices(tries: int) -> list[str]:
    """Follow the rule of Parmar et al. 2025 by hand."""
    reward, plays, better = (dict.fromkeys(NAMES, 0.0) for _ in range(3))
    made: list[str] = []
    before: float | None = None
    for trial in range(tries):
        bonus = {
            a: WEIGHTS["lambda_prior"] / (1 + trial) * PRIORS[a]
            + WEIGHTS["alpha_diversity"] / (plays[a] + 1)
            + WEIGHTS["alpha_recovery"] * (better[a] / plays[a] if plays[a] else 0)
            for a in NAMES
        }
        mean = {a: reward[a] / plays[a] if plays[a] else math.inf for a in NAMES}
        explored = {
            a: math.sqrt(2 * math.log(trial + 1) / plays[a]) if plays[a] else math.inf
            for a in NAMES
        }
        best = max(NAMES, key=lambda a: (mean[a] + explored[a] + bonus[a], bonus[a]))
        made.append(best)
        score = SCORES[best]
        better[best] += before is not None and score > before
        reward[best], plays[best], before = (
            reward[best] + score,
            plays[best] + 1,
            score,
        )
    return made


async def test_the_choice_is_that_of_the_formula() -> None:
    def verify(request: Request) -> str:
        return verdict(60 if "Plan S" in request.messages[-1].content else -30)

    priors = {name: int(100 * prior) for name, prior in PRIORS.items()}
    scripted = model(verify=verify, ratings=rated(**priors))
    result = await run(scripted, max_iterations=8, **WEIGHTS)
    made = chosen(result)
    assert made == expected_choices(8)
    assert made[:3] != made[3:6]
    shown = thoughts(result)["try/3/UCB"].data
    assert shown["best_of_n"]["ucb"] == pytest.approx(
        0.35 + math.sqrt(2 * math.log(4)) + 2.0 / 4 * 0.9 + 0.4 / 2
    )


@pytest.mark.parametrize("variant", NAMES)
async def test_a_fixed_variant_is_one_algorithm_without_a_selector(
    variant: str,
) -> None:
    scripted = model()
    result = await run(scripted, variant=variant, max_iterations=2)
    assert chosen(result) == [variant, variant]
    assert not asked(scripted, "Rate how suitable")
    assert "try/0/UCB" not in thoughts(result)
    (again,) = asked(scripted, AGAIN)
    assert "Too late." in again


# -- the reward ------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["tree_of_thoughts", "rebase"])
async def test_the_verification_agent_scores_steps(variant: str) -> None:
    def plan(request: Request) -> str:
        return "So \\boxed{1}." if "Day 1" in request.prefill else "Day 1: walk."

    def step(request: Request) -> str:
        assert "Day 1: walk." in request.messages[-1].content
        return verdict(-100)

    scripted = model(plan=plan, step=step, verify=verdict(100))
    result = await run(scripted, variant=variant, k=2, width=2, t=2, max_iterations=1)
    assert len(asked(scripted, "Check the beginning")) == 2
    assert result.stop_reason is StopReason.VERIFIED
    # A beginning is never accepted, whatever is said of it.
    assert all(c.answer == "1" for c in result.candidates)
    assert thoughts(result)["try/0/node/1"].score == 0


async def test_best_of_n_takes_what_is_verified_best() -> None:
    plans = iter("ABCDE")

    def plan(request: Request) -> str:
        return f"Plan \\boxed{{{next(plans)}}}"

    def verify(request: Request) -> str:
        return verdict(60 if "boxed{C}" in request.messages[-1].content else 0)

    scripted = model(plan=plan, verify=verify)
    result = await run(scripted, variant="best_of_n", n=5, max_iterations=1)
    assert result.answer == "C"
    assert [c.answer for c in result.candidates] == list("ABCDE")
    # What best-of-N verified is not verified again.
    assert len(asked(scripted, "Check a proposed solution")) == 5
    samples = [c for c in scripted.calls if c.messages[-1].content == QUESTION]
    assert {c.sampling.temperature for c in samples} == {0.7}


async def test_what_cannot_be_read_is_no_score() -> None:
    result = await run(model(verify="Fine."), max_iterations=4, alpha_recovery=9.0)
    assert result.answer
    assert [c.verdict.score for c in result.candidates if c.verdict] == [None] * 4
    assert result.stop_reason is StopReason.FINISHED
    shown = thoughts(result)["try/3/UCB"].data
    assert [shown[name]["reward"] for name in NAMES] == [0.5, 0.5, 0.5]
    assert not any("feedback" in id for id in thoughts(result))


async def test_the_users_verifier_judges_plans_and_the_agent_gives_feedback() -> None:
    seen: list[Candidate] = []

    def check(task: Task, candidate: Candidate) -> bool:
        assert task.question == QUESTION
        seen.append(candidate)
        return candidate.answer == "S"

    scripted = model(verify=verdict(100, "Add the second day."))
    result = await run(scripted, check, max_iterations=3)
    assert (result.answer, result.stop_reason) == ("S", StopReason.VERIFIED)
    assert len(seen) == 2
    assert len(asked(scripted, "Check a proposed solution")) == 1
    assert "Add the second day." in asked(scripted, AGAIN)[0]


async def test_feedback_of_the_users_verifier_needs_no_agent() -> None:
    def check(task: Task, candidate: Candidate) -> Verdict:
        return Verdict(score=0.1, passed=False, feedback="One day is missing.")

    scripted = model()
    await run(scripted, check, max_iterations=2)
    assert not asked(scripted, "Check a proposed solution")
    assert "One day is missing." in asked(scripted, AGAIN)[0]


async def test_the_users_verifier_is_not_asked_about_beginnings() -> None:
    def plan(request: Request) -> str:
        return "So \\boxed{1}." if "Day 1" in request.prefill else "Day 1: walk."

    def check(task: Task, candidate: Candidate) -> bool:
        return candidate.answer is not None

    scripted = model(plan=plan)
    result = await run(scripted, check, variant="rebase", width=2)
    assert len(asked(scripted, "Check the beginning")) == 2
    assert result.stop_reason is StopReason.VERIFIED


async def test_a_plan_without_a_marked_answer_can_be_accepted() -> None:
    def check(task: Task, candidate: Candidate) -> Verdict:
        return Verdict(passed="Forum" in candidate.text)

    result = await run(model(plan="Day 1: Forum."), check, variant="best_of_n")
    assert (result.answer, result.text) == (None, "Day 1: Forum.")
    assert result.stop_reason is StopReason.VERIFIED


async def test_the_best_plan_is_the_outcome_where_none_has_a_marked_answer() -> None:
    plans = iter(["Day 1: Forum, then the Vatican, then the bus.", "Day 1: Forum."])
    verify = judging(Forum=10, Vatican=-9)
    scripted = model(plan=lambda request: next(plans), verify=verify)
    result = await run(scripted, variant="best_of_n", n=2, max_iterations=1)
    assert (result.answer, result.text) == (None, "Day 1: Forum.")
    assert result.confidence == pytest.approx(0.55)


async def test_a_verifier_that_raises_leaves_plans_unscored() -> None:
    def check(task: Task, candidate: Candidate) -> bool:
        raise RuntimeError("no calendar")

    scripted = model()
    result = await run(scripted, check, variant="best_of_n", max_iterations=2)
    assert result.answer == "W"
    assert any("no calendar" in warning for warning in result.warnings)
    assert not any("no calendar" in text for text in asked(scripted, AGAIN))


# -- failures and budgets --------------------------------------------------------------


async def test_a_failure_of_the_agents_is_a_warning() -> None:
    down = ModelUnreachable("The agent is down.")
    scripted = model(constraints=down, ratings=down, verify=verdict(100))
    result = await run(scripted)
    assert (result.answer, result.stop_reason) == ("W", StopReason.VERIFIED)
    assert result.warnings == ("The agent is down.",)
    assert "(none are listed" in asked(scripted, "Check a proposed solution")[0]


async def test_the_failure_of_the_plans_is_the_error() -> None:
    agent = ModelUnreachable("The agent is down.")
    plans = ModelUnreachable("Out of memory.")
    with pytest.raises(ModelUnreachable, match=r"Out of memory\."):
        await run(model(constraints=agent, plan=plans), max_iterations=2)


@pytest.mark.parametrize("tokens", [2200, 2600, 3000])
async def test_best_of_n_keeps_enough_back_for_its_verdicts(tokens: int) -> None:
    letters = iter("ABBBB")
    plan = " ".join(["word"] * 300)
    scripted = model(
        plan=lambda request: f"{plan} \\boxed{{{next(letters)}}}",
        verify=judging(A=100, B=-50),
    )
    budget = Budget(tokens=tokens)
    result = await run(scripted, None, budget, variant="best_of_n", n=5, max_tokens=350)
    assert result.answer == "A"


async def test_a_failed_try_is_followed_by_another_algorithm() -> None:
    def plan(request: Request) -> str | Exception:
        stepwise = "short steps" in request.messages[0].content
        return "\\boxed{S}" if stepwise else ModelUnreachable("Down.")

    result = await run(model(plan=plan, verify=verdict(100)))
    assert chosen(result) == ["best_of_n", "tree_of_thoughts"]
    assert result.answer == "S"


@pytest.mark.parametrize("calls", range(1, 16))
async def test_it_ends_with_its_best_plan_when_the_budget_ends(calls: int) -> None:
    def verify(request: Request) -> str:
        return verdict(40 if "Plan S" in request.messages[-1].content else 10)

    scripted = model(verify=verify)
    result = await run(scripted, budget=Budget(calls=calls), max_iterations=9)
    assert len(scripted.calls) == result.usage.calls <= calls
    assert result.stop_reason is StopReason.CALLS
    scores = [c.verdict.score or 0 for c in result.candidates if c.verdict]
    assert result.answer == ("S" if 0.7 in scores else "W")
    assert len({c.id for c in result.candidates}) == len(result.candidates)


async def test_without_room_for_the_agents_there_is_still_a_plan() -> None:
    scripted = model()
    result = await run(scripted, budget=Budget(tokens=120))
    assert not asked(scripted, "Write down every constraint")
    assert result.answer == "W"
    assert any("no room to extract" in warning for warning in result.warnings)


# -- what is shown ---------------------------------------------------------------------


async def test_constraints_choices_and_scores_are_in_the_thoughts() -> None:
    scripted = model(verify=verdict(20, "Too late."), constraints=CONSTRAINTS)
    result = await run(scripted, max_iterations=3)
    found = thoughts(result)
    assert found["constraints/2"].label == "Only in Rome."
    assert found["try/0"].score == pytest.approx(0.6)
    assert found["try/0/feedback"].label == "Too late."
    assert "tree_of_thoughts inf" in found["try/0/UCB"].label
    graph = ThoughtGraph.from_json(result.graph)
    assert set(graph.graph.successors("question")) == {
        "constraints", "try/0", "try/1", "try/2"
    }  # fmt: skip
    drawn = text_tree(graph, 80).splitlines()
    assert max(map(len, drawn)) <= 80


def test_it_has_every_parameter_of_the_paper() -> None:
    parameters = describe(PlanGEN)["parameters"]
    stated = {
        "variant": "mixture",
        "threshold": 95,
        "n": 5,
        "k": 3,
        "width": 10,
        "shrink": 1,
        "temperature": 0.7,
    }
    assert {name: parameters[name]["default"] for name in stated} == stated
    assert parameters.keys() >= set(WEIGHTS)
    assert all(p["description"] for p in parameters.values())


def test_parameters_reach_the_algorithms() -> None:
    made = PlanGEN(max_tokens=300, step_tokens=40, delimiter="\n").algorithms
    tree, rebase = made["tree_of_thoughts"], made["rebase"]
    assert isinstance(tree, TreeOfThoughts) and isinstance(rebase, Rebase)
    assert (tree.k, rebase.n, rebase.shrink) == (3, 10, 1)
    for search in (tree, rebase):
        assert search.scorer == "verifier"
        assert search.stop_at == pytest.approx(0.975)
        assert (search.max_tokens, search.step_tokens) == (300, 40)
        assert search.delimiter == "\n"


@pytest.mark.parametrize(
    "parameters", [{"threshold": 101}, {"variant": "beam"}, {"max_iterations": 0}]
)
def test_impossible_parameters_are_named(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(parameters))):
        strategy("plangen", parameters)


def test_the_example_plans_a_trip(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    random.seed(1)
    lines = EXAMPLE.read_text().splitlines()
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    answer, reason, _ = capsys.readouterr().out.splitlines()
    assert (answer, reason) == ("Venice 1-2, Florence 3-4, Rome 5-7", "verified")
    assert len(lines) < 40
