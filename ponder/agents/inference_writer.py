"""The role that draws conclusions from passages, and revises those drawn before."""

from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import Field

from ponder.agents._structured import ask, last_json
from ponder.agents.reader import numbered
from ponder.context import RunContext
from ponder.messages import Completion, Value
from ponder.passages import Passage
from ponder.result import Task

INFER_PROMPT = """\
Prepare the answer to a question; do not answer it yet.

Passages:
{passages}

Conclusions drawn earlier, which may be wrong or out of date:
{held}

Question: {question}

Write down what the passages say about the people, places and things that the question \
turns on: at most {most} conclusions, each one short sentence that names them in full, \
with the numbers of the passages that it rests on. Combine passages where that leads \
closer to the answer. Repeat an earlier conclusion word for word if the passages still \
support it, correct it if they say otherwise, and leave it out if they do not support \
it.

Reply in JSON: {{"conclusions": [{{"about": "...", "statement": "...", "passages": \
[1]}}]}}"""

INFER_REMINDER = """\
That could not be read. Reply with the conclusions alone, in JSON: {"conclusions": \
[{"about": "...", "statement": "...", "passages": [1]}]}"""

NONE_HELD = "(none)"
LONGEST = 240
"""Characters of a statement."""


class Inference(Value):
    """A conclusion, with the passages that it was drawn from."""

    about: str
    """The key entity that it is about."""
    statement: str = Field(min_length=1)
    sources: tuple[Passage, ...]
    """Empty if it names no passage that there is."""
    support: float | None = Field(default=None, ge=0, le=1)
    """P(the sources support it); ``None`` if that could not be asked."""


class InferenceWriter(Protocol):
    """Draws conclusions. See ``inference_writer``."""

    async def __call__(
        self,
        task: Task,
        passages: Sequence[Passage],
        held: Sequence[Inference],
        context: RunContext,
    ) -> list[Inference] | None:
        """Return the conclusions that now hold, in place of those held before.

        Args:
            task: The question.
            passages: What they may be drawn from.
            held: Conclusions drawn earlier.
            context: The place of the call.

        Returns:
            Perhaps none; ``None`` if two replies were unreadable.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def inference_writer(
    *, most: int = 5, max_tokens: int = 512, prompt: str = INFER_PROMPT
) -> InferenceWriter:
    """Return a writer of inferential evidence.

    Xiao et al. 2025 (RetroRAG), https://arxiv.org/abs/2501.05475: statements about the
    key entities of the question, made from the source evidence at hand, and revised
    as that changes.

    Args:
        most: Most conclusions in one reply.
        max_tokens: Limit of the reply.
        prompt: With places for ``{passages}``, ``{held}``, ``{question}``, ``{most}``.
    """

    async def infer(
        task: Task,
        passages: Sequence[Passage],
        held: Sequence[Inference],
        context: RunContext,
    ) -> list[Inference] | None:
        before = "\n".join(f"- {inference.statement}" for inference in held)
        return await ask(
            task,
            prompt.format(
                passages=numbered(passages),
                held=before or NONE_HELD,
                question=task.question,
                most=most,
            ),
            lambda completion: _read(completion, passages, most),
            context,
            reminder=INFER_REMINDER,
            max_tokens=max_tokens,
            schema=_schema(most),
        )

    return infer


def same_statement(inference: Inference) -> str:
    """Return a statement as it is compared with others."""
    return " ".join(inference.statement.casefold().split()).rstrip(".")


def _read(
    completion: Completion, passages: Sequence[Passage], most: int
) -> list[Inference] | None:
    value = last_json(completion.text)
    if isinstance(value, dict):
        value = value.get("conclusions")
    if not isinstance(value, list):
        return None
    found = [one for one in (_inference(item, passages) for item in value) if one]
    if value and not found:
        return None
    return list({same_statement(one): one for one in found}.values())[:most]


def _inference(item: object, passages: Sequence[Passage]) -> Inference | None:
    if not isinstance(item, dict) or not isinstance(item.get("statement"), str):
        return None
    statement = " ".join(item["statement"].split())
    if not statement:
        return None
    numbers = item.get("passages")
    kept = (
        dict.fromkeys(n for n in numbers if isinstance(n, int))
        if isinstance(numbers, list)
        else {}
    )
    sources = tuple(passages[n - 1] for n in kept if 1 <= n <= len(passages))
    return Inference(
        about=str(item.get("about") or ""), statement=statement, sources=sources
    )


def _schema(most: int) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": LONGEST}
    conclusion = {
        "type": "object",
        "properties": {
            "about": text,
            "statement": text,
            "passages": {
                "type": "array",
                "items": {"type": "integer"},
                "minItems": 1,
                "maxItems": 4,
            },
        },
        "required": ["about", "statement", "passages"],
        "additionalProperties": False,
    }
    listed = {"type": "array", "items": conclusion, "maxItems": most}
    return {
        "type": "object",
        "properties": {"conclusions": listed},
        "required": ["conclusions"],
        "additionalProperties": False,
    }
