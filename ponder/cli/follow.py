"""Run something in an event loop while a display follows it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ponder.cli.errors import Interrupted
from ponder.cli.live import Display
from ponder.events import Emit
from ponder.result import Result

T = TypeVar("T")

Start = Callable[[Emit], Coroutine[Any, Any, Result]]
"""Begins a run that tells its events."""


def follow(start: Start, display: Display, runner: "asyncio.Runner") -> Result:
    """Run to the end and show it.

    Args:
        start: Begins the run.
        display: Told of every event, and of the time.
        runner: The event loop; a model belongs to one loop for all its life.

    Raises:
        Interrupted: The user pressed Ctrl-C; what was paid is in the journal.
        PonderError: The run failed.
    """
    try:
        with display:
            return runner.run(_with_clock(start(display.tell), display))
    except KeyboardInterrupt:
        run_id = display.board.run_id
        how = f" Go on with: ponder resume {run_id}" if run_id else ""
        raise Interrupted(f"Stopped.{how}") from None


async def _with_clock(run: Coroutine[Any, Any, T], display: Display) -> T:
    clock = asyncio.create_task(_tick(display))
    try:
        return await run
    finally:
        clock.cancel()
        await asyncio.wait([clock])


async def _tick(display: Display) -> None:
    while True:
        await asyncio.sleep(1.0)
        display.tick()
