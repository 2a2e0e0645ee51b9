"""What a user sees while documents are indexed, and how ``ask --docs`` gets them."""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from ponder.cli.console import error_console, is_terminal, say
from ponder.cli.errors import Interrupted
from ponder.drawing import one_line, printable
from ponder.errors import InvalidInput
from ponder.graphs.base import strategies
from ponder.passages import Retriever
from ponder.retrieval.intake import Progress as Step
from ponder.retrieval.intake import Report
from ponder.retrieval.opening import fresh_index, open_retriever
from ponder.settings import Settings

PLAIN_SECONDS = 5.0
"""Time between two lines into a pipe."""
ITEM_WIDTH = 40
"""Columns of a file's name beside the bar."""
SHOWN_PROBLEMS = 20
"""Problems that are told one by one."""
STRATEGY = "rag"
"""Answers from documents where no strategy was asked for."""


class PlainSteps:
    """A line now and then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start; ``clock`` gives seconds."""
        self._clock = clock
        self._spoke = clock()
        self._stage = ""

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

    def tell(self, step: Step) -> None:
        """Take notice of how far it is; what takes a moment is not worth a line."""
        if self._clock() - self._spoke >= PLAIN_SECONDS:
            self._spoke = self._clock()
            amounts = f", {step.done:,} of {step.total:,}" if step.total else ""
            say(f"{_capital(step.stage)}{amounts} ...")


class RichSteps:
    """A bar for each stage, gone when all is done."""

    def __init__(self) -> None:
        """Make the bar."""
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[amounts]}", markup=False),
            TextColumn("{task.fields[item]}", markup=False, style="dim"),
            console=error_console(),
            transient=True,
        )
        self._task = self._progress.add_task("Looking", total=None, amounts="", item="")

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

    def tell(self, step: Step) -> None:
        """Move the bar."""
        self._progress.update(
            self._task,
            description=_capital(step.stage),
            # Without an end, the bar only shows that it goes on.
            total=step.total or None,
            completed=step.done,
            amounts=f"{step.done:,} of {step.total:,}" if step.total else "",
            item=one_line(step.item, ITEM_WIDTH),
        )


def steps() -> PlainSteps | RichSteps:
    """Return the display that suits standard error."""
    return RichSteps() if is_terminal(sys.stderr) else PlainSteps()


def report_line(report: Report) -> str:
    """Return what an update did, in words."""
    parts = [
        f"{count:,} {word}"
        for word in ("new", "changed", "removed", "unchanged")
        if (count := getattr(report, word))
    ]
    files = counted(report.files, "file")
    passages = counted(report.passages, "passage")
    return f"{files} ({', '.join(parts) or 'none'}), {passages}, {report.seconds:.1f} s"


def tell_problems(report: Report) -> None:
    """Say which files could not be read, and which were left out."""
    for problem in report.problems[:SHOWN_PROBLEMS]:
        say(f"Warning: {problem.source}: {problem.reason}", "yellow")
    if len(report.problems) > SHOWN_PROBLEMS:
        more = len(report.problems) - SHOWN_PROBLEMS
        say(f"Warning: {more:,} more files have problems (all with --json).", "yellow")
    if report.other:
        total = counted(sum(report.other.values()), "file")
        kinds = ", ".join(printable(kind) for kind in list(report.other)[:5])
        kinds += " ..." if len(report.other) > 5 else ""
        say(f"Left out {total} of other kinds ({kinds}).", "dim")


def counted(number: int, thing: str) -> str:
    """Return a number of things in words."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def documents(
    folders: list[str] | None,
    retriever: str | None,
    settings: Settings,
    runner: asyncio.Runner,
    *,
    quiet: bool = False,
) -> Retriever | None:
    """Return what a run may search, indexing the folders first.

    Args:
        folders: With documents.
        retriever: The name of a retriever, in the place of folders.
        settings: Where indexes are.
        runner: The event loop of the run.
        quiet: Tell of problems only.

    Raises:
        InvalidInput: Both are given, or the name is unknown.
        RetrievalError: There is nothing to search.
        Interrupted: The user pressed Ctrl-C.
    """
    if folders and retriever:
        raise InvalidInput("Give --docs or --retriever, not both.")
    if retriever:
        return open_retriever(retriever, settings)
    if not folders:
        return None
    try:
        with nullcontext(PlainSteps()) if quiet else steps() as shown:
            index, report = runner.run(
                fresh_index(folders, settings=settings, on_progress=shown.tell)
            )
    except KeyboardInterrupt:
        raise Interrupted(
            "Stopped. What was indexed is kept; the same command goes on."
        ) from None
    if not quiet:
        say(f"Documents: {report_line(report)}", "dim")
    tell_problems(report)
    return index


def searching_strategy(settings: Settings, given: str | None) -> str:
    """Return the strategy for a run over documents: the given, or else one that reads.

    Args:
        settings: Name the usual strategy and model.
        given: The strategy that was asked for, if one was.
    """
    if _searches(settings.strategy) or _searches(settings.model):
        return settings.strategy
    if not given:
        return STRATEGY
    readers = [name for name, cls in strategies().items() if cls.needs_retriever]
    say(
        f"Warning: strategy '{given}' needs no documents, and may not read them. Those "
        f"that do: {', '.join(readers)}.",
        "yellow",
    )
    return settings.strategy


def _searches(spec: str) -> bool:
    """Whether a name has a strategy in it that needs documents."""
    known = strategies()
    names = (part.partition("{")[0] for part in spec.split("/"))
    return any(name in known and known[name].needs_retriever for name in names)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
