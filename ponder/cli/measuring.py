"""What a user sees while a study runs."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ponder.cli.console import error_console, is_terminal, say
from ponder.evals.study import OnProgress
from ponder.evals.study import Progress as Report

PLAIN_SECONDS = 15.0
"""Time between two lines into a pipe."""


@contextmanager
def progress() -> Iterator[OnProgress]:
    """Show how far a study is: a bar on a terminal, lines elsewhere."""
    console = error_console()
    if not is_terminal(sys.stderr):
        yield _lines()
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
    ) as bar:
        task = bar.add_task("problems", total=None)

        def tell(report: Report) -> None:
            bar.update(
                task,
                total=report.total,
                completed=report.done,
                description=f"problems ({report.what})",
            )

        yield tell


def _lines(clock: Callable[[], float] = time.monotonic) -> OnProgress:
    begun, first, spoke, total = clock(), -1, float("-inf"), -1

    def tell(report: Report) -> None:
        nonlocal first, spoke, total
        now = clock()
        if first < 0:
            first = report.done
        soon = now - spoke < PLAIN_SECONDS
        if soon and report.done < report.total == total:
            return
        spoke, total = now, report.total
        rate = (report.done - first) / max(now - begun, 1e-9)
        left = f", {(report.total - report.done) / rate:.0f} s left" if rate else ""
        say(f"{report.done} of {report.total} problems ({report.what}){left}")

    return tell
