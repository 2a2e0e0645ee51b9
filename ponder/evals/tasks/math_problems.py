r"""MATH: competition mathematics whose answers are numbers and expressions."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from ponder.agents.answers import extract
from ponder.errors import InvalidInput
from ponder.evals.benchmark import Grade, Problem, register
from ponder.evals.scoring import mathematics
from ponder.evals.scoring.text import boxed
from ponder.evals.tasks._rows import Loaded, Row, read_rows

_BOX = re.compile(r"\\boxed\s*\{")
# A few published solutions have the box without braces.
_BARE_BOX = re.compile(r"\\boxed\s+([^\s{$][^$]*)\$")


@register
class Math(Loaded):
    r"""Competition problems.

    Rows have ``problem``, ``solution`` with the answer in ``\boxed{...}``, ``level``
    (``Level 3`` or 3) and ``type`` or ``subject``. A file holds one row per problem;
    a folder, as published, one JSON file per problem.
    """

    name: ClassVar[str] = "math"
    source: ClassVar[str] = "Hendrycks et al. 2021, https://arxiv.org/abs/2103.03874"
    id_fields: ClassVar[tuple[str, ...]] = ("id", "unique_id")

    dataset: str = "HuggingFaceH4/MATH-500"
    level: int | None = Field(default=None, ge=1, le=5)
    """Only problems of this level; 5 is the hardest."""
    subject: str | None = None
    """Only problems of this subject, such as ``Algebra``."""

    def rows(self) -> Sequence[Row]:
        """Return the rows of the chosen level and subject."""
        folder = self.path if self.path and self.path.is_dir() else None
        found = super().rows() if folder is None else _folder_rows(folder)
        chosen = [row for row in found if self._is_chosen(row)]
        if not chosen:
            kinds = sorted({f"{_subject(row)} {_level(row) or '?'}" for row in found})
            raise InvalidInput(
                f"No problem has level {self.level or 'any'} and subject "
                f"{self.subject or 'any'}. There are: {', '.join(kinds)}."
            )
        return chosen

    def _is_chosen(self, row: Row) -> bool:
        if self.level is not None and _level(row) != self.level:
            return False
        wanted = self.subject
        return wanted is None or _subject(row).casefold() == wanted.casefold()

    def problem(self, row: Row, id: str) -> Problem:
        """Return the problem of a row."""
        answer = _answer(row)
        return Problem(
            id=id,
            question=f"{row.text('problem')}\n\n{FORMAT}",
            reference=boxed(answer),
            data={"answer": answer, "level": _level(row), "subject": _subject(row)},
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Compare the answer's value."""
        return mathematics.grade(text, problem.data["answer"])


def _folder_rows(folder: Path) -> list[Row]:
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise InvalidInput(
            f"{folder} holds no JSON file. Name the folder of the problems."
        )
    found = []
    for file in files:
        name = file.relative_to(folder).as_posix()
        first, *others = read_rows(file)
        if others:
            raise InvalidInput(f"{file} holds several problems: give it as the path.")
        found.append(Row({"id": name, **first.values}, name, first.number))
    return found


def _answer(row: Row) -> str:
    solution = row.text("solution").replace("\\fbox", "\\boxed")
    bare = _BARE_BOX.findall(solution)
    if _BOX.search(solution):
        found = extract(solution)
    else:
        found = bare[-1].strip() if bare else None
    if not found:
        raise row.error("the field 'solution' has no answer in \\boxed{...}.")
    return found


def _level(row: Row) -> int | None:
    """Return 1 to 5; the data has a few problems of unknown level."""
    digits = re.findall(r"[1-5]", str(row.get("level")))
    return int(digits[0]) if digits else None


def _subject(row: Row) -> str:
    return row.text("type" if "type" in row.values else "subject")


FORMAT = "Give the final answer, simplified, in \\boxed{...}."
