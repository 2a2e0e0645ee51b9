"""Split and select."""

import pytest

from ponder.errors import InvalidInput, InvalidParameter
from ponder.graphs.operations import Select, Split, Vertex
from ponder.graphs.operations.vertex import initial
from ponder.models.scripted import ScriptedModel
from ponder.result import Task
from tests.support.places import place

TASK = Task(question="a b c")


def words(vertex: Vertex) -> list[str]:
    return vertex.task.question.split()


async def test_a_problem_is_split() -> None:
    here = place(ScriptedModel())
    found = await Split(words)(initial(TASK), here)
    assert [v.task.question for v in found.items] == ["a", "b", "c"]
    parts = [v.part for v in found.items if v.part]
    assert [(p.whole, p.index, p.of) for p in parts] == [(TASK, i, 3) for i in range(3)]
    assert here.shared.graph.thought("here/part/0/2").label == "c"

    inner = await Split(lambda v: ["d"])(found.but(found.items[1:2]), here.at("inner"))
    assert inner.items[0].part and inner.items[0].part.outer == parts[1]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], "at least one"),
        (["a", " "], "none that is empty"),
        (["a"] * 9, "more than 8"),
    ],
)
async def test_a_senseless_split_is_refused(parts: list[str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        await Split(lambda v: parts, most=8)(initial(TASK), place(ScriptedModel()))


async def test_a_function_that_raises_is_named() -> None:
    def halves(vertex: Vertex) -> list[str]:
        raise ZeroDivisionError("by zero")

    with pytest.raises(
        InvalidInput, match="'halves' that splits a problem raised Zero"
    ):
        await Split(halves)(initial(TASK), place(ScriptedModel()))
    with pytest.raises(InvalidParameter, match="most is 0"):
        Split(halves, most=0)


async def test_thoughts_are_selected() -> None:
    here = place(ScriptedModel())
    found = await Split(words)(initial(TASK), here)
    assert (await Select(1)(found, here)).items == found.items[1:2]
    assert (await Select(lambda vs: vs[:2])(found, here)).items == found.items[:2]
    assert here.shared.warnings == []
    for none in (3, -1):
        assert (await Select(none)(found, here)).items == ()
    assert len(here.shared.warnings) == 2


async def test_a_selection_makes_nothing_up() -> None:
    here = place(ScriptedModel())
    found = await Split(words)(initial(TASK), here)
    with pytest.raises(InvalidInput, match="some of the thoughts"):
        await Select(lambda vs: initial(TASK).items)(found, here)
    with pytest.raises(InvalidInput, match="selects thoughts raised"):
        await Select(lambda vs: vs[9].text)(found, here)  # type: ignore[arg-type,return-value]
