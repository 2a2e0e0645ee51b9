"""Random 3-SAT: values of variables that satisfy all clauses."""

import random
import re
from functools import cache
from itertools import combinations
from math import comb
from string import ascii_uppercase
from typing import Any, ClassVar

from pydantic import Field, model_validator

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import UNREADABLE, Generated, Grade, Problem, register
from ponder.evals.tasks._dpll import Clause, satisfy
from ponder.evals.tasks._lists import read_list

HARD_RATIO = 4.26
"""Clauses per variable where half of large formulas are satisfiable, and where deciding
is hardest: Mitchell, Selman & Levesque 1992 saw it near 4.3; the limit for many
variables is from Crawford & Auton 1996, Artificial Intelligence 81, 31-57."""

ATTEMPTS = 1000
"""Draws of clauses until a formula is as ``satisfiable`` says."""

CLAUSES = """\
Give each of the variables {names} the value true or false so that all of these \
clauses hold:
{lines}
"""
STORY = """\
{names} are invited to a party, and the host wants to meet all of these wishes:
{lines}
Who should come? Write true for those who come and false for those who stay away.
"""
FORM = """\
End your reply with the values of all {count} in a box, written like this: \
\\boxed{{A=true, B=false, ...}}"""
UNDECIDED = "\nIf there are no such values, write \\boxed{unsatisfiable} instead."

_PAIR = r"[a-z]\s*(?::=|=|:|\bis\b)\s*(?:true|false)\b"
_DENIAL = re.compile(
    r"(?:it is |the formula is |they are )?"
    r"(?:unsat|unsatisfiable|not satisfiable|impossible|no solution)",
    re.IGNORECASE,
)


@register
class Sat(Generated):
    """Clauses of three variables each, drawn at random."""

    name: ClassVar[str] = "sat"
    source: ClassVar[str] = (
        "Mitchell, Selman & Levesque 1992, Hard and easy distributions of SAT "
        "problems, AAAI-92, 459-465"
    )

    variables: int = Field(default=5, ge=3, le=len(ascii_uppercase))
    """How many variables."""
    clauses: int | None = Field(default=None, ge=1)
    """How many clauses, all different; ``None`` is ``ratio`` times ``variables``."""
    ratio: float = Field(default=HARD_RATIO, gt=0)
    """Clauses per variable."""
    satisfiable: bool | None = True
    """Whether there are such values. ``None`` leaves it to chance. Unless it is true,
    the reply may be that there are none."""
    story: bool = False
    """Tell of guests of a party instead of variables and clauses."""

    @model_validator(mode="after")
    def _enough_clauses(self) -> "Sat":
        if self.clauses is not None and "ratio" in self.model_fields_set:
            raise ValueError("clauses and ratio exclude each other; drop one")
        # Every assignment breaks one of the eight clauses on each three variables.
        kinds = comb(self.variables, 3) * (7 if self.satisfiable else 8)
        if not 1 <= self._count <= kinds:
            raise ValueError(
                f"{self._count} clauses on {self.variables} variables are not between "
                f"1 and the {kinds} that there can be; change ratio or clauses"
            )
        return self

    @property
    def _count(self) -> int:
        return self.clauses or round(self.ratio * self.variables)

    def make(self, rng: random.Random, id: str) -> Problem:
        """Draw clauses until they are satisfiable, or are not, as is asked for."""
        for _ in range(ATTEMPTS):
            clauses = self._draw(rng)
            literals = satisfy(clauses)
            if self.satisfiable in (None, literals is not None):
                return self._problem(id, clauses, literals)
        change = "lower" if self.satisfiable else "raise"
        raise InvalidParameter(
            f"None of {ATTEMPTS} formulas with {self._count} clauses on "
            f"variables={self.variables} is satisfiable={self.satisfiable}: {change} "
            "ratio or clauses."
        )

    def _draw(self, rng: random.Random) -> list[Clause]:
        triples = _triples(self.variables)
        drawn = rng.sample(range(8 * len(triples)), self._count)
        return [
            tuple(-v if k >> i & 1 else v for i, v in enumerate(triples[k // 8]))
            for k in drawn
        ]

    def _problem(
        self, id: str, clauses: list[Clause], literals: set[int] | None
    ) -> Problem:
        names = ascii_uppercase[: self.variables]
        if literals is None:
            reference = "unsatisfiable"
        else:
            pairs = enumerate(names, start=1)
            values = (f"{name}={str(v in literals).lower()}" for v, name in pairs)
            reference = ", ".join(values)
        return Problem(
            id=id,
            question=self._question(names, clauses),
            reference=f"\\boxed{{{reference}}}",
            data={
                "variables": list(names),
                "clauses": [list(clause) for clause in clauses],
                "satisfiable": literals is not None,
            },
        )

    def _question(self, names: str, clauses: list[Clause]) -> str:
        words = _wish if self.story else _clause
        lines = (f"{i}. {words(names, c)}" for i, c in enumerate(clauses, start=1))
        text = (STORY if self.story else CLAUSES).format(
            names=f"{', '.join(names[:-1])} and {names[-1]}", lines="\n".join(lines)
        )
        text += FORM.format(count=len(names))
        return text if self.satisfiable else text + UNDECIDED

    def grade(self, problem: Problem, text: str) -> Grade:
        """Check every variable and every clause."""
        answer, pairs = read_list(text, _PAIR)
        if pairs is None and answer is None:
            return UNREADABLE
        if pairs is not None:
            reasons = tuple(_broken(pairs, problem.data))
            return Grade(correct=not reasons, answer=answer, reasons=reasons)
        if _DENIAL.fullmatch(answer or ""):
            wrong = problem.data["satisfiable"]
            reasons = ("There are values that satisfy all clauses.",) if wrong else ()
            return Grade(correct=not wrong, answer=answer, reasons=reasons)
        reason = f"'{answer}' is no list of values such as A=true."
        return Grade(correct=None, answer=answer, reasons=(reason,))


@cache
def _triples(variables: int) -> list[Clause]:
    return list(combinations(range(1, variables + 1), 3))


def _clause(names: list[str] | str, clause: Clause) -> str:
    return " or ".join(f"{'not ' * (v < 0)}{names[abs(v) - 1]}" for v in clause)


def _wish(names: list[str] | str, clause: Clause) -> str:
    return ", or ".join(
        f"{names[abs(v) - 1]} {'stays away' if v < 0 else 'comes'}" for v in clause
    )


def _broken(pairs: list[str], data: dict[str, Any]) -> list[str]:
    """Return one line for each fault of an assignment."""
    names, values = data["variables"], _values(pairs)
    faults = [f"There is no variable {name}." for name in values if name not in names]
    for name in names:
        given = values.get(name, set())
        if len(given) != 1:
            faults.append(f"{name} has {'both values' if given else 'no value'}.")
    for number, clause in enumerate(data["clauses"], start=1):
        # A variable without a value, or with both, satisfies nothing.
        if not any(values.get(names[abs(v) - 1]) == {v > 0} for v in clause):
            words = _clause(names, tuple(clause))
            faults.append(f"Clause {number} does not hold: {words}.")
    return faults


def _values(pairs: list[str]) -> dict[str, set[bool]]:
    values: dict[str, set[bool]] = {}
    for pair in pairs:
        given = pair.casefold().endswith("true")
        values.setdefault(pair[0].upper(), set()).add(given)
    return values
