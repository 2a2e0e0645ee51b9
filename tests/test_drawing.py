import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.drawing import (
    dot,
    label_lines,
    mermaid,
    one_line,
    printable,
    text_tree,
)
from ponder.thoughts import Thought, ThoughtGraph

AWKWARD = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from('"\\#&;<>`%{}[]()|\n\r\t\x00\x1b\u202e字é-'),
    ),
    max_size=60,
)


def single(label: str, id: str = "sample/0") -> tuple[ThoughtGraph, Thought]:
    graph = ThoughtGraph()
    thought = Thought(id=id, kind="thought", label=label)
    graph.add(thought)
    return graph, thought


def family() -> ThoughtGraph:
    graph = ThoughtGraph()
    graph.add(Thought(id="question", kind="question", label="How many?"))
    graph.add(Thought(id="sample/0", kind="thought", label="72"), ("question",))
    graph.add(
        Thought(id="sample/1", kind="thought", label="timeout", failed=True),
        ("question",),
    )
    graph.add(
        Thought(id="sample/0/verdict", kind="verdict", label="0.91 passed", score=0.91),
        ("sample/0",),
    )
    graph.add(
        Thought(id="answer", kind="answer", label="72", score=0.5),
        ("sample/0", "sample/1"),
    )
    return graph


def test_the_tree_shows_every_thought_once_and_names_it_again() -> None:
    assert text_tree(family()).splitlines() == [
        "question: How many?",
        "├─ sample/0: 72",
        "│  ├─ verdict: 0.91 passed",
        "│  └─ answer: 72 (0.50)",
        "└─ sample/1: failed: timeout",
        "   └─ answer: 72 (0.50) (see above)",
    ]


def test_mermaid_has_a_shape_for_each_kind_and_marks_failures() -> None:
    assert mermaid(family()).splitlines() == [
        "flowchart TD",
        '    n0(["How many?"])',
        '    n1["sample/0<br/>72"]',
        '    n2["sample/1<br/>timeout"]',
        '    n3{{"sample/0/verdict<br/>0.91 passed"}}',
        '    n4[["72"]]',
        "    n0 --> n1",
        "    n0 --> n2",
        "    n1 --> n3",
        "    n1 --> n4",
        "    n2 --> n4",
        "    classDef failed stroke-dasharray: 5 5",
        "    class n2 failed",
    ]


def test_dot_is_a_digraph_with_dashed_failures() -> None:
    lines = dot(family()).splitlines()
    assert lines[0] == "digraph thoughts {"
    assert '    n2 [shape=box, style=dashed, label="sample/1\\ntimeout"];' in lines
    assert "    n1 -> n4;" in lines
    assert lines[-1] == "}"


def test_empty_graphs_can_be_drawn() -> None:
    empty = ThoughtGraph()
    assert text_tree(empty) == ""
    assert mermaid(empty) == "flowchart TD"
    assert dot(empty) == "digraph thoughts {\n    rankdir=TB;\n}"


def test_a_chain_deeper_than_the_stack_of_python_is_drawn() -> None:
    graph = ThoughtGraph()
    for i in range(3000):
        graph.add(
            Thought(id=f"t{i}", kind="thought", label="x"),
            (f"t{i - 1}",) if i else (),
        )
    assert len(text_tree(graph).splitlines()) == 3000


def test_thoughts_on_a_circle_are_not_lost() -> None:
    graph = family()
    graph.graph.add_edge("answer", "question")
    drawn = text_tree(graph)
    for label in ("How many?", "72", "timeout", "0.91 passed"):
        assert label in drawn


@given(AWKWARD)
def test_the_tree_has_one_safe_line_of_80_columns_for_each_thought(label: str) -> None:
    graph, _ = single(label)
    drawn = text_tree(graph, width=80)
    assert len(drawn.splitlines()) == 1
    assert drawn == printable(drawn, keep="")
    assert one_line(drawn, 80) == drawn


@given(AWKWARD, AWKWARD.filter(bool))
def test_mermaid_labels_read_back_as_they_were(label: str, id: str) -> None:
    graph, thought = single(label, id)
    head, node = mermaid(graph).split("\n")
    assert head == "flowchart TD"
    match = re.fullmatch(r'    n0\["([^"]*)"\]', node)
    assert match is not None
    lines = match[1].split("<br/>")
    # Nothing of the format is left but the codes, not even a % of a directive.
    for line in lines:
        assert not re.search(r"[<>`%&{}\[\]|\\]", line)
    decoded = [re.sub(r"#(\d+);", lambda m: chr(int(m[1])), line) for line in lines]
    assert decoded == label_lines(thought)


@given(AWKWARD, AWKWARD.filter(bool))
def test_dot_labels_read_back_as_they_were(label: str, id: str) -> None:
    graph, thought = single(label, id)
    _, _, node, end = dot(graph).split("\n")
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


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("plain", 10, "plain"),
        ("two\nlines", None, "two lines"),
        ("abcdef", 4, "abc…"),
        ("字字字", 4, "字…"),
        ("\x1b[31mred", 10, "[31mred"),
        ("ab\u202ecd", 10, "abcd"),
    ],
)
def test_one_line(text: str, width: int | None, shown: str) -> None:
    assert one_line(text, width) == shown
