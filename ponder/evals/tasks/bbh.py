"""BIG-Bench Hard: tasks on which language models were once behind people."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from ponder.agents.answers import extract
from ponder.errors import InvalidInput, InvalidParameter, UnknownName
from ponder.evals.benchmark import UNREADABLE, Grade, Problem, register
from ponder.evals.scoring import mathematics
from ponder.evals.scoring.mathematics import verdict
from ponder.evals.scoring.text import boxed, choose, plain
from ponder.evals.tasks._rows import SUFFIXES, Loaded, Row, read_rows

Kind = Literal["option", "word", "number", "brackets", "sequence"]

WORDS = (("Yes", "No"), ("True", "False"), ("valid", "invalid"))
_LETTERED = re.compile(r"^\(([A-Z])\)[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_DASHED = re.compile(r"^-[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_BRACKETS = re.compile(r"[][(){}<>\s]+")
# To the last brace of the line: here the answer itself has braces.
_BOX_LINE = re.compile(r"\\boxed\{(.*)\}")


@register
class BBH(Loaded):
    """Tasks of many kinds; rows have ``input`` and ``target``.

    How an answer is compared depends on the target: the letter of an option (or its
    text), one of two words, a number, a row of brackets, or words in order.
    """

    name: ClassVar[str] = "bbh"
    source: ClassVar[str] = "Suzgun et al. 2022, https://arxiv.org/abs/2210.09261"

    dataset: str = "lukaemon/bbh"
    task: str | None = None
    """One of the tasks in a folder, such as ``web_of_lies``; ``None`` is all of them.
    Through ``datasets`` it has to be given."""

    def rows(self) -> Sequence[Row]:
        """Return the rows of the file, or of the tasks in the folder."""
        if self.path is None:
            return self._with_config()
        if not self.path.is_dir():
            if self.task not in (None, _task_name(self.path.name)):
                raise InvalidParameter(
                    f"The task is '{self.task}', but {self.path} is a file: give the "
                    "folder of the tasks, or no task."
                )
            return super().rows()
        files = {_task_name(f.name): f for f in _task_files(self.path)}
        if self.task is not None and self.task not in files:
            raise UnknownName("task of BBH", self.task, files)
        chosen = [self.task] if self.task else sorted(files)
        return [row for task in chosen for row in read_rows(files[task])]

    def _with_config(self) -> Sequence[Row]:
        if self.config is not None:
            return super().rows()
        if self.task is None:
            raise InvalidParameter("BBH needs a path or a task, such as web_of_lies.")
        return self.model_copy(update={"config": self.task}).rows()

    def row_id(self, row: Row) -> str:
        """Return an id with the name of the task: rows have none."""
        task = self.task or self.config or "rows"
        if self.path is not None:
            task = _task_name(row.source)
        return str(row.values.get("id") or f"{self.name}-{task}-{row.number}")

    def problem(self, row: Row, id: str) -> Problem:
        """Return the problem of a row."""
        question, target = row.text("input"), row.text("target")
        kind, options = _kind(row, question, target)
        if kind == "option":
            target = _letter(row, target, options)
        return Problem(
            id=id,
            question=f"{question}\n\n{FORMATS[kind].format(' or '.join(options))}",
            reference=boxed(target),
            data={"kind": kind, "target": target, "options": options},
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Compare the answer as the kind of its target demands."""
        kind, target = problem.data["kind"], problem.data["target"]
        if kind == "number":
            return mathematics.grade(text, target)
        found = _last_box(text) if kind == "brackets" else None
        found = found or extract(text)
        if found is None:
            return UNREADABLE
        return verdict(found, _is_right(kind, plain(found), target, problem))


def _is_right(kind: Kind, answer: str, target: str, problem: Problem) -> bool:
    if kind == "option":
        return choose(answer, problem.data["options"]) == target
    if kind == "word":
        # "No, she lies" is a No.
        word = re.match(r"[^\s,.;:]*", answer.strip("*'\" "))
        return word is not None and word[0].casefold() == target.casefold()
    if kind == "brackets":
        return "".join(answer.split()) == "".join(target.split())
    return _words(answer) == _words(target)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text.casefold()) if word]


def _last_box(text: str) -> str | None:
    boxes = _BOX_LINE.findall(text)
    return boxes[-1].strip() if boxes else None


def _kind(row: Row, question: str, target: str) -> tuple[Kind, dict[str, str]]:
    """Tell how to compare, and between what is to be chosen."""
    listed = question.partition("Options:")[2]
    if lettered := dict(_LETTERED.findall(listed)):
        return "option", lettered
    words = tuple(_DASHED.findall(listed))
    if words:
        row.label("target", words)
    words = words or next((pair for pair in WORDS if _is_in(target, pair)), ())
    if words:
        return "word", {word: word for word in words}
    if _NUMBER.fullmatch(target):
        return "number", {}
    return ("brackets" if _BRACKETS.fullmatch(target) else "sequence"), {}


def _is_in(target: str, words: Sequence[str]) -> bool:
    return target.casefold() in {word.casefold() for word in words}


def _letter(row: Row, target: str, options: dict[str, str]) -> str:
    """Return the letter of the right option; a few rows give its text."""
    letter = choose(target, options)
    if letter is None:
        known = ", ".join(f"({letter})" for letter in options)
        raise row.error(
            f"the label '{target}' of the field 'target' is none of the options "
            f"{known}, or the text of several. Correct the row, or take it out."
        )
    return letter


def _task_files(folder: Path) -> list[Path]:
    found = [
        path
        for path in sorted(folder.iterdir())
        if any(path.name.endswith((s, f"{s}.gz")) for s in SUFFIXES)
    ]
    if not found:
        raise InvalidInput(
            f"{folder} holds no task of BBH. Name the folder of web_of_lies.json, "
            "word_sorting.json and so on, or one of these files."
        )
    return found


def _task_name(file: str) -> str:
    return file.partition(".")[0]


FORMATS: dict[Kind, str] = {
    "option": "Give the letter of the right option in \\boxed{{...}}.",
    "word": "Give the final answer, {}, in \\boxed{{...}}.",
    "number": "Give the final answer as a number in \\boxed{{...}}.",
    "brackets": "Give the brackets that are to be added, and nothing else, in one "
    "\\boxed{{...}}.",
    "sequence": "Give the final answer, its words separated by spaces, in "
    "\\boxed{{...}}.",
}
