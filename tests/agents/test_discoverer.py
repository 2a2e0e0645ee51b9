"""Select, adapt, implement."""

import json

import pytest

from ponder.agents.discoverer import (
    EXAMPLE,
    Step,
    discoverer,
    numbers_in,
    shown,
    steps_in,
)
from ponder.agents.reasoning_modules import MODULES
from ponder.errors import InvalidParameter
from ponder.models.base import Capabilities
from ponder.models.scripted import ScriptedModel
from tests.support.places import paths, place

PLAN = '{"steps": [{"name": "Given", "do": "numbers"}, {"name": "Sum", "do": "add"}]}'


async def test_three_calls_make_a_structure() -> None:
    model = ScriptedModel(['{"modules": [3, 1, 3]}', '{"modules": ["A", "B"]}', PLAN])
    here = place(model)
    found = await discoverer(most=2)(["Add 1 and 2.", "Add 3 and 4."], here)
    assert found.selected == (MODULES[2], MODULES[0])
    assert found.adapted == ("A", "B")
    assert found.steps == (Step(name="Given", do="numbers"), Step(name="Sum", do="add"))
    assert found.whole
    assert paths(here) == ["here/select", "here/adapt", "here/implement"]
    select, adapt, implement = (r.messages[-1].content for r in model.calls)
    assert all("Task: Add 3 and 4." in p for p in (select, adapt, implement))
    assert all(module in select for module in MODULES)
    assert MODULES[2] in adapt and MODULES[1] not in adapt
    assert "1. A\n2. B" in implement and EXAMPLE in implement


async def test_the_forms_are_held_by_schemas() -> None:
    held = Capabilities(output_schema=True, seed=True)
    model = ScriptedModel(
        ['{"modules": [1]}', '{"modules": ["A"]}', PLAN], capabilities=held
    )
    await discoverer(most=4, longest=6)(["T"], place(model))
    schemas = [r.output_schema for r in model.calls]
    numbers, texts, steps = (
        next(iter(s["properties"].values())) for s in schemas if s is not None
    )
    assert numbers["items"]["maximum"] == len(MODULES) and numbers["maxItems"] == 4
    assert texts["maxItems"] == 1
    assert steps["items"]["required"] == ["name", "do"] and steps["maxItems"] == 6


async def test_what_is_unreadable_is_replaced_and_told() -> None:
    here = place(ScriptedModel(["no"] * 6))
    found = await discoverer(most=2)(["T"], here)
    assert found.selected == found.adapted == MODULES[:2]
    assert found.steps == (
        Step(name="Step 1", do=MODULES[0]),
        Step(name="Step 2", do=MODULES[1]),
    )
    assert not found.whole
    missing = {missing for missing, _ in here.shared.substitutes}
    assert {"a selection of modules", "adapted modules"} <= missing
    assert len(paths(here)) == 6


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"modules": [2, 9, 2, 1]}', (2, 1)),
        ("[3]", (3,)),
        (" 4, 2 ", (4, 2)),
        ('{"modules": [true, "1"]}', None),
        ("Step 1 gives 3.", None),
    ],
)
def test_numbers_of_modules_are_read(text: str, found: tuple[int, ...] | None) -> None:
    assert numbers_in(text, 8) == found


def test_steps_are_read() -> None:
    text = json.dumps(
        [{"name": "A", "do": "x"}, {"name": "a", "do": "y"}, {"name": "B"}, 3]
    )
    assert steps_in(text) == [Step(name="A", do="x")]
    assert steps_in("none") is None
    assert steps_in('{"steps": 3}') is None


def test_a_structure_is_shown_as_json_with_the_answer_last() -> None:
    keys = list(
        json.loads(shown([Step(name="B", do="x"), Step(name="A", do="y")], "z"))
    )
    assert keys == ["B", "A", "z"]


def test_there_must_be_modules() -> None:
    with pytest.raises(InvalidParameter, match="at least 1 of each"):
        discoverer(modules=[])


def test_modules_differ() -> None:
    assert len({m.casefold() for m in MODULES}) == len(MODULES) >= 20
