import re
import time
from xml.etree import ElementTree

import networkx as nx
import pytest
from hypothesis import given

from ponder.drawing import one_line, svg_picture
from ponder.drawing.labels import columns
from ponder.drawing.svg import CHARACTER
from ponder.thoughts import Thought, ThoughtGraph
from tests.support.thoughts import AWKWARD, family, single

SVG = "{http://www.w3.org/2000/svg}"


def read(thoughts: ThoughtGraph) -> ElementTree.Element:
    return ElementTree.fromstring(svg_picture(thoughts))


def nodes(root: ElementTree.Element) -> dict[str, ElementTree.Element]:
    """Return the groups by their tooltip."""
    groups = root.findall(f"{SVG}g")
    titled = {group.findtext(f"{SVG}title", ""): group for group in groups}
    assert len(titled) == len(groups)
    return titled


def lines(group: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in group.findall(f"{SVG}text")]


def marks(element: ElementTree.Element) -> set[str]:
    return set(element.get("class", "").split())


def edges(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [path for path in root.findall(f"{SVG}path") if "edge" in marks(path)]


def test_every_thought_is_there_once_with_its_score() -> None:
    drawn = nodes(read(family()))
    assert {title: lines(group) for title, group in drawn.items()} == {
        "question: How many?": ["question", "How many?"],
        "sample/0: 72": ["sample/0", "72"],
        "sample/1: timeout": ["failed: sample/1", "timeout"],
        "sample/0/verdict: 0.91 passed": ["verdict", "0.91 passed"],
        "answer: 72 (0.50)": ["answer (0.50)", "72"],
    }


def test_all_edges_of_a_thought_with_several_parents_are_drawn() -> None:
    graph = family()
    assert len(edges(read(graph))) == graph.graph.number_of_edges() == 5


def test_failures_and_the_path_to_the_answer_are_marked() -> None:
    graph = family()
    graph.graph.remove_edge("sample/1", "answer")
    root = read(graph)
    drawn = {title.split(":")[0]: marks(g) for title, g in nodes(root).items()}
    assert {id for id, mark in drawn.items() if "on-path" in mark} == {
        "question",
        "sample/0",
        "answer",
    }
    assert {id for id, mark in drawn.items() if "failed" in mark} == {"sample/1"}
    assert sum("on-path" in marks(edge) for edge in edges(root)) == 2
    # Not by colour alone.
    style = root.findtext(f"{SVG}style", "")
    assert re.search(r"\.failed \.shape \{ stroke-dasharray", style)
    assert re.search(r"\.on-path \{ stroke-width: 3", style)


def test_each_kind_has_a_shape_of_its_own() -> None:
    graph = family()
    graph.add(Thought(id="inner", kind="graph", label="a strategy"), ("question",))
    assert len({outline(group) for group in nodes(read(graph)).values()}) == 5


def outline(group: ElementTree.Element) -> tuple[object, ...]:
    """Return what tells shapes apart: elements, round corners, places of corners."""
    drawn = [element for element in group if "shape" in marks(element)]
    corners = [
        re.findall(r"([\d.]+) [\d.]+", element.get("points", "")) for element in drawn
    ]
    return tuple(
        (element.tag, element.get("rx"), len(set(places)))
        for element, places in zip(drawn, corners, strict=True)
    )


def test_light_and_dark_viewers_get_a_background_that_fits_the_text() -> None:
    root = read(family())
    style = root.findtext(f"{SVG}style", "")
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    for scheme in (light, dark):
        paper = re.search(r"\.paper \{ fill: (#\w+)", scheme)
        ink = re.search(r"text \{ fill: (#\w+)", scheme)
        assert paper and ink
        assert contrast(paper[1], ink[1]) > 7
    paper_box = root.find(f"{SVG}rect[@class='paper']")
    assert paper_box is not None
    assert paper_box.get("width") == root.get("width")


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.2, 1 to 21."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in channels
        ]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_nothing_outside_the_file_is_needed() -> None:
    drawn = svg_picture(family())
    assert drawn.isascii()
    assert re.findall(r"https?://[^\"]*", drawn) == ["http://www.w3.org/2000/svg"]
    assert "@import" not in drawn
    assert set(re.findall(r"url\((.*?)\)", drawn)) == {"#tip", "#tip-on-path"}
    ids = re.findall(r' id="(.*?)"', drawn)
    assert len(ids) == len(set(ids))


@given(AWKWARD, AWKWARD.filter(bool))
def test_hostile_labels_stay_text(label: str, id: str) -> None:
    graph, thought = single(label, id)
    (title, group), *others = nodes(read(graph)).items()
    assert not others
    assert title == legal(f"{one_line(thought.id)}: {one_line(label)}")
    assert {child.tag for child in group} == {
        f"{SVG}{tag}" for tag in ("title", "rect", "text")
    }
    shown = "".join(lines(group)[1:]).replace(" ", "")
    assert legal(one_line(label)).replace(" ", "").startswith(shown.removesuffix("…"))


def legal(text: str) -> str:
    """Drop the two printable code points that XML 1.0 forbids."""
    return text.replace("\ufffe", "").replace("\uffff", "")


@pytest.mark.parametrize(
    "label",
    ["]]><script>alert(1)</script>", "\ufffe\uffff", "字" * 90, "&lt;", "x" * 999],
)
def test_labels_fit_their_boxes(label: str) -> None:
    graph, _ = single(label, id="deep/" * 30 + "7")
    (group,) = nodes(read(graph)).values()
    shape = group.find(f"{SVG}rect")
    assert shape is not None
    widest = max(columns(line) for line in lines(group)) * CHARACTER
    assert widest < float(shape.get("width", ""))
    top, height = float(shape.get("y", "")), float(shape.get("height", ""))
    for text in group.findall(f"{SVG}text"):
        assert top < float(text.get("y", "")) < top + height
    assert lines(group)[0].endswith("/deep/7")


def test_an_empty_graph_is_an_empty_picture() -> None:
    root = read(ThoughtGraph())
    assert not nodes(root)
    assert not edges(root)
    assert float(root.get("width", "")) > 0


def test_thoughts_on_a_circle_are_not_lost() -> None:
    graph = family()
    graph.graph.add_edges_from([("answer", "question"), ("answer", "answer")])
    root = read(graph)
    assert len(nodes(root)) == 5
    assert len(edges(root)) == 7


def test_500_thoughts_are_drawn_in_well_under_a_second() -> None:
    graph = ThoughtGraph()
    tree = nx.random_labeled_rooted_tree(500, seed=1)
    for i in range(500):
        graph.add(Thought(id=f"node/{i}", kind="thought", label="a step " * 9))
    graph.graph.add_edges_from((f"node/{a}", f"node/{b}") for a, b in tree.edges)
    start = time.process_time()
    assert svg_picture(graph).count("<g ") == 500
    # A tenth of it is usual; the rest is for a machine under load.
    assert time.process_time() - start < 1
