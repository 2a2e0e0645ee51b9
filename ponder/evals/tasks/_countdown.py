"""How far a solution has come that combines numbers step by step to a target."""

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from ponder.evals.tasks._arithmetic import solve
from ponder.evals.tasks._expressions import operations, read

LEFT = "Left:"
LAST = "The expression"


def progress(text: str, numbers: Sequence[int], target: int) -> float | None:
    """Return the share of the way that a solution has come, 0 to below 1.

    Args:
        text: Lines such as ``3 + 5 = 8. Left: 7, 10, 8.``, and maybe the beginning of
            the expression, which is not looked at.
        numbers: Those that were given.
        target: The value to reach.

    Returns:
        Operations over numbers. 0 if one of them is wrong, takes a number that is not
        left or tells another rest, or if the rest cannot reach the target any more;
        ``None`` if a line is no such step.
    """
    rest = [Fraction(n) for n in numbers]
    for line in text.splitlines():
        if not line.strip():
            continue
        if LAST.startswith(line.strip()[: len(LAST)]):
            break
        right = _taken(line, rest)
        if not right:
            return None if right is None else 0.0
    done = len(numbers) - len(rest)
    return done / len(numbers) if _reaches(rest, target) else 0.0


def _taken(line: str, rest: list[Fraction]) -> bool | None:
    """Take a step on the rest; return whether it is right, ``None`` if it is none."""
    step, _, told = line.partition(LEFT)
    left, _, value = step.strip().rstrip(".").partition("=")
    said, found = read(left), _numbers(value)
    if said is None or said.foreign or found is None or len(found) != 1:
        return None
    if said.value != found[0]:
        return False
    taken = operations(_bracketed(left, rest))
    if not taken:
        return None
    if all(sign == "/" for _, sign, _, _ in taken[:-1]):
        # A fraction that is left stands as a division in the next step: 6 / (1/4).
        taken = taken[-1:] if set(taken[-1][::2]) <= set(rest) else taken
    for a, _, b, result in taken:
        for operand in (a, b):
            if operand not in rest:
                return False
            rest.remove(operand)
        rest.append(result)
    known = _numbers(told.strip().rstrip(".")) if told.strip() else rest
    if known is None or (_is_part(known, rest) and not told.strip().endswith(".")):
        # The list may be cut off behind a number.
        return None
    return sorted(known) == sorted(rest)


def _bracketed(text: str, rest: Sequence[Fraction]) -> str:
    """Return a step with brackets around fractions that are left: 5 * (24/5).

    Where they would change its value they are not meant.
    """
    changed = text
    for number in rest:
        if number.denominator > 1:
            over = (
                rf"(?<![\d.(/]){number.numerator}\s*/\s*{number.denominator}(?![\d.)])"
            )
            changed = re.sub(over, f"({number})", changed)
    before, after = read(text), read(changed)
    return changed if before and after and before.value == after.value else text


def _is_part(known: Sequence[Fraction], rest: Sequence[Fraction]) -> bool:
    """Whether some numbers are missing, and all others are there."""
    return Counter(known) < Counter(rest)


def _numbers(text: str) -> list[Fraction] | None:
    try:
        return [Fraction(part.strip().strip("()")) for part in text.split(",")]
    except (ValueError, ZeroDivisionError):
        return None


def _reaches(rest: Sequence[Fraction], target: int) -> bool:
    if len(rest) == 1:
        return rest[0] == target
    return solve(rest, target) is not None
