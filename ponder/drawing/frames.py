"""Where boxes and edges are in a picture with frames around nested graphs.

Every level is laid out on its own, from the inside out: for the level around it, a
nested graph is one box as large as its layout, so that no frame can cross another, or
hold what is not inside.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import networkx as nx

from ponder.drawing.layout import Box, Layout, Point, layout
from ponder.drawing.nesting import Edge, Nesting

Size = tuple[float, float]


@dataclass(frozen=True)
class Framed:
    """Boxes by thought and routes by level and edge, in pixels of the whole picture."""

    boxes: dict[str, Box]
    """Frames come before what they hold."""
    routes: dict[tuple[str | None, Edge], list[Point]]
    width: float
    height: float


def framed(nested: Nesting, sizes: Mapping[str, Size]) -> Framed:
    """Lay out all levels of a graph.

    Args:
        nested: The levels.
        sizes: Width and height of each thought's box, in pixels; of a nested graph's
            title, which stands at the top of its frame.
    """
    inner: dict[str | None, Layout] = {}
    outer = _laid_out(None, nested, sizes, inner)
    found = Framed({}, {}, outer.width, outer.height)
    _place(None, Point(0, 0), nested, sizes, inner, found)
    return found


def _laid_out(
    owner: str | None,
    nested: Nesting,
    sizes: Mapping[str, Size],
    inner: dict[str | None, Layout],
) -> Layout:
    level: nx.DiGraph[str] = nested.levels.get(owner, nx.DiGraph())
    boxes = dict(sizes)
    for id in level:
        if id in nested.levels:
            content = _laid_out(id, nested, sizes, inner)
            width, title = sizes[id]
            boxes[id] = (max(width, content.width), title + content.height)
    inner[owner] = layout(level, boxes)
    return inner[owner]


def _place(
    owner: str | None,
    corner: Point,
    nested: Nesting,
    sizes: Mapping[str, Size],
    inner: Mapping[str | None, Layout],
    found: Framed,
) -> None:
    """Move a level to its corner, and the levels inside it into their frames."""
    placed = inner[owner]
    for id, (x, y, width, height) in placed.boxes.items():
        box = Box(corner.x + x, corner.y + y, width, height)
        found.boxes[id] = box
        if id in nested.levels:
            # The title may be wider than what is below it.
            left = box.x + (width - inner[id].width) / 2
            below = Point(left, box.y + sizes[id][1])
            _place(id, below, nested, sizes, inner, found)
    for edge, points in placed.routes.items():
        found.routes[owner, edge] = [
            Point(corner.x + p.x, corner.y + p.y) for p in points
        ]
