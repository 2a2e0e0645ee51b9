"""Demonstrations: where they come from, and how they are shown."""

import json
from pathlib import Path

import pytest

from ponder.agents._transcripts import Step
from ponder.agents.demonstrations import (
    Demonstration,
    answered,
    from_turns,
    opening,
    read_demonstrations,
    worked_out,
)
from ponder.errors import InvalidInput
from ponder.messages import assistant, system, user
from ponder.passages import Passage
from ponder.result import Task

STEPPED = (
    "Follow up: Who wrote Emma?\nIntermediate answer: Jane Austen. [1]\n"
    "So the final answer is: \\boxed{Austen}"
)


def test_turns_are_demonstrations_with_steps_where_they_have_some() -> None:
    turns = (user("a?"), assistant("It is A."), user("b?"), assistant(STEPPED))
    plain, stepped = from_turns(turns)
    assert plain == Demonstration(question="a?", answer="It is A.")
    assert stepped.answer == "Austen"
    assert stepped.steps == (
        Step(question="Who wrote Emma?", answer="Jane Austen. [1]"),
    )


def test_a_file_may_name_passages_by_their_text(tmp_path: Path) -> None:
    path = tmp_path / "shown.jsonl"
    passages = ["A.", {"title": "B", "text": "b"}]
    steps = [{"question": "c?", "answer": "C"}]
    rows = [
        {"question": "a?", "answer": "A", "passages": passages},
        {"question": "b?", "answer": "B", "steps": steps},
    ]
    path.write_text("\n\n".join(map(json.dumps, rows)))
    first, second = read_demonstrations(path)
    assert [(p.title, p.text) for p in first.passages] == [("", "A."), ("B", "b")]
    assert second.steps == (Step(question="c?", answer="C"),)
    again = Demonstration.model_validate(first.model_dump(mode="json"))
    assert again == first


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"question": "a?"}', "line 1 is no demonstration: answer"),
        ("\n{nonsense", "line 2 is no JSON"),
        ('{"question": "a?", "answer": "b", "passages": 3}', "passages"),
        ("[]", "is no demonstration: the line"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "shown.jsonl"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=why):
        read_demonstrations(path)


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="none.jsonl cannot be read"):
        read_demonstrations(tmp_path / "none.jsonl")
    path = tmp_path / "binary.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_demonstrations(path)


def test_a_demonstration_is_two_turns() -> None:
    one = Demonstration(
        question="Which?",
        answer="Austen",
        passages=(Passage(id="p", text="Austen wrote Emma."),),
        steps=(Step(question="Who?", answer="She. [1]"),),
    )
    asked, said = answered(one)
    assert asked == user("[1] Austen wrote Emma.\n\nQuestion: Which?")
    assert said == assistant("\\boxed{Austen}")
    assert worked_out(one)[1] == assistant(
        "Follow up: Who?\nIntermediate answer: She. [1]\n"
        "So the final answer is: \\boxed{Austen}"
    )
    own = one.model_copy(update={"answer": "She did [1]. \\boxed{Austen}"})
    assert answered(own)[1] == assistant(own.answer)


def test_a_prompt_has_instructions_demonstrations_history_and_question() -> None:
    pair = (user("a?"), assistant("A"))
    task = Task(question="b?", history=(user("Hi"), assistant("Hello")), examples=pair)
    passages = [Passage(id="x", text="X."), Passage(id="y", text="Y.")]
    assert opening("Do.", [pair], task, passages) == (
        system("Do."),
        *pair,
        *task.history,
        user("[1] X.\n\n[2] Y.\n\nQuestion: b?"),
    )
