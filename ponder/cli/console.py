"""Where text goes: rich on a terminal, plain lines into a pipe.

Answers and data go to standard output, everything else to standard error.
"""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ponder.drawing import printable
from ponder.messages import Usage


def is_terminal(stream: TextIO) -> bool:
    """Whether colours and moving text can be shown there."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def error_console() -> Console:
    """Return a console on standard error that takes text literally."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(text: str, style: str = "") -> None:
    """Write a line to standard error."""
    if is_terminal(sys.stderr):
        error_console().print(Text(printable(text), style))
    else:
        typer.echo(printable(text), err=True)


def put(text: str, style: str = "") -> None:
    """Write a line to standard output; into a pipe exactly as it is."""
    if is_terminal(sys.stdout):
        console = Console(highlight=False, markup=False, emoji=False)
        console.print(Text(printable(text), style), soft_wrap=True)
    else:
        write(text)


def put_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()
) -> None:
    """Write a table to standard output.

    A terminal gets it folded to its width, a pipe gets whole cells in columns.

    Args:
        headers: Of the columns.
        rows: Cells.
        right: Headers of the columns that are aligned to the right.
    """
    if not is_terminal(sys.stdout):
        put("\n".join(_aligned([headers, *rows], [h in right for h in headers])))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, justify="right" if header in right else "left")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(highlight=False, markup=False, emoji=False).print(table)


def _aligned(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]


def write(text: str) -> None:
    """Write a line to standard output exactly as it is.

    What an old encoding cannot hold is written as an escape.
    """
    encoding = sys.stdout.encoding or "utf-8"
    # typer.echo would drop escape codes, which may be part of an answer.
    safe = text.encode(encoding, "backslashreplace").decode(encoding)
    sys.stdout.write(f"{safe}\n")
    sys.stdout.flush()


def usage_line(usage: Usage) -> str:
    """Return what was used, in words."""
    parts = [
        calls_text(usage.calls),
        f"{usage.total_tokens:,} tokens ({_input(usage)}, {usage.output_tokens:,} out)",
        f"{usage.seconds:.1f} s",
    ]
    if usage.cost is not None:
        parts.append(f"${usage.cost:.4f}")
    return " · ".join(parts)


def calls_text(calls: int) -> str:
    """Return a number of calls in words."""
    return f"{calls:,} call{'' if calls == 1 else 's'}"


def _input(usage: Usage) -> str:
    cached = f" of which {usage.cached_tokens:,} cached" if usage.cached_tokens else ""
    return f"{usage.input_tokens:,} in{cached}"


def size(count: float) -> str:
    """Return a number of bytes in words."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
