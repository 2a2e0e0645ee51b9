"""The candidate pool that the sampling strategies share: draw, judge, finish."""

from collections.abc import AsyncIterator, Callable, Sequence

from ponder.agents.solver import Solver, attempt, forced_answer
from ponder.agents.verifier import verified
from ponder.concurrency import in_order, settle
from ponder.context import RunContext
from ponder.errors import OutOfBudget
from ponder.result import Candidate, Outcome, StopReason, Task

Stop = Callable[[list[Candidate]], StopReason | None]


async def draw(
    solve: Solver,
    task: Task,
    context: RunContext,
    indices: Sequence[int],
    *,
    so_far: Sequence[Candidate] = (),
    stop: Stop | None = None,
) -> tuple[list[Candidate], StopReason | None]:
    """Draw candidates side by side, and look at them in the order of their places.

    Args:
        solve: Makes one attempt.
        task: The task.
        context: The place below which the attempts run.
        indices: The numbers of the attempts.
        so_far: Candidates drawn before.
        stop: Looks at all candidates up to one place; a reason ends the drawing, and
            attempts at later places are cancelled.

    Returns:
        All candidates so far, and why drawing must end, if it must.
    """
    pool = list(so_far)
    with context.branches("sample", indices) as places:
        attempts = [attempt(solve, task, place) for place in places]
        async with in_order(attempts) as outcomes:
            return pool, await _collect(outcomes, pool, stop, context)


async def _collect(
    outcomes: AsyncIterator[Candidate | Exception],
    pool: list[Candidate],
    stop: Stop | None,
    context: RunContext,
) -> StopReason | None:
    exhausted: StopReason | None = None
    async for outcome in outcomes:
        if isinstance(outcome, OutOfBudget):
            # A later, smaller attempt may still fit: go on to the end of the batch.
            exhausted = StopReason(outcome.dimension)
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            pool.append(outcome)
            context.keep(outcome, ("question",))
            reason = stop(pool) if stop else None
            if reason is not None:
                return reason
    return exhausted


async def judge_all(
    task: Task,
    candidates: Sequence[Candidate],
    context: RunContext,
    parents: tuple[str, ...] = ("question",),
) -> tuple[list[Candidate], StopReason | None]:
    """Judge candidates side by side, and put them into the thought graph.

    The verifier may use the share kept back for the end: a candidate without a verdict
    is worth little.

    Args:
        task: The task.
        candidates: Those that have a verdict are not judged again.
        context: The place of the verdicts.
        parents: Places that the candidates hang below.

    Returns:
        The candidates, and the limit that refused a verdict, if any did.
    """
    place = context.wrap_up()
    outcomes = await settle(
        [
            verified(task, c, place.at("judge", c.id))
            for c in candidates
            if c.verdict is None
        ]
    )
    found: dict[str, Candidate] = {}
    refused: StopReason | None = None
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        candidate, stop = outcome
        found[candidate.id], refused = candidate, stop or refused
    pool = [found.get(c.id, c) for c in candidates]
    for candidate in pool:
        context.keep(candidate, parents)
    return pool, refused


async def rescue(
    task: Task, candidates: Sequence[Candidate], context: RunContext
) -> Candidate | None:
    """Get an answer out of attempts of which none came to one.

    The longest unfinished attempt is given back to the model, which must answer.
    """
    cut = [c for c in candidates if c.truncated and c.text]
    if not cut:
        return None
    longest = max(cut, key=lambda c: c.output_tokens)
    return await forced_answer(task, longest, context.wrap_up().at("rescue"))


def raise_if_all_failed(candidates: Sequence[Candidate], context: RunContext) -> None:
    """Raise the failure of the first attempt if no attempt got through."""
    if candidates and all(c.error is not None for c in candidates):
        # The run may have failures of others, which it could do without.
        known = {str(failure): failure for failure in context.shared.failures}
        raise known.get(candidates[0].error or "", context.shared.failures[0])


def choosable(candidate: Candidate) -> bool:
    """Return whether a candidate may be the result.

    One whose answer could not be read may where a function accepted it: a checker
    often reads what the extraction of answers does not. The opinion of a model is no
    such proof: it likes texts that were cut off before their answer.
    """
    return candidate.answer is not None or vouched(candidate)


def vouched(candidate: Candidate) -> bool:
    """Return whether a function accepted a candidate."""
    verdict = candidate.verdict
    return verdict is not None and verdict.checked and verdict.passed is True


def unanswered(candidates: Sequence[Candidate], reason: StopReason) -> Outcome:
    """Return the outcome of a run in which no answer could be read."""
    texts = [c.text for c in candidates if c.text]
    return Outcome(
        answer=None,
        text=max(texts, key=len) if texts else "",
        candidates=tuple(candidates),
        stop_reason=reason,
    )
