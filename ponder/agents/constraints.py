"""The role that reads out of a problem what a solution of it must satisfy."""

import json
import re
from typing import Any, Protocol

from ponder.agents._structured import ask, last_json
from ponder.context import RunContext
from ponder.errors import InvalidParameter, ModelError, OutOfBudget
from ponder.messages import Completion
from ponder.models.base import Model
from ponder.result import Task

CONSTRAINTS_PROMPT = """\
Someone else will solve the problem below. Do not solve it. Write down every \
constraint that a solution has to satisfy to be accepted: what is required, what is \
forbidden, which limits, numbers, names, times and orders are given, and in which form \
the answer is wanted. Make each constraint one short sentence that can be checked on \
its own, and keep to what the problem says.

Problem:
{question}

Reply in JSON: {{"constraints": ["...", "..."]}}, with at most {most} constraints."""

CONSTRAINTS_REMINDER = """\
That could not be read. Reply with the list of constraints alone, in JSON: \
{"constraints": ["...", "..."]}"""

LONGEST = 240
"""Characters of a constraint."""

_ITEM = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+(.*\S)", re.MULTILINE)
_CUT_ARRAY = re.compile(r'\[\s*(?=")')
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


class ConstraintExtractor(Protocol):
    """Extracts the constraints of one problem. See ``constraint_extractor``."""

    async def __call__(self, task: Task, context: RunContext) -> tuple[str, ...]:
        """Return the constraints, one sentence each.

        Args:
            task: The problem.
            context: The place of the call.

        Returns:
            Empty if the problem has none, or, with a warning, if two replies were
            unreadable.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def constraint_extractor(
    *,
    model: Model | None = None,
    most: int = 12,
    max_tokens: int = 1024,
    prompt: str = CONSTRAINTS_PROMPT,
) -> ConstraintExtractor:
    """Return the constraint agent of PlanGEN.

    Parmar et al. 2025, https://arxiv.org/abs/2502.16111: constraints are specific to
    the instance, and are extracted at temperature 0.

    Args:
        model: Who extracts; by default the model of the run.
        most: Most constraints that are kept, at least 1.
        max_tokens: Limit of the reply.
        prompt: With places for ``{question}`` and ``{most}``.

    Raises:
        InvalidParameter: ``most`` is below 1.
    """
    if most < 1:
        raise InvalidParameter(f"most is {most}: give at least 1 constraint.")

    async def extract(task: Task, context: RunContext) -> tuple[str, ...]:
        context = context.acting("constraints")
        found = await ask(
            task,
            prompt.format(question=task.question, most=most),
            lambda completion: _read(completion, most),
            context,
            reminder=CONSTRAINTS_REMINDER,
            max_tokens=max_tokens,
            schema=_schema(most),
            model=model,
        )
        if found is None:
            context.warn(
                "No constraints could be read from the model's replies: solutions are "
                "checked against the question alone."
            )
        return found or ()

    return extract


extract = constraint_extractor()
"""The constraint agent with its defaults."""


async def extracted(
    extractor: ConstraintExtractor, task: Task, context: RunContext
) -> tuple[str, ...]:
    """Return constraints, or none, with a warning, where they cannot be had.

    Args:
        extractor: Who extracts.
        task: The problem.
        context: The place of the call.
    """
    try:
        return await extractor(task, context)
    except OutOfBudget:
        context.warn(
            "The budget leaves no room to extract constraints: solutions are "
            "checked against the question alone."
        )
    except ModelError as error:
        context.warn(str(error))
    return ()


def constraints_in(text: str) -> tuple[str, ...] | None:
    """Return the constraints that a reply lists, in JSON or in numbered lines.

    A JSON array that was cut off counts as far as its strings are complete.

    Returns:
        Without repetitions; ``None`` if there is no list.
    """
    value = last_json(text)
    if isinstance(value, dict):
        value = value.get("constraints")
    array = value if isinstance(value, list) else []
    items = [item for item in array if isinstance(item, str)]
    # Brackets may stand in a list that was cut off, or is none in JSON.
    items = items or _cut_off(text) or _ITEM.findall(text)
    if not items and value == []:
        return ()
    kept = dict.fromkeys(" ".join(item.split()) for item in items)
    kept.pop("", None)
    return tuple(kept) or None


def _read(completion: Completion, most: int) -> tuple[str, ...] | None:
    found = constraints_in(completion.text)
    return None if found is None else found[:most]


def _cut_off(text: str) -> list[str]:
    start = _CUT_ARRAY.search(text)
    return [_unquoted(s) for s in _STRING.findall(text, start.end())] if start else []


def _unquoted(string: str) -> str:
    try:
        return str(json.loads(string, strict=False))
    except ValueError:
        return string[1:-1]


def _schema(most: int) -> dict[str, Any]:
    item = {"type": "string", "minLength": 1, "maxLength": LONGEST}
    return {
        "type": "object",
        "properties": {
            "constraints": {
                "type": "array",
                "items": item,
                "minItems": 1,
                "maxItems": most,
            }
        },
        "required": ["constraints"],
        "additionalProperties": False,
    }
