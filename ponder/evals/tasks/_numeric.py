"""Grading of answers that are one number."""

import re

from ponder.agents.answers import extract, same
from ponder.evals.benchmark import UNREADABLE, Grade

_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_SPELT = re.compile(rf"({'|'.join(_WORDS)})\b[\s\w]*", re.IGNORECASE)


def grade_number(text: str, number: int) -> Grade:
    """Grade a reply whose final answer has to be a number.

    Args:
        text: The whole reply.
        number: The right answer.

    Returns:
        The grade; ``correct`` is ``None`` if there is no final answer, or if it holds
        no number. Numbers up to twelve may be spelt.
    """
    answer = extract(text)
    if answer is None:
        return UNREADABLE
    if match := _SPELT.fullmatch(answer):
        value = str(_WORDS.index(match[1].casefold()))
    else:
        value = answer
    if same(value, str(number), "math"):
        return Grade(correct=True, answer=answer)
    if not re.search(r"\d", value):
        reason = f"The answer '{answer}' is no number."
        return Grade(correct=None, answer=answer, reasons=(reason,))
    return Grade(correct=False, answer=answer, reasons=("The number is wrong.",))
