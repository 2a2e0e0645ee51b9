from itertools import combinations, pairwise

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.drawing import layers
from ponder.drawing.layout import Box, Layout, Point, layout

SIZES = st.tuples(st.floats(1, 400), st.floats(1, 100))
Sizes = dict[str, tuple[float, float]]


@st.composite
def graphs(draw: st.DrawFn, *, circles: bool) -> "tuple[nx.DiGraph[str], Sizes]":
    names = [f"t{i}" for i in range(draw(st.integers(0, 12)))]
    pairs = [(a, b) for a in names for b in names if circles or a < b]
    chosen = draw(st.sets(st.sampled_from(pairs), max_size=30)) if pairs else set()
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(draw(st.permutations(names)))
    graph.add_edges_from(sorted(chosen))
    return graph, {name: draw(SIZES) for name in names}


def of_one_size(*edges: tuple[str, str]) -> Layout:
    graph: nx.DiGraph[str] = nx.DiGraph(edges)
    return layout(graph, dict.fromkeys(graph, (50.0, 20.0)))


def middle(box: Box) -> float:
    return box.x + box.width / 2


def apart(a: Box, b: Box) -> bool:
    return (
        a.x + a.width < b.x or b.x + b.width < a.x or a.bottom < b.y or b.bottom < a.y
    )


def crosses(start: Point, end: Point, box: Box) -> bool:
    """Whether the rectangle around a piece of an edge, which holds it, meets a box."""
    low, high = sorted((start.y, end.y))
    left, right = sorted((start.x, end.x))
    inside = left < box.x + box.width and right > box.x
    return inside and low < box.bottom and high > box.y


@given(graphs(circles=True))
def test_boxes_keep_their_sizes_and_never_overlap(
    drawn: "tuple[nx.DiGraph[str], Sizes]",
) -> None:
    graph, sizes = drawn
    placed = layout(graph, sizes)
    assert {id: (b.width, b.height) for id, b in placed.boxes.items()} == sizes
    for a, b in combinations(placed.boxes.values(), 2):
        assert apart(a, b)
    for box in placed.boxes.values():
        assert 0 <= box.x
        assert 0 <= box.y
        assert box.x + box.width <= placed.width
        assert box.bottom <= placed.height


@given(graphs(circles=False))
def test_parents_are_above_their_children_and_edges_join_them(
    drawn: "tuple[nx.DiGraph[str], Sizes]",
) -> None:
    graph, sizes = drawn
    placed = layout(graph, sizes)
    assert set(placed.routes) == set(graph.edges)
    for (a, b), points in placed.routes.items():
        above, below = placed.boxes[a], placed.boxes[b]
        assert above.bottom < below.y
        assert points[0] == pytest.approx((middle(above), above.bottom))
        assert points[-1] == pytest.approx((middle(below), below.y))
        assert all(p.y <= q.y for p, q in pairwise(points))


@given(graphs(circles=True))
def test_no_edge_passes_behind_a_box(
    drawn: "tuple[nx.DiGraph[str], Sizes]",
) -> None:
    graph, sizes = drawn
    placed = layout(graph, sizes)
    assert set(placed.routes) == set(graph.edges)
    for points in placed.routes.values():
        for start, end in pairwise(points):
            assert not any(crosses(start, end, box) for box in placed.boxes.values())


def test_parents_stand_over_the_middle_of_their_children() -> None:
    boxes = of_one_size(
        ("q", "a"), ("q", "b"), *(("a", f"a{i}") for i in range(4)), ("b", "b0")
    ).boxes
    assert middle(boxes["q"]) == pytest.approx(
        (middle(boxes["a"]) + middle(boxes["b"])) / 2
    )
    assert middle(boxes["a"]) == pytest.approx(
        (middle(boxes["a0"]) + middle(boxes["a3"])) / 2
    )
    assert middle(boxes["b"]) == pytest.approx(middle(boxes["b0"]))


def test_children_of_several_parents_stand_between_them() -> None:
    boxes = of_one_size(
        *(("q", f"s{i}") for i in range(3)),
        *((f"s{i}", f"v{i}") for i in range(3)),
        *((f"s{i}", "answer") for i in range(3)),
    ).boxes
    assert boxes["v0"].x < boxes["answer"].x < boxes["v2"].x


def test_siblings_stand_in_their_order() -> None:
    boxes = of_one_size(*(("q", f"s{i}") for i in range(12))).boxes
    places = [boxes[f"s{i}"].x for i in range(12)]
    assert places == sorted(places)
    assert {boxes[f"s{i}"].y for i in range(12)} == {boxes["s0"].y}


def test_the_edge_that_closes_a_circle_points_upwards() -> None:
    placed = of_one_size(("a", "b"), ("b", "c"), ("c", "a"))
    assert placed.boxes["a"].bottom < placed.boxes["b"].y
    assert placed.boxes["b"].bottom < placed.boxes["c"].y
    points = placed.routes["c", "a"]
    assert points[0].y == placed.boxes["c"].y
    assert points[-1].y == placed.boxes["a"].bottom


def test_edges_beyond_the_limit_of_bends_are_straight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edges = (("a", "b"), ("b", "c"), ("a", "c"))
    around = of_one_size(*edges)
    monkeypatch.setattr(layers, "MAX_BENDS", 0)
    behind = of_one_size(*edges)
    assert len(around.routes["a", "c"]) == len(behind.routes["a", "c"]) + 2


def test_a_graph_without_nodes_has_a_layout() -> None:
    placed = of_one_size()
    assert (placed.boxes, placed.routes) == ({}, {})
    assert placed.width > 0
    assert placed.height > 0
