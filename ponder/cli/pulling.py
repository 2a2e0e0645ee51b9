"""What a user sees while a model is fetched."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from ponder.cli.console import error_console, say, size
from ponder.drawing import printable
from ponder.models.catalog import CatalogEntry
from ponder.models.files.progress import Progress as Report

PLAIN_SECONDS = 5.0
"""Time between two lines into a pipe."""

STAGES = {
    "waiting": "another pull of this model is under way, waiting",
    "fetching": "fetching",
    "verifying": "verifying",
    "done": "complete and verified",
}


class PlainPull:
    """A line at every stage, and now and then between."""

    def __init__(
        self, entry: CatalogEntry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start; ``clock`` gives seconds."""
        self._name = entry.name
        self._clock = clock
        self._stage = ""
        self._spoke = clock()

    def __enter__(self) -> Self:
        """Begin to show."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""

    def tell(self, report: Report) -> None:
        """Take notice of how far the pull is."""
        if report.message:
            self._say(report.message)
        due = self._clock() - self._spoke >= PLAIN_SECONDS
        if report.stage != self._stage or due:
            self._stage = report.stage
            self._say(f"{_stage(report)}{_amounts(report)}")

    def _say(self, text: str) -> None:
        self._spoke = self._clock()
        say(f"{self._name}: {text}")


class RichPull:
    """A progress bar with bytes, speed and time left."""

    def __init__(self, entry: CatalogEntry) -> None:
        """Make the bar."""
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[amounts]}", markup=False),
            console=error_console(),
        )
        self._task = self._progress.add_task(
            entry.name, total=entry.bytes, amounts="starting"
        )
        self._name = entry.name

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()

    def tell(self, report: Report) -> None:
        """Move the bar."""
        if report.message:
            self._progress.console.print(Text(printable(report.message), "yellow"))
        self._progress.update(
            self._task,
            completed=report.bytes_done,
            description=f"{self._name}: {_stage(report)}",
            amounts=_amounts(report).lstrip(", "),
        )


def _stage(report: Report) -> str:
    source = f" from {report.source}" if report.stage == "fetching" else ""
    return f"{STAGES[report.stage]}{source}"


def _amounts(report: Report) -> str:
    if report.stage not in ("fetching", "verifying"):
        return ""
    text = f", {size(report.bytes_done)} of {size(report.bytes_total)}"
    if report.bytes_per_second <= 0:
        return text
    left = (report.bytes_total - report.bytes_done) / report.bytes_per_second
    return f"{text}, {size(report.bytes_per_second)}/s, {_clock(left)} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
