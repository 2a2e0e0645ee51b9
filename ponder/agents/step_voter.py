"""The role that compares beginnings of solutions, and votes for the best of them."""

from collections.abc import Sequence
from typing import Any, Protocol

from ponder.agents._structured import ask, last_json
from ponder.agents.choice import brought
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.messages import Completion, Sampling
from ponder.models.base import Model
from ponder.result import Task

VOTE_PROMPT = """\
Here are {count} beginnings of solutions of one problem. Decide which one is the most \
promising to go on from.

Problem:
{question}

{beginnings}

First compare them, in at most three short sentences: where they differ, and what is \
wrong with one or missing from it. Then give the number of the most promising one.

Reply in JSON: {{"comparison": "<sentences>", "choice": <number>}}"""

VOTE_REMINDER = """\
That could not be read. Reply in JSON alone, with a short comparison and the number of \
the most promising beginning: {"comparison": "<sentences>", "choice": <number>}"""

LONGEST = 400
"""Characters of the comparison."""


class StepVoter(Protocol):
    """Compares beginnings of solutions. See ``step_voter``."""

    async def __call__(
        self, task: Task, beginnings: Sequence[str], context: RunContext
    ) -> list[float | None]:
        """Return what share of the votes each beginning got.

        Args:
            task: What is to be solved.
            beginnings: At least one; a single one gets all votes, unasked.
            context: The place below which the votes are given.

        Returns:
            Shares that sum to 1; ``None`` for all if no vote could be read.

        Raises:
            OutOfBudget: The budget admits no vote.
            ModelError: All votes failed.
        """
        ...


def step_voter(
    *,
    votes: int = 5,
    temperature: float = 0.7,
    max_tokens: int = 256,
    model: Model | None = None,
    prompt: str = VOTE_PROMPT,
) -> StepVoter:
    """Return a voter: V(p, S)(s) = 1 for the state s* that a comparison comes to.

    Yao et al. 2023 (https://arxiv.org/abs/2305.10601), section 3, "vote across states":
    the votes of several comparisons are added up.

    Args:
        votes: How many comparisons; 5 in the paper's Creative Writing.
        temperature: T of a comparison; 0.7 in the paper.
        max_tokens: Limit of a comparison.
        model: Who votes; by default the model of the run.
        prompt: With places for ``{question}``, ``{count}`` and ``{beginnings}``.
    """

    async def vote(
        task: Task, beginnings: Sequence[str], context: RunContext
    ) -> list[float | None]:
        count = len(beginnings)
        if count == 1:
            return [1.0]
        asked = prompt.format(
            question=task.question, count=count, beginnings=_numbered(beginnings)
        )
        outcomes = await settle(
            [
                ask(
                    task,
                    asked,
                    lambda completion: read_choice(completion, count),
                    context.at(i).acting("verifier"),
                    reminder=VOTE_REMINDER,
                    max_tokens=max_tokens,
                    schema=_schema(count),
                    sampling=Sampling(temperature=temperature),
                    model=model,
                )
                for i in range(votes)
            ]
        )
        chosen = [found for found in brought(outcomes, context) if found is not None]
        shares = [chosen.count(i) / max(1, len(chosen)) for i in range(count)]
        return list(shares) if chosen else [None] * count

    return vote


def read_choice(completion: Completion, count: int) -> int | None:
    """Return the index of the beginning that a reply votes for, from 0."""
    value = last_json(completion.text)
    choice = value.get("choice") if isinstance(value, dict) else None
    number = str(choice).strip()
    return int(number) - 1 if number in map(str, range(1, count + 1)) else None


def _numbered(beginnings: Sequence[str]) -> str:
    parts = (f"Beginning {i}:\n{t.strip()}" for i, t in enumerate(beginnings, 1))
    return "\n\n".join(parts)


def _schema(count: int) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            # In this order: a choice that comes after its reasons can follow from them.
            "comparison": {"type": "string", "maxLength": LONGEST},
            "choice": {"type": "integer", "minimum": 1, "maximum": count},
        },
        "required": ["comparison", "choice"],
        "additionalProperties": False,
    }
