"""All commands under one name."""

import sys
from typing import Annotated

import typer

from ponder import __version__
from ponder.cli import index, models
from ponder.cli.again import fork, replay, resume
from ponder.cli.ask import ask
from ponder.cli.chat import chat
from ponder.cli.console import is_terminal
from ponder.cli.errors import EXIT_CODES_HELP
from ponder.cli.evaluate import evaluate
from ponder.cli.runs import runs, show
from ponder.cli.strategies import strategies

app = typer.Typer(
    name="ponder",
    no_args_is_help=True,
    # Errors are told by ponder.cli.errors, and boxes are for terminals.
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if is_terminal(sys.stdout) else None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES_HELP,
)
for command in (ask, resume, replay, fork, runs, show, strategies, chat):
    app.command(epilog=EXIT_CODES_HELP if command is ask else None)(command)
app.command(name="eval")(evaluate)
app.add_typer(models.app, name="models")
app.add_typer(index.app, name="index")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ponder {__version__}")
        raise typer.Exit


@app.callback()
def ponder(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Make a language model reason better, inside an enforced budget."""


def main() -> None:
    """Run the command line."""
    app()
