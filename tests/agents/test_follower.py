"""Solving along a structure."""

import pytest

from ponder.agents.answers import extract
from ponder.agents.discoverer import Step
from ponder.agents.follower import answer_in, follower
from ponder.models.base import Capabilities
from ponder.models.scripted import ScriptedModel
from ponder.result import Task
from tests.support.places import place

TASK = Task(question="Add 1 and 2.")
STEPS = (Step(name="Given", do="the numbers"), Step(name="Final_Answer", do="it"))
FILLED = '{"Given": "1, 2", "final_answer": "3"}'


async def test_the_structure_is_filled_in() -> None:
    model = ScriptedModel([FILLED], capabilities=Capabilities(seed=True))
    here = place(model)
    solution = await follower()(TASK, STEPS, here)
    assert solution.answer == extract(solution.text) == "3"
    assert solution.text.startswith(FILLED)
    prompt = model.calls[0].messages[-1].content
    assert TASK.question in prompt and '"Given": "the numbers"' in prompt
    assert model.calls[0].output_schema is None
    assert any(missing == "output_schema" for missing, _ in here.shared.substitutes)


async def test_a_schema_holds_its_keys_in_their_order() -> None:
    held = Capabilities(output_schema=True, seed=True)
    model = ScriptedModel([FILLED], capabilities=held)
    await follower()(TASK, STEPS, place(model))
    schema = model.calls[0].output_schema
    assert schema is not None
    assert list(schema["properties"]) == schema["required"] == ["Given", "final_answer"]


async def test_it_can_be_followed_in_words() -> None:
    held = Capabilities(output_schema=True, seed=True)
    model = ScriptedModel(["1 + 2, so \\boxed{3}"], capabilities=held)
    solution = await follower(form="text")(TASK, STEPS, place(model))
    assert solution.answer == "3"
    assert model.calls[0].output_schema is None
    assert "in words" in model.calls[0].messages[-1].content


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"final_answer": " 3 "}', "3"),
        ('{"final_answer": 3.5}', "3.5"),
        ('{"final_answer": "The answer is 3."}', "3"),
        ('{"final_answer": ""}', None),
        ('{"final_answer": null}', None),
        ('{"Given": "cut o', None),
        ("Nonetheless, the answer is 3.", "3"),
    ],
)
def test_answers_are_read(text: str, answer: str | None) -> None:
    assert answer_in(text) == answer
