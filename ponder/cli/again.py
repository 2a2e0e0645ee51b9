"""``ponder resume``, ``replay`` and ``fork``: runs that stand on an earlier one."""

import asyncio
from typing import Annotated

import typer

from ponder.budget import Budget
from ponder.cli.answer import show_result
from ponder.cli.errors import reported
from ponder.cli.follow import follow
from ponder.cli.live import display
from ponder.cli.options import (
    CallsOption,
    CostOption,
    DebugOption,
    JsonOption,
    ModelOption,
    RunArgument,
    SecondsOption,
    StreamOption,
    TokensOption,
    VerifierOption,
    changed,
)
from ponder.cli.problem import verifier_of_run
from ponder.cli.runs import open_journal
from ponder.cli.verifiers import load_verifier
from ponder.run import afork, areplay, aresume
from ponder.settings import load_settings


def resume(
    run: RunArgument,
    model: ModelOption = None,
    verifier: VerifierOption = None,
    budget_tokens: TokensOption = None,
    budget_seconds: SecondsOption = None,
    budget_calls: CallsOption = None,
    budget_cost: CostOption = None,
    as_json: JsonOption = False,
    stream: StreamOption = False,
    debug: DebugOption = False,
) -> None:
    """Go on with a run that was stopped; nothing is paid twice.

    Limits that are given replace those of the run.
    """
    with (
        reported(debug=debug, as_json=as_json),
        asyncio.Runner() as runner,
        open_journal(load_settings()) as journal,
    ):
        record = journal.run(run).record
        budget = changed(
            Budget.model_validate(record.budget),
            tokens=budget_tokens,
            seconds=budget_seconds,
            calls=budget_calls,
            cost=budget_cost,
        )
        judge = verifier_of_run(verifier, record.verifier)
        before = journal.read(record.run_id).elapsed
        shown = display(stream=stream, seconds_before=before)
        shown.loading(model or record.model)
        result = follow(
            lambda tell: aresume(
                record.run_id,
                model=model,
                verifier=judge,
                budget=budget,
                journal=journal,
                on_event=tell,
            ),
            shown,
            runner,
        )
        raise typer.Exit(show_result(result, as_json=as_json, text_shown=stream))


def replay(
    run: RunArgument,
    verifier: VerifierOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Give the result of a run again, from the journal alone, without any call.

    A verifier is only needed where it is an object that has asked the model.
    """
    with (
        reported(debug=debug, as_json=as_json),
        asyncio.Runner() as runner,
        open_journal(load_settings()) as journal,
    ):
        result = follow(
            lambda tell: areplay(
                run,
                verifier=load_verifier(verifier),
                journal=journal,
                on_event=tell,
            ),
            display(),
            runner,
        )
        raise typer.Exit(show_result(result, as_json=as_json))


def fork(
    run: RunArgument,
    at: Annotated[
        int,
        typer.Option(
            "--at", min=0, help="Steps to keep; 'ponder show RUN' numbers them."
        ),
    ],
    model: ModelOption = None,
    verifier: VerifierOption = None,
    budget_tokens: TokensOption = None,
    budget_seconds: SecondsOption = None,
    budget_calls: CallsOption = None,
    budget_cost: CostOption = None,
    as_json: JsonOption = False,
    stream: StreamOption = False,
    debug: DebugOption = False,
) -> None:
    """Start a new run that shares the first steps of another one."""
    with (
        reported(debug=debug, as_json=as_json),
        asyncio.Runner() as runner,
        open_journal(load_settings()) as journal,
    ):
        record = journal.run(run).record
        budget = changed(
            Budget.model_validate(record.budget),
            tokens=budget_tokens,
            seconds=budget_seconds,
            calls=budget_calls,
            cost=budget_cost,
        )
        judge = verifier_of_run(verifier, record.verifier)
        shown = display(stream=stream)
        shown.loading(model or record.model)
        result = follow(
            lambda tell: afork(
                record.run_id,
                at=at,
                model=model,
                verifier=judge,
                budget=budget,
                journal=journal,
                on_event=tell,
            ),
            shown,
            runner,
        )
        raise typer.Exit(show_result(result, as_json=as_json, text_shown=stream))
