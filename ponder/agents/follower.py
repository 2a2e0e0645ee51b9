"""The role that solves a task along a reasoning structure."""

import json
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from ponder.agents._structured import last_json
from ponder.agents.answers import extract
from ponder.agents.discoverer import Step, shown
from ponder.agents.solver import named_end
from ponder.context import RunContext
from ponder.messages import Request, Sampling, user
from ponder.result import Candidate, Task

Form = Literal["json", "text"]

ANSWER = "final_answer"
"""Key of the answer."""

FOLLOW_PROMPT = """\
{question}

Solve this along a plan. Go through its keys in their order, and replace what each \
value asks for by what you work out for this question.
{structure}

Reply with the filled-in JSON alone."""

FOLLOW_IN_WORDS = """\
{question}

Solve this along a plan. Go through its keys in their order, and work out what each \
value asks for.
{structure}

Write it in words, a paragraph for each key, and finish with one line that gives only \
the final answer, in the form \\boxed{{answer}}."""

LONGEST_VALUE, LONGEST_ANSWER = 800, 200
"""Characters."""


class Follower(Protocol):
    """Solves along a structure. See ``follower``."""

    async def __call__(
        self, task: Task, steps: Sequence[Step], context: RunContext
    ) -> Candidate:
        """Return a solution.

        Args:
            task: The task.
            steps: The structure.
            context: The place of the call.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def follower(
    *, form: Form = "json", sampling: Sampling | None = None, max_tokens: int = 1024
) -> Follower:
    """Return the second stage of Self-Discover: A = M(D_I, t).

    Zhou et al. 2024, https://arxiv.org/abs/2402.03620.

    Args:
        form: ``json`` has the structure filled in, held by a schema where the model can
            be; ``text`` has it followed in words.
        sampling: How tokens are drawn.
        max_tokens: Limit of the solution.
    """

    async def follow(
        task: Task, steps: Sequence[Step], context: RunContext
    ) -> Candidate:
        steps = [step for step in steps if step.name.casefold() != ANSWER]
        template = FOLLOW_PROMPT if form == "json" else FOLLOW_IN_WORDS
        prompt = template.format(question=task.question, structure=shown(steps, ANSWER))
        request = Request(
            messages=(*task.examples, *task.history, user(prompt)),
            max_tokens=max_tokens,
            sampling=sampling or Sampling(),
            prefill=task.prefill,
            output_schema=_schema(steps, task, context) if form == "json" else None,
        )
        (completion,) = await context.generate(request)
        answer = answer_in(completion.text)
        text = completion.text
        # Whoever reads the text need not know the key of the answer.
        if answer is not None and extract(text) != answer:
            text += named_end(answer)
        solution = Candidate(
            id=context.id,
            text=text,
            answer=answer,
            output_tokens=completion.usage.output_tokens,
            finish_reason=completion.finish_reason,
        )
        context.found(solution)
        return solution

    return follow


def answer_in(text: str) -> str | None:
    """Return the answer of a filled-in structure, or one that is marked in the text."""
    value = last_json(text)
    if not isinstance(value, dict) or ANSWER not in value:
        return extract(text)
    answer = value[ANSWER]
    if not isinstance(answer, str):
        return None if answer is None else json.dumps(answer)
    return extract(answer) or answer.strip() or None


def _schema(
    steps: Sequence[Step], task: Task, context: RunContext
) -> dict[str, Any] | None:
    if task.prefill:
        return None
    if not context.model.capabilities.output_schema:
        context.substitute("output_schema", "replies that are read as they come")
        return None
    value = {"type": "string", "minLength": 1, "maxLength": LONGEST_VALUE}
    answer = {"type": "string", "minLength": 1, "maxLength": LONGEST_ANSWER}
    names = [step.name for step in steps]
    return {
        "type": "object",
        "properties": dict.fromkeys(names, value) | {ANSWER: answer},
        "required": [*names, ANSWER],
        "additionalProperties": False,
    }
