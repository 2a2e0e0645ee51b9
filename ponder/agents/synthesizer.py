"""The role that writes one answer out of several solutions."""

from collections.abc import Sequence
from typing import Protocol

from ponder.agents._structured import ask
from ponder.agents.refiner import rewritten
from ponder.context import RunContext
from ponder.messages import GREEDY, Completion, Sampling
from ponder.models.base import Model
from ponder.result import Candidate, Task

SYNTHESIS_PROMPT = """\
Several solutions of the same question are given. Some or all of them may be wrong, \
and each may hold something that the others lack.

Question:
{question}

{solutions}

Compare the solutions: where they differ, work out which is right, and why. An answer \
that many give is often right, but not always; if none is right, find the right one \
yourself. Then write one solution, step by step, and finish with one line that gives \
only the final answer, in the form \\boxed{{answer}}."""

SYNTHESIS_REMINDER = "Now give the final answer alone, in the form \\boxed{answer}."


class Synthesizer(Protocol):
    """Makes one solution of several. See ``synthesizer``."""

    async def __call__(
        self, task: Task, candidates: Sequence[Candidate], context: RunContext
    ) -> Candidate | None:
        """Return a solution written in view of all candidates.

        Args:
            task: The task.
            candidates: The solutions; those without text are left out.
            context: The place of the call, and the id of the new solution.

        Returns:
            ``None`` if there is nothing to make it of, or if no answer could be read
            in two replies.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def synthesizer(
    *,
    model: Model | None = None,
    sampling: Sampling = GREEDY,
    max_tokens: int = 1024,
    prompt: str = SYNTHESIS_PROMPT,
) -> Synthesizer:
    """Return a synthesizer.

    Zhang et al. 2025 (CoT-based Synthesizer), https://arxiv.org/abs/2501.01668, with
    a prompt alone: reading all candidates it can be right where none of them is.

    Args:
        model: Who writes; by default the model of the run.
        sampling: How tokens are drawn.
        max_tokens: Limit of the solution.
        prompt: With places for ``{question}`` and ``{solutions}``.
    """

    async def synthesise(
        task: Task, candidates: Sequence[Candidate], context: RunContext
    ) -> Candidate | None:
        texts = [c.text.strip() for c in candidates if c.text.strip()]
        if not texts:
            return None
        numbered = (f"Solution {i}:\n{text}" for i, text in enumerate(texts, 1))

        def read(completion: Completion) -> Candidate | None:
            candidate = rewritten(context.id, completion)
            return None if candidate.answer is None else candidate

        written = await ask(
            task,
            prompt.format(question=task.question, solutions="\n\n".join(numbered)),
            read,
            context.acting("synthesizer"),
            reminder=SYNTHESIS_REMINDER,
            max_tokens=max_tokens,
            sampling=sampling,
            model=model,
        )
        if written is not None:
            context.found(written)
        return written

    return synthesise


synthesise = synthesizer()
"""The synthesizer with its defaults."""
