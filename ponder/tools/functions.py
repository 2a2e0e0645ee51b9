"""Plain functions that a strategy's sub-tasks may call, by name.

A function takes one text and returns one text. What ponder ships is ``calculator``;
``register_function`` adds more:

    @register_function("weather", "Weather of a city today; give its name.")
    def weather(city: str) -> str: ...
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ponder.errors import InvalidParameter, UnknownName
from ponder.tools.calculator import calculate

Function = Callable[[str], str]

MODEL = "model"
"""Stands for the model itself where a sub-task names who does it."""


@dataclass(frozen=True)
class NamedFunction:
    """A function that a model may name."""

    name: str
    description: str
    """One line for the model: what it does, and what to give it."""
    call: Function


_FUNCTIONS: dict[str, NamedFunction] = {}


def register_function(name: str, description: str) -> Callable[[Function], Function]:
    """Return a decorator that makes a function known by a name.

    It may be called in several threads at once, and its result is journaled: a resumed
    or replayed run does not call it again.

    Args:
        name: What a plan calls it; one that is known already is replaced.
        description: One line for the model: what it does, and what to give it.

    Raises:
        InvalidParameter: The name is empty, or stands for the model.
    """
    if not name.strip() or name == MODEL:
        raise InvalidParameter(f"'{name}' cannot be the name of a function.")

    def decorate(function: Function) -> Function:
        _FUNCTIONS[name] = NamedFunction(name, description, function)
        return function

    return decorate


def functions() -> dict[str, NamedFunction]:
    """Return all known functions, by name."""
    return dict(_FUNCTIONS)


def function(name: str) -> NamedFunction:
    """Return one function.

    Raises:
        UnknownName: There is none of that name.
    """
    if name not in _FUNCTIONS:
        raise UnknownName("function", name, _FUNCTIONS)
    return _FUNCTIONS[name]


async def called(name: str, given: str, seconds: float) -> tuple[str, str]:
    """Call a function in a thread of its own.

    Args:
        name: Of the function.
        given: Its argument.
        seconds: How long to wait; a function that takes longer is left to itself.

    Returns:
        What it returned, and what went wrong, of which one is empty. Whatever it
        raises is told, never raised: a tool that fails is a result to reason about.

    Raises:
        UnknownName: There is none of that name.
    """
    found = function(name)
    try:
        async with asyncio.timeout(seconds):
            result = await asyncio.to_thread(found.call, given)
    except TimeoutError:
        return "", f"{name} did not answer within {seconds:g} seconds."
    except Exception as error:
        return "", f"{name} failed: {str(error) or type(error).__name__}"
    return str(result), ""


register_function(
    "calculator",
    "exact arithmetic; give one expression of numbers with + - * / ** and brackets",
)(calculate)
