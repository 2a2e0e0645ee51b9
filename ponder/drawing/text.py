"""The thought graph as an indented tree for a terminal."""

from collections.abc import Iterator
from typing import NamedTuple

import networkx as nx

from ponder.drawing.labels import one_line, score_text
from ponder.drawing.nesting import Nesting, nesting, starts
from ponder.thoughts import Thought, ThoughtGraph

NARROWEST = 32
"""Columns that a thought has, however deep it is: the left of its indent gives way."""
INSIDE = "┃ "
"""Stands left of what is inside a nested graph."""


def text_tree(thoughts: ThoughtGraph, width: int = 80) -> str:
    """Draw the graph as an indented tree.

    A thought with several parents is drawn below the first one, and only named below
    the others. What is inside a nested graph stands below it, beside a heavy line.

    Args:
        thoughts: The graph.
        width: Columns of the terminal; longer lines are shortened.
    """
    lines: list[str] = []
    nested = nesting(thoughts)
    for indent, id, parent, repeated in _walk(nested):
        text = _named(thoughts.thought(id), parent, nested.owner[id])
        text = f"{text} (see above)" if repeated else text
        lines.append(_shortened(indent, text, width))
    return "\n".join(lines)


def _shortened(indent: str, text: str, width: int) -> str:
    # The indent is kept apart: one_line would collapse it.
    deepest = max(0, width - NARROWEST)
    if len(indent) > deepest:
        indent = f"…{indent[len(indent) - deepest + 1 :]}" if deepest else ""
    return indent + one_line(text, width - len(indent))


class _Place(NamedTuple):
    """Where a thought is to be drawn."""

    indent: str
    below: str
    """Indent of what is drawn below it."""
    id: str
    parent: str


def _walk(nested: Nesting) -> Iterator[tuple[str, str, str, bool]]:
    """Yield (indent, thought, parent, drawn before) in the order of the lines."""
    drawn: set[str] = set()
    for start in starts(nested.levels.get(None, nx.DiGraph())):
        # Not recursive: a chain of thoughts may be deeper than Python's stack.
        stack = [_Place("", "", start, "")]
        while stack:
            place = stack.pop()
            repeated = place.id in drawn
            yield place.indent, place.id, place.parent, repeated
            drawn.add(place.id)
            if not repeated:
                stack += reversed(_below(place, nested))


def _below(place: _Place, nested: Nesting) -> list[_Place]:
    """Return what is drawn below a thought: what is inside it, then its children."""
    inside = starts(nested.levels[place.id]) if place.id in nested.levels else []
    level = nested.levels[nested.owner[place.id]]
    return [
        *_branches(place, place.below + INSIDE, inside),
        *_branches(place, place.below, list(level.successors(place.id))),
    ]


def _branches(place: _Place, below: str, ids: list[str]) -> list[_Place]:
    return [
        _Place(
            below + ("└─ " if id == ids[-1] else "├─ "),
            below + ("   " if id == ids[-1] else "│  "),
            id,
            place.id,
        )
        for id in ids
    ]


def _named(thought: Thought, parent: str, owner: str | None) -> str:
    name = thought.id
    if parent and name.startswith(f"{parent}/"):
        name = name.removeprefix(f"{parent}/")
    elif owner is not None:
        name = name.removeprefix(f"{owner}/")
    score = score_text(thought)
    failed = "failed: " if thought.failed else ""
    if thought.kind == "thought":
        # A long label is cut at its end, and a search is read by its scores.
        return f"{name}{score}: {failed}{thought.label}"
    mark = " (graph)" if thought.kind == "graph" else ""
    return f"{name}{mark}: {failed}{thought.label}{score}"
