"""``ponder ask``: a question in, a checked answer out."""

import asyncio
from typing import Annotated

import typer

from ponder.cli.answer import show_result
from ponder.cli.console import say
from ponder.cli.errors import reported
from ponder.cli.follow import follow
from ponder.cli.indexing import documents, searching_strategy
from ponder.cli.live import display
from ponder.cli.options import (
    CallsOption,
    CostOption,
    DebugOption,
    DocsOption,
    JsonOption,
    ModelOption,
    RetrieverOption,
    SecondsOption,
    SeedOption,
    SetOption,
    StrategyOption,
    StreamOption,
    TaskOption,
    TokensOption,
    VerifierOption,
    pairs,
    read_question,
)
from ponder.cli.problem import pose, show_solved
from ponder.cli.verifiers import load_verifier
from ponder.errors import InvalidInput
from ponder.run import asolve
from ponder.settings import load_settings


def ask(
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="QUESTION",
            help="The question; '-' or nothing reads standard input.",
        ),
    ] = None,
    task: TaskOption = None,
    strategy: StrategyOption = None,
    model: ModelOption = None,
    docs: DocsOption = None,
    retriever: RetrieverOption = None,
    verifier: VerifierOption = None,
    budget_tokens: TokensOption = None,
    budget_seconds: SecondsOption = None,
    budget_calls: CallsOption = None,
    budget_cost: CostOption = None,
    seed: SeedOption = 0,
    parameters: SetOption = None,
    as_json: JsonOption = False,
    stream: StreamOption = False,
    debug: DebugOption = False,
) -> None:
    """Answer a question, or solve a problem of a benchmark."""
    with reported(debug=debug, as_json=as_json), asyncio.Runner() as runner:
        settings = load_settings(
            model=model,
            strategy=strategy,
            budget_tokens=budget_tokens,
            budget_seconds=budget_seconds,
            budget_calls=budget_calls,
            budget_cost=budget_cost,
        )
        if task is not None and question is not None:
            raise InvalidInput("Give a question or --task, not both.")
        posed = pose(task) if task is not None else None
        asked = posed.problem.question if posed else read_question(question)
        shown_before = posed.benchmark.demonstrations(posed.problem) if posed else ()
        judge = posed.verifier(verifier) if posed else load_verifier(verifier)
        given = pairs(parameters)
        searched = documents(docs, retriever, settings, runner, quiet=as_json)
        if searched is not None:
            chosen = searching_strategy(settings, strategy)
            settings = settings.model_copy(update={"strategy": chosen})
        if posed and not as_json:
            say(f"{asked}\n")
        shown = display(stream=stream)
        shown.loading(settings.model)
        result = follow(
            lambda tell: asolve(
                asked,
                verifier=judge,
                retriever=searched,
                seed=seed,
                examples=shown_before,
                parameters=given,
                settings=settings,
                on_event=tell,
            ),
            shown,
            runner,
        )
        if searched is not None:
            runner.run(searched.aclose())
            if result.answer is not None and not result.citations:
                say("Warning: the answer cites no passage.", "yellow")
        if posed is not None:
            code = show_solved(posed, result, as_json=as_json, text_shown=stream)
            raise typer.Exit(code)
        raise typer.Exit(show_result(result, as_json=as_json, text_shown=stream))
