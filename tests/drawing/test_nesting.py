"""Nested graphs: on which level things are drawn, and how each drawing shows it."""

import re
from itertools import combinations
from xml.etree import ElementTree

import networkx as nx
import pytest
from hypothesis import given

from ponder.drawing import DRAWINGS, dot_graph, mermaid_chart, svg_picture, text_tree
from ponder.drawing.frames import framed
from ponder.drawing.layout import Box
from ponder.drawing.nesting import nesting, starts
from ponder.thoughts import ThoughtGraph
from tests.support.nested_thoughts import graph, nested_graph, nested_graphs

SVG = "{http://www.w3.org/2000/svg}"


# -- levels ----------------------------------------------------------------------------


def test_a_thought_belongs_to_the_innermost_graph_above_its_path() -> None:
    found = nesting(
        graph(
            {"g": "graph", "g/t": "thought", "g/t/u/v": "thought", "h": "thought",
             "h/w": "thought", "ga": "thought"}
        )
    )  # fmt: skip
    assert found.owner == {
        "g": None,
        "g/t": "g",
        "g/t/u/v": "g",
        "h": None,
        # h is no graph, and ga is no path below g.
        "h/w": None,
        "ga": None,
    }


def test_edges_are_lifted_to_where_both_ends_are_neighbours() -> None:
    found = nesting(nested_graph())
    assert {owner: set(level.edges) for owner, level in found.levels.items()} == {
        None: {("question", "g"), ("question", "s"), ("g", "answer"), ("s", "answer")},
        "g": {("g/h", "g/z"), ("g/a", "g/z")},
        "g/h": {("g/h/b", "g/h/c")},
    }
    assert found.lifted(("g", "g/a")) is None
    assert found.lifted(("g/h/c", "g")) is None
    assert found.lifted(("g/h/c", "g/h/c")) == ("g/h", ("g/h/c", "g/h/c"))
    assert found.holders("g/h/b") == ["g", "g/h"]


@given(nested_graphs())
def test_every_thought_is_on_one_level_and_every_edge_on_one_or_inside_a_graph(
    thoughts: ThoughtGraph,
) -> None:
    found = nesting(thoughts)
    on_levels = [id for level in found.levels.values() for id in level]
    assert sorted(on_levels) == sorted(thoughts.graph)
    for a, b in thoughts.graph.edges:
        place = found.lifted((a, b))
        if place is None:
            assert a in found.holders(b) or b in found.holders(a)
        else:
            owner, (x, y) = place
            assert found.levels[owner].has_edge(x, y)
            assert x in (a, *found.holders(a))
            assert y in (b, *found.holders(b))


@given(nested_graphs())
def test_all_of_a_level_is_reached_from_its_starts(thoughts: ThoughtGraph) -> None:
    for level in nesting(thoughts).levels.values():
        chosen = starts(level)
        reached = {id for start in chosen for id in nx.descendants(level, start)}
        assert reached | set(chosen) == set(level)
        assert {id for id in level if level.in_degree(id) == 0} <= set(chosen)


# -- text ------------------------------------------------------------------------------


def test_text_marks_what_is_inside_by_a_heavy_line() -> None:
    assert text_tree(nested_graph()).splitlines() == [
        "question: on question",
        "├─ g (graph): on g",
        "│  ┃ ├─ a: on g/a",
        "│  ┃ │  └─ z: on g/z",
        "│  ┃ └─ h (graph): on g/h",
        "│  ┃    ┃ └─ b: on g/h/b",
        "│  ┃    ┃    └─ c: on g/h/c",
        "│  ┃    └─ z: on g/z (see above)",
        "│  └─ answer: on answer",
        "└─ s: on s",
        "   └─ answer: on answer (see above)",
    ]


@given(nested_graphs())
def test_text_has_every_thought_and_keeps_to_80_columns(
    thoughts: ThoughtGraph,
) -> None:
    lines = text_tree(thoughts).splitlines()
    assert len([line for line in lines if not line.endswith("(see above)")]) == len(
        thoughts.graph
    )
    assert all(len(line) <= 80 for line in lines)
    depth = {id: len(nesting(thoughts).holders(id)) for id in thoughts.graph}
    for line in lines:
        found = re.search(r": on ([a-c/]+)", line)
        assert found is not None
        assert line.count("┃") == depth[found[1]]


# -- charts ----------------------------------------------------------------------------


def test_mermaid_has_a_subgraph_for_each_graph() -> None:
    lines = mermaid_chart(nested_graph()).splitlines()
    assert lines[:13] == [
        "flowchart TD",
        '    n0(["on question"])',
        '    subgraph inside_n1["inside g"]',
        '        n1[/"g<br/>on g"/]',
        '        n2["g/a<br/>on g/a"]',
        '        subgraph inside_n3["inside g/h"]',
        '            n3[/"g/h<br/>on g/h"/]',
        '            n4["g/h/b<br/>on g/h/b"]',
        '            n5["g/h/c<br/>on g/h/c"]',
        "        end",
        '        n6["g/z<br/>on g/z"]',
        "    end",
        '    n7["s<br/>on s"]',
    ]
    # Edges are those of the graph, across all frames.
    assert sum(" --> " in line for line in lines) == 10


def test_dot_has_a_cluster_for_each_graph() -> None:
    drawn = dot_graph(nested_graph())
    assert re.findall(r"subgraph (\w+) \{\n +label=\"([^\"]*)\"", drawn) == [
        ("cluster_n1", "inside g"),
        ("cluster_n3", "inside g/h"),
    ]
    inner = drawn[drawn.index("cluster_n3") :].split("}")[0]
    assert re.findall(r"^ +(n\d) \[", inner, re.MULTILINE) == ["n3", "n4", "n5"]
    assert drawn.count("{") == drawn.count("}") == 3
    assert drawn.count(" -> ") == 10


@given(nested_graphs())
def test_the_charts_hold_every_thought_and_edge_once(thoughts: ThoughtGraph) -> None:
    count = len(thoughts.graph)
    edges = thoughts.graph.number_of_edges()
    held = sum(owner is not None for owner in nesting(thoughts).levels)
    mermaid, dot = mermaid_chart(thoughts), dot_graph(thoughts)
    assert len(set(re.findall(r"^ +(n\d+)\W", mermaid, re.MULTILINE))) == count
    assert len(re.findall(r"^ +n\d+ \[shape", dot, re.MULTILINE)) == count
    assert mermaid.count(" --> ") == dot.count(" -> ") == edges
    assert mermaid.count("subgraph") == dot.count("subgraph") == held
    assert len(re.findall(r"^ +end$", mermaid, re.MULTILINE)) == held


# -- the picture -----------------------------------------------------------------------


@given(nested_graphs())
def test_frames_hold_exactly_what_is_inside(thoughts: ThoughtGraph) -> None:
    nested = nesting(thoughts)
    placed = framed(nested, dict.fromkeys(thoughts.graph, (60.0, 30.0)))
    assert set(placed.boxes) == set(thoughts.graph)
    for a, b in combinations(thoughts.graph, 2):
        if a in nested.holders(b):
            assert holds(placed.boxes[a], placed.boxes[b])
        elif b in nested.holders(a):
            assert holds(placed.boxes[b], placed.boxes[a])
        else:
            assert apart(placed.boxes[a], placed.boxes[b])
    for (owner, _), points in placed.routes.items():
        for point in points:
            assert 0 <= point.x <= placed.width
            assert 0 <= point.y <= placed.height
            if owner is not None:
                box = placed.boxes[owner]
                assert box.x <= point.x <= box.x + box.width
                assert box.y <= point.y <= box.bottom


def holds(outer: Box, inner: Box) -> bool:
    # The title of the frame is 30 pixels high.
    return (
        outer.x < inner.x
        and outer.y + 30 < inner.y
        and inner.x + inner.width < outer.x + outer.width
        and inner.bottom < outer.bottom
    )


def apart(a: Box, b: Box) -> bool:
    return (
        a.x + a.width < b.x or b.x + b.width < a.x or a.bottom < b.y or b.bottom < a.y
    )


def test_the_picture_has_frames_behind_everything_else() -> None:
    root = ElementTree.fromstring(svg_picture(nested_graph()))
    drawn = [(child.tag.removeprefix(SVG), child.get("class", "")) for child in root]
    kinds = [
        "frame" if "frame" in mark else "edge" if "edge" in mark else "node"
        for tag, mark in drawn
        if "edge" in mark or tag == "g"
    ]
    assert kinds == ["frame"] * 2 + ["edge"] * 7 + ["node"] * 7
    titles = [group.findtext(f"{SVG}title") for group in root.findall(f"{SVG}g")]
    assert titles[:2] == ["g: on g", "g/h: on g/h"]


def test_the_way_to_the_answer_leads_through_frames() -> None:
    thoughts = nested_graph()
    thoughts.graph.remove_edge("s", "answer")
    root = ElementTree.fromstring(svg_picture(thoughts))
    paths = [p.get("class", "") for p in root.findall(f"{SVG}path")]
    # question -> g, g -> answer; a -> z, h -> z; b -> c.
    assert paths.count("edge on-path") == 5
    assert paths.count("edge") == 1


@pytest.mark.parametrize("name", sorted(DRAWINGS))
def test_a_graph_that_holds_nothing_is_an_ordinary_thought(name: str) -> None:
    drawn = DRAWINGS[name](graph({"g": "graph"}))
    assert 'frame"' not in drawn
    assert "inside" not in drawn
    assert "┃" not in drawn
