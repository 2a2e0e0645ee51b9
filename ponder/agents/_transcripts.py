r"""Transcripts of the Self-Ask form: steps, and lines that are written and read.

A transcript is made of lines that begin with ``Follow up: ``, ``Intermediate answer: ``
or ``So the final answer is: `` (Press et al. 2023, https://arxiv.org/abs/2210.03350).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from ponder.agents.answers import extract
from ponder.messages import Value

FOLLOW_UP = "Follow up: "
INTERMEDIATE = "Intermediate answer: "
FINAL = "So the final answer is: "
BOX = "\\boxed{"

_MARK = re.compile(r"\s*\[\d{1,3}(?:\s*,\s*\d{1,3})*\]")
_FOLLOW_LINE = re.compile(r"^\s*follow[- ]?up(?: question)?\s*\d*:\s*(\S.*)$", re.I)
_ANSWER_LINE = re.compile(r"^\s*intermediate answer\s*\d*:\s*(\S.*)$", re.I)
_FINAL_LINE = re.compile(r"^\s*(?:so )?the final answer is:?\s*(\S.*)$", re.I)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")


class Step(Value):
    """A sub-query, and its intermediate answer."""

    question: str = Field(min_length=1)
    answer: str
    """May name passages by numbers in brackets."""


@dataclass(frozen=True)
class Line:
    """What the model said in one call."""

    kind: Literal["follow_up", "answer", "final", "unreadable"]
    text: str
    """Sub-query, intermediate answer, final answer, or all that was said."""
    marks: str = ""
    """Numbers of passages behind a final answer, such as ``[2] [3]``."""
    input_tokens: int = 0
    """Of all calls that it took."""
    output_tokens: int = 0


def written(steps: Sequence[Step]) -> str:
    """Return the lines of steps, each ended by a line break."""
    return "".join(
        f"{FOLLOW_UP}{s.question}\n{INTERMEDIATE}{s.answer}\n" for s in steps
    )


def transcript(steps: Sequence[Step], answer: str, marks: str = "") -> str:
    """Return a whole transcript, with the final answer in a box."""
    return f"{written(steps)}{FINAL}{BOX}{answer}}}{marks and ' '}{marks}"


def read_transcript(text: str) -> tuple[tuple[Step, ...], str | None]:
    """Return the steps of a transcript and its final answer, ``None`` without one."""
    steps: list[Step] = []
    asked = ""
    for line in text.splitlines():
        if match := _FOLLOW_LINE.match(line):
            asked = match[1].strip()
        elif asked and (match := _ANSWER_LINE.match(line)):
            steps.append(Step(question=asked, answer=match[1].strip()))
            asked = ""
    return tuple(steps), extract(text)


def read_next(text: str) -> Line:
    """Read a sub-query or a final answer; the first line that is one counts.

    A reply of neither form that tells a final answer in another one is that.
    """
    for line in text.splitlines():
        if match := _FOLLOW_LINE.match(line):
            return Line("follow_up", match[1].strip())
        if match := _FINAL_LINE.match(line):
            return read_final(line)
    # An intermediate answer to nothing that was asked is not the final one.
    rest = [line for line in text.splitlines() if not _ANSWER_LINE.match(line)]
    found = read_final("\n".join(rest))
    return found if found.kind == "final" else Line("unreadable", text)


def read_answer(text: str) -> str:
    """Read an intermediate answer: its line, or else the first that says anything."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if match := _ANSWER_LINE.match(line):
            return match[1].strip()
    return lines[0] if lines else ""


def read_final(text: str) -> Line:
    """Read a final answer, and the passages named behind it."""
    answer = extract(_MARK.sub("", text))
    if answer is None:
        return Line("unreadable", text)
    _, _, behind = text.rpartition("}")
    return Line("final", answer, " ".join(m.strip() for m in _MARK.findall(behind)))


def claims(question: str, steps: Sequence[Step], final: Line) -> str:
    """Return each answer behind its question, in a line of its own.

    They can be checked one by one: a short answer alone says nothing. The final answer
    is among them if it names passages.
    """
    pairs = [(s.question, s.answer) for s in steps]
    if final.kind == "final" and final.marks:
        pairs.append((question, f"{final.text} {final.marks}"))
    return "\n".join(f"{_bare(q)}: {' '.join(a.split())}" for q, a in pairs)


def _bare(question: str) -> str:
    """Return a question in one line and without ends of sentences."""
    return " ".join(_SENTENCE_END.sub("", question).split())
