"""Generate, aggregate and improve: which thoughts come of which."""

from collections.abc import Sequence

import pytest

from ponder.budget import Budget
from ponder.context import RunContext
from ponder.errors import InvalidInput, InvalidParameter, ModelUnreachable
from ponder.graphs.operations import (
    Aggregate,
    Generate,
    Improve,
    Part,
    Thoughts,
    Vertex,
)
from ponder.graphs.operations.vertex import initial
from ponder.models.scripted import Reply, ScriptedModel
from ponder.result import Candidate, StopReason, Task, Verdict
from tests.support.places import paths, place

TASK = Task(question="What is 6 x 7?")


def solved(*texts: str, part: bool = False) -> Thoughts:
    parts = [Part(whole=TASK, index=i, of=len(texts)) for i in range(len(texts))]
    return Thoughts(
        items=tuple(
            Vertex(
                task=Task(question=f"part {i}") if part else TASK,
                candidate=Candidate(id=f"old/{i}", text=text, answer=text),
                part=parts[i] if part else None,
            )
            for i, text in enumerate(texts)
        )
    )


def edges(context: RunContext) -> set[tuple[str, str]]:
    return set(context.shared.graph.graph.edges)


def scripted(replies: Sequence[Reply]) -> ScriptedModel:
    return ScriptedModel(replies)


async def test_generate_makes_k_of_each() -> None:
    model = scripted(["\\boxed{41}", "\\boxed{42}", "\\boxed{43}", "nothing"])
    here = place(model)
    for vertex in (old := solved("a", "b")).items:
        here.keep(vertex.candidate, ())
    new = await Generate(k=2)(old, here)
    assert [v.answer for v in new.items] == ["41", "42", "43", None]
    assert paths(here) == [f"here/thought/{i}" for i in range(4)]
    assert edges(here) == {
        ("old/0", "here/thought/0"), ("old/0", "here/thought/1"),
        ("old/1", "here/thought/2"), ("old/1", "here/thought/3"),
    }  # fmt: skip
    assert model.calls[0].messages[-1].content == TASK.question


async def test_generate_fills_the_prompt_and_reads_the_answer() -> None:
    model = scripted(["A: 42"])
    generate = Generate(
        prompt="{question} So far: {solution} {{}}",
        read=lambda text: text.removeprefix("A: "),
        instructions="",
    )
    new = await generate(solved("six"), place(model))
    (message,) = model.calls[0].messages
    assert message.content == "What is 6 x 7? So far: six {}"
    assert new.items[0].answer == "42"


async def test_aggregate_makes_one_of_all() -> None:
    model = scripted(["\\boxed{42}"])
    here = place(model)
    for vertex in (old := solved("41", "43", "42")).items:
        here.keep(vertex.candidate, ())
    new = await Aggregate()(old, here)
    assert [v.answer for v in new.items] == ["42"]
    assert edges(here) == {(f"old/{i}", "here/thought/0") for i in range(3)}
    prompt = model.calls[0].messages[-1].content
    assert all(f"Solution {i}:\n4" in prompt for i in (1, 2, 3))


async def test_one_solution_is_not_aggregated() -> None:
    old = solved("42")
    assert await Aggregate()(old, place(scripted([]))) == old
    assert await Aggregate()(Thoughts(), place(scripted([]))) == Thoughts()


async def test_parts_are_aggregated_to_the_whole() -> None:
    model = scripted(["\\boxed{42}"])
    here = place(model)
    new = await Aggregate(parts=True)(solved("40", "2", part=True), here)
    (vertex,) = new.items
    assert (vertex.task, vertex.part, vertex.answer) == (TASK, None, "42")
    prompt = model.calls[0].messages[-1].content
    assert TASK.question in prompt and "part 1\nIts solution: 2" in prompt
    assert here.shared.warnings == []


async def test_parts_of_parts_stay_parts() -> None:
    outer = Part(whole=Task(question="all"), index=1, of=2)
    (vertex,) = solved("40", part=True).items
    assert vertex.part is not None
    inner = vertex.part.model_copy(update={"outer": outer})
    old = Thoughts(items=(vertex.model_copy(update={"part": inner}),))
    new = await Aggregate(parts=True)(old, place(scripted(["x"])))
    assert new.items[0].part == outer


async def test_a_missing_part_is_warned_of() -> None:
    here = place(scripted(["\\boxed{40}"]))
    both = solved("40", "2", part=True)
    await Aggregate(parts=True)(both.but(both.items[:1]), here)
    assert here.shared.warnings == [
        "Only 1 of 2 parts were solved: what is put together from them lacks the "
        "others."
    ]


async def test_improve_writes_each_anew_with_what_was_said() -> None:
    model = scripted(["\\boxed{42}"])
    here = place(model)
    (vertex,) = solved("41").items
    verdict = Verdict(score=0.1, feedback="Count again.")
    judged = vertex.candidate.model_copy(update={"verdict": verdict})
    old = Thoughts(items=(vertex.model_copy(update={"candidate": judged}),))
    here.keep(judged, ())
    (new,) = (await Improve()(old, here)).items
    assert (new.answer, new.score) == ("42", None)
    assert ("old/0", new.id) in edges(here)
    assert "Count again." in model.calls[0].messages[-1].content


async def test_what_cannot_be_paid_is_left() -> None:
    here = place(scripted(["\\boxed{42}"]), budget=Budget(calls=1))
    new = await Improve()(solved("40", "41"), here)
    assert [v.answer for v in new.items] == ["42", "41"]
    assert new.stop_reason is StopReason.CALLS

    here = place(scripted([]), budget=Budget(calls=0))
    old = initial(TASK)
    new = await Generate(k=3)(old, here)
    assert (new.items, new.stop_reason) == (old.items, StopReason.CALLS)


async def test_a_failed_call_does_not_take_its_siblings_down() -> None:
    here = place(scripted(["\\boxed{41}", ModelUnreachable("down"), "\\boxed{43}"]))
    new = await Generate(k=3)(initial(TASK), here)
    assert [v.answer for v in new.items] == ["41", "43"]
    assert new.errors == ("down",)
    assert here.shared.graph.thought("here/thought/1").failed


async def test_a_reader_that_raises_is_named() -> None:
    def broken(text: str) -> str:
        raise KeyError("x")

    with pytest.raises(InvalidInput, match=r"'broken' that reads answers raised KeyE"):
        await Generate(read=broken)(initial(TASK), place(scripted(["text"])))


@pytest.mark.parametrize("prompt", ["{question} {thing}", "a { brace", "{0}"])
def test_a_prompt_that_cannot_be_filled_is_refused_at_once(prompt: str) -> None:
    with pytest.raises(InvalidParameter, match="prompt"):
        Generate(prompt=prompt)


def test_less_than_one_thought_is_refused() -> None:
    for kind in (Generate, Aggregate):
        with pytest.raises(InvalidParameter, match="1 or more"):
            kind(k=0)
