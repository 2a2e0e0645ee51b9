"""What the retrieval loops share: room for the answer, and reading what fits."""

from collections.abc import Sequence

from ponder.agents.choice import plain_model
from ponder.agents.reader import Reader, reading
from ponder.budget import Dimension
from ponder.context import RunContext
from ponder.errors import ContextOverflow, ModelError, OutOfBudget
from ponder.graphs.pool import rescue
from ponder.graphs.shares import lacking
from ponder.messages import Request, Usage, user
from ponder.passages import Passage
from ponder.result import Candidate, Outcome, StopReason, Task

VOTES = 5
"""Votes of ``choose`` by default."""
_SHRINKS = ("tokens", "input_tokens", "cached_tokens", "cost")
"""Limits that a shorter prompt can stay below."""


async def short_of(
    task: Task,
    passages: Sequence[Passage],
    context: RunContext,
    *,
    max_tokens: int,
    calls: int = 1,
    extra: Usage | None = None,
) -> StopReason | None:
    """Say which limit has no room for so many calls as large as the answer's.

    A loop that asks before every round can always pay for its answer, however small
    the budget is.

    Args:
        task: The task.
        passages: What the answer would be read from now.
        context: A place of its own for this decision.
        max_tokens: Limit of the answer.
        calls: How many calls, that of the answer included.
        extra: What else has to be paid for before the answer.

    Returns:
        The first such limit, ``None`` if there is room.
    """
    request = Request(
        messages=reading(task, passages),
        max_tokens=max_tokens,
        prefill=task.prefill,
    )
    usage = (extra or Usage()) + Usage(
        calls=calls,
        input_tokens=calls * context.model.count_tokens(request),
        output_tokens=calls * max_tokens,
    )
    needed: dict[Dimension, float] = {
        "calls": usage.calls,
        "tokens": usage.total_tokens,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost": context.model.price(usage) or 0.0,
    }
    left = {name: context.ledger.left(name, wrap_up=True) for name in needed}
    return await lacking(needed, left, context)


def cost_of_words(prompts: Sequence[str], context: RunContext) -> Usage:
    """Return the most that it can cost to ask for a word with each of some prompts.

    A model without log-probabilities votes, and an unreadable word is asked for twice.
    """
    model = plain_model(context.model)
    times = 2 * (1 if model.capabilities.logprobs else VOTES)
    requests = [Request(messages=(user(prompt),), max_tokens=1) for prompt in prompts]
    return Usage(
        calls=times * len(prompts),
        input_tokens=times * sum(model.count_tokens(r) for r in requests),
        output_tokens=times * len(prompts),
    )


async def answered(
    read: Reader, task: Task, passages: Sequence[Passage], context: RunContext
) -> tuple[Candidate, list[Passage]]:
    """Read an answer from as many passages as budget and context have room for.

    Half of the passages is left out, and half of the rest, until the call fits; a call
    that fails otherwise is made once more.

    Args:
        read: Who reads.
        task: The task.
        passages: The most important first.
        context: The place below which the calls are made.

    Returns:
        The answer, and the passages that it was read from.

    Raises:
        OutOfBudget: Not even an answer from no passage can be paid for.
        ModelError: The model failed twice.
    """
    kept, failed, attempt = list(passages), False, 0
    while True:
        try:
            candidate = await read(task, kept, context.at(attempt))
        except (OutOfBudget, ContextOverflow) as error:
            if not kept or getattr(error, "dimension", "tokens") not in _SHRINKS:
                raise
            kept = kept[: len(kept) // 2]
        except ModelError:
            if failed:
                raise
            failed = True
        else:
            _tell_of_what_was_left_out(len(kept), len(passages), context)
            return candidate, kept
        attempt += 1


def _tell_of_what_was_left_out(kept: int, found: int, context: RunContext) -> None:
    if kept < found:
        context.warn(
            f"The answer was read from {kept} of {found} passages: there was no room "
            "for more. Give a larger budget, or ask for fewer passages."
        )


async def with_an_answer(
    task: Task, candidate: Candidate, context: RunContext
) -> Candidate:
    """Return a candidate; one that was cut off before its answer is made to answer."""
    if candidate.answer is not None:
        return candidate
    return await rescue(task, [candidate], context) or candidate


def outcome_of(
    candidate: Candidate,
    pool: Sequence[Candidate],
    reason: StopReason,
    confidence: float | None = None,
) -> Outcome:
    """Return the outcome whose answer is that of one candidate."""
    return Outcome(
        answer=candidate.answer,
        text=candidate.text,
        confidence=confidence,
        candidates=tuple(pool),
        stop_reason=reason,
    )


def same_query(query: str) -> str:
    """Return a query as it is compared with others."""
    return " ".join(query.casefold().split()).rstrip(" .?!")
