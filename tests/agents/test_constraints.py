import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import Budget, Capabilities, ScriptedModel, Task
from ponder.agents.constraints import (
    constraint_extractor,
    constraints_in,
    extract,
)
from ponder.errors import InvalidParameter, OutOfBudget
from ponder.messages import GREEDY, assistant, user
from tests.support.places import paths, place

TASK = Task(question="Plan 2 days in Rome for 100 euros.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"constraints": ["two days", "100 euros"]}', ("two days", "100 euros")),
        ('Here:\n```json\n["two days"]\n```', ("two days",)),
        ('{"constraints": []}', ()),
        ('{"constraints": ["a", " a ", ""]}', ("a",)),
        ('{"constraints": ["two [2] days", "100 eur', ("two [2] days",)),
        ("Sure:\n1. two days\n2) 100 euros\n", ("two days", "100 euros")),
        ("- two days\n* 100 euros", ("two days", "100 euros")),
        ('{"answer": "Rome"}', None),
        ('{"constraints": [1, 2]}', None),
        ("It needs two days.", None),
        ("", None),
    ],
)
def test_reads_lists(text: str, expected: tuple[str, ...] | None) -> None:
    assert constraints_in(text) == expected


@given(st.text(alphabet='[]{}"\\,: a1.\n-', max_size=60))
def test_reading_never_raises(text: str) -> None:
    found = constraints_in(text)
    assert found is None or all(item.strip() for item in found)


async def test_the_reply_is_held_to_a_schema() -> None:
    with ScriptedModel(['{"constraints": ["two days"]}']) as model:
        context = place(model)
        assert await extract(TASK, context) == ("two days",)
    (call,) = model.calls
    assert call.sampling == GREEDY
    assert call.output_schema is not None
    assert call.output_schema["properties"]["constraints"]["maxItems"] == 12
    assert set(context.shared.roles) == {"constraints"}
    assert not context.shared.substitutes


async def test_without_schemas_the_reply_is_read_as_it_comes() -> None:
    with ScriptedModel(["1. two days"], capabilities=Capabilities()) as model:
        context = place(model)
        assert await extract(TASK, context) == ("two days",)
    assert model.calls[0].output_schema is None
    (note,) = context.shared.substitutes.values()
    assert note.missing == "output_schema"


async def test_one_repair_shows_the_model_what_it_said() -> None:
    history = (user("Hello"), assistant("Hello!"))
    task = TASK.model_copy(update={"history": history})
    with ScriptedModel(["I like Rome.", "- two days"]) as model:
        context = place(model)
        assert await extract(task, context) == ("two days",)
    assert paths(context) == ["here", "here/again"]
    again = model.calls[1].messages
    assert again[:3] == (*history, model.calls[0].messages[-1])
    assert again[3] == assistant("I like Rome.")
    assert again[4].role == "user"


async def test_after_an_empty_reply_the_roles_still_alternate() -> None:
    with ScriptedModel(["", "- two days"]) as model:
        assert await extract(TASK, place(model)) == ("two days",)
    assert [m.role for m in model.calls[1].messages] == ["user"]


async def test_unreadable_twice_is_none_at_all_with_a_warning() -> None:
    with ScriptedModel(["Rome!", "Rome!"]) as model:
        context = place(model)
        assert await extract(TASK, context) == ()
    (warning,) = context.shared.warnings
    assert "No constraints could be read" in warning


async def test_a_problem_without_constraints_is_no_trouble() -> None:
    with ScriptedModel(["[]"], capabilities=Capabilities()) as model:
        context = place(model)
        assert await extract(TASK, context) == ()
    assert not context.shared.warnings


async def test_no_more_than_asked_for() -> None:
    with ScriptedModel(["- a\n- b\n- c"]) as model:
        assert await constraint_extractor(most=2)(TASK, place(model)) == ("a", "b")
    with pytest.raises(InvalidParameter, match="at least 1"):
        constraint_extractor(most=0)


async def test_out_of_budget_passes_through() -> None:
    with ScriptedModel(["Rome!"]) as model:
        with pytest.raises(OutOfBudget):
            await extract(TASK, place(model, budget=Budget(calls=1)))
