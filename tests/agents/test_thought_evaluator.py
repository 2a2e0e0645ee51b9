import pytest

from ponder import Budget, ScriptedModel, Task
from ponder.agents.thought_evaluator import thought_evaluator
from ponder.errors import OutOfBudget
from ponder.messages import GREEDY, Sampling, assistant, system, user
from tests.support.places import place

TASK = Task(
    question="How long is the wall?",
    history=(system("Metric units."),),
    examples=(user("And the roof?"), assistant("\\boxed{3}")),
    prefill="It is",
)


async def test_a_thought_is_answered_in_view_of_its_graph() -> None:
    with ScriptedModel([" It is 3 m.\n"]) as model:
        context = place(model)
        said = await thought_evaluator()(
            TASK, "North side?", context, background="A house.", strategy="Sum up."
        )
    assert said == "It is 3 m."
    (call,) = model.calls
    # Examples and the beginning of the answer are those of the whole task.
    assert call.messages[:-1] == TASK.history
    assert call.prefill == ""
    asked = call.messages[-1].content
    assert (
        "\nA house.\n\nQuestion:\nNorth side?\n\nIt is asked because: Sum up." in asked
    )
    assert call.sampling == GREEDY
    assert set(context.shared.roles) == {"evaluator"}


async def test_without_background_and_strategy_only_the_question_is_asked() -> None:
    request = thought_evaluator().request(TASK, "North side?")
    asked = request.messages[-1].content
    assert "because" not in asked
    assert "\n\n\n" not in asked


async def test_silence_is_no_answer() -> None:
    with ScriptedModel([" \n"]) as model:
        assert await thought_evaluator()(TASK, "North side?", place(model)) is None


async def test_configuration() -> None:
    make = thought_evaluator(
        sampling=Sampling(temperature=1.0),
        max_tokens=9,
        prompt="{question}{background}{strategy}",
    )
    request = make.request(TASK, "North side?")
    assert (request.max_tokens, request.sampling.temperature) == (9, 1.0)
    assert request.messages[-1].content == "North side?"


async def test_out_of_budget_is_told() -> None:
    context = place(ScriptedModel(), budget=Budget(tokens=5))
    with pytest.raises(OutOfBudget):
        await thought_evaluator()(TASK, "North side?", context)
