"""A plan once for each kind of task, and a solution along it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ponder.agents.discoverer import Step
from ponder.budget import Budget
from ponder.errors import ModelUnreachable
from ponder.graphs._plans import digest, instruction, load, save
from ponder.graphs.self_discover import SelfDiscover
from ponder.journal import Journal
from ponder.messages import Completion, system, user
from ponder.models.scripted import ScriptedModel
from ponder.result import Result, StopReason, Task
from ponder.run import areplay, aresume, asolve
from ponder.thoughts import ThoughtGraph

DISCOVERY = (
    '{"modules": [2, 3]}',
    '{"modules": ["Split the sum.", "List the numbers."]}',
    '{"steps": [{"name": "Numbers", "do": "all"}, {"name": "Sum", "do": "add"}]}',
)
FILLED = '{"Numbers": "17, 25", "Sum": "17 + 25 = 42", "final_answer": "42"}'
QUESTION = "What is 17 + 25?"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


async def run(
    replies: list[Any], journal: Journal, *, question: str = QUESTION, **options: Any
) -> tuple[Result, ScriptedModel]:
    budget = options.pop("budget", None)
    model = ScriptedModel(replies)
    result = await asolve(
        question,
        strategy=SelfDiscover(**options),
        model=model,
        budget=budget,
        journal=journal,
    )
    return result, model


async def test_three_calls_for_the_plan_and_one_for_the_task(journal: Journal) -> None:
    result, model = await run([*DISCOVERY, FILLED], journal)
    assert result.answer == "42" and result.text.startswith(FILLED)
    assert len(model.calls) == 4
    assert result.roles["planner"].calls == 3
    last = model.calls[-1].messages[-1].content
    assert '"Numbers": "all"' in last and QUESTION in last
    graph = ThoughtGraph.from_json(result.graph)
    assert graph.thought("discover/implement").label == "a plan: Numbers, Sum"
    assert list(graph.graph.predecessors("follow")) == ["discover/implement"]
    assert await areplay(result.run_id, journal=journal) == result


async def test_the_plan_is_made_from_examples(journal: Journal) -> None:
    _, model = await run([*DISCOVERY, FILLED], journal, examples=("What is 1 + 1?",))
    for request in model.calls[:3]:
        assert "Task: What is 1 + 1?" in request.messages[-1].content
        assert QUESTION not in request.messages[-1].content


async def test_the_plan_of_a_named_task_is_made_once(journal: Journal) -> None:
    first, _ = await run([*DISCOVERY, FILLED], journal, task="sums")
    again, model = await run(
        ['{"final_answer": "5"}'], journal, task="sums", question="What is 2 + 3?"
    )
    assert again.answer == "5"
    assert '"Sum": "add"' in model.calls[0].messages[-1].content
    graph = ThoughtGraph.from_json(again.graph)
    assert list(graph.graph.predecessors("follow")) == ["plan"]

    other, _ = await run([*DISCOVERY, FILLED], journal, task="other")
    assert other.usage.calls == 4
    # Both replay as they went, whatever is kept by now.
    for result in (first, again):
        assert await areplay(result.run_id, journal=journal) == result


async def test_a_replay_needs_no_kept_plan(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run([*DISCOVERY, FILLED], journal, task="sums")
    again, _ = await run([FILLED], journal, task="sums")
    monkeypatch.setenv("PONDER_DATA_DIR", str(tmp_path / "elsewhere"))
    assert await areplay(again.run_id, journal=journal) == again
    assert not (tmp_path / "elsewhere").exists()


async def test_a_run_that_began_without_a_plan_goes_on_without(
    journal: Journal,
) -> None:
    dead = ModelUnreachable("down")
    with pytest.raises(ModelUnreachable):
        await run([*DISCOVERY[:2], *[dead] * 4], journal, task="sums")
    cut = journal.runs()[0].run_id
    await run([*DISCOVERY, FILLED], journal, task="sums")
    model = ScriptedModel([DISCOVERY[2], FILLED])
    resumed = await aresume(cut, model=model, journal=journal)
    assert resumed.answer == "42"
    model.assert_consumed()


async def test_without_a_name_no_plan_is_kept(journal: Journal, tmp_path: Path) -> None:
    for _ in range(2):
        result, _ = await run([*DISCOVERY, FILLED], journal)
        assert result.usage.calls == 4
    assert not (tmp_path / "data" / "plans").exists()


async def test_the_instruction_can_be_the_signature(journal: Journal) -> None:
    head = "Add the numbers.\n\n"
    await run([*DISCOVERY, FILLED], journal, keep=True, question=f"{head}17, 25")
    again, _ = await run([FILLED], journal, keep=True, question=f"{head}1, 2")
    assert again.usage.calls == 1


async def test_a_damaged_plan_is_told_and_made_anew(
    journal: Journal, tmp_path: Path
) -> None:
    folder = tmp_path / "p"
    await run([*DISCOVERY, FILLED], journal, task="sums", folder=folder)
    (file,) = await asyncio.to_thread(lambda: list(folder.iterdir()))
    file.write_text("{")
    result, _ = await run(
        [*DISCOVERY, FILLED], journal, task="sums", folder=tmp_path / "p"
    )
    assert any("cannot be read and is made anew" in w for w in result.warnings)
    assert json.loads(file.read_text())["signature"]["task"] == "sums"


async def test_a_makeshift_plan_is_used_but_not_kept(
    journal: Journal, tmp_path: Path
) -> None:
    replies = ["no", "no", *DISCOVERY[1:], FILLED]
    result, _ = await run(replies, journal, task="sums", folder=tmp_path / "p")
    assert result.answer == "42"
    assert any(s.missing == "a selection of modules" for s in result.substitutes)
    assert not (tmp_path / "p").exists()


async def test_a_folder_that_cannot_be_written_is_told(
    journal: Journal, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    result, _ = await run(
        [*DISCOVERY, FILLED], journal, task="sums", folder=tmp_path / "file" / "p"
    )
    assert result.answer == "42"
    assert any("could not be kept" in w for w in result.warnings)


async def test_a_plan_that_leads_nowhere_is_left(journal: Journal) -> None:
    result, model = await run([*DISCOVERY, "nothing", "\\boxed{42}"], journal)
    assert result.answer == "42"
    assert model.calls[-1].messages[-1].content == QUESTION
    assert any("led to no answer" in w for w in result.warnings)


async def test_without_room_for_a_plan_there_is_none(journal: Journal) -> None:
    result, _ = await run(["\\boxed{42}"], journal, budget=Budget(calls=1))
    assert result.answer == "42"
    assert any("no call for a plan" in w for w in result.warnings)

    result, _ = await run(["\\boxed{42}"], journal, budget=Budget(input_tokens=150))
    assert (result.answer, result.stop_reason) == ("42", StopReason.INPUT_TOKENS)
    assert any("no room for a plan" in w for w in result.warnings)


def test_the_instruction_is_what_stands_before_the_last_paragraph() -> None:
    assert instruction(Task(question="Add.\n\nCarefully.\n \n1, 2")) == (
        "Add.\n\nCarefully."
    )
    assert instruction(Task(question="Add 1, 2")) == "Add 1, 2"
    history = (system("Add."), user("Hello"))
    assert instruction(Task(question="1, 2", history=history)) == "Add."


def test_plans_are_kept_by_signature(tmp_path: Path) -> None:
    signature = {"task": "sums", "model": "m"}
    key = digest(signature)
    assert key == digest({"model": "m", "task": "sums"}) != digest({"task": "sums"})
    steps = (Step(name="A", do="x"),)
    assert load(tmp_path, key) is None
    save(tmp_path, key, steps, signature)
    assert load(tmp_path, key) == steps
    assert [f.name for f in tmp_path.iterdir()] == [f"{key}.json"]
    (tmp_path / f"{key}.json").write_text('{"steps": [{"name": "A"}]}')
    with pytest.raises(ValueError, match="cannot be read"):
        load(tmp_path, key)


async def test_a_failed_call_is_made_once_more(journal: Journal) -> None:
    down = ModelUnreachable("down")
    result, model = await run([*DISCOVERY, down, FILLED], journal)
    assert result.answer == "42"
    assert [c.id for c in result.candidates] == ["follow", "follow/again"]

    result, _ = await run([DISCOVERY[0], down, "\\boxed{42}"], journal)
    assert result.answer == "42"
    assert "There is no plan: down" in result.warnings


async def test_a_plan_that_was_cut_off_is_made_to_answer(journal: Journal) -> None:
    cut = Completion(text='{"Numbers": "17,', finish_reason="length")
    result, model = await run([*DISCOVERY, cut, "42}"], journal)
    assert result.answer == "42"
    assert len(model.calls) == 5


async def test_a_solution_without_an_answer_is_shown(journal: Journal) -> None:
    result, _ = await run([*DISCOVERY, "I do not", "I do not know."], journal)
    assert (result.answer, result.text) == (None, "I do not know.")
