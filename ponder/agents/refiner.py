"""The role that writes a better solution, given an earlier one and feedback."""

from typing import Protocol

from ponder.agents.answers import extract
from ponder.context import RunContext
from ponder.messages import Completion, Message, Request, Sampling, assistant, user
from ponder.result import Candidate, Task

REFINE_PROMPT = """\
Write a better solution of the same question.
{feedback}{best}{worst}
Keep what is right in your solution above, and put right what is not. Write the whole \
solution anew, step by step, not just the changes, and finish with one line that gives \
only the final answer, in the form \\boxed{{answer}}."""

FEEDBACK = """
What was said of your solution above{score}:
{feedback}
"""

NO_FEEDBACK = """
Your solution above may be wrong{score}: check each step of it.
"""

BEST = """
The best solution so far{score}:
{solution}
"""

WORST = """
A worse solution, not to be followed{score}:
{solution}
"""


class Refiner(Protocol):
    """Improves one solution. See ``refiner``."""

    async def __call__(
        self,
        task: Task,
        candidate: Candidate,
        feedback: str,
        context: RunContext,
        *,
        best: Candidate | None = None,
        worst: Candidate | None = None,
        sampling: Sampling | None = None,
        max_tokens: int = 1024,
    ) -> Candidate:
        """Return a new, complete solution.

        Args:
            task: The task.
            candidate: The solution to improve; the model is told its score.
            feedback: What is wrong with it; may be empty.
            context: The place of the call, and the id of the new solution.
            best: The best solution so far, if it is another one.
            worst: A solution to turn away from, if it is another one.
            sampling: How tokens are drawn.
            max_tokens: Limit of the new solution.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def refiner(*, prompt: str = REFINE_PROMPT) -> Refiner:
    """Return a refiner: the model of the run goes on from its own solution.

    Args:
        prompt: With places for ``{feedback}``, ``{best}`` and ``{worst}``.
    """

    async def refine(
        task: Task,
        candidate: Candidate,
        feedback: str,
        context: RunContext,
        *,
        best: Candidate | None = None,
        worst: Candidate | None = None,
        sampling: Sampling | None = None,
        max_tokens: int = 1024,
    ) -> Candidate:
        text = prompt.format(
            feedback=_feedback(candidate, feedback),
            best=_other(BEST, best, candidate),
            worst=_other(WORST, worst, candidate),
        )
        request = Request(
            messages=(*_earlier(task, candidate), user(text)),
            max_tokens=max_tokens,
            sampling=sampling or Sampling(),
            prefill=task.prefill,
        )
        (completion,) = await context.generate(request)
        refined = rewritten(context.id, completion)
        context.found(refined)
        return refined

    return refine


refine = refiner()
"""The refiner with its defaults."""


def rewritten(id: str, completion: Completion) -> Candidate:
    """Return the candidate that a completion is."""
    return Candidate(
        id=id,
        text=completion.text,
        answer=extract(completion.text),
        output_tokens=completion.usage.output_tokens,
        finish_reason=completion.finish_reason,
    )


def _earlier(task: Task, candidate: Candidate) -> tuple[Message, ...]:
    solution = task.prefill + candidate.text
    if not solution.strip():
        # Some chat templates refuse empty turns.
        solution = "(no solution)"
    return (*task.examples, *task.history, user(task.question), assistant(solution))


def _feedback(candidate: Candidate, feedback: str) -> str:
    if not feedback.strip():
        return NO_FEEDBACK.format(score=_score(candidate))
    return FEEDBACK.format(score=_score(candidate), feedback=feedback.strip())


def _other(template: str, other: Candidate | None, candidate: Candidate) -> str:
    if other is None or other.id == candidate.id or not other.text.strip():
        return ""
    return template.format(score=_score(other), solution=other.text.strip())


def _score(candidate: Candidate) -> str:
    score = candidate.verdict.score if candidate.verdict else None
    return "" if score is None else f" (score {score:.2f} of 1)"
