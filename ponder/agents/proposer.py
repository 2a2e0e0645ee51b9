"""The role that goes on from a partial solution: the next step, or the rest of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ponder.agents.answers import extract
from ponder.context import RunContext
from ponder.messages import Completion, Message, Request, Sampling, system, user
from ponder.result import Task

STEPWISE = """\
Solve the problem in short steps. Write each step as a paragraph of its own, separated \
from the next by an empty line. In the last step give the final answer alone inside \
\\boxed{}."""

NEXT_STEP_PROMPT = """\
That is the beginning of a solution. Write its next step only, one short paragraph, \
without repeating what is there. If it is the last step, give the final answer inside \
\\boxed{}."""

REST_PROMPT = """\
That is the beginning of a solution. Write the rest of it, without repeating what is \
there, and give the final answer inside \\boxed{}."""


@dataclass(frozen=True)
class Proposal:
    """A continuation of a partial solution."""

    text: str
    """With the delimiter that ends it, so that texts can be joined."""
    final: bool
    """Whether the solution ends here."""
    truncated: bool = False
    """Whether it was cut off at a limit."""
    logprob: float | None = None
    """Log-probability of its tokens (nats)."""
    output_tokens: int = 0
    """Tokens written, at least 1."""


class Proposer(Protocol):
    """Continues partial solutions. See ``proposer``."""

    def request(
        self, task: Task, prefix: str, context: RunContext, *, whole: bool
    ) -> Request:
        """Return what ``propose`` asks of the model, with arguments as there."""
        ...

    async def propose(
        self,
        task: Task,
        prefix: str,
        n: int,
        context: RunContext,
        *,
        limit: int | None = None,
        whole: bool = False,
    ) -> list[Proposal]:
        """Return ``n`` independent continuations of ``prefix``.

        Args:
            task: What is to be solved.
            prefix: The solution so far; empty at the start.
            n: How many continuations.
            context: The place of the call.
            limit: Most tokens that the solution may still grow by.
            whole: Write to the end instead of one step.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def proposer(
    *,
    instructions: str = STEPWISE,
    delimiter: str = "\n\n",
    sampling: Sampling | None = None,
    step_tokens: int = 256,
    max_tokens: int = 1024,
    logprobs: bool = False,
) -> Proposer:
    """Return a proposer that lets the model of the run continue its own text.

    Args:
        instructions: System prompt.
        delimiter: Text that ends a step.
        sampling: How tokens are drawn.
        step_tokens: Limit of a step; what is longer is cut there, and goes on.
        max_tokens: Limit of a continuation to the end.
        logprobs: Ask for log-probabilities, where the model gives them.
    """
    return _Continuing(
        instructions, delimiter, sampling or Sampling(), step_tokens, max_tokens,
        logprobs,
    )  # fmt: skip


@dataclass(frozen=True)
class _Continuing:
    instructions: str
    delimiter: str
    sampling: Sampling
    step_tokens: int
    max_tokens: int
    logprobs: bool

    async def propose(
        self,
        task: Task,
        prefix: str,
        n: int,
        context: RunContext,
        *,
        limit: int | None = None,
        whole: bool = False,
    ) -> list[Proposal]:
        limit = self.max_tokens if limit is None else limit
        most = max(1, limit if whole else min(limit, self.step_tokens))
        request = self.request(task, prefix, context, whole=whole)
        completions = await context.generate(
            request.model_copy(update={"n": n, "max_tokens": most})
        )
        room = math.inf if whole else limit
        said = [c for c in completions if not c.thought_only]
        proposals = [self._proposal(c, room, first=not prefix) for c in said]
        return [replace(p, final=True) if whole else p for p in proposals]

    def request(
        self, task: Task, prefix: str, context: RunContext, *, whole: bool
    ) -> Request:
        model = context.model
        head = (system(self.instructions),) if self.instructions else ()
        messages: Sequence[Message] = (
            *head,
            *task.examples,
            *task.history,
            user(task.question),
        )
        prefill = task.prefill + prefix
        if prefill and not model.capabilities.prefill:
            context.substitute("prefill", "a further turn that asks to go on")
            ask = user(REST_PROMPT if whole else NEXT_STEP_PROMPT)
            written = Message(role="assistant", content=prefill)
            messages, prefill = (*messages, written, ask), ""
        return Request(
            messages=tuple(messages),
            prefill=prefill,
            max_tokens=self.max_tokens,
            stop=() if whole else (self.delimiter,),
            sampling=self.sampling,
            logprobs=0 if self.logprobs and model.capabilities.logprobs else None,
        )

    def _proposal(
        self, completion: Completion, room: float, *, first: bool
    ) -> Proposal:
        """Read a completion; one that takes all the room grows no more."""
        text, logprob = completion.text, completion.logprob
        tokens = max(1, completion.usage.output_tokens)
        cut = completion.finish_reason in ("length", "time")
        # A step that says nothing is how a model ends that has said all; at the start
        # it is a delimiter before the first step.
        ended = extract(text) is not None or not (text.strip() or first)
        return Proposal(
            text=text if ended or cut else text + self.delimiter,
            final=ended or tokens >= room,
            truncated=cut or (tokens >= room and not ended),
            logprob=logprob if logprob is None or math.isfinite(logprob) else None,
            output_tokens=tokens,
        )
