"""Dividing a task: what is read, and which plans can be carried out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import ScriptedModel, Task
from ponder.agents.divider import SubTask, divider, in_order
from tests.support.places import paths, place

TASK = Task(question="What is 2 + 2 and 3 * 3?")


def reply(*items: Any) -> str:
    return json.dumps({"sub_tasks": items})


async def test_it_reads_sub_tasks_and_names_the_tools() -> None:
    said = reply(
        {"tool": "calculator", "input": "2 + 2", "needs": []},
        {"input": 3, "needs": [1, 1, "x"]},
    )
    with ScriptedModel([said]) as model:
        divide = divider(tools={"calculator": "adds"}, most=4)
        plan = await divide(TASK, "- 1 + 1 -> 2", place(model))
    assert plan == (
        SubTask(tool="calculator", input="2 + 2"),
        SubTask(tool="model", input="3", needs=(1,)),
    )
    prompt = model.calls[0].messages[-1].content
    for part in (TASK.question, "- calculator: adds", "- 1 + 1 -> 2", "at most 4"):
        assert part in prompt


@pytest.mark.parametrize("said", [reply(), "[]"])
async def test_an_empty_list_means_that_nothing_is_left(said: str) -> None:
    with ScriptedModel([said]) as model:
        assert await divider()(TASK, "", place(model)) == ()


@pytest.mark.parametrize(
    "bad", ["Let us see.", '{"sub_tasks": 3}', reply({"tool": "model"}), reply("x", {})]
)
async def test_what_cannot_be_read_is_asked_again(bad: str) -> None:
    with ScriptedModel([bad, reply({"input": "2 + 2"})]) as model:
        context = place(model)
        plan = await divider()(TASK, "", context)
    assert plan == (SubTask(input="2 + 2"),)
    assert paths(context) == ["here", "here/again"]


async def test_unreadable_twice_is_none() -> None:
    with ScriptedModel(["Hm.", "Hm."]) as model:
        assert await divider()(TASK, "", place(model)) is None


def plan(*needs: tuple[int, ...]) -> list[SubTask]:
    return [SubTask(input=str(i), needs=n) for i, n in enumerate(needs, 1)]


@pytest.mark.parametrize(
    ("needs", "groups", "circular", "beyond"),
    [
        ([(), (), ()], [[0, 1, 2]], (), ()),
        ([(), (1,), (1, 2)], [[0], [1], [2]], (), ()),
        ([(2,), (), (9,)], [[1, 2], [0]], (), ()),
        ([(2,), (1,), ()], [[2]], (0, 1), ()),
        ([(1,), ()], [[1]], (0,), ()),
        ([(2,), (1,), (2,), ()], [[3]], (0, 1, 2), ()),
        ([(), (), (), ()], [[0, 1, 2]], (), (3,)),
        ([(4,), (), (), ()], [[1, 2, 3]], (), (0,)),
        ([], [], (), ()),
    ],
)
def test_plans_are_ordered_and_cut(
    needs: list[tuple[int, ...]],
    groups: list[list[int]],
    circular: tuple[int, ...],
    beyond: tuple[int, ...],
) -> None:
    assert in_order(plan(*needs), most=3) == (groups, circular, beyond)


@given(
    st.lists(st.lists(st.integers(-1, 9), max_size=4).map(tuple), max_size=8),
    st.integers(1, 8),
)
def test_any_plan_can_be_carried_out(needs: list[tuple[int, ...]], most: int) -> None:
    groups, circular, beyond = in_order(plan(*needs), most)
    done: set[int] = set()
    for group in groups:
        for i in group:
            wanted = {n - 1 for n in needs[i] if 1 <= n <= len(needs)}
            assert wanted <= done
        done |= set(group)
    assert len(done) <= most
    assert sorted([*done, *circular, *beyond]) == list(range(len(needs)))
