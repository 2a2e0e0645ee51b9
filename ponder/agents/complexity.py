"""The role that decides whether a question must be broken down to be answered."""

from typing import Protocol

from ponder.agents.choice import choose
from ponder.context import RunContext
from ponder.models.base import Model

COMPLEXITY_PROMPT = """\
Decide whether a question has to be broken down into smaller ones before it can be \
answered. Do not answer it.
{background}
To be decided:
{question}

Is it too complex to be answered well in one go? A question that takes a single fact, \
a single calculation or one short argument is not complex. Answer with one word, Yes \
or No."""

YES, NO = "Yes", "No"


class ComplexityJudge(Protocol):
    """Judges how complex a question is. See ``complexity_judge``."""

    async def __call__(
        self, question: str, context: RunContext, *, background: str = ""
    ) -> float | None:
        """Return how likely it is that a question has to be broken down.

        Args:
            question: The question.
            context: The place of the call.
            background: What is known around it.

        Returns:
            P(Yes), 0 to 1; ``None`` if two replies were unreadable.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def complexity_judge(
    *,
    model: Model | None = None,
    votes: int = 1,
    prompt: str = COMPLEXITY_PROMPT,
) -> ComplexityJudge:
    """Return the complexity check C of Adaptive Graph of Thoughts.

    Pandey et al. 2025, https://arxiv.org/abs/2502.05078, ask for yes or no. Here the
    decision is read from the probabilities of the two words where the model gives any.

    Args:
        model: Who judges; by default the model of the run.
        votes: Replies that stand for the probabilities where the model gives none; the
            paper's check is a single one.
        prompt: With places for ``{question}`` and ``{background}``.
    """

    async def judge(
        question: str, context: RunContext, *, background: str = ""
    ) -> float | None:
        chances = await choose(
            prompt.format(
                question=question, background=f"\n{background}\n" if background else ""
            ),
            (YES, NO),
            context.acting("complexity judge"),
            model=model,
            votes=votes,
            voter="complexity judge",
        )
        return None if chances is None else chances[YES]

    return judge
