"""Labels of thoughts: made safe, brought to a length, broken into lines."""

import string
import textwrap
import unicodedata
from itertools import accumulate, takewhile

from ponder.thoughts import Thought, ThoughtGraph

LABEL_WIDTH, LABEL_LINES = 40, 4
"""Characters in a line, and lines, of a label in a picture."""

_INVISIBLE = {"Cc", "Cf", "Cs"}
"""Unicode categories: control, format and surrogate characters."""
_JOINERS = "\u200c\u200d"
"""Format characters that scripts and emoji need."""


def printable(text: str, keep: str = "\n\t") -> str:
    """Return a text without control characters, so that a terminal is safe from it.

    Args:
        text: Anything, such as what a model wrote.
        keep: Control characters that stay.
    """
    return "".join(
        c
        for c in text
        if c in keep or c in _JOINERS or unicodedata.category(c) not in _INVISIBLE
    )


def one_line(text: str, width: int | None = None) -> str:
    """Return a text in one line, shortened to ``width`` columns of a terminal."""
    line = " ".join(printable(text, keep=string.whitespace).split())
    if width is None or columns(line) <= width:
        return line
    ends = accumulate(map(columns, line))
    return f"{line[: sum(1 for _ in takewhile(lambda end: end < width, ends))]}…"


def label_lines(thought: Thought) -> list[str]:
    """Return the lines of a thought's label in a chart, not escaped yet."""
    head = [] if thought.kind in ("question", "answer") else [one_line(thought.id)]
    return [*head, *wrapped(thought.label)] or [thought.kind]


def inside(id: str) -> str:
    """Return the title of the frame around what a nested graph holds."""
    return f"inside {one_line(id)}"


def wrapped(label: str) -> list[str]:
    """Break a label into ``LABEL_LINES`` lines of ``LABEL_WIDTH`` characters."""
    return textwrap.wrap(
        one_line(label), LABEL_WIDTH, max_lines=LABEL_LINES, placeholder=" …"
    )


def score_text(thought: Thought) -> str:
    """Return " (0.91)", or nothing where there is no score or the label says it."""
    if thought.kind == "verdict" or thought.score is None:
        return ""
    return f" ({thought.score:.2f})"


def short_names(thoughts: ThoughtGraph) -> dict[str, str]:
    """Name the nodes n0, n1 ...: an id may hold what the formats cannot read."""
    return {id: f"n{i}" for i, id in enumerate(thoughts.graph)}


def columns(text: str) -> int:
    """Return how many columns of a terminal, or of a fixed-width font, a text takes."""
    return sum(
        0
        if unicodedata.combining(c)
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in text
    )
