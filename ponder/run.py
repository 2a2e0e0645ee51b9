"""One run, from a question to a result: solve, stream, resume, replay, fork.

``asolve`` and its siblings are async; ``solve`` and its siblings are the same behind
a thin sync door.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

from ponder.agents.verifier import Check
from ponder.budget import Budget, Ledger
from ponder.concurrency import chain_from
from ponder.context import RunContext, Verifier
from ponder.errors import InvalidInput, JournalError, OutOfBudget
from ponder.events import (
    Emit,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    Warned,
)
from ponder.graphs.base import Strategy
from ponder.journal import Journal, RunLog, RunStatus
from ponder.messages import Message
from ponder.models.base import Model
from ponder.passages import Retriever
from ponder.plan import Plan, plan_again, plan_new, plan_replay
from ponder.result import Outcome, Result, StopReason
from ponder.settings import Settings, load_settings
from ponder.telling import Shared
from ponder.thoughts import Thought, ThoughtGraph

T = TypeVar("T")

JOURNAL_FILE = "journal.sqlite"
"""In the data folder of the settings."""


async def asolve(
    question: str,
    *,
    strategy: Strategy | str | None = None,
    model: Model | str | None = None,
    verifier: Verifier | Check | str | None = None,
    retriever: Retriever | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    history: Sequence[Message] = (),
    examples: Sequence[Message] = (),
    parameters: dict[str, Any] | None = None,
    journal: Journal | None = None,
    settings: Settings | None = None,
    on_event: Emit | None = None,
) -> Result:
    """Answer a question.

    Args:
        question: What to answer.
        strategy: A strategy or its name; by default the one of the settings.
        model: A model or its name; by default the one of the settings. A name may
            put a strategy before a model: ``self_consistency/local``.
        verifier: A verifier, a function of (task, candidate), or ``"judge"``.
        retriever: The documents that the run may search.
        budget: Limits; by default those of the settings.
        seed: Decides all randomness of the run.
        history: Earlier turns of the conversation, oldest first.
        examples: Worked examples as turns of user and assistant, in turn; only the
            roles that write solutions see them.
        parameters: Parameters for a strategy given by name.
        journal: Where the run is kept; by default the user's journal.
        settings: By default from the environment and the config file.
        on_event: Told of every event, in order, as it happens.

    Returns:
        The result. An exhausted budget is no error: the result then holds the best
        answer so far, and ``stop_reason`` names the limit.

    Raises:
        InvalidInput: A name, parameter or question cannot be used.
        ModelError: The model failed in every branch.
    """
    settings = settings or load_settings()
    plan = plan_new(
        question,
        run_id=_new_id(),
        settings=settings,
        strategy=strategy,
        parameters=parameters,
        model=model,
        verifier=verifier,
        budget=budget,
        seed=seed,
        history=history,
        examples=examples,
        retriever=retriever,
    )
    with _opened(journal, settings) as opened:
        return await _run(plan, opened.start(plan.record), opened, on_event)


async def aresume(
    run_id: str,
    *,
    strategy: Strategy | None = None,
    model: Model | str | None = None,
    verifier: Verifier | Check | str | None = None,
    retriever: Retriever | None = None,
    budget: Budget | None = None,
    journal: Journal | None = None,
    settings: Settings | None = None,
    on_event: Emit | None = None,
) -> Result:
    """Go on with a run that was stopped; nothing is paid twice.

    Args:
        run_id: The run; a unique beginning is enough.
        strategy: Only for a strategy that has no name.
        model: Only for a model that has no name, or to go on with another one.
        verifier: Needed again where the run had a function for a verifier.
        retriever: Needed again where the run searched documents.
        budget: New limits; what was refused under the old ones is asked again.
        journal: Where the run is kept; by default the user's journal.
        settings: By default from the environment and the config file.
        on_event: Told of every event.

    Raises:
        UnknownName: There is no such run.
        InvalidInput: The run is still running, or needs an argument given again.
    """
    settings = settings or load_settings()
    with _opened(journal, settings) as opened:
        record = opened.run(run_id).record
        plan = plan_again(
            record, settings, strategy, model, verifier, budget, retriever
        )
        log = opened.reopen(record.run_id, plan.record)
        return await _run(
            plan, log, opened, on_event, resumed=True, new_budget=budget is not None
        )


async def areplay(
    run_id: str,
    *,
    strategy: Strategy | None = None,
    verifier: Verifier | Check | str | None = None,
    journal: Journal | None = None,
    settings: Settings | None = None,
    on_event: Emit | None = None,
) -> Result:
    """Run a finished run again from the journal alone, without any call.

    Args:
        run_id: The run; a unique beginning is enough.
        strategy: Only for a strategy that has no name.
        verifier: Only for one that asks a model in a way of its own, such as
            ``constraint_verifier()`` or a ``Judge`` with other settings.
        journal: Where the run is kept; by default the user's journal.
        settings: By default from the environment and the config file.
        on_event: Told of every event.

    Returns:
        The identical result.

    Raises:
        ReplayDrift: The strategy now makes calls that the run did not make.
    """
    settings = settings or load_settings()
    with _opened(journal, settings) as opened:
        info = opened.run(run_id)
        if info.result is None:
            raise InvalidInput(
                f"Run {info.run_id} is {info.status}, so there is no result to replay. "
                f"Go on with it first: ponder resume {info.run_id}"
            )
        stored = Result.model_validate(info.result)
        plan = plan_replay(info.record, strategy, verifier)
        log = opened.read(info.run_id)
        return await _run(plan, log, opened, on_event, stored=stored)


async def afork(
    run_id: str,
    *,
    at: int,
    strategy: Strategy | None = None,
    model: Model | str | None = None,
    verifier: Verifier | Check | str | None = None,
    retriever: Retriever | None = None,
    budget: Budget | None = None,
    journal: Journal | None = None,
    settings: Settings | None = None,
    on_event: Emit | None = None,
) -> Result:
    """Start a new run that shares the first steps of another one.

    Args:
        run_id: The run to fork; a unique beginning is enough.
        at: How many steps to keep (``ponder show`` numbers them).
        strategy: Only for a strategy that has no name.
        model: The model from there on; by default the same.
        verifier: The verifier from there on.
        retriever: The documents from there on.
        budget: The limits of the new run, the shared steps included.
        journal: Where the runs are kept; by default the user's journal.
        settings: By default from the environment and the config file.
        on_event: Told of every event.
    """
    settings = settings or load_settings()
    with _opened(journal, settings) as opened:
        origin = opened.run(run_id).record
        plan = plan_again(
            origin, settings, strategy, model, verifier, budget, retriever
        )
        record = plan.record.model_copy(
            update={"run_id": _new_id(), "forked_from": f"{origin.run_id}@{at}"}
        )
        plan = replace(plan, record=record)
        log = opened.fork(origin.run_id, record, at=at)
        return await _run(plan, log, opened, on_event)


async def stream(question: str, **options: Any) -> AsyncGenerator[Event, None]:
    """Answer a question and yield its events while it goes on.

    Leaving the iteration cancels the run and the calls in flight.

    Args:
        question: What to answer.
        **options: As for ``asolve``.
    """
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    run = asyncio.create_task(asolve(question, on_event=events.put_nowait, **options))
    run.add_done_callback(lambda _: events.put_nowait(None))
    try:
        while (event := await events.get()) is not None:
            yield event
        await run
    finally:
        run.cancel()
        await asyncio.wait([run])


def solve(question: str, **options: Any) -> Result:
    """Answer a question; see ``asolve`` for the options."""
    return _sync(asolve(question, **options))


def resume(run_id: str, **options: Any) -> Result:
    """Go on with a run; see ``aresume`` for the options."""
    return _sync(aresume(run_id, **options))


def replay(run_id: str, **options: Any) -> Result:
    """Replay a run without a call; see ``areplay`` for the options."""
    return _sync(areplay(run_id, **options))


def fork(run_id: str, **options: Any) -> Result:
    """Fork a run; see ``afork`` for the options."""
    return _sync(afork(run_id, **options))


async def _run(
    plan: Plan,
    log: RunLog,
    journal: Journal,
    on_event: Emit | None,
    *,
    resumed: bool = False,
    new_budget: bool = False,
    stored: Result | None = None,
) -> Result:
    """Run a plan to its end and note in the journal how it ended."""
    emit = on_event or (lambda event: None)
    shared = Shared(
        run_id=plan.record.run_id,
        log=log,
        emit=emit,
        graph=ThoughtGraph(),
        replaying=stored is not None,
        new_budget=new_budget,
    )
    ledger = _ledger(plan, log, stored)
    if stored is None:
        shared.roles.update(log.lost)
    context = RunContext(
        model=plan.model,
        ledger=ledger,
        shared=shared,
        seed=plan.record.seed,
        verifier=plan.verifier,
        retriever=plan.retriever,
    )
    emit(
        RunStarted(
            run_id=plan.record.run_id,
            question=plan.record.question,
            strategy=plan.strategy.spec(),
            model=plan.model.name,
            budget=plan.budget,
            resumed=resumed,
        )
    )
    for warning in (*journal.warnings, *log.warnings):
        context.warn(warning)
    try:
        with chain_from(0) as critical:
            outcome = await _outcome(plan, context)
        result = _result(plan, context, outcome, stored)
        longest = stored.critical_tokens if stored is not None else critical.length
        result = result.model_copy(update={"critical_tokens": longest})
    except asyncio.CancelledError:
        _note(journal, log, RunStatus.CANCELLED, None, emit)
        emit(RunCancelled(run_id=plan.record.run_id))
        raise
    except Exception as error:
        _note(journal, log, RunStatus.FAILED, None, emit)
        emit(RunFailed(run_id=plan.record.run_id, error=str(error)))
        raise
    _note(journal, log, RunStatus.FINISHED, result, emit)
    emit(RunFinished(result=result))
    return result


async def _outcome(plan: Plan, context: RunContext) -> Outcome:
    context.think(
        Thought(id="question", kind="question", label=plan.record.question.strip())
    )
    try:
        outcome = await plan.strategy.run(plan.task, context)
    except OutOfBudget as stop:
        # A strategy that has no better idea: nothing could be called at all.
        return Outcome(answer=None, stop_reason=StopReason(stop.dimension))
    spokesman = [c.id for c in outcome.candidates if c.text == outcome.text]
    context.think(
        Thought(
            id="answer",
            kind="answer",
            label=outcome.answer or "no answer",
            score=outcome.confidence,
        ),
        tuple(spokesman) or ("question",),
    )
    return outcome


def _ledger(plan: Plan, log: RunLog, stored: Result | None) -> Ledger:
    if stored is not None:
        # No clock in a replay: what time decided is in the journal as a refusal.
        return Ledger(plan.budget, clock=lambda: 0.0)
    ledger = Ledger(plan.budget, spent_seconds=log.elapsed)
    for usage in log.lost.values():
        ledger.charge(usage)
    for usage in log.unmet.values():
        ledger.owe(usage)
    return ledger


def _result(
    plan: Plan,
    context: RunContext,
    outcome: Outcome,
    stored: Result | None,
) -> Result:
    usage, shared = context.ledger.spent, context.shared
    warnings = tuple(sorted(shared.warnings, key=lambda w: (shared.place(w), w)))
    if stored is not None:
        # With what was paid on ways that a resumed run has not gone to their end, and
        # what the journal had to say.
        usage, warnings = stored.usage, stored.warnings
    else:
        for role, paid in shared.log.unmet.items():
            shared.spend(role, paid)
            usage = usage + paid
    return Result(
        run_id=plan.record.run_id,
        answer=outcome.answer,
        text=outcome.text,
        confidence=outcome.confidence,
        candidates=outcome.candidates,
        stop_reason=outcome.stop_reason,
        usage=usage,
        roles=stored.roles if stored is not None else context.shared.roles,
        substitutes=tuple(
            shared.substitutes[what]
            for what in sorted(shared.substitutes, key=lambda w: (shared.place(w), w))
        ),
        verdict=outcome.verdict,
        citations=outcome.citations,
        warnings=warnings,
        graph=context.shared.graph.to_json(),
    )


def _note(
    journal: Journal,
    log: RunLog,
    status: RunStatus,
    result: Result | None,
    emit: Emit,
) -> None:
    if log.read_only:
        return
    log.flush()
    try:
        journal.finish(
            log.run_id, status, result.model_dump(mode="json") if result else None
        )
    except JournalError as error:
        emit(Warned(message=str(error)))


class _opened:
    """The caller's journal, or the user's own for as long as it is needed."""

    def __init__(self, journal: Journal | None, settings: Settings) -> None:
        self.given = journal
        self.journal = journal or Journal(settings.data_dir / JOURNAL_FILE)

    def __enter__(self) -> Journal:
        return self.journal

    def __exit__(self, *_: object) -> None:
        if self.given is None:
            self.journal.close()


def _new_id() -> str:
    return uuid4().hex[:12]


def _sync(run: Coroutine[Any, Any, T]) -> T:
    """Run to the end, also where an event loop is running already (notebooks)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run)
    box: list[T | BaseException] = []

    def target() -> None:
        try:
            box.append(asyncio.run(run))
        except BaseException as error:
            box.append(error)

    thread = threading.Thread(target=target, name="ponder")
    thread.start()
    thread.join()
    (outcome,) = box
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome
