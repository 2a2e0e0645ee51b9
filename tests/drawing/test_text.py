from hypothesis import given

from ponder.drawing import one_line, printable, text_tree
from ponder.drawing.labels import columns
from ponder.thoughts import Thought, ThoughtGraph
from tests.support.thoughts import AWKWARD, family, single


def test_the_tree_shows_every_thought_once_and_names_it_again() -> None:
    assert text_tree(family()).splitlines() == [
        "question: How many?",
        "├─ sample/0: 72",
        "│  ├─ verdict: 0.91 passed",
        "│  └─ answer: 72 (0.50)",
        "└─ sample/1: failed: timeout",
        "   └─ answer: 72 (0.50) (see above)",
    ]


def test_a_chain_deeper_than_the_stack_of_python_is_drawn() -> None:
    graph = ThoughtGraph()
    for i in range(3000):
        graph.add(
            Thought(id=f"t{i}", kind="thought", label="x"),
            (f"t{i - 1}",) if i else (),
        )
    lines = text_tree(graph).splitlines()
    assert len(lines) == 3000
    assert all(columns(line) <= 80 for line in lines)
    assert lines[-1].startswith("…") and lines[-1].endswith("└─ t2999: x")


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


def test_an_empty_graph_is_an_empty_text() -> None:
    assert text_tree(ThoughtGraph()) == ""
