"""What strategies that reason over statements share: when not to, and answering."""

from ponder.agents.solver import STEP_BY_STEP, attempt, solver
from ponder.budget import Dimension
from ponder.context import RunContext
from ponder.errors import OutOfBudget
from ponder.graphs.pool import raise_if_all_failed, rescue
from ponder.graphs.shares import lacking
from ponder.messages import Sampling
from ponder.result import Candidate, Outcome, StopReason, Task
from ponder.thoughts import Thought, ThoughtKind

CHARACTERS = 4
"""Of a token, roughly."""

LINES = 60
"""Tokens of a prompt beside the question, and of a short reply, roughly."""

Spoken = tuple[Candidate | None, StopReason | None]
"""An answer, and the limit that refused or shortened it, where one did."""


async def answered_directly(
    task: Task,
    context: RunContext,
    *,
    parents: tuple[str, ...] = ("question",),
    max_tokens: int = 1024,
) -> Spoken:
    """Answer a task by one chain of thought, out of the share kept for the end.

    A call that fails is made once more: everything before it would be lost with it.

    Args:
        task: The task, which may hold what was found out before.
        context: The place of the attempt.
        parents: The thoughts that it comes from.
        max_tokens: Limit of the attempt.

    Raises:
        ModelError: The call failed twice.
    """
    solve = solver(
        instructions=STEP_BY_STEP,
        sampling=Sampling(temperature=0.0),
        max_tokens=max_tokens,
    )
    try:
        found = await attempt(solve, task, context.wrap_up())
        if found.error is not None:
            context.warn(f"The answer is asked for once more: {found.error}")
            found = await attempt(solve, task, context.wrap_up().at("again"))
    except OutOfBudget as over:
        return None, StopReason(over.dimension)
    raise_if_all_failed([found], context)
    context.keep(found, parents)
    if found.answer is None:
        found = await rescue(task, [found], context) or found
    return found, None


def spoken(candidate: Candidate | None, reason: StopReason, text: str = "") -> Outcome:
    """Return the outcome of a run that one candidate answers, if there is one.

    Args:
        candidate: The answer.
        reason: Why the run ended.
        text: What there is to show without an answer.
    """
    if candidate is None:
        return Outcome(answer=None, text=text, stop_reason=reason)
    return Outcome(
        answer=candidate.answer,
        text=candidate.text,
        candidates=(candidate,),
        stop_reason=reason,
    )


async def scarce(task: Task, context: RunContext) -> StopReason | None:
    """Return the limit that leaves no room for a step and an answer after it.

    A step is taken to read the question once, and a few lines beside it.

    Args:
        task: The task.
        context: A place of its own for this decision.

    Returns:
        ``None`` if there is room, as far as can be told.
    """
    ledger, size = context.ledger, len(task.question) // CHARACTERS + LINES
    least: dict[Dimension, float] = {
        "calls": 2.0, "tokens": 2.0 * size, "input_tokens": 2.0 * size,
    }  # fmt: skip
    left = {name: ledger.left(name, wrap_up=name != "calls") for name in least}
    return await lacking(least, left, context)


def think(
    context: RunContext,
    label: str,
    parents: tuple[str, ...],
    *,
    id: str = "",
    evidence: bool = False,
    failed: bool = False,
) -> None:
    """Put one line into the graph of the run, at the place of the context."""
    kind: ThoughtKind = "evidence" if evidence else "thought"
    thought = Thought(id=id or context.id, kind=kind, label=label, failed=failed)
    context.think(thought, parents)
