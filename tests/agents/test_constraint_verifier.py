import gc
import json

import pytest

from ponder import (
    Budget,
    Candidate,
    Capabilities,
    Journal,
    ScriptedModel,
    Task,
    Verdict,
    asolve,
    strategy,
)
from ponder.agents.constraint_verifier import constraint_verifier
from ponder.concurrency import settle
from ponder.context import Verifier
from ponder.errors import InvalidParameter, ModelUnreachable, OutOfBudget
from ponder.messages import Request
from ponder.models.scripted import Reply, When
from tests.support.places import paths, place

TASK = Task(question="Plan 2 days in Rome.")
PLAN = Candidate(id="c", text="Day 1: Colosseum.", answer=None)
LIST = '{"constraints": ["two days", "Rome"]}'


def reply(score: float, feedback: str = "Day 2 is missing.") -> str:
    return json.dumps({"feedback": feedback, "score": score})


def every(request: Request) -> bool:
    return True


def extracting(request: Request) -> bool:
    return "Do not solve it" in request.messages[-1].content


@pytest.mark.parametrize(
    ("score", "passed"), [(94, False), (95, True), (-100, False), (100, True)]
)
async def test_the_verdict_is_on_the_scale_from_zero_to_one(
    score: int, passed: bool
) -> None:
    check = constraint_verifier(constraints=["two days"])
    with ScriptedModel([reply(score)]) as model:
        context = place(model)
        assert await check.verify(TASK, PLAN, context) == Verdict(
            score=(score + 100) / 200, passed=passed, feedback="Day 2 is missing."
        )
    (call,) = model.calls
    assert call.output_schema is not None
    assert call.sampling.temperature == 0
    for part in ("1. two days", PLAN.text, TASK.question, "below 95"):
        assert part in call.messages[-1].content
    assert set(context.shared.roles) == {"verifier"}


async def test_the_threshold_can_be_chosen() -> None:
    check = constraint_verifier(constraints=(), threshold=0)
    with ScriptedModel([reply(0)]) as model:
        verdict = await check.verify(TASK, PLAN, place(model))
    assert verdict.passed is True
    with pytest.raises(InvalidParameter, match="from -100 to 100"):
        constraint_verifier(threshold=101)


async def test_unreadable_twice_is_no_score_and_never_zero() -> None:
    check = constraint_verifier(constraints=["two days"])
    with ScriptedModel(["Fine.", "Fine, I said."]) as model:
        context = place(model)
        verdict = await check.verify(TASK, PLAN, context)
    assert (verdict.score, verdict.passed) == (None, None)
    assert paths(context) == ["here", "here/again"]


async def test_asked_again_it_is_read() -> None:
    check = constraint_verifier(constraints=["two days"])
    with ScriptedModel(["Fine.", "Score: 97"], capabilities=Capabilities()) as model:
        context = place(model)
        verdict = await check.verify(TASK, PLAN, context)
    assert verdict.passed is True
    assert verdict.score == pytest.approx(0.985)
    assert {n.missing for n in context.shared.substitutes.values()} == {"output_schema"}


async def test_constraints_are_extracted_once_for_a_run() -> None:
    check = constraint_verifier()
    with ScriptedModel(
        rules=[(extracting, LIST), (lambda request: True, reply(50))], delay=0.01
    ) as model:
        context = place(model)
        verdicts = await settle(
            [check.verify(TASK, PLAN, context.at("judge", i)) for i in range(3)]
        )
    assert [isinstance(v, Verdict) for v in verdicts] == [True] * 3
    assert [extracting(call) for call in model.calls] == [True, False, False, False]
    assert "1. two days\n2. Rome" in model.calls[-1].messages[-1].content
    # A place that does not depend on who came first.
    assert paths(context)[0].startswith("constraints/")
    assert set(context.shared.roles) == {"constraints", "verifier"}


async def test_each_run_and_each_question_has_its_own_constraints() -> None:
    check = constraint_verifier()
    other = Task(question="Plan a day in Oslo.")
    rules = [(extracting, LIST), (lambda request: True, reply(50))]
    with ScriptedModel(rules=rules) as model:
        first, second = place(model), place(model)
        await check.verify(TASK, PLAN, first.at(0))
        await check.verify(other, PLAN, first.at(1))
        await check.verify(TASK, PLAN, second.at(0))
        assert sum(map(extracting, model.calls)) == 3
    assert len(check.runs) == 3
    del first, second
    gc.collect()
    assert check.runs == {}


async def test_two_verifiers_in_a_run_do_not_collide() -> None:
    rules = [(extracting, LIST), (lambda request: True, reply(50))]
    with ScriptedModel(rules=rules) as model:
        context = place(model)
        for i in range(2):
            await constraint_verifier().verify(TASK, PLAN, context.at(i))
    assert sum(map(extracting, model.calls)) == 2


async def test_without_constraints_the_question_alone_counts() -> None:
    check = constraint_verifier()
    with ScriptedModel(["Rome!", "Rome!", reply(50)]) as model:
        context = place(model)
        verdict = await check.verify(TASK, PLAN, context)
    assert verdict.score == 0.75
    assert "none are listed" in model.calls[-1].messages[-1].content
    assert len(context.shared.warnings) == 1


async def test_who_extracts_may_fail_and_all_are_checked_alike() -> None:
    check = constraint_verifier()
    down = ModelUnreachable("gone")
    rules: list[tuple[When, Reply]] = [(extracting, down), (every, reply(50))]
    with ScriptedModel(rules=rules) as model:
        context = place(model)
        for i in range(2):
            assert (await check.verify(TASK, PLAN, context.at(i))).score == 0.75
    assert [extracting(call) for call in model.calls] == [True, False, False]
    assert context.shared.warnings == ["gone"]


@pytest.mark.parametrize("calls", [0, 1])
async def test_out_of_budget_passes_through_each_time(calls: int) -> None:
    check = constraint_verifier()
    with ScriptedModel(rules=[(extracting, LIST)]) as model:
        context = place(model, budget=Budget(calls=calls))
        for i in range(2):
            with pytest.raises(OutOfBudget):
                await check.verify(TASK, PLAN, context.at(i))


async def test_it_is_the_verifier_of_a_whole_run() -> None:
    check: Verifier = constraint_verifier()
    with ScriptedModel(
        ["\\boxed{A}", "\\boxed{B}", LIST, reply(-20), reply(96)]
    ) as model:
        result = await asolve(
            TASK.question,
            strategy=strategy("best_of_n", {"n": 2}),
            model=model,
            verifier=check,
            journal=Journal(":memory:"),
        )
    assert result.answer == "B"
    assert result.verdict == Verdict(
        score=0.98, passed=True, feedback="Day 2 is missing."
    )
    assert set(result.roles) == {"generator", "constraints", "verifier"}


def test_it_names_its_model() -> None:
    assert constraint_verifier().name == "constraints"
    with ScriptedModel(name="strict") as model:
        assert constraint_verifier(model=model).name == "constraints:strict"
