"""Asking a model for a reply of a certain form, and once more if it is unreadable."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from ponder.agents.choice import plain_model
from ponder.context import RunContext
from ponder.errors import UnsupportedCapability
from ponder.messages import (
    GREEDY,
    Completion,
    Message,
    Request,
    Sampling,
    assistant,
    user,
)
from ponder.models.base import Model
from ponder.result import Task

T = TypeVar("T")


async def ask(
    task: Task,
    prompt: str,
    read: Callable[[Completion], T | None],
    context: RunContext,
    *,
    reminder: str,
    max_tokens: int,
    schema: dict[str, Any] | None = None,
    sampling: Sampling = GREEDY,
    model: Model | None = None,
) -> T | None:
    """Ask a model, and read what it replies.

    Args:
        task: Whose conversation comes before the prompt.
        prompt: What to ask.
        read: Returns what the reply says, ``None`` if it cannot be read.
        context: The place of the call; the second one is ``again`` below it.
        reminder: What to say to a model whose reply could not be read.
        max_tokens: Limit of the reply.
        schema: JSON schema of the reply, enforced where the model can be held to one.
        sampling: How tokens are drawn.
        model: Whom to ask; by default the model of the run.

    Returns:
        What was read; ``None`` if both replies were unreadable.

    Raises:
        OutOfBudget: The budget admits no such call.
        ModelError: The call failed.
    """
    model = model or plain_model(context.model)
    if schema is not None and not model.capabilities.output_schema:
        context.substitute("output_schema", "replies that are read as they come")
        schema = None
    request = Request(
        messages=(*task.history, user(prompt)),
        max_tokens=max_tokens,
        sampling=sampling,
        output_schema=schema,
    )
    try:
        (completion,) = await context.generate(request, model)
    except UnsupportedCapability:
        if schema is None:
            raise
        # It was not known before: the provider refuses this one, or all of them.
        context.substitute("output_schema", "replies that are read as they come")
        request = request.model_copy(update={"output_schema": None})
        context = context.at("free")
        (completion,) = await context.generate(request, model)
    found = read(completion)
    if found is not None:
        return found
    turns = (*task.history, *_reminded(prompt, completion.text, reminder))
    repeated = request.model_copy(update={"messages": turns})
    (completion,) = await context.at("again").generate(repeated, model)
    return read(completion)


def _reminded(prompt: str, reply: str, reminder: str) -> tuple[Message, ...]:
    # Some chat templates refuse empty turns, and two turns of the user in a row.
    if not reply.strip():
        return (user(f"{prompt}\n\n{reminder}"),)
    return (user(prompt), assistant(reply), user(reminder))


def last_json(text: str) -> Any:
    """Return the last JSON object or array in a text, ``None`` if there is none."""
    found = all_json(text)
    return found[-1] if found else None


def all_json(text: str) -> list[Any]:
    """Return the JSON objects and arrays of a text that are in no other one."""
    decoder, at, found = json.JSONDecoder(), 0, []
    while at < len(text):
        if text[at] not in "{[":
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
        else:
            found.append(value)
    return found


def first_json(text: str) -> Any:
    """Return the JSON object that the first brace begins, ``None`` if it is broken."""
    try:
        return json.JSONDecoder().raw_decode(text, max(0, text.find("{")))[0]
    except (ValueError, RecursionError):
        return None
