import pytest

from ponder import Budget, Candidate, ScriptedModel, Task
from ponder.agents.synthesizer import synthesise, synthesizer
from ponder.errors import OutOfBudget
from ponder.events import CandidateFound, Event
from ponder.messages import GREEDY
from tests.support.places import paths, place

TASK = Task(question="What is 2 + 2?")
POOL = [
    Candidate(id="sample/0", text="It is \\boxed{5}", answer="5"),
    Candidate(id="sample/1", text="", error="failed"),
    Candidate(id="sample/2", text="It is \\boxed{3}", answer="3"),
]


async def test_all_solutions_are_read_and_a_new_one_is_written() -> None:
    with ScriptedModel(["Both are off by one: \\boxed{4}"]) as model:
        context = place(model)
        found: list[Event] = []
        context.shared.emit = found.append
        made = await synthesise(TASK, POOL, context)
    assert made is not None
    assert (made.id, made.answer) == ("here", "4")
    (call,) = model.calls
    asked = call.messages[-1].content
    assert "Solution 1:\nIt is \\boxed{5}\n\nSolution 2:\nIt is \\boxed{3}" in asked
    assert "Solution 3" not in asked
    assert call.sampling == GREEDY
    assert set(context.shared.roles) == {"synthesizer"}
    assert [e.candidate for e in found if isinstance(e, CandidateFound)] == [made]


async def test_without_an_answer_it_is_asked_again() -> None:
    with ScriptedModel(["They differ.", "\\boxed{4}"]) as model:
        context = place(model)
        made = await synthesise(TASK, POOL, context)
    assert made is not None
    assert (made.id, made.answer) == ("here", "4")
    assert paths(context) == ["here", "here/again"]


async def test_without_an_answer_twice_there_is_none() -> None:
    with ScriptedModel(["They differ.", "They do."]) as model:
        assert await synthesise(TASK, POOL, place(model)) is None


@pytest.mark.parametrize("pool", [[], [POOL[1]]])
async def test_of_nothing_nothing_is_made(pool: list[Candidate]) -> None:
    with ScriptedModel() as model:
        assert await synthesise(TASK, pool, place(model)) is None


async def test_configuration() -> None:
    with ScriptedModel(name="run") as other, ScriptedModel(["\\boxed{4}"]) as model:
        make = synthesizer(model=model, max_tokens=9, prompt="{question} {solutions}")
        assert await make(TASK, POOL[:1], place(other)) is not None
    (call,) = model.calls
    assert call.max_tokens == 9
    expected = "What is 2 + 2? Solution 1:\nIt is \\boxed{5}"
    assert call.messages[-1].content == expected


async def test_out_of_budget_passes_through() -> None:
    with ScriptedModel(["They differ."]) as model:
        with pytest.raises(OutOfBudget):
            await synthesise(TASK, POOL, place(model, budget=Budget(calls=1)))
