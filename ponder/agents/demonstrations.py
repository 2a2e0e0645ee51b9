"""Worked examples of answering from passages, and how a prompt shows them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from ponder.agents._transcripts import Step, read_transcript, transcript
from ponder.agents.answers import extract
from ponder.agents.reader import asking
from ponder.errors import InvalidInput
from ponder.messages import Message, Value, assistant, system
from ponder.passages import Passage
from ponder.result import Task


class Demonstration(Value):
    """A question with its right answer, and the passages that it is answered from."""

    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    """The final answer, or a text that ends in one."""
    passages: tuple[Passage, ...] = ()
    """The most relevant first; none are searched for when the example is shown. In
    JSON, a text or ``{"title": ..., "text": ...}`` will do for a passage."""
    steps: tuple[Step, ...] = ()
    """Sub-queries with their answers, for strategies that ask some."""

    @field_validator("passages", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return tuple(_passage(item, i) for i, item in enumerate(value))


def _passage(item: Any, index: int) -> Any:
    if isinstance(item, str):
        item = {"text": item}
    if isinstance(item, dict):
        return {"id": f"demonstration/{index}", **item}
    return item


def from_turns(examples: Sequence[Message]) -> tuple[Demonstration, ...]:
    """Return the demonstrations in worked examples, without passages.

    Args:
        examples: Turns of user and assistant in turn. An answer in lines of the
            Self-Ask form has its steps read.
    """
    found = []
    for asked, said in zip(examples[::2], examples[1::2], strict=False):
        if asked.content.strip() and said.content.strip():
            steps, answer = read_transcript(said.content)
            text = answer if steps and answer else said.content
            found.append(
                Demonstration(question=asked.content, answer=text, steps=steps)
            )
    return tuple(found)


def read_demonstrations(path: str | Path) -> tuple[Demonstration, ...]:
    """Read demonstrations from a file of JSON lines.

    Args:
        path: Each line is an object with the fields of ``Demonstration``.

    Raises:
        InvalidInput: The file cannot be read, or a line is no demonstration.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"The demonstrations in {path} cannot be read: {error}. Give a UTF-8 file "
            "of JSON lines."
        ) from error
    rows = [(i, line) for i, line in enumerate(lines, 1) if line.strip()]
    return tuple(_demonstration(line, f"{path}, line {i}") for i, line in rows)


def _demonstration(line: str, where: str) -> Demonstration:
    try:
        return Demonstration.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the line"
        raise InvalidInput(
            f"{where} is no demonstration: {field}: {first['msg']}. Give an object "
            "with question, answer and, if you like, passages and steps."
        ) from error
    except ValueError as error:
        raise InvalidInput(f"{where} is no JSON: {error}") from error


def answered(shown: Demonstration) -> tuple[Message, Message]:
    """Return a demonstration as two turns: passages and question, then the answer."""
    said = shown.answer
    if extract(said) is None:
        said = f"\\boxed{{{said}}}"
    return asking(shown.question, shown.passages), assistant(said)


def worked_out(shown: Demonstration) -> tuple[Message, Message]:
    """Return a demonstration as two turns, the second a transcript of its steps."""
    final = extract(shown.answer) or shown.answer
    said = transcript(shown.steps, final)
    return asking(shown.question, shown.passages), assistant(said)


def opening(
    instructions: str,
    shown: Sequence[tuple[Message, Message]],
    task: Task,
    passages: Sequence[Passage],
) -> tuple[Message, ...]:
    """Return a prompt: instructions, demonstrations, passages, question.

    Args:
        instructions: System prompt.
        shown: Two turns of each demonstration. The task's own examples are not shown:
            whoever calls has made demonstrations of them.
        task: Whose conversation and question follow.
        passages: Numbered from 1 in the order in which they are shown.
    """
    turns = [turn for pair in shown for turn in pair]
    last = asking(task.question, passages)
    return (system(instructions), *turns, *task.history, last)
