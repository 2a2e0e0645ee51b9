"""Where the boxes and edges of a picture of thoughts are, in pixels.

Parents stand above their children and near the middle of them. networkx computes the
rows but has no such layout of its own: its layered ones ignore the sizes of boxes, or
need Graphviz, a program that few users have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import networkx as nx

from ponder.drawing.centres import GAP, centres
from ponder.drawing.layers import Layers, Slot, layered

ROW_GAP, STEEPEST, LARGEST_ROW_GAP = 44.0, 12, 160.0
"""Pixels between rows: more where edges would lie flat, at one for so many across."""
MARGIN = 24.0


class Point(NamedTuple):
    """Pixels from the left and from the top."""

    x: float
    y: float


class Box(NamedTuple):
    """A rectangle by its upper left corner, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """The lower edge, in pixels from the top."""
        return self.y + self.height


@dataclass(frozen=True)
class Layout:
    """Boxes by node and routes by edge, in a picture of ``width`` x ``height``."""

    boxes: dict[str, Box]
    routes: dict[tuple[str, str], list[Point]]
    """Points from box to box; the edge is vertical at each where x changes."""
    width: float
    height: float


class _Row(NamedTuple):
    top: float
    bottom: float


def layout(
    graph: "nx.DiGraph[str]", sizes: Mapping[str, tuple[float, float]]
) -> Layout:
    """Lay a directed graph out from the top down, with no two boxes overlapping.

    Args:
        graph: Any graph; on a circle, the edge that closes it points upwards.
        sizes: Width and height of each node's box in pixels.
    """
    layers = layered(graph)
    half = {
        slot: sizes[slot][0] / 2 if isinstance(slot, str) else 0.0
        for slot in layers.links
    }
    x = centres(layers, half)
    shift = MARGIN - min((x[slot] - half[slot] for slot in x), default=0.0)
    x = {slot: centre + shift for slot, centre in x.items()}
    rows = _rows(layers, sizes, x)
    boxes = {
        id: Box(x[id] - half[id], row.top, *sizes[id])
        for row, slots in zip(rows, layers.rows, strict=True)
        for id in slots
        if isinstance(id, str)
    }
    return Layout(
        boxes,
        _routes(graph, layers, boxes, rows, x),
        width=max((x[slot] + half[slot] for slot in x), default=MARGIN) + MARGIN,
        height=(rows[-1].bottom if rows else MARGIN) + MARGIN,
    )


def _rows(
    layers: Layers, sizes: Mapping[str, tuple[float, float]], x: Mapping[Slot, float]
) -> list[_Row]:
    rows: list[_Row] = []
    top = MARGIN
    for row in layers.rows:
        height = max(sizes[slot][1] for slot in row if isinstance(slot, str))
        rows.append(_Row(top, top + height))
        widest = max(
            (abs(x[a] - x[b]) for a in row for b in layers.links.succ[a]), default=0.0
        )
        top += height + min(max(ROW_GAP, widest / STEEPEST), LARGEST_ROW_GAP)
    return rows


def _routes(
    graph: "nx.DiGraph[str]",
    layers: Layers,
    boxes: Mapping[str, Box],
    rows: list[_Row],
    x: Mapping[Slot, float],
) -> dict[tuple[str, str], list[Point]]:
    depth: dict[Slot, int] = dict(layers.links.nodes(data="row"))
    routes: dict[tuple[str, str], list[Point]] = {}
    for a, b in graph.edges:
        if a == b:
            routes[a, b] = _loop(boxes[a])
            continue
        upward = depth[a] > depth[b]
        chain = layers.chains[a, b]
        down = [
            (x[slot], rows[depth[slot]]) for slot in (chain[::-1] if upward else chain)
        ]
        points = _downward(boxes[b if upward else a].bottom, down)
        routes[a, b] = points[::-1] if upward else points
    return routes


def _downward(start: float, places: list[tuple[float, _Row]]) -> list[Point]:
    # Within a row every edge is vertical, so that it meets no other box there.
    points = [Point(places[0][0], start), Point(places[0][0], places[0][1].bottom)]
    for x, row in places[1:-1]:
        points += [Point(x, row.top), Point(x, row.bottom)]
    return [*points, Point(places[-1][0], places[-1][1].top)]


def _loop(box: Box) -> list[Point]:
    right, out = box.x + box.width, box.x + box.width + GAP / 2
    upper, lower = box.y + box.height / 4, box.y + box.height * 3 / 4
    return [
        Point(right, upper),
        Point(out, upper),
        Point(out, lower),
        Point(right, lower),
    ]
