"""How a command ends: exit codes, and errors in one line."""

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from ponder.cli.console import say
from ponder.errors import InvalidInput, MissingExtra, PonderError


class ExitCode(IntEnum):
    """What a command returns to the shell."""

    ANSWER = 0
    """There is an answer, or the command did what it was asked to."""
    ERROR = 1
    """Something failed."""
    USAGE = 2
    """What was given cannot be used: an option, a name, a value, a setting."""
    NO_ANSWER = 3
    """The run ended, but no answer could be found within the budget."""
    INTERRUPTED = 130
    """Ctrl-C, as shells count it: 128 + SIGINT."""


EXIT_CODES_HELP = (
    "Exit codes: 0 answer, 1 error, 2 something given cannot be used, 3 no answer "
    "within the budget, 130 interrupted. With --json, standard output holds one JSON "
    "object or, after an error, nothing; the last line of standard error is then "
    '{"error": {"type": ..., "message": ...}}.'
)


class Interrupted(Exception):
    """The user pressed Ctrl-C; the message says how to go on."""


@contextmanager
def reported(*, debug: bool = False, as_json: bool = False) -> Iterator[None]:
    """Turn exceptions into one clear message and an exit code.

    Args:
        debug: Show the traceback as well.
        as_json: Write the error as a JSON object.

    Raises:
        typer.Exit: With the exit code.
    """
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stop:
        _tell("Interrupted", str(stop) or "Stopped.", as_json)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except PonderError as error:
        if debug:
            traceback.print_exc(file=sys.stderr)
        _tell(type(error).__name__, str(error), as_json)
        raise typer.Exit(exit_code(error)) from None
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise
    except Exception as error:
        if debug:
            traceback.print_exc(file=sys.stderr)
        kind = type(error).__name__
        hint = "" if debug else " Run the command again with --debug for details."
        _tell(kind, f"unexpected {kind}: {error}.{hint}", as_json)
        raise typer.Exit(ExitCode.ERROR) from None


def exit_code(error: PonderError) -> ExitCode:
    """Return the exit code of an error."""
    if isinstance(error, InvalidInput) and not isinstance(error, MissingExtra):
        return ExitCode.USAGE
    return ExitCode.ERROR


def _tell(kind: str, message: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"error": {"type": kind, "message": message}}), err=True)
    elif kind == "Interrupted":
        say(message)
    else:
        say(f"Error: {message}", style="red")
