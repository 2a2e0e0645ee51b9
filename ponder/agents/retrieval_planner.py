"""The role that reads what was found, and decides whether and what to search next."""

from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import Field

from ponder.agents._structured import ask, last_json
from ponder.agents.reader import numbered
from ponder.context import RunContext
from ponder.messages import Completion, Value
from ponder.passages import Passage
from ponder.result import Task

PLAN_PROMPT = """\
You answer a question with the help of a search engine. Decide what to do next.

Passages found so far:
{passages}

Queries made so far: {queries}

Question: {question}

Reply in JSON with four fields, in this order:
"found": what the passages say that helps to answer the question, in one sentence;
"needed": which fact is still missing, in one sentence, or "nothing";
"enough": true if the passages answer the question, else false;
"query": the next search query, a few words about the one missing fact and different \
from the queries made so far, or "" if nothing is missing."""

PLAN_REMINDER = """\
That could not be read. Reply in JSON alone: {"found": "...", "needed": "...", \
"enough": true or false, "query": "..."}. Unless "enough" is true there must be a \
query."""

LONGEST = 300
"""Characters of a field."""


class RetrievalPlan(Value):
    """What is known, what is missing, and how to find it."""

    found: str
    """What the passages say to the question."""
    needed: str
    """What is still missing."""
    query: str | None = Field(min_length=1)
    """The next query; ``None`` if the passages answer the question."""


class RetrievalPlanner(Protocol):
    """Plans the next search. See ``retrieval_planner``."""

    async def __call__(
        self,
        task: Task,
        passages: Sequence[Passage],
        queries: Sequence[str],
        context: RunContext,
    ) -> RetrievalPlan | None:
        """Return what to do next, ``None`` if two replies were unreadable.

        Args:
            task: The task.
            passages: What was found so far.
            queries: With which queries.
            context: The place of the call.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def retrieval_planner(
    *, max_tokens: int = 256, prompt: str = PLAN_PROMPT
) -> RetrievalPlanner:
    """Return the planner of Auto-RAG, by a prompt alone.

    Yu et al. 2024, https://arxiv.org/abs/2411.19443: the model reasons about what it
    needs (retrieval planning), about what a search has brought (information
    extraction), and about whether that suffices (answer inference). The paper trains a
    model to do so in free text; here one reply holds all three.

    Args:
        max_tokens: Limit of the reply.
        prompt: With places for ``{passages}``, ``{queries}`` and ``{question}``.
    """

    async def plan(
        task: Task,
        passages: Sequence[Passage],
        queries: Sequence[str],
        context: RunContext,
    ) -> RetrievalPlan | None:
        return await ask(
            task,
            prompt.format(
                passages=numbered(passages),
                queries="; ".join(queries) or "none",
                question=task.question,
            ),
            _read,
            context.acting("planner"),
            reminder=PLAN_REMINDER,
            max_tokens=max_tokens,
            schema=_SCHEMA,
        )

    return plan


plan_retrieval = retrieval_planner()
"""The planner with its defaults."""

_TEXT = {"type": "string", "maxLength": LONGEST}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "found": _TEXT,
        "needed": _TEXT,
        "enough": {"type": "boolean"},
        "query": _TEXT,
    },
    "required": ["found", "needed", "enough", "query"],
    "additionalProperties": False,
}


def _read(completion: Completion) -> RetrievalPlan | None:
    value = last_json(completion.text)
    if not isinstance(value, dict) or not isinstance(value.get("enough"), bool):
        return None
    query = "" if value["enough"] else _line(value.get("query"))
    if not value["enough"] and not query:
        return None
    return RetrievalPlan(
        found=_line(value.get("found")),
        needed=_line(value.get("needed")),
        query=query or None,
    )


def _line(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""
