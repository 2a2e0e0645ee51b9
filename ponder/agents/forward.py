"""The modules of forward reasoning by steps: select, infer, and know when to stop.

Selection and Inference of Creswell et al. 2022, https://arxiv.org/abs/2205.09712.
"""

from collections.abc import Sequence
from typing import Any

from ponder.agents._structured import ask, last_json
from ponder.agents.choice import choose
from ponder.agents.theory import numbered
from ponder.context import RunContext
from ponder.errors import InvalidParameter
from ponder.messages import GREEDY, Completion, Sampling
from ponder.result import Task

SELECT_PROMPT = """\
{statements}

Question: {question}

Someone works towards the answer in small steps. Which of the numbered statements \
should be combined in the next step, so that something new follows from them alone? \
Take at most {most}, usually one rule and the facts that it needs.{tried}

Reply in JSON with their numbers: {{"selection": [1, 2]}}"""

INFER_PROMPT = """\
{selection}

What follows from these statements together? Write one new statement, a short full \
sentence, that must be true if they are. Do not repeat one of them, and use nothing \
else that you know."""

HALT_PROMPT = """\
Known:
{statements}

Question: {question}

Do the last known statements already hold the answer to the question, without any \
further step? Answer with one word: Yes or No."""

TRIED = " Combined already, so take others: {tried}."

SELECT_REMINDER = """\
That could not be read. Reply with the numbers of the statements in JSON alone."""

INFER_REMINDER = "Write the new statement, one sentence, and nothing else."


async def select(
    task: Task,
    statements: Sequence[str],
    context: RunContext,
    *,
    most: int = 4,
    tried: Sequence[Sequence[int]] = (),
    sampling: Sampling = GREEDY,
) -> tuple[int, ...] | None:
    """Select statements that support one step of reasoning.

    Only numbers of statements can be selected, so no premise can be made up. The paper
    reaches the same by scoring the given sentences.

    Args:
        task: The question.
        statements: What is given, and what was inferred before, 1 or more.
        context: The place of the call.
        most: At most so many statements.
        tried: Indices of selections made before, which the model is told of.
        sampling: How the selection is drawn.

    Returns:
        Indices, ascending; ``None`` if two replies were unreadable.

    Raises:
        InvalidParameter: There is no statement.
        OutOfBudget: The budget admits no such call.
        ModelError: The call failed.
    """
    if not statements:
        raise InvalidParameter("There is no statement to select from.")
    n = len(statements)
    numbers = await ask(
        task,
        SELECT_PROMPT.format(
            statements=numbered(statements),
            question=task.question,
            most=most,
            tried=TRIED.format(tried=_listed(tried)) if tried else "",
        ),
        lambda completion: _numbers(completion, n, most),
        context.acting("selector"),
        reminder=SELECT_REMINDER,
        max_tokens=24 + 4 * most,
        schema=_schema(n, most),
        sampling=sampling,
    )
    return None if numbers is None else tuple(number - 1 for number in numbers)


async def infer(selection: Sequence[str], context: RunContext) -> str | None:
    """Return one new statement that follows from a selection.

    The model sees the selection alone: neither the question nor any other statement,
    so that the step rests on nothing else.

    Returns:
        One line; ``None`` if nothing was said, twice.

    Raises:
        OutOfBudget: The budget admits no such call.
        ModelError: The call failed.
    """
    return await ask(
        Task(question="-"),
        INFER_PROMPT.format(selection="\n".join(selection)),
        lambda completion: " ".join(completion.text.split()) or None,
        context.acting("reasoner"),
        reminder=INFER_REMINDER,
        max_tokens=96,
    )


async def can_answer(
    task: Task, statements: Sequence[str], context: RunContext
) -> bool | None:
    """Say whether statements hold the answer already, so that reasoning may stop.

    Returns:
        ``None`` if the reply cannot be read.

    Raises:
        OutOfBudget: The budget admits no such call.
        ModelError: The call failed.
    """
    prompt = HALT_PROMPT.format(
        statements="\n".join(statements), question=task.question
    )
    chances = await choose(prompt, ("Yes", "No"), context.acting("halter"))
    return None if chances is None else chances["Yes"] >= chances["No"]


def _listed(selections: Sequence[Sequence[int]]) -> str:
    groups = (" with ".join(str(i + 1) for i in chosen) for chosen in selections)
    return "; ".join(dict.fromkeys(groups))


def _numbers(completion: Completion, n: int, most: int) -> list[int] | None:
    value = last_json(completion.text)
    if isinstance(value, dict):
        value = value.get("selection")
    if not isinstance(value, list):
        return None
    fits = {v for v in value if isinstance(v, int) and not isinstance(v, bool)}
    return sorted(v for v in fits if 1 <= v <= n)[:most] or None


def _schema(n: int, most: int) -> dict[str, Any]:
    items = {"type": "integer", "enum": list(range(1, n + 1))}
    selection = {"type": "array", "items": items, "minItems": 1, "maxItems": most}
    return {
        "type": "object",
        "properties": {"selection": selection},
        "required": ["selection"],
        "additionalProperties": False,
    }
