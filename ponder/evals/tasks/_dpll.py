"""Satisfiability of formulas in conjunctive normal form.

Davis, Logemann & Loveland 1962, A machine program for theorem-proving,
https://doi.org/10.1145/368273.368557.
"""

from collections.abc import Sequence

Clause = tuple[int, ...]
"""Literals of which one must be true; -3 is the negation of variable 3."""


def satisfy(clauses: Sequence[Clause]) -> set[int] | None:
    """Return literals that satisfy all clauses when they are true.

    Args:
        clauses: In conjunction; none repeats a variable.

    Returns:
        The literals; variables without one may have any value. ``None`` if the
        clauses cannot be satisfied.
    """
    chosen: set[int] = set()
    while unit := next((c for c in clauses if len(c) == 1), None):
        chosen.add(unit[0])
        clauses = _given(clauses, unit[0])
    if any(not clause for clause in clauses):
        return None
    if not clauses:
        return chosen
    # A literal of a shortest clause soonest makes another clause a unit.
    literal = min(clauses, key=len)[0]
    for guess in (literal, -literal):
        rest = satisfy(_given(clauses, guess))
        if rest is not None:
            return chosen | {guess} | rest
    return None


def _given(clauses: Sequence[Clause], literal: int) -> list[Clause]:
    """Return what is left to satisfy if a literal is true."""
    return [
        tuple(other for other in clause if other != -literal)
        for clause in clauses
        if literal not in clause
    ]
