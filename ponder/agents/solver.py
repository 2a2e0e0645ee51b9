"""The role that attempts an answer."""

import re
from typing import Protocol

from ponder.agents.answers import extract
from ponder.context import Composite, RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.messages import Completion, Message, Request, Sampling, system, user
from ponder.result import Candidate, Task

STEP_BY_STEP = """\
Work through the problem step by step, and check each step as you go. \
Finish with one line that gives only the final answer, in the form \\boxed{answer}."""

FORCED = "\n\nSo the final answer is \\boxed{"
FORCED_PROMPT = """\
Stop here. From what you have so far, give the final answer, and nothing else, in the \
form \\boxed{answer}."""
FORCED_TOKENS = 32
"""Limit of an answer that a finished reply forgot to name."""
LAST_TOKENS = 48
"""Limit of an answer that an attempt was cut off before."""
BOX = "\\boxed"

BOX_ENDS = ("\n", "}.", "}$", "}\\)", "}\\]")
"""What stops an answer in a box that was opened for it. A brace alone does not: the
answer may have some of its own."""
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


class Solver(Protocol):
    """Attempts a task once, at one place of a run."""

    async def __call__(self, task: Task, context: RunContext) -> Candidate:
        """Return the attempt.

        Raises:
            OutOfBudget: The budget admits no attempt.
            ModelError: The model failed.
        """
        ...


def solver(
    *,
    instructions: str = "",
    sampling: Sampling | None = None,
    max_tokens: int = 1024,
    logprobs: bool = False,
    whole_text: bool = False,
) -> Solver:
    """Return a solver.

    A box that the question asks for and the reply forgot is asked for once, at the
    place ``forced`` below the attempt.

    Args:
        instructions: System prompt; empty sends the question alone. A strategy that
            stands in for the model has instructions of its own, so it gets none.
        sampling: How tokens are drawn.
        max_tokens: Limit of the attempt.
        logprobs: Ask for log-probabilities, where the model gives them.
        whole_text: Take the whole text for the answer where none is marked.
    """

    async def solve(task: Task, context: RunContext) -> Candidate:
        wanted = logprobs and context.model.capabilities.logprobs
        request = Request(
            messages=_conversation(task, context, instructions),
            max_tokens=max_tokens,
            sampling=sampling or Sampling(),
            prefill=task.prefill,
            logprobs=0 if wanted else None,
        )
        (completion,) = await context.generate(request)
        if _forgot(task, completion, context):
            behind = await named(request, completion.text, context.at("forced"))
            text = completion.text + behind
            completion = completion.model_copy(update={"text": text})
        candidate = _candidate(context.id, completion, whole_text)
        context.found(candidate)
        return candidate

    return solve


def _forgot(task: Task, completion: Completion, context: RunContext) -> bool:
    """Whether a reply has come to its end without the box that was asked for.

    Only the question counts: whoever asks for a poem does not want a box behind it.
    """
    asked = BOX in task.question and not isinstance(context.model, Composite)
    ended = completion.finish_reason == "stop"
    return asked and ended and extract(completion.text) is None


async def named(request: Request, text: str, context: RunContext) -> str:
    """Return the answer that a reply forgot to name, as its end; or nothing.

    Args:
        request: What the text replied to.
        text: The reply.
        context: Where the call is made.
    """
    short = request.model_copy(update={"max_tokens": FORCED_TOKENS, "logprobs": None})
    try:
        (completion,) = await context.generate(forcing(short, text, context))
    except (OutOfBudget, ModelError):
        return ""
    if context.model.capabilities.prefill:
        behind = forced_end(completion, context)
        return behind if extract(behind) else ""
    answer = extract(completion.text) or completion.text.strip()
    return named_end(answer) if answer else ""


def named_end(answer: str) -> str:
    """Return the end of a text that names its answer."""
    return f"{FORCED}{answer}}}"


async def attempt(solve: Solver, task: Task, context: RunContext) -> Candidate:
    """Attempt a task; a failure of the model becomes a failed candidate.

    Raises:
        OutOfBudget: The budget admits no attempt.
    """
    try:
        return await solve(task, context)
    except ModelError as error:
        failed = Candidate(id=context.id, text="", error=str(error))
        context.found(failed)
        return failed


async def forced_answer(
    task: Task, unfinished: Candidate, context: RunContext
) -> Candidate | None:
    """Make the model answer from an attempt that was cut off.

    Args:
        task: The task.
        unfinished: The attempt; its text is given back to the model.
        context: Where the call is made; it should be wrapping up.

    Returns:
        The attempt completed by an answer, or ``None`` if no answer could be had.
    """
    if not context.model.capabilities.prefill:
        context.substitute("prefill", "a further turn that asks for the answer")
    try:
        (completion,) = await context.generate(last_request(task, unfinished, context))
    except (OutOfBudget, ModelError):
        return None
    text = f"{unfinished.text}{forced_end(completion, context)}"
    answer = extract(text)
    if not context.model.capabilities.prefill:
        answer = extract(completion.text)
    candidate = unfinished.model_copy(
        # A verdict on the unfinished text says nothing about this one.
        update={"id": context.id, "text": text, "answer": answer, "verdict": None}
    )
    context.found(candidate)
    context.keep(candidate, (unfinished.id,))
    return candidate if answer else None


def last_request(task: Task, unfinished: Candidate, context: RunContext) -> Request:
    """Return what ``forced_answer`` asks of the model, with arguments as there."""
    request = Request(
        messages=_conversation(task, context, STEP_BY_STEP),
        prefill=task.prefill,
        max_tokens=LAST_TOKENS,
        sampling=Sampling(temperature=0.0),
    )
    return forcing(request, unfinished.text, context)


def forcing(
    request: Request,
    text: str,
    context: RunContext,
    *,
    lead: str = FORCED,
    turn: str = FORCED_PROMPT,
) -> Request:
    """Return the request that asks for the final answer behind a text without one.

    Args:
        request: What the text replied to.
        text: The reply so far.
        context: Whose model is asked: it continues the text, or answers a further turn.
        lead: What the text is continued by: words that end in an open box.
        turn: The further turn.
    """
    if context.model.capabilities.prefill:
        behind = {"prefill": request.prefill + text + lead, "stop": BOX_ENDS}
        return request.model_copy(update=behind)
    # Some chat templates refuse empty turns.
    written = text if text.strip() else "(no answer)"
    turns = (Message(role="assistant", content=written), user(turn))
    update = {"messages": (*request.messages, *turns), "prefill": ""}
    return request.model_copy(update=update)


def forced_end(
    completion: Completion, context: RunContext, *, lead: str = FORCED
) -> str:
    """Return the end of a text, made of the reply to ``forcing``."""
    if not context.model.capabilities.prefill:
        return f"\n\n{completion.text}"
    return f"{lead}{boxed(completion.text)}"


def boxed(text: str) -> str:
    r"""Return the rest of a box that was opened, closed so that it can be read.

    Args:
        text: What a model wrote behind ``\boxed{``; what follows the end of the box is
            left out, and braces that it stopped short of are added.
    """
    text, depth = text.lstrip(), 1
    for match in _BRACE.finditer(text):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return text[: match.end()]
    return text.rstrip() + "}" * depth


def _conversation(
    task: Task, context: RunContext, instructions: str
) -> tuple[Message, ...]:
    head = (system(instructions),) if instructions else ()
    if isinstance(context.model, Composite):
        head = ()
    return (*head, *task.examples, *task.history, user(task.question))


def _candidate(id: str, completion: Completion, whole_text: bool) -> Candidate:
    answer = extract(completion.text)
    if answer is None and whole_text:
        answer = completion.text.strip() or None
    return Candidate(
        id=id,
        text=completion.text,
        answer=answer,
        logprob=completion.logprob,
        logprob_tokens=len(completion.logprobs or ()),
        output_tokens=completion.usage.output_tokens,
        finish_reason=completion.finish_reason,
    )
