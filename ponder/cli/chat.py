"""``ponder chat``: a conversation, turn by turn.

On a terminal lines are edited with prompt_toolkit; from a pipe they are just read.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator

from ponder.cli.answer import details, show_answer
from ponder.cli.board import Board
from ponder.cli.chat_commands import COMMANDS, Chat, obey
from ponder.cli.console import is_terminal, say
from ponder.cli.errors import Interrupted, reported
from ponder.cli.follow import follow
from ponder.cli.live import display
from ponder.cli.options import (
    CallsOption,
    CostOption,
    DebugOption,
    ModelOption,
    SecondsOption,
    SeedOption,
    SetOption,
    StrategyOption,
    StreamOption,
    TokensOption,
    VerifierOption,
    pairs,
)
from ponder.cli.runs import open_journal
from ponder.cli.verifiers import load_verifier
from ponder.errors import PonderError
from ponder.graphs.base import strategy as as_strategy
from ponder.messages import Usage
from ponder.models.base import Model
from ponder.plan import default_budget, open_model
from ponder.run import asolve
from ponder.settings import Settings, load_settings

HISTORY_FILE = "chat_history"
"""Typed lines, in the data folder of the settings."""
PROMPT = "you> "
DEFAULT_STRATEGY = "direct"
"""Small talk needs no votes; a strategy in the settings wins."""


def chat(
    strategy: StrategyOption = None,
    model: ModelOption = None,
    verifier: VerifierOption = None,
    budget_tokens: TokensOption = None,
    budget_seconds: SecondsOption = None,
    budget_calls: CallsOption = None,
    budget_cost: CostOption = None,
    seed: SeedOption = 0,
    parameters: SetOption = None,
    stream: StreamOption = False,
    debug: DebugOption = False,
) -> None:
    """Talk with a model; the limits are for each turn. Type /help inside.

    Without a strategy here or in the settings, each turn asks the model once.
    """
    with reported(debug=debug), asyncio.Runner() as runner:
        settings = load_settings(
            model=model,
            strategy=strategy,
            budget_tokens=budget_tokens,
            budget_seconds=budget_seconds,
            budget_calls=budget_calls,
            budget_cost=budget_cost,
        )
        chosen = "strategy" in settings.model_fields_set
        session = Chat(
            settings=settings,
            strategy=as_strategy(
                settings.strategy if chosen else DEFAULT_STRATEGY, pairs(parameters)
            ),
            model=_opened(settings),
            verifier=load_verifier(verifier),
            budget=default_budget(settings),
            seed=seed,
        )
        say(f"{session.strategy.name} over {session.model.name}. /help, /quit.", "dim")
        _converse(session, runner, stream=stream)


def _opened(settings: Settings) -> Model:
    """Load the model now, so that a wrong name is told at once."""
    say(f"Loading {settings.model} ...", "dim")
    return open_model(settings.model, settings)


def _converse(session: Chat, runner: "asyncio.Runner", *, stream: bool) -> None:
    for line in _lines(session.settings):
        try:
            if not line.startswith("/"):
                _turn(session, line, runner, stream=stream)
            elif not obey(session, line):
                return
        except Interrupted as stop:
            say(str(stop))
        except PonderError as error:
            say(f"Error: {error}", "red")


def _turn(session: Chat, line: str, runner: "asyncio.Runner", *, stream: bool) -> None:
    shown = display(stream=stream)
    try:
        result = follow(
            lambda tell: asolve(
                line,
                strategy=session.strategy,
                model=session.model,
                verifier=session.verifier,
                budget=session.budget,
                # The same words said twice need not get the same answer.
                seed=session.seed + len(session.spent),
                history=session.history,
                settings=session.settings,
                on_event=tell,
            ),
            shown,
            runner,
        )
    except BaseException:
        session.spent.append(_paid(shown.board, session.settings))
        raise
    session.spent.append(result.usage)
    session.add(line, result)
    show_answer(result, text_shown=stream)
    for text, style in details(result, brief=True):
        say(text, style)


def _paid(board: Board, settings: Settings) -> Usage:
    """Return what a turn without a result has used, from the journal."""
    if not board.run_id:
        return Usage()
    with open_journal(settings) as journal:
        spent = journal.read(board.run_id).spent
    return spent.model_copy(update={"seconds": board.seconds})


def _lines(settings: Settings) -> Iterator[str]:
    """Yield what the user types, without empty lines, until the end of input."""
    read = _editor(settings) if is_terminal(sys.stdin) else _next_line
    while True:
        try:
            line = read().strip()
        except EOFError:
            return
        except KeyboardInterrupt:
            say("Leave with /quit or Ctrl-D.")
            continue
        if line:
            yield line


def _next_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _editor(settings: Settings) -> Callable[[], str]:
    # Not needed by any other command, and slow to import.
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    editor: PromptSession[str] = PromptSession(
        PROMPT,
        history=FileHistory(str(settings.data_dir / HISTORY_FILE)),
        completer=WordCompleter([*COMMANDS, "/quit"], sentence=True),
        complete_while_typing=False,
    )
    return editor.prompt
