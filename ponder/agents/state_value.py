"""The role that says how close an episode in an environment is to its goal."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from ponder.agents.choice import choose
from ponder.context import RunContext
from ponder.errors import PonderError
from ponder.messages import Request, Sampling, user
from ponder.models.base import Model
from ponder.result import Task
from ponder.tools.environment import Trail

SITUATION = """\
An agent carries out a task by acting in an environment.

Task: {question}

About the environment: {instructions}

What has happened so far:
{transcript}

"""

VALUE_PROMPT = """\
Judge where the agent stands now. There are three possibilities:
- success: the task is accomplished by what has been done already;
- on track: it is not accomplished yet, but this is a way that leads there;
- failure: it is not accomplished, and this way does not lead there.

First think, in a few sentences, about what the last observation shows. Then end with \
one line in this form:
Status: success, on track or failure"""

WORD_PROMPT = """\
Where does the agent stand now? Is the task accomplished already (Success), not \
accomplished yet but on a way that leads there (Progress), or on a way that does not \
(Failure)? Answer with one word: Success, Progress or Failure."""

VALUE_REMINDER = "\n\nThe last line must be Status: and one of the three."

VALUES = {"success": 1.0, "on track": 0.5, "failure": 0.0}
"""Koh et al. 2024: the goal is reached, the state leads there, or it does not."""
WORDS = {"Success": 1.0, "Progress": 0.5, "Failure": 0.0}

ValueFunction = Callable[[Task, Trail], float | None]
"""A function of task and episode: 0 to 1, or ``None`` if it cannot tell."""

_STATUS = re.compile(r"status\W*(success|on[\s-]track|failure)", re.IGNORECASE)


class StateValue(Protocol):
    """Evaluates states. See ``state_value`` and ``by_function``."""

    async def __call__(
        self, task: Task, trail: Trail, instructions: str, context: RunContext
    ) -> float | None:
        """Return the value of the state that an episode has led to, 0 to 1.

        Args:
            task: What is to be done.
            trail: The episode so far.
            instructions: What the environment says about possible actions.
            context: The place of the calls.

        Returns:
            1 where the goal is reached; ``None`` if no reply could be read.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def state_value(
    *,
    by: Literal["votes", "words"] = "votes",
    samples: int = 20,
    max_tokens: int = 256,
    model: Model | None = None,
) -> StateValue:
    """Return a value function that asks a model.

    ``votes`` is that of Koh et al. 2024 (https://arxiv.org/abs/2407.01476): the model
    reasons several times, at temperature 1, and each time comes to success (1), on
    track (0.5) or failure (0), of which the mean is taken. The authors' program counts
    a sample that cannot be read as 0; here it has no say. ``words`` asks for one word
    without reasoning and takes the expected value by the probabilities of the words.

    Args:
        by: How the model is asked.
        samples: How many samples.
        max_tokens: Limit of a sample.
        model: Whom to ask; by default the model of the run.
    """

    async def value(
        task: Task, trail: Trail, instructions: str, context: RunContext
    ) -> float | None:
        context = context.acting("verifier")
        situation = SITUATION.format(
            question=task.question,
            instructions=instructions,
            transcript=trail.transcript(),
        )
        if by == "words":
            return await _expected(situation, samples, model, context)
        for place, reminder in ((context, ""), (context.at("again"), VALUE_REMINDER)):
            request = Request(
                messages=(user(situation + VALUE_PROMPT + reminder),),
                n=samples,
                max_tokens=max_tokens,
                sampling=Sampling(temperature=1.0),
            )
            replies = await place.generate(request, model)
            mean = mean_value([reply.text for reply in replies])
            if mean is not None:
                return mean
        return None

    return value


def by_function(function: ValueFunction) -> StateValue:
    """Return a value function that is a function; its values are journaled.

    One that raises, or returns what is no value, leaves the state without one.
    """
    name = getattr(function, "__name__", "function")

    async def value(
        task: Task, trail: Trail, instructions: str, context: RunContext
    ) -> float | None:
        async def compute() -> dict[str, Any]:
            try:
                return {"value": _checked(function(task, trail))}
            except Exception as error:
                return {"value": None, "error": f"{type(error).__name__}: {error}"}

        content = f"{name}\x00{task.question}\x00{trail.model_dump_json()}"
        found = await context.remember(content, compute, timed=True)
        if "error" in found:
            context.warn(f"Value function '{name}' failed: {found['error']}")
        return None if found["value"] is None else float(found["value"])

    return value


def mean_value(replies: Sequence[str]) -> float | None:
    """Return the mean of the last status in each reply, of those that have one."""
    found = [_STATUS.findall(reply) for reply in replies]
    values = [VALUES[_status(statuses[-1])] for statuses in found if statuses]
    return sum(values) / len(values) if values else None


def _status(text: str) -> str:
    return "on track" if text.lower().startswith("on") else text.lower()


async def _expected(
    situation: str, votes: int, model: Model | None, context: RunContext
) -> float | None:
    chances = await choose(
        situation + WORD_PROMPT,
        tuple(WORDS),
        context,
        model=model,
        votes=votes,
        voter="value function",
    )
    if chances is None:
        return None
    return min(1.0, sum(WORDS[word] * p for word, p in chances.items()))


def _checked(value: object) -> float | None:
    if value is None or (isinstance(value, int | float) and 0 <= value <= 1):
        return None if value is None else float(value)
    raise PonderError(f"{value!r} is no number from 0 to 1")
