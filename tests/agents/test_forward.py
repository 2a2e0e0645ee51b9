"""Selection, inference and the halter: what they see, and what they read."""

import pytest

from ponder import ScriptedModel, Task
from ponder.agents.forward import can_answer, infer, select
from ponder.errors import InvalidParameter
from ponder.messages import Sampling, user
from tests.support.places import paths, place, token

TASK = Task(question="Does it follow that Bo is b?")
KNOWN = ("Bo is a.", "If Bo is a, then Bo is b.", "Bo is c.")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ('{"selection": [2, 1]}', (0, 1)),
        ('{"selection": [1, 1, 99, "2"]}', (0,)),
        ("[3]", (2,)),
        ('{"selection": [1, 2, 3]}', (0, 1)),
    ],
)
async def test_statements_are_selected_by_number(
    said: str, found: tuple[int, ...]
) -> None:
    with ScriptedModel([said]) as model:
        context = place(model)
        assert await select(TASK, KNOWN, context, most=2) == found
    assert set(context.shared.roles) == {"selector"}


@pytest.mark.parametrize("bad", ['{"selection": [4]}', '{"selection": []}', "1 and 2"])
async def test_nothing_else_can_be_selected(bad: str) -> None:
    with ScriptedModel([bad, bad]) as model:
        context = place(model)
        assert await select(TASK, KNOWN, context) is None
    assert paths(context) == ["here", "here/again"]


async def test_the_grammar_holds_only_numbers_that_exist() -> None:
    with ScriptedModel(['{"selection": [1]}']) as model:
        await select(TASK, KNOWN, place(model), sampling=Sampling(temperature=0.7))
    (call,) = model.calls
    assert call.output_schema
    items = call.output_schema["properties"]["selection"]["items"]
    assert items["enum"] == [1, 2, 3]
    assert call.sampling.temperature == 0.7


async def test_it_is_told_what_was_combined_already() -> None:
    with ScriptedModel(['{"selection": [1]}']) as model:
        await select(TASK, KNOWN, place(model), tried=[(0, 1), (2,), (0, 1)])
    asked = model.calls[0].messages[-1].content
    assert "Combined already, so take others: 1 with 2; 3." in asked


async def test_there_must_be_something_to_select() -> None:
    with (
        ScriptedModel() as model,
        pytest.raises(InvalidParameter, match="no statement"),
    ):
        await select(TASK, (), place(model))


async def test_inference_is_one_line_from_the_selection_alone() -> None:
    with ScriptedModel(["Bo is\n b. \n"]) as model:
        context = place(model)
        assert await infer(KNOWN[:2], context) == "Bo is b."
    (call,) = model.calls
    assert len(call.messages) == 1
    prompt = call.messages[0].content
    assert KNOWN[0] in prompt and KNOWN[1] in prompt
    assert KNOWN[2] not in prompt and TASK.question not in prompt


async def test_nothing_inferred_twice_is_none() -> None:
    with ScriptedModel([" ", ""]) as model:
        assert await infer(KNOWN, place(model)) is None


async def test_selection_sees_the_conversation() -> None:
    task = TASK.model_copy(update={"history": (user("Hello."),)})
    with ScriptedModel(['{"selection": [1]}']) as model:
        await select(task, KNOWN, place(model))
    assert model.calls[0].messages[0].content == "Hello."


async def test_the_halter_is_read_from_probabilities() -> None:
    with ScriptedModel([token(Yes=-0.2, No=-1.8)]) as model:
        assert await can_answer(TASK, KNOWN, place(model)) is True
    with ScriptedModel([token(Yes=-1.8, No=-0.2)]) as model:
        assert await can_answer(TASK, KNOWN, place(model)) is False
    with ScriptedModel([token(Hm=-0.1), token(Hm=-0.1)]) as model:
        assert await can_answer(TASK, KNOWN, place(model)) is None
