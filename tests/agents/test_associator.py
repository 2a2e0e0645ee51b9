import pytest

from ponder import Capabilities, ScriptedModel, Task
from ponder.agents.associator import SEARCH_PROMPT, association_quality, associator
from tests.support.places import paths, place, token

TASK = Task(question="Who founded the club that Ada Moe coaches?")
associate = associator()


async def test_it_says_what_is_missing() -> None:
    with ScriptedModel(["Roma was\nfounded in 1927."]) as model:
        context = place(model)
        said = await associate(TASK, "She coaches Roma.", context)
    assert said == "Roma was founded in 1927."
    (call,) = model.calls
    assert "She coaches Roma." in call.messages[-1].content
    assert TASK.question in call.messages[-1].content
    assert set(context.shared.roles) == {"associator"}


async def test_it_can_ask_for_a_search() -> None:
    with ScriptedModel(["Roma founder"]) as model:
        search = associator(prompt=SEARCH_PROMPT)
        assert await search(TASK, "", place(model)) == "Roma founder"
    assert "search query" in model.calls[0].messages[-1].content
    assert "(none)" in model.calls[0].messages[-1].content


@pytest.mark.parametrize("said", ["nothing", "Nothing.", '"nothing"', "None"])
async def test_nothing_is_missing(said: str) -> None:
    with ScriptedModel([said]) as model:
        context = place(model)
        assert await associate(TASK, "x", context) == ""
    assert not context.shared.warnings


async def test_silence_is_asked_again_and_told() -> None:
    with ScriptedModel([" ", ""]) as model:
        context = place(model)
        assert await associate(TASK, "x", context) == ""
    assert paths(context) == ["here", "here/again"]
    assert context.shared.warnings == ["The associator said nothing, twice."]


async def test_quality_is_the_probability_of_yes() -> None:
    # ln 0.6 and ln 0.2: 0.6 / (0.6 + 0.2)
    with ScriptedModel([token(Yes=-0.5108256, No=-1.6094379)]) as model:
        score = await association_quality(TASK, "x", "Roma is old.", place(model))
    assert score == pytest.approx(0.75, abs=1e-6)
    assert "Roma is old." in model.calls[0].messages[-1].content


async def test_quality_that_cannot_be_read_is_no_zero() -> None:
    silent = ScriptedModel(["Maybe"] * 4, capabilities=Capabilities(seed=True))
    with silent as model:
        context = place(model)
        assert await association_quality(TASK, "x", "y", context, votes=2) is None
    assert [s[0] for s in context.shared.substitutes] == ["logprobs"]
