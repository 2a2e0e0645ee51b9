"""The role that finds conditions which make a problem easier to solve."""

import re
from collections.abc import Sequence
from typing import Protocol

from ponder.agents._lists import array_of_texts, texts_in
from ponder.agents._structured import ask
from ponder.context import RunContext
from ponder.errors import InvalidParameter
from ponder.result import Task

CONDITIONS_PROMPT = """\
Someone else will solve the problem below. Do not solve it. Write down what helps to \
solve it: {b} auxiliary conditions. An auxiliary condition is a quantity worth naming, \
a relation between quantities, a fact or rule that applies, a case to tell apart, or \
something that the problem says without stating it. Each must be true, must be one \
short sentence that can be used on its own, and must not say the same as another.

Problem:
{question}

Reply in JSON: {{"conditions": ["...", "..."]}}"""

CONDITIONS_REMINDER = """\
That could not be read. Reply with the list of auxiliary conditions alone, in JSON: \
{"conditions": ["...", "..."]}"""

LONGEST = 200
"""Characters of a condition."""

_BOXED = re.compile(r"\\boxed\s*\{[^{}]*\}")
_MARK = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


class ConditionFinder(Protocol):
    """Finds auxiliary conditions. See ``condition_finder``."""

    async def __call__(self, task: Task, context: RunContext) -> tuple[str, ...]:
        """Return the conditions, one sentence each, none twice.

        Args:
            task: The problem.
            context: The place of the call.

        Returns:
            Empty, with a warning, if two replies were unreadable.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def condition_finder(
    *, b: int = 10, max_tokens: int = 768, prompt: str = CONDITIONS_PROMPT
) -> ConditionFinder:
    """Return a finder of auxiliary conditions.

    Args:
        b: How many are asked for, and most that are kept.
        max_tokens: Limit of the reply.
        prompt: With places for ``{question}`` and ``{b}``.

    Raises:
        InvalidParameter: ``b`` is below 1.
    """
    if b < 1:
        raise InvalidParameter(f"b is {b}: ask for 1 condition or more.")

    async def find(task: Task, context: RunContext) -> tuple[str, ...]:
        found = await ask(
            task,
            prompt.format(question=task.question, b=b),
            lambda completion: texts_in(completion.text, "conditions"),
            context.acting("planner"),
            reminder=CONDITIONS_REMINDER,
            max_tokens=max_tokens,
            schema=array_of_texts("conditions", 1, b, LONGEST),
        )
        if found is None:
            context.warn(
                "No auxiliary conditions could be read from the model's replies: the "
                "question is solved without."
            )
        return independent(found or ())[:b]

    return find


def independent(conditions: Sequence[str]) -> tuple[str, ...]:
    """Return the conditions without those that repeat an earlier one.

    Two are the same if they have the same words and numbers in the same order, in
    upper or lower case.
    """
    words = {c: tuple(re.findall(r"\w+", c.casefold())) for c in reversed(conditions)}
    first = {key: c for c, key in words.items()}
    return tuple(c for c in dict.fromkeys(conditions) if first[words[c]] == c)


def numbered(conditions: Sequence[str]) -> str:
    """Return conditions as a prompt shows them: ``[1] text``."""
    return "\n".join(f"[{i}] {text}" for i, text in enumerate(conditions, 1))


def used(text: str, conditions: Sequence[str]) -> tuple[int, ...]:
    """Return which conditions a solution names by their numbers in brackets.

    Returns:
        Numbers from 1, ascending, each once; those that no condition has are left out.
    """
    # An answer may be a list in brackets.
    marks = ",".join(_MARK.findall(_BOXED.sub("", text))).split(",")
    numbers = {int(mark) for mark in marks if mark.strip()}
    return tuple(sorted(n for n in numbers if 1 <= n <= len(conditions)))
