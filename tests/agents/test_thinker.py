"""One thought for a prompt, and what is read out of it."""

import pytest

from ponder.agents.thinker import answer_in, thinker
from ponder.errors import InvalidInput
from ponder.graphs.base import strategy
from ponder.messages import Sampling, system, user
from ponder.models.scripted import ScriptedModel
from ponder.result import Task
from tests.support.places import place

TASK = Task(question="Q", history=(user("before"),))


async def test_the_prompt_takes_the_place_of_the_question() -> None:
    model = ScriptedModel(["It is \\boxed{42}."])
    think = thinker(
        instructions="Be brief.", sampling=Sampling(temperature=0.3), max_tokens=9
    )
    thought = await think(TASK, "P", place(model))
    assert (thought.id, thought.answer) == ("here", "42")
    (request,) = model.calls
    assert request.messages == (system("Be brief."), user("before"), user("P"))
    assert (request.max_tokens, request.sampling.temperature) == (9, 0.3)


async def test_a_strategy_in_the_place_of_the_model_keeps_its_instructions() -> None:
    model = ScriptedModel(["\\boxed{42}"])
    here = place(strategy("direct").as_model(model))
    await thinker(instructions="Be brief.")(TASK, "P", here)
    assert all("Be brief" not in m.content for m in model.calls[0].messages)


def test_a_reader_returns_text_or_none() -> None:
    assert answer_in("abc", str.upper) == "ABC"
    assert answer_in("abc", lambda text: None) is None
    with pytest.raises(InvalidInput, match="returned 3: let it return a text"):
        answer_in("abc", len)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="raised ValueError"):
        answer_in("abc", lambda text: str(int(text)))
