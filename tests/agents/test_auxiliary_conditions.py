"""Auxiliary conditions: found, without repetition, and recognised where used."""

import pytest

from ponder.agents.auxiliary_conditions import (
    condition_finder,
    independent,
    numbered,
    used,
)
from ponder.errors import InvalidParameter
from ponder.models.scripted import ScriptedModel
from ponder.result import Task
from tests.support.places import paths, place

TASK = Task(question="How many clips?")


async def test_conditions_are_found() -> None:
    model = ScriptedModel(['{"conditions": ["Half of 48 is 24.", "half of 48 is 24"]}'])
    here = place(model)
    found = await condition_finder(b=7)(TASK, here)
    assert found == ("Half of 48 is 24.",)
    prompt = model.calls[0].messages[-1].content
    assert "7 auxiliary conditions" in prompt and TASK.question in prompt
    assert here.shared.roles["planner"].calls == 1


async def test_no_more_than_b_are_kept() -> None:
    model = ScriptedModel(["1. a\n2. b\n3. c"])
    assert await condition_finder(b=2)(TASK, place(model)) == ("a", "b")
    with pytest.raises(InvalidParameter, match="b is 0"):
        condition_finder(b=0)


async def test_unreadable_replies_are_asked_again_then_told() -> None:
    here = place(ScriptedModel(["well", "no"]))
    assert await condition_finder()(TASK, here) == ()
    assert paths(here) == ["here", "here/again"]
    assert any("No auxiliary conditions" in w for w in here.shared.warnings)


def test_repetitions_are_dropped() -> None:
    assert independent(["x = 1", "y = 2", "X = 1.", "x = 12", "y  2"]) == (
        "x = 1",
        "y = 2",
        "x = 12",
    )


def test_marks_of_conditions_are_read() -> None:
    conditions = ["a", "b", "c"]
    assert numbered(conditions) == "[1] a\n[2] b\n[3] c"
    assert used("By [2] and [3, 2] and [9], \\boxed{[1, 2]}.", conditions) == (2, 3)
    assert used("By nothing.", conditions) == ()
