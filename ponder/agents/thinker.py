"""The role that writes one thought for a prompt of the caller's own."""

from collections.abc import Callable
from typing import Protocol

from ponder.agents.answers import extract
from ponder.context import Composite, RunContext
from ponder.errors import InvalidInput
from ponder.messages import Request, Sampling, system, user
from ponder.result import Candidate, Task

Read = Callable[[str], str | None]
"""Returns what a text answers, ``None`` if that cannot be read."""


class Thinker(Protocol):
    """Writes thoughts. See ``thinker``."""

    async def __call__(self, task: Task, prompt: str, context: RunContext) -> Candidate:
        """Return what the model of the run writes for a prompt.

        Args:
            task: Whose conversation and worked examples come before the prompt.
            prompt: Takes the place of the question.
            context: The place of the call, and the id of the thought.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
            InvalidInput: ``read`` raised.
        """
        ...


def thinker(
    *,
    instructions: str = "",
    sampling: Sampling | None = None,
    max_tokens: int = 1024,
    read: Read = extract,
) -> Thinker:
    """Return a thinker.

    Args:
        instructions: System prompt; empty sends the prompt alone. A strategy that
            stands in for the model has instructions of its own, so it gets none.
        sampling: How tokens are drawn.
        max_tokens: Limit of a thought.
        read: Reads the answer out of the thought; by default what is marked as one.
    """

    async def think(task: Task, prompt: str, context: RunContext) -> Candidate:
        alone = not instructions or isinstance(context.model, Composite)
        head = () if alone else (system(instructions),)
        request = Request(
            messages=(*head, *task.examples, *task.history, user(prompt)),
            max_tokens=max_tokens,
            sampling=sampling or Sampling(),
            prefill=task.prefill,
        )
        (completion,) = await context.generate(request)
        thought = Candidate(
            id=context.id,
            text=completion.text,
            answer=answer_in(completion.text, read),
            output_tokens=completion.usage.output_tokens,
            finish_reason=completion.finish_reason,
        )
        context.found(thought)
        return thought

    return think


def answer_in(text: str, read: Read) -> str | None:
    """Return what ``read`` finds in a text.

    Raises:
        InvalidInput: It raised, or returned something that is no text.
    """
    name = getattr(read, "__name__", "read")
    try:
        answer = read(text)
    except Exception as error:
        raise InvalidInput(
            f"The function '{name}' that reads answers raised "
            f"{type(error).__name__}: {error}. Let it return None for a text that it "
            "cannot read."
        ) from error
    # A user's function may return anything, whatever its annotation says.
    if answer is not None and not isinstance(answer, str):
        raise InvalidInput(
            f"The function '{name}' that reads answers returned {answer!r}: let it "
            "return a text, or None."
        )
    return answer
