import re

from hypothesis import given

from ponder.drawing import dot_graph, label_lines
from ponder.thoughts import ThoughtGraph
from tests.support.thoughts import AWKWARD, family, single


def test_dot_is_a_digraph_with_dashed_failures() -> None:
    lines = dot_graph(family()).splitlines()
    assert lines[0] == "digraph thoughts {"
    assert '    n2 [shape=box, style=dashed, label="sample/1\\ntimeout"];' in lines
    assert "    n1 -> n4;" in lines
    assert lines[-1] == "}"


@given(AWKWARD, AWKWARD.filter(bool))
def test_dot_labels_read_back_as_they_were(label: str, id: str) -> None:
    graph, thought = single(label, id)
    _, _, node, end = dot_graph(graph).split("\n")
    assert end == "}"
    match = re.fullmatch(r'    n0 \[shape=box, label="((?:[^"\\]|\\.)*)"\];', node)
    assert match is not None
    lines = [""]
    for piece in re.findall(r"\\.|&amp;|.", match[1]):
        if piece == "\\n":
            lines.append("")
        else:
            lines[-1] += {"&amp;": "&"}.get(piece, piece[-1])
    assert lines == label_lines(thought)


def test_an_empty_graph_is_an_empty_digraph() -> None:
    assert dot_graph(ThoughtGraph()) == "digraph thoughts {\n    rankdir=TB;\n}"
