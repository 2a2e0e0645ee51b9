import pytest

from ponder import Budget, Candidate, ScriptedModel, Task, Verdict
from ponder.agents.critic import critic, criticise
from ponder.errors import OutOfBudget
from tests.support.places import paths, place

TASK = Task(question="What is 2 + 2?")
WRONG = Candidate(id="c", text="2 + 2 is 5.", answer="5")
VERDICT = Verdict(score=0.25, passed=False, feedback="Too large.")


async def test_feedback_knows_solution_and_verdict() -> None:
    with ScriptedModel(["  Add again.\n"]) as model:
        context = place(model)
        assert await criticise(TASK, WRONG, context, VERDICT) == "Add again."
    asked = model.calls[0].messages[-1].content
    for part in (TASK.question, WRONG.text, "not accepted. score 0.25 of 1. Too large"):
        assert part in asked
    assert set(context.shared.roles) == {"critic"}


@pytest.mark.parametrize("verdict", [None, Verdict()])
async def test_without_a_verdict_none_is_mentioned(verdict: Verdict | None) -> None:
    with ScriptedModel(["Add again."]) as model:
        await criticise(TASK, WRONG, place(model), verdict)
    assert "A verifier said" not in model.calls[0].messages[-1].content


async def test_nothing_said_is_asked_again() -> None:
    with ScriptedModel([" ", "Add again."]) as model:
        context = place(model)
        assert await criticise(TASK, WRONG, context) == "Add again."
    assert paths(context) == ["here", "here/again"]


@pytest.mark.parametrize(("verdict", "left"), [(VERDICT, "Too large."), (None, "")])
async def test_nothing_said_twice_leaves_the_verdict(
    verdict: Verdict | None, left: str
) -> None:
    with ScriptedModel(["", ""]) as model:
        context = place(model)
        assert await criticise(TASK, WRONG, context, verdict) == left
    assert context.shared.warnings == ["The critic said nothing, twice."]


async def test_prompt_and_limit_can_be_chosen() -> None:
    say = critic(prompt="Wrong with {solution}?{verdict}", max_tokens=2)
    with ScriptedModel(["Add it up again."]) as model:
        assert await say(TASK, WRONG, place(model)) == "Add it"
    assert model.calls[0].messages[-1].content == "Wrong with 2 + 2 is 5.?"


async def test_out_of_budget_passes_through() -> None:
    with ScriptedModel() as model:
        with pytest.raises(OutOfBudget):
            await criticise(TASK, WRONG, place(model, budget=Budget(calls=0)))
