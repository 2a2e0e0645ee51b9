"""Game of 24: an expression of given numbers with a given value."""

import csv
import random
import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, model_validator

from ponder.agents.answers import extract
from ponder.errors import InvalidInput, InvalidParameter
from ponder.evals.benchmark import (
    UNREADABLE,
    Generated,
    Grade,
    Listed,
    Problem,
    Split,
    register,
)
from ponder.evals.tasks._arithmetic import count_solutions, solve
from ponder.evals.tasks._countdown import progress
from ponder.evals.tasks._expressions import Expression, operations, read

ATTEMPTS = 300
"""Draws of numbers until a puzzle with a solution is found."""
MOST_NUMBERS = 5
"""More take the solver seconds each."""

QUESTION = """\
Combine the numbers {numbers} by +, -, * and / so that the result is {target}. Use \
each of them exactly once and no other number; brackets are allowed.
End your reply with the expression in a box, written like this one, whose value is \
{value}: \\boxed{{{form}}}"""

_DENIAL = re.compile(r"\b(?:no|none|not|cannot|can't|impossible|invalid)\b", re.I)


@register
class Game24(Generated, Listed):
    """Numbers to combine to 24, drawn at random or read from a file."""

    name: ClassVar[str] = "game24"
    source: ClassVar[str] = (
        "Yao et al. 2023, Tree of Thoughts, https://arxiv.org/abs/2305.10601"
    )

    target: int = Field(default=24, ge=1)
    """The value to reach."""
    numbers: int = Field(default=4, ge=2, le=MOST_NUMBERS)
    """How many numbers are drawn."""
    largest: int = Field(default=13, ge=1)
    """Numbers are drawn from 1 to this one."""
    solutions: int | None = Field(default=None, ge=1)
    """At most so many different solutions, the fewer the harder; 6 * 4 is the same
    as 4 * 6. ``None`` asks for one or more."""
    path: Path | None = None
    """A CSV file with the columns ``Rank`` and ``Puzzles`` (``"4 5 6 10"``), the
    layout of the paper's file; its puzzles are used instead of random ones."""
    first_rank: int = 901
    """Of the puzzles that are used; the default is the paper's, as is the last."""
    last_rank: int = 1000

    @model_validator(mode="after")
    def _one_origin(self) -> "Game24":
        drawn = {"numbers", "largest", "solutions"} & self.model_fields_set
        ranks = {"first_rank", "last_rank"} & self.model_fields_set
        if self.path and drawn:
            raise ValueError(f"path and {min(drawn)} exclude each other; drop one")
        if not self.path and ranks:
            raise ValueError(f"{min(ranks)} needs path, the file with the ranks")
        if self.first_rank > self.last_rank:
            raise ValueError("first_rank must not be greater than last_rank")
        return self

    def problems(
        self, *, seed: int = 0, limit: int | None = None, split: Split = "test"
    ) -> list[Problem]:
        """Return the file's puzzles if there is a ``path``, drawn ones otherwise."""
        origin = Listed if self.path else Generated
        return origin.problems(self, seed=seed, limit=limit, split=split)

    def make(self, rng: random.Random, id: str) -> Problem:
        """Draw numbers until they have a solution."""
        for _ in range(ATTEMPTS):
            drawn = (rng.randint(1, self.largest) for _ in range(self.numbers))
            # In one order always: the same numbers are the same problem.
            numbers = sorted(drawn)
            solution = solve(numbers, self.target)
            if solution and self._is_hard(numbers):
                return self._problem(id, numbers, solution)
        few = f" in at most solutions={self.solutions} ways" if self.solutions else ""
        raise InvalidParameter(
            f"{ATTEMPTS} draws of numbers={self.numbers} up to largest={self.largest} "
            f"brought none that gives target={self.target}{few}. Raise largest"
            f"{' or solutions' if few else ''}, or choose another target."
        )

    def _is_hard(self, numbers: Sequence[int]) -> bool:
        limit = self.solutions
        return limit is None or count_solutions(numbers, self.target, limit) <= limit

    def every(self) -> list[Problem]:
        """Return the puzzles of the file between the two ranks, both included."""
        if self.path is None:
            raise InvalidInput("Puzzles have ranks in a file only: give its path.")
        wanted = range(self.first_rank, self.last_rank + 1)
        rows = [row for row in _read(self.path) if row[0] in wanted]
        if not rows:
            raise InvalidInput(
                f"{self.path} has no puzzle of rank {wanted[0]} to {wanted[-1]}."
            )
        return [self._ranked(rank, numbers) for rank, numbers in rows]

    def _ranked(self, rank: int, numbers: list[int]) -> Problem:
        solution = solve(numbers, self.target)
        if solution is None:
            raise InvalidInput(
                f"{self.path}: puzzle {numbers} of rank {rank} cannot give "
                f"{self.target}. Correct or remove its row."
            )
        return self._problem(f"{self.name}-rank-{rank}", numbers, solution)

    def _problem(self, id: str, numbers: list[int], solution: str) -> Problem:
        # The form must not be a solution by chance.
        form, value = ("(1 + 2) * 3", 9) if self.target != 9 else ("(2 + 3) * 4", 20)
        listed = f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
        question = QUESTION.format(
            numbers=listed, target=self.target, form=form, value=value
        )
        return Problem(
            id=id,
            question=question,
            reference=f"\\boxed{{{solution}}}",
            data={"numbers": numbers, "target": self.target},
            worked=_worked(numbers, solution),
        )

    def progress(self, problem: Problem, text: str) -> float | None:
        """Return the share of the operations, 0 behind a wrong one or a dead end."""
        return progress(text, problem.data["numbers"], problem.data["target"])

    def grade(self, problem: Problem, text: str) -> Grade:
        """Evaluate the expression exactly and count its numbers."""
        answer = extract(text)
        # A reply that is nothing but an expression leaves nothing to guess.
        expression = read(answer or text)
        if expression is None and answer is None:
            return UNREADABLE
        if expression is None:
            return _without_expression(answer or "")
        reasons = tuple(_broken(expression, problem.data))
        return Grade(
            correct=not reasons, answer=answer or text.strip(), reasons=reasons
        )


def _worked(numbers: Sequence[int], solution: str) -> str:
    """Return one step for each operation, with the numbers that are left after it."""
    left, steps = [Fraction(n) for n in numbers], []
    for a, sign, b, value in operations(solution):
        left.remove(a)
        left.remove(b)
        left.append(value)
        shown = ", ".join(map(str, left))
        step = f"{_operand(a)} {sign} {_operand(b)} = {value}"
        steps.append(f"{step}. Left: {shown}.")
    return "\n\n".join([*steps, f"The expression: \\boxed{{{solution}}}"])


def _operand(number: Fraction) -> str:
    # 6 / 1/4 would be read as 6 / 1 / 4.
    return str(number) if number.denominator == 1 else f"({number})"


def _without_expression(answer: str) -> Grade:
    if _DENIAL.search(answer):
        reason = "It says that there is no solution, but there is one."
        return Grade(correct=False, answer=answer, reasons=(reason,))
    reason = f"'{answer}' is no arithmetic expression."
    return Grade(correct=None, answer=answer, reasons=(reason,))


def _broken(expression: Expression, data: dict[str, Any]) -> list[str]:
    """Return one line for each rule of the game that is broken."""
    if expression.foreign:
        return [f"Operator {o} is not among + - * /." for o in expression.foreign]
    given, used = Counter(map(Fraction, data["numbers"])), Counter(expression.numbers)
    reasons = [
        f"Number {n} is given {_times(given[n])} and used {_times(used[n])}."
        for n in sorted(given | used)
        if given[n] != used[n]
    ]
    if expression.value is None:
        reasons.append("It divides by zero.")
    elif expression.value != data["target"]:
        reasons.append(f"It gives {expression.value} and not {data['target']}.")
    return reasons


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _read(path: Path) -> list[tuple[int, list[int]]]:
    """Return ranks and numbers of the rows of a file."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            missing = {"Rank", "Puzzles"} - set(reader.fieldnames or ())
            if missing:
                raise InvalidInput(f"{path} has no column '{min(missing)}'.")
            return [_row(row, f"{path}, line {reader.line_num}") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"Cannot read {path} as a CSV file: {error}.") from error


def _row(row: dict[str, str | None], place: str) -> tuple[int, list[int]]:
    try:
        rank = int(row["Rank"] or "")
    except ValueError:
        raise InvalidInput(
            f"{place}: Rank is {row['Rank']!r}, no whole number."
        ) from None
    words = (row["Puzzles"] or "").split()
    # Zeros and signs do not occur in the game; the solver counts on it.
    if not all(w.isascii() and w.isdigit() and int(w) for w in words) or not (
        2 <= len(words) <= MOST_NUMBERS
    ):
        raise InvalidInput(
            f"{place}: Puzzles is {row['Puzzles']!r}, not 2 to {MOST_NUMBERS} whole "
            "numbers above 0 with spaces between."
        )
    return rank, [int(word) for word in words]
