"""The conversation of ``ponder chat``, and the commands that change it."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from ponder.budget import Budget
from ponder.cli.console import put, put_table, say, usage_line
from ponder.cli.options import pairs
from ponder.context import Verifier
from ponder.errors import InvalidInput, InvalidParameter, UnknownName
from ponder.graphs.base import Strategy, strategies
from ponder.graphs.base import strategy as as_strategy
from ponder.messages import Message, Usage, assistant, user
from ponder.models.base import Model
from ponder.plan import open_model
from ponder.result import Result
from ponder.settings import Settings

LIMITS: dict[str, type[int] | type[float]] = {
    "tokens": int,
    "seconds": float,
    "calls": int,
    "cost": float,
}


@dataclass
class Chat:
    """A conversation under way."""

    settings: Settings
    strategy: Strategy
    model: Model
    verifier: Verifier | None
    budget: Budget
    """Of each turn."""
    seed: int = 0
    history: list[Message] = field(default_factory=list)
    spent: list[Usage] = field(default_factory=list)
    """Of each turn, stopped and failed ones included."""

    def add(self, question: str, result: Result) -> None:
        """Remember a turn, unless nothing was said."""
        said = result.text or result.answer
        if said:
            self.history += [user(question), assistant(said)]

    @property
    def total(self) -> Usage:
        """What all turns used together."""
        total = Usage()
        for usage in self.spent:
            total = total + usage
        return total


def obey(chat: Chat, line: str) -> bool:
    """Carry out a command.

    Args:
        chat: The conversation.
        line: What was typed, with its slash.

    Returns:
        Whether the conversation goes on.

    Raises:
        PonderError: There is no such command, or it cannot be carried out.
    """
    try:
        name, *arguments = shlex.split(line)
    except ValueError as error:
        raise InvalidInput(f"Cannot read '{line}': {error}.") from None
    if name in ("/quit", "/exit"):
        return False
    if name not in COMMANDS:
        raise UnknownName("command", name, [*COMMANDS, "/quit"])
    COMMANDS[name](chat, arguments)
    return True


def _help(chat: Chat, arguments: list[str]) -> None:
    """Show this."""
    put_table(
        ["command", "what it does"],
        [*([name, command.__doc__ or ""] for name, command in COMMANDS.items())]
        + [["/quit", "Leave; so does Ctrl-D. Ctrl-C stops an answer."]],
    )


def _clear(chat: Chat, arguments: list[str]) -> None:
    """Forget what was said; what the turns have used stays in the count."""
    chat.history.clear()
    put("Nothing was said so far.")


def _strategy(chat: Chat, arguments: list[str]) -> None:
    """Show or choose the strategy: /strategy best_of_n n=4."""
    if arguments:
        name, *parameters = arguments
        chat.strategy = as_strategy(name, pairs(parameters, option="/strategy NAME"))
    put(f"Strategy: {chat.strategy.spec()}")
    if not arguments:
        put(f"Known: {', '.join(strategies())}")


def _model(chat: Chat, arguments: list[str]) -> None:
    """Show or choose the model: /model local."""
    if len(arguments) > 1:
        raise InvalidInput("Give one model: /model NAME")
    if arguments:
        say(f"Loading {arguments[0]} ...", "dim")
        chat.model = open_model(arguments[0], chat.settings)
    put(f"Model: {chat.model.name}")


def _budget(chat: Chat, arguments: list[str]) -> None:
    """Show or set the limits of a turn: /budget tokens=2000 seconds=none."""
    given = pairs(arguments, option="/budget")
    limits = {name: _limit(name, value) for name, value in given.items()}
    chat.budget = chat.budget.model_copy(update=limits)
    shown = [
        f"{name} {value:g}"
        for name in LIMITS
        if (value := getattr(chat.budget, name)) is not None
    ]
    put(f"Budget of a turn: {', '.join(shown) or 'no limit'}")


def _limit(name: str, value: object) -> int | float | None:
    if name not in LIMITS:
        raise UnknownName("limit", name, LIMITS)
    if value in (None, "none"):
        return None
    number = LIMITS[name]
    if isinstance(value, bool) or not isinstance(value, int | number) or not value >= 0:
        raise InvalidParameter(
            f"The limit {name}={value} cannot be used: give a number from 0, or none."
        )
    return number(value)


def _cost(chat: Chat, arguments: list[str]) -> None:
    """Show what each turn has used, and all of them together."""
    for i, usage in enumerate(chat.spent, start=1):
        put(f"Turn {i}: {usage_line(usage)}")
    put(f"Total: {usage_line(chat.total)}")


COMMANDS: dict[str, Callable[[Chat, list[str]], None]] = {
    "/strategy": _strategy,
    "/model": _model,
    "/budget": _budget,
    "/cost": _cost,
    "/clear": _clear,
    "/help": _help,
}
"""All commands but /quit. The first line of a docstring is shown by /help."""
