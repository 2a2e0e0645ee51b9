"""The thought graph as a picture: one SVG file that needs nothing else.

There is no library below it: networkx draws through matplotlib, LaTeX or Graphviz, and
its own layouts know nothing of the sizes of labels. Text is set in a fixed-width font,
so that widths are known without measuring. All of the file is ASCII, so that no
terminal's encoding can damage it on the way into a file.
"""

from itertools import pairwise
from xml.sax.saxutils import escape

import networkx as nx

from ponder.drawing.frames import framed
from ponder.drawing.labels import (
    LABEL_WIDTH,
    columns,
    one_line,
    score_text,
    short_names,
    wrapped,
)
from ponder.drawing.layout import Box, Point
from ponder.drawing.nesting import nesting
from ponder.thoughts import Thought, ThoughtGraph

FONT_SIZE, CHARACTER, LINE = 12, 7.3, 16.0
"""Pixels: of the font, a column of it (common fixed-width fonts: 0.6 em), a line."""
PADDING_X, PADDING_Y = 10.0, 7.0
SLANT = 14.0
"""Pixels that the pointed sides of a shape take from its text."""

_STYLE = """
.thoughts .paper {{ fill: {paper}; }}
.thoughts text {{ fill: {ink}; }}
.thoughts .shape {{ fill: {box}; stroke: {line}; }}
.thoughts .edge {{ stroke: {line}; }}
.thoughts .tip {{ fill: {line}; }}
.thoughts .on-path .shape, .thoughts .edge.on-path {{ stroke: {path}; }}
.thoughts .tip.on-path {{ fill: {path}; }}
.thoughts .failed .shape {{ stroke: {failed}; }}
.thoughts .failed .head {{ fill: {failed}; }}
"""
_LIGHT = {
    "paper": "#ffffff",
    "ink": "#1b1f24",
    "box": "#f4f6f8",
    "line": "#6b7480",
    "path": "#0b61c4",
    "failed": "#b3261e",
}
_DARK = {
    "paper": "#101418",
    "ink": "#e8ebee",
    "box": "#1c2229",
    "line": "#8d97a3",
    "path": "#6cb2ff",
    "failed": "#ff8a80",
}
_SHAPES = """
.thoughts text { text-anchor: middle; }
.thoughts .head { font-weight: bold; }
.thoughts .edge { fill: none; }
.thoughts .on-path .shape, .thoughts .edge.on-path { stroke-width: 3; }
.thoughts .failed .shape { stroke-dasharray: 5 4; }
.thoughts .frame .shape { fill-opacity: 0.5; }
"""


def svg_picture(thoughts: ThoughtGraph) -> str:
    """Draw the graph as an SVG picture, parents above children.

    A thought with several parents is drawn once. What led to the answer has thick
    lines, a failed thought dashed ones; its whole label is the tooltip of a thought.
    A nested graph is a frame around what it holds.
    """
    graph, nested = thoughts.graph, nesting(thoughts)
    nodes = {id: thoughts.thought(id) for id in graph}
    lines = {id: _lines(nodes[id], list(graph.predecessors(id))) for id in graph}
    placed = framed(nested, {id: _size(nodes[id], lines[id]) for id in graph})
    path = _path_to_answer(thoughts)
    leading = {nested.lifted(edge) for edge in graph.edges if path.issuperset(edge)}
    edges = [
        _edge(points, on_path=route in leading)
        # The thick ones last, above the others.
        for route, points in sorted(
            placed.routes.items(), key=lambda item: item[0] in leading
        )
    ]
    names = short_names(thoughts)
    drawn = {
        id: _node(
            names[id],
            nodes[id],
            lines[id],
            placed.boxes[id],
            on_path=id in path,
            frame=id in nested.levels,
        )
        for id in placed.boxes
    }
    # Frames first, outer ones before inner ones, behind everything else.
    frames = [drawn[id] for id in placed.boxes if id in nested.levels]
    boxes = [drawn[id] for id in names if id not in nested.levels]
    return _file(placed.width, placed.height, [*frames, *edges, *boxes])


def _path_to_answer(thoughts: ThoughtGraph) -> set[str]:
    path: set[str] = set()
    for id, kind in thoughts.graph.nodes(data="kind"):
        if kind == "answer":
            path |= {id} | nx.ancestors(thoughts.graph, id)
    return path


def _lines(thought: Thought, parents: list[str]) -> list[str]:
    """Return the head and then the label."""
    head: str = thought.kind
    if head not in ("question", "answer"):
        # The edge already says whose "verdict" it is.
        above = f"{parents[0]}/" if len(parents) == 1 else ""
        head = _tail(one_line(thought.id.removeprefix(above)))
    failed = "failed: " if thought.failed else ""
    return [f"{failed}{head}{score_text(thought)}", *wrapped(thought.label)]


def _tail(id: str) -> str:
    # The end of a path tells siblings apart.
    return id if len(id) <= LABEL_WIDTH else f"…{id[1 - LABEL_WIDTH :]}"


def _size(thought: Thought, lines: list[str]) -> tuple[float, float]:
    text = max(columns(line) for line in lines) * CHARACTER
    side = 0.0 if thought.kind == "thought" else SLANT
    return text + 2 * (PADDING_X + side), len(lines) * LINE + 2 * PADDING_Y


def _file(width: float, height: float, body: list[str]) -> str:
    w, h = _number(width), _number(height)
    style = _STYLE.format(**_LIGHT) + _SHAPES
    dark = f"@media (prefers-color-scheme: dark) {{{_STYLE.format(**_DARK)}}}"
    text = "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="thoughts" role="img" '
            f'width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
            f'font-family="monospace" font-size="{FONT_SIZE}">',
            "<title>Thoughts of a run</title>",
            f"<style>{style}{dark}\n</style>",
            _tip("tip"),
            _tip("tip on-path"),
            f'<rect class="paper" width="{w}" height="{h}"/>',
            *body,
            "</svg>",
        ]
    )
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _tip(classes: str) -> str:
    return (
        f'<marker id="{classes.replace(" ", "-")}" viewBox="0 0 8 8" refX="8" refY="4" '
        'markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path class="{classes}" d="M0 0L8 4L0 8Z"/></marker>'
    )


def _edge(points: list[Point], *, on_path: bool) -> str:
    parts = [f"M{_pair(points[0])}"]
    for a, b in pairwise(points):
        middle = (a.y + b.y) / 2
        bend = f"C{_pair(Point(a.x, middle))} {_pair(Point(b.x, middle))} "
        parts.append(f"{'L' if a.x == b.x else bend}{_pair(b)}")
    mark, tip = ("edge on-path", "tip-on-path") if on_path else ("edge", "tip")
    return f'<path class="{mark}" d="{"".join(parts)}" marker-end="url(#{tip})"/>'


def _node(
    name: str,
    thought: Thought,
    lines: list[str],
    box: Box,
    *,
    on_path: bool,
    frame: bool = False,
) -> str:
    marks = {"failed": thought.failed, "on-path": on_path, "frame": frame}
    classes = ["node", thought.kind, *(mark for mark, holds in marks.items() if holds)]
    whole = f"{one_line(thought.id)}: {one_line(thought.label)}{score_text(thought)}"
    middle = _number(box.x + box.width / 2)
    parts = [f'<g id="{name}" class="{" ".join(classes)}">']
    parts.append(f"<title>{_text(whole)}</title>")
    parts.append(_rectangle(box, radius=SLANT) if frame else _shape(thought, box))
    for i, line in enumerate(lines):
        # The base line of a text is about three quarters down its line.
        y = _number(box.y + PADDING_Y + (i + 0.75) * LINE)
        head = "" if i else ' class="head"'
        parts.append(f'<text x="{middle}" y="{y}"{head}>{_text(line)}</text>')
    return "".join([*parts, "</g>"])


def _shape(thought: Thought, box: Box) -> str:
    match thought.kind:
        case "question":
            return _rectangle(box, radius=SLANT + PADDING_X)
        case "thought":
            return _rectangle(box, radius=3)
        case "evidence":
            return _polygon(box, left=(0, 0, SLANT), right=(SLANT, 0, 0))
        case "answer":
            inner = Box(box.x + 4, box.y + 4, box.width - 8, box.height - 8)
            return _rectangle(box, radius=3) + _rectangle(inner, radius=1)
        case "verdict":
            return _polygon(box, left=(SLANT, 0, SLANT), right=(SLANT, 0, SLANT))
        case "graph":
            half = SLANT / 2
            return _polygon(box, left=(SLANT, half, 0), right=(0, half, SLANT))


def _rectangle(box: Box, radius: float) -> str:
    x, y, width, height = (_number(value) for value in box)
    return (
        f'<rect class="shape" x="{x}" y="{y}" width="{width}" height="{height}" '
        f'rx="{_number(min(radius, box.height / 2))}"/>'
    )


def _polygon(
    box: Box, left: tuple[float, float, float], right: tuple[float, float, float]
) -> str:
    """Draw a box whose sides are moved inwards at the top, middle and bottom."""
    heights = [box.y, box.y + box.height / 2, box.y + box.height]
    down = [
        Point(box.x + box.width - inset, y)
        for inset, y in zip(right, heights, strict=True)
    ]
    up = [Point(box.x + inset, y) for inset, y in zip(left, heights, strict=True)]
    corners = " ".join(_pair(point) for point in (*down, *reversed(up)))
    return f'<polygon class="shape" points="{corners}"/>'


def _text(text: str) -> str:
    # These two are no characters, in XML; one_line has dropped all others that are not.
    return escape(text.replace("\ufffe", "").replace("\uffff", ""))


def _pair(point: Point) -> str:
    return f"{_number(point.x)} {_number(point.y)}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
