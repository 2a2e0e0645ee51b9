"""The role that proposes what to do next in an environment."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ponder.context import RunContext
from ponder.messages import Completion, Request, Sampling, system, user
from ponder.result import Task
from ponder.tools.environment import Trail

ACTING = """\
You carry out a task by acting in an environment, one action at a time. {instructions}

First think, in one or two sentences, about what has been found out and what is best \
to do next. Then give one single action, at the end, in this form:
Action: <the action>"""

ACT_PROMPT = """\
Task: {question}

What has happened so far:
{transcript}

What is the next action?"""

ACT_REMINDER = "\n\nEnd with one line in the form Action: <the action>."

_ACTION = re.compile(r"^[\s*#>]*action\W*?:[\s*]*", re.IGNORECASE | re.MULTILINE)
_FENCE = re.compile(r"```\w*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Suggestion:
    """An action that was proposed."""

    action: str
    votes: int = 1
    """In how many samples."""
    output_tokens: int = 0
    """Tokens of the samples that proposed it, at least 1."""


class Actor(Protocol):
    """Proposes actions. See ``actor``."""

    async def propose(
        self, task: Task, trail: Trail, instructions: str, b: int, context: RunContext
    ) -> list[Suggestion]:
        """Return the actions to try next, the likeliest first.

        Args:
            task: What is to be done.
            trail: What has happened so far.
            instructions: What the environment says about possible actions.
            b: Most actions.
            context: The place of the calls.

        Returns:
            Up to ``b`` different actions; none if no reply could be read.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def actor(
    *,
    samples: int | None = None,
    sampling: Sampling | None = None,
    max_tokens: int = 384,
    system_prompt: str = ACTING,
    prompt: str = ACT_PROMPT,
) -> Actor:
    """Return an actor that samples the model of the run and counts its actions.

    The defaults are those of the authors' program for Koh et al. 2024
    (https://arxiv.org/abs/2407.01476): max(2 b, 20) samples at temperature 1 and
    top_p 0.95, of which the b most frequent actions are kept.

    Args:
        samples: How many samples; by default max(2 b, 20).
        sampling: How tokens are drawn.
        max_tokens: Limit of a sample.
        system_prompt: With a place for ``{instructions}``, the environment's.
        prompt: With places for ``{question}`` and ``{transcript}``.
    """
    return _Sampling(
        samples,
        sampling or Sampling(temperature=1.0, top_p=0.95),
        max_tokens,
        system_prompt,
        prompt,
    )


@dataclass(frozen=True)
class _Sampling:
    samples: int | None
    sampling: Sampling
    max_tokens: int
    system_prompt: str
    prompt: str

    async def propose(
        self, task: Task, trail: Trail, instructions: str, b: int, context: RunContext
    ) -> list[Suggestion]:
        head = system(self.system_prompt.format(instructions=instructions))
        text = self.prompt.format(question=task.question, transcript=trail.transcript())
        request = Request(
            messages=(head, *task.history, user(text)),
            n=self.samples or max(2 * b, 20),
            max_tokens=self.max_tokens,
            sampling=self.sampling,
            stop=("\nObservation:",),
        )
        found = most_frequent(await context.generate(request), b)
        if found:
            return found
        again = (head, *task.history, user(text + ACT_REMINDER))
        request = request.model_copy(update={"messages": again})
        return most_frequent(await context.at("again").generate(request), b)


def read_action(text: str) -> str | None:
    """Return the action at the end of a reply, ``None`` if there is none.

    It may have several lines, and stand in a code block, alone or behind a word.
    Without one it ends before an empty line: what follows is explanation.
    """
    marks = list(_ACTION.finditer(text))
    if not marks:
        return None
    action = text[marks[-1].end() :].strip()
    if fenced := _FENCE.search(action):
        action = f"{action[: fenced.start()].strip()} {fenced[1].strip()}"
    else:
        action = action.partition("\n\n")[0]
    return action.strip().strip("`<>*").strip() or None


def most_frequent(completions: Sequence[Completion], b: int) -> list[Suggestion]:
    """Return the ``b`` actions proposed most often; of equal ones the earlier first.

    Actions that differ in white space alone are the same.
    """
    votes: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    wording: dict[str, str] = {}
    for completion in completions:
        if action := read_action(completion.text):
            key = " ".join(action.split())
            wording.setdefault(key, action)
            votes[key] += 1
            tokens[key] += completion.usage.output_tokens
    return [
        Suggestion(wording[key], count, max(1, tokens[key]))
        for key, count in votes.most_common(b)
    ]
