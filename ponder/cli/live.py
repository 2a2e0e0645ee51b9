"""What a user sees while a run goes on: a live panel, plain lines or the text."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ponder.cli.board import Board, Branch, Limit, milestone
from ponder.cli.console import calls_text, error_console, is_terminal, say
from ponder.cli.stream import Transcript
from ponder.drawing import one_line, printable
from ponder.events import Event, TextDelta

HEARTBEAT_SECONDS = 10.0
"""A pipe hears something at least this often."""
SPARE_LINES = 12
"""Lines of the terminal that are not for branches."""


class Display:
    """Shows nothing but keeps the board: the base of all displays."""

    def __init__(self, board: Board | None = None) -> None:
        """Start with a board."""
        self.board = board or Board()

    def __enter__(self) -> Self:
        """Begin to show."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was; warnings are not lost with a failed run."""
        if kind is not None:
            for warning in self.board.warnings:
                say(f"Warning: {warning}", "yellow")

    def loading(self, model: str) -> None:
        """Say that a model is being loaded."""

    def tell(self, event: Event) -> None:
        """Take notice of an event."""
        self.board.tell(event)

    def tick(self) -> None:
        """Know that about a second has passed."""


class PlainDisplay(Display):
    """A few plain lines."""

    def __init__(
        self, board: Board | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with a board; ``clock`` gives seconds."""
        super().__init__(board)
        self._clock = clock
        self._spoke = clock()

    def loading(self, model: str) -> None:
        """Say that a model is being loaded."""
        self._say(f"Loading {model} ...")

    def tell(self, event: Event) -> None:
        """Write a line for each event that matters."""
        super().tell(event)
        line = milestone(event)
        if line is not None:
            self._say(*line)

    def tick(self) -> None:
        """Break a long silence."""
        if self._clock() - self._spoke >= HEARTBEAT_SECONDS:
            board = self.board
            self._say(
                f"... {board.seconds:.0f} s, {len(board.running)} running, "
                f"{calls_text(board.calls)}, {board.tokens:,} tokens"
            )

    def _say(self, text: str, style: str = "") -> None:
        self._spoke = self._clock()
        say(text, style)


class StreamDisplay(PlainDisplay):
    """The text of the reasoning as it appears, and the lines between."""

    def __init__(self, board: Board | None = None) -> None:
        """Start with a board."""
        super().__init__(board)
        self._transcript = Transcript()

    def tell(self, event: Event) -> None:
        """Write text at once, and lines only between texts."""
        if isinstance(event, TextDelta):
            self.board.tell(event)
            alone = len(self.board.running) == 1
            self._transcript.add(event.path, event.index, event.text, alone=alone)
            self._spoke = self._clock()
            return
        before = set(self.board.running)
        self.board.tell(event)
        for path, index in sorted(before - set(self.board.running)):
            self._transcript.end(path, index)
        line = milestone(event)
        if line is not None:
            self._transcript.break_line()
            self._say(*line)

    def tick(self) -> None:
        """Break a long silence."""
        if self._clock() - self._spoke >= HEARTBEAT_SECONDS:
            self._transcript.break_line()
        super().tick()


class LiveDisplay(Display):
    """A panel with the branches at work, below lines that stay."""

    def __init__(self, board: Board | None = None) -> None:
        """Start with a board."""
        super().__init__(board)
        self._console = error_console()
        self._wait = "Starting ..."
        self._spinner = Spinner("dots")
        self._live = Live(
            get_renderable=self.panel,
            console=self._console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self._live.stop()
        super().__exit__(kind, error, trace)

    def loading(self, model: str) -> None:
        """Say that a model is being loaded."""
        self._wait = f"Loading {model} ..."

    def tell(self, event: Event) -> None:
        """Keep a line of what matters; the panel shows the rest."""
        super().tell(event)
        line = milestone(event)
        if line is not None:
            text, style = line
            self._console.print(Text(printable(text), style))

    def panel(self) -> RenderableType:
        """Return what is shown now."""
        board = self.board
        if not board.run_id:
            self._spinner.update(text=Text(printable(self._wait)))
            return self._spinner
        calls = calls_text(board.calls)
        head = f"{calls} · {board.tokens:,} tokens · {board.seconds:.0f} s"
        self._spinner.update(text=Text(head))
        branches = list(board.running.values())
        return Group(
            self._branches(branches),
            self._spinner,
            *([_bars(board.limits)] if board.limits else []),
        )

    def _branches(self, branches: list[Branch]) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=28)
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True)
        room = max(1, self._console.height - SPARE_LINES)
        width = max(10, self._console.width - 45)
        for branch in branches[:room]:
            words = one_line(branch.tail[-width:])
            table.add_row(
                Text(printable(branch.path), "cyan"),
                Text(f"{branch.tokens:,} tok", "dim"),
                Text(words, "dim"),
            )
        if len(branches) > room:
            table.add_row(Text(f"and {len(branches) - room} more", "dim"), "", "")
        return table


def _bars(limits: list[Limit]) -> Table:
    table = Table.grid(padding=(0, 1))
    for limit in limits:
        table.add_row(
            Text(limit.name.replace("_", " ")),
            ProgressBar(total=limit.limit or 1, completed=limit.used, width=24),
            Text(f"{_amount(limit.left)} left of {_amount(limit.limit)}", "dim"),
        )
    return table


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value.is_integer() else f"{value:.2f}"


def display(*, stream: bool = False, seconds_before: float = 0.0) -> Display:
    """Return the display that suits standard error.

    Args:
        stream: Show the text of the reasoning itself.
        seconds_before: What a resumed run had used before.
    """
    board = Board(seconds_before=seconds_before)
    if stream:
        return StreamDisplay(board)
    return LiveDisplay(board) if is_terminal(sys.stderr) else PlainDisplay(board)
