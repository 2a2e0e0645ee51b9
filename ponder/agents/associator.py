"""The role that says what comes to mind at a step of a solution, and if it helps."""

from typing import Protocol

from ponder.agents._structured import ask
from ponder.agents.choice import choose
from ponder.context import RunContext
from ponder.messages import GREEDY, Completion, Sampling
from ponder.models.base import Model
from ponder.result import Task

_SO_FAR = """\
Question:
{question}

Solution so far:
{solution}
"""

ASSOCIATION_PROMPT = f"""\
A solution of a question is under way. Do not go on with it.

{_SO_FAR}
Which one fact, rule or definition that is not written there would help most with the \
next step? Write it in one or two short sentences. If nothing is missing, write \
"nothing"."""

SEARCH_PROMPT = f"""\
A solution of a question is under way. Do not go on with it.

{_SO_FAR}
Which one fact is still missing? Write a search query of a few words that would find \
it, and nothing else. If nothing is missing, write "nothing"."""

QUALITY_PROMPT = f"""\
{_SO_FAR}
What came to mind:
{{memory}}

Is what came to mind correct, and does it help to go on with the solution? Answer with \
one word: Yes or No."""

ASSOCIATION_REMINDER = 'Write one or two short sentences, or "nothing".'
NO_STEPS = "(none)"


class Associator(Protocol):
    """Says what a step brings to mind. See ``associator``."""

    async def __call__(self, task: Task, solution: str, context: RunContext) -> str:
        """Return what helps with the next step and is not there yet.

        Args:
            task: The question.
            solution: The solution so far; empty at the start.
            context: The place of the call.

        Returns:
            Empty if nothing is missing, or, with a warning, if two replies were empty.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def associator(
    *,
    model: Model | None = None,
    sampling: Sampling = GREEDY,
    max_tokens: int = 96,
    prompt: str = ASSOCIATION_PROMPT,
) -> Associator:
    """Return an associator.

    Pan et al. 2025 (CoAT), https://arxiv.org/abs/2502.02390: the associative memory of
    a node is short, and new to what the question and the node say.

    Args:
        model: Who associates; by default the model of the run.
        sampling: How tokens are drawn.
        max_tokens: Limit of the reply.
        prompt: ``ASSOCIATION_PROMPT`` for the memory itself, ``SEARCH_PROMPT`` for a
            query that finds it; with places for ``{question}`` and ``{solution}``.
    """

    async def associate(task: Task, solution: str, context: RunContext) -> str:
        said = await ask(
            task,
            prompt.format(question=task.question, solution=_steps(solution)),
            _read,
            context.acting("associator"),
            reminder=ASSOCIATION_REMINDER,
            max_tokens=max_tokens,
            sampling=sampling,
            model=model,
        )
        if said is None:
            context.warn("The associator said nothing, twice.")
        return "" if said is None or _is_nothing(said) else said

    return associate


async def association_quality(
    task: Task, solution: str, memory: str, context: RunContext, *, votes: int = 5
) -> float | None:
    """Return how good an association is, 0 to 1: P(correct and of help).

    Args:
        task: The question.
        solution: The solution so far.
        memory: What came to mind.
        context: The place of the call.
        votes: Sampled answers where the model gives no log-probabilities.

    Returns:
        ``None`` if the reply was unreadable twice.

    Raises:
        OutOfBudget: The budget admits no such call.
        ModelError: The call failed.
    """
    asked = QUALITY_PROMPT.format(
        question=task.question, solution=_steps(solution), memory=memory
    )
    judge = context.acting("verifier")
    chances = await choose(
        asked, ("Yes", "No"), judge, votes=votes, voter="judge of associations"
    )
    return None if chances is None else chances["Yes"]


def _steps(solution: str) -> str:
    return solution.strip() or NO_STEPS


def _read(completion: Completion) -> str | None:
    return " ".join(completion.text.split()) or None


def _is_nothing(said: str) -> bool:
    return said.strip(" .\"'").casefold() in ("nothing", "none", "nothing is missing")
