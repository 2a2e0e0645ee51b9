"""The role that asks the sub-questions which the evidence at hand leaves open."""

from collections.abc import Sequence
from typing import Any, Protocol

from ponder.agents._structured import ask, last_json
from ponder.agents.reader import numbered
from ponder.context import RunContext
from ponder.messages import Completion
from ponder.passages import Passage
from ponder.result import Task

QUERY_PROMPT = """\
The evidence below does not yet answer a question for certain.

Evidence:
{evidence}

Question: {question}

An answer that the evidence does not show to be right: {answer}

Already searched: {queries}

Which facts are missing? Write at most {most} short sub-questions for a search engine, \
each about one missing fact, with the names that the evidence gives, and none that was \
already searched.

Reply in JSON: {{"queries": ["..."]}}"""

QUERY_REMINDER = """\
That could not be read. Reply with the sub-questions alone, in JSON: \
{"queries": ["..."]}"""

LONGEST = 160
"""Characters of a query."""


class QueryWriter(Protocol):
    """Writes search queries. See ``query_writer``."""

    async def __call__(
        self,
        task: Task,
        evidence: Sequence[Passage],
        answer: str,
        queries: Sequence[str],
        context: RunContext,
    ) -> list[str] | None:
        """Return sub-questions about what is missing.

        Args:
            task: The question.
            evidence: What is held.
            answer: The answer that was not accepted.
            queries: What was searched before.
            context: The place of the call.

        Returns:
            Perhaps none; ``None`` if two replies were unreadable.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def query_writer(
    *, most: int = 2, max_tokens: int = 192, prompt: str = QUERY_PROMPT
) -> QueryWriter:
    """Return a writer of sub-questions.

    Args:
        most: Most queries in one reply.
        max_tokens: Limit of the reply.
        prompt: With places for ``{evidence}``, ``{question}``, ``{answer}``,
            ``{queries}`` and ``{most}``.
    """

    async def write(
        task: Task,
        evidence: Sequence[Passage],
        answer: str,
        queries: Sequence[str],
        context: RunContext,
    ) -> list[str] | None:
        return await ask(
            task,
            prompt.format(
                evidence=numbered(evidence),
                question=task.question,
                answer=answer or "(none)",
                queries="; ".join(queries),
                most=most,
            ),
            lambda completion: _read(completion, most),
            context.acting("planner"),
            reminder=QUERY_REMINDER,
            max_tokens=max_tokens,
            schema=_schema(most),
        )

    return write


def _read(completion: Completion, most: int) -> list[str] | None:
    value = last_json(completion.text)
    if isinstance(value, dict):
        value = value.get("queries")
    if not isinstance(value, list):
        return None
    lines = [" ".join(q.split()) for q in value if isinstance(q, str)]
    queries = [line for line in dict.fromkeys(lines) if line]
    return None if value and not queries else queries[:most]


def _schema(most: int) -> dict[str, Any]:
    query = {"type": "string", "minLength": 1, "maxLength": LONGEST}
    return {
        "type": "object",
        "properties": {"queries": {"type": "array", "items": query, "maxItems": most}},
        "required": ["queries"],
        "additionalProperties": False,
    }
