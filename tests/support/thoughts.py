"""Thought graphs to draw, and labels that are hard to."""

from hypothesis import strategies as st

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
