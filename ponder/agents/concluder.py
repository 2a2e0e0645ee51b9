"""The role that writes the final answer of a graph of thoughts."""

from collections.abc import Sequence
from typing import Protocol

from ponder.agents.answers import extract
from ponder.agents.solver import STEP_BY_STEP
from ponder.agents.thought_planner import SubThought, listed
from ponder.context import Composite, RunContext
from ponder.messages import GREEDY, Request, Sampling, system, user
from ponder.result import Candidate, Task

CONCLUDE_PROMPT = """\
{question}

Others have worked on parts of this. What they found may help, and may be wrong:
{thoughts}

Use what is right of it to answer the question at the top."""


class Concluder(Protocol):
    """Answers a question from the thoughts of its graph. See ``concluder``."""

    def request(
        self,
        task: Task,
        thoughts: Sequence[SubThought],
        context: RunContext,
        *,
        background: str = "",
    ) -> Request:
        """Return the request, so that its cost can be known before it is made."""
        ...

    async def __call__(
        self,
        task: Task,
        thoughts: Sequence[SubThought],
        context: RunContext,
        *,
        background: str = "",
    ) -> Candidate:
        """Return the final answer of a graph.

        Args:
            task: What the graph is to answer.
            thoughts: Its answered thoughts; without any the task is answered directly.
            context: The place of the call, and the id of the candidate.
            background: What a nested graph knows of the graphs around it.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def concluder(
    *,
    instructions: str = STEP_BY_STEP,
    sampling: Sampling = GREEDY,
    max_tokens: int = 1024,
    prompt: str = CONCLUDE_PROMPT,
) -> Concluder:
    """Return Phi of Adaptive Graph of Thoughts, https://arxiv.org/abs/2502.05078.

    Args:
        instructions: System prompt; a strategy in the place of the model gets none.
        sampling: How tokens are drawn.
        max_tokens: Limit of the answer.
        prompt: With places for ``{question}`` and ``{thoughts}``.
    """
    return _Concluder(instructions, sampling, max_tokens, prompt)


class _Concluder:
    def __init__(
        self, instructions: str, sampling: Sampling, max_tokens: int, prompt: str
    ) -> None:
        self._instructions, self._prompt = instructions, prompt
        self._sampling, self._max_tokens = sampling, max_tokens

    def request(
        self,
        task: Task,
        thoughts: Sequence[SubThought],
        context: RunContext,
        *,
        background: str = "",
    ) -> Request:
        question = f"{background}\n\n{task.question}" if background else task.question
        if thoughts:
            question = self._prompt.format(question=question, thoughts=listed(thoughts))
        alone = isinstance(context.model, Composite) or not self._instructions
        head = () if alone else (system(self._instructions),)
        return Request(
            messages=(*head, *task.examples, *task.history, user(question)),
            max_tokens=self._max_tokens,
            sampling=self._sampling,
            prefill=task.prefill,
        )

    async def __call__(
        self,
        task: Task,
        thoughts: Sequence[SubThought],
        context: RunContext,
        *,
        background: str = "",
    ) -> Candidate:
        request = self.request(task, thoughts, context, background=background)
        (completion,) = await context.generate(request)
        return Candidate(
            id=context.id,
            text=completion.text,
            answer=extract(completion.text),
            output_tokens=completion.usage.output_tokens,
            finish_reason=completion.finish_reason,
        )
