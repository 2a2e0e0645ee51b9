"""The role that answers one thought of a graph, given what the graph has so far."""

from typing import Protocol

from ponder.context import RunContext
from ponder.messages import GREEDY, Request, Sampling, user
from ponder.result import Task

EVALUATE_PROMPT = """\
Answer one question that is a step of the work on a larger problem.
{background}
Question:
{question}
{strategy}
Work it out in a few short sentences, with all numbers and names that the rest of the \
work may need, and end with the answer. Answer nothing but this question."""

STRATEGY = """
It is asked because: {strategy}
"""


class ThoughtEvaluator(Protocol):
    """Answers single thoughts. See ``thought_evaluator``."""

    def request(
        self, task: Task, question: str, *, background: str = "", strategy: str = ""
    ) -> Request:
        """Return the request, so that its cost can be known before it is made."""
        ...

    async def __call__(
        self,
        task: Task,
        question: str,
        context: RunContext,
        *,
        background: str = "",
        strategy: str = "",
    ) -> str | None:
        """Return the answer of a thought.

        Args:
            task: Whose conversation comes before the prompt.
            question: What the thought asks.
            context: The place of the call.
            background: The problem, and the thoughts before this one.
            strategy: Of its layer.

        Returns:
            A few sentences; ``None`` if the model said nothing.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def thought_evaluator(
    *,
    sampling: Sampling = GREEDY,
    max_tokens: int = 256,
    prompt: str = EVALUATE_PROMPT,
) -> ThoughtEvaluator:
    """Return Eval of Adaptive Graph of Thoughts, https://arxiv.org/abs/2502.05078.

    Args:
        sampling: How tokens are drawn.
        max_tokens: Limit of an answer.
        prompt: With places for ``{question}``, ``{background}`` and ``{strategy}``.
    """
    return _Evaluator(sampling, max_tokens, prompt)


class _Evaluator:
    def __init__(self, sampling: Sampling, max_tokens: int, prompt: str) -> None:
        self._sampling, self._max_tokens = sampling, max_tokens
        self._prompt = prompt

    def request(
        self, task: Task, question: str, *, background: str = "", strategy: str = ""
    ) -> Request:
        prompt = self._prompt.format(
            question=question,
            background=f"\n{background}\n" if background else "",
            strategy=STRATEGY.format(strategy=strategy) if strategy else "",
        )
        return Request(
            messages=(*task.history, user(prompt)),
            max_tokens=self._max_tokens,
            sampling=self._sampling,
        )

    async def __call__(
        self,
        task: Task,
        question: str,
        context: RunContext,
        *,
        background: str = "",
        strategy: str = "",
    ) -> str | None:
        request = self.request(task, question, background=background, strategy=strategy)
        (completion,) = await context.acting("evaluator").generate(request)
        return completion.text.strip() or None
