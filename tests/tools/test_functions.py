"""Functions by name: registered, called beside each other, failures as values."""

import time
from collections.abc import Iterator

import pytest

from ponder.errors import InvalidParameter, UnknownName
from ponder.tools import functions as module
from ponder.tools.functions import called, function, functions, register_function


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_FUNCTIONS", dict(module._FUNCTIONS))
    yield


def test_the_calculator_is_shipped() -> None:
    assert function("calculator").call("2 * 3") == "6"


def test_an_unknown_one_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownName, match="Did you mean calculator"):
        function("calculater")


def test_functions_are_registered_by_name() -> None:
    @register_function("shout", "louder; give a text")
    def shout(text: str) -> str:
        return text.upper()

    assert functions()["shout"].call("a") == "A"
    assert shout("b") == "B"


@pytest.mark.parametrize("name", ["", " ", "model"])
def test_some_names_are_taken(name: str) -> None:
    with pytest.raises(InvalidParameter, match="cannot be the name"):
        register_function(name, "anything")


async def test_what_a_function_raises_is_told() -> None:
    @register_function("broken", "fails")
    def broken(text: str) -> str:
        raise KeyError

    assert await called("broken", "x", 5) == ("", "broken failed: KeyError")
    result, error = await called("calculator", "1/0", 5)
    assert (result, error) == ("", "calculator failed: '1/0' divides by zero.")


async def test_one_that_takes_too_long_is_left_to_itself() -> None:
    @register_function("sleepy", "sleeps")
    def sleepy(text: str) -> str:
        time.sleep(0.3)
        return text

    start = time.monotonic()
    result, error = await called("sleepy", "x", 0.05)
    assert (result, error) == ("", "sleepy did not answer within 0.05 seconds.")
    assert time.monotonic() - start < 0.25
