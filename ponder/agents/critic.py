"""The role that says what is wrong with a solution, so that it can be improved."""

from typing import Protocol

from ponder.agents._structured import ask
from ponder.context import RunContext
from ponder.messages import Completion
from ponder.models.base import Model
from ponder.result import Candidate, Task, Verdict

CRITIC_PROMPT = """\
Find what has to be changed in a proposed solution.

Question:
{question}

Proposed solution:
{solution}
{verdict}
Name the first mistake, where it is, and how to put it right; then any other. If you \
find none, say which step deserves a second look, and why. Use at most five short \
sentences, and do not write a new solution."""

VERDICT = """
A verifier said of it: {said}
"""

CRITIC_REMINDER = "Name what has to be changed in the proposed solution."


class Critic(Protocol):
    """Criticises one solution. See ``critic``."""

    async def __call__(
        self,
        task: Task,
        candidate: Candidate,
        context: RunContext,
        verdict: Verdict | None = None,
    ) -> str:
        """Return feedback that tells how to improve a solution.

        Args:
            task: The task.
            candidate: The solution.
            context: The place of the call.
            verdict: What a verifier said of it.

        Returns:
            A few sentences. If two replies were empty, the feedback of the verdict,
            with a warning.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def critic(
    *,
    model: Model | None = None,
    max_tokens: int = 256,
    prompt: str = CRITIC_PROMPT,
) -> Critic:
    """Return a critic.

    Args:
        model: Who criticises; by default the model of the run.
        max_tokens: Limit of the feedback.
        prompt: With places for ``{question}``, ``{solution}`` and ``{verdict}``.
    """

    async def criticise(
        task: Task,
        candidate: Candidate,
        context: RunContext,
        verdict: Verdict | None = None,
    ) -> str:
        said = _said(verdict)
        feedback = await ask(
            task,
            prompt.format(
                question=task.question,
                solution=candidate.text,
                verdict=VERDICT.format(said=said) if said else "",
            ),
            _read,
            context.acting("critic"),
            reminder=CRITIC_REMINDER,
            max_tokens=max_tokens,
            model=model,
        )
        if feedback is None:
            context.warn("The critic said nothing, twice.")
            return verdict.feedback if verdict else ""
        return feedback

    return criticise


criticise = critic()
"""The critic with its defaults."""


def _read(completion: Completion) -> str | None:
    return completion.text.strip() or None


def _said(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    passed = {True: "accepted.", False: "not accepted.", None: ""}[verdict.passed]
    score = "" if verdict.score is None else f"score {verdict.score:.2f} of 1."
    return " ".join(part for part in (passed, score, verdict.feedback) if part)
