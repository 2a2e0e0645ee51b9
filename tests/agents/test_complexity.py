import math

import pytest

from ponder import ScriptedModel
from ponder.agents.complexity import complexity_judge
from tests.support.places import paths, place, token


async def test_the_probability_of_yes_is_the_complexity() -> None:
    likely = token(Yes=math.log(0.6), No=math.log(0.2), Maybe=math.log(0.2))
    with ScriptedModel([likely]) as model:
        context = place(model)
        found = await complexity_judge()(
            "How long is the wall?", context, background="A house."
        )
    assert found == pytest.approx(0.75)
    (call,) = model.calls
    asked = call.messages[-1].content
    assert "\nA house.\n" in asked
    assert "To be decided:\nHow long is the wall?" in asked
    assert set(context.shared.roles) == {"complexity judge"}


@pytest.mark.parametrize(("said", "expected"), [("Yes.", 1.0), (" no", 0.0)])
async def test_without_probabilities_one_reply_decides_as_in_the_paper(
    said: str, expected: float
) -> None:
    with ScriptedModel([said]) as model:
        context = place(model)
        assert await complexity_judge()("How long?", context) == expected
    (note,) = context.shared.substitutes.values()
    assert note.missing == "logprobs"


async def test_a_check_that_cannot_be_read_twice_is_none() -> None:
    with ScriptedModel(["Perhaps", "Perhaps"]) as model:
        context = place(model)
        assert await complexity_judge()("How long?", context) is None
    assert paths(context) == ["here/vote/0", "here/again/vote/0"]


async def test_configuration() -> None:
    with (
        ScriptedModel(name="run") as other,
        ScriptedModel(["Yes", "Yes", "No"]) as model,
    ):
        judge = complexity_judge(model=model, votes=3, prompt="{question}{background}")
        found = await judge("How long?", place(other))
    assert found == pytest.approx(2 / 3)
    assert model.calls[0].messages[-1].content == "How long?"
