"""A graph of thoughts with graphs nested two deep."""

from hypothesis import strategies as st

from ponder.thoughts import Thought, ThoughtGraph, ThoughtKind

KINDS: tuple[ThoughtKind, ...] = ("graph", "thought")


def graph(nodes: dict[str, ThoughtKind], *edges: tuple[str, str]) -> ThoughtGraph:
    made = ThoughtGraph()
    for id, kind in nodes.items():
        made.add(Thought(id=id, kind=kind, label=f"on {id}"))
    made.graph.add_edges_from(edges)
    return made


def nested_graph() -> ThoughtGraph:
    """Return the graph g, which holds a, h and z; h holds b and c."""
    return graph(
        {
            "question": "question",
            "g": "graph",
            "g/a": "thought",
            "g/h": "graph",
            "g/h/b": "thought",
            "g/h/c": "thought",
            "g/z": "thought",
            "s": "thought",
            "answer": "answer",
        },
        ("question", "g"),
        ("question", "s"),
        ("g", "g/a"),
        ("g", "g/h"),
        ("g/h", "g/h/b"),
        ("g/h/b", "g/h/c"),
        ("g/h/c", "g/z"),
        ("g/a", "g/z"),
        ("g/z", "answer"),
        ("s", "answer"),
    )


@st.composite
def nested_graphs(draw: st.DrawFn) -> ThoughtGraph:
    """Draw any graph, with circles, loops and graphs inside graphs."""
    ids = draw(
        st.lists(
            st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join),
            max_size=12,
            unique=True,
        )
    )
    nodes = {id: draw(st.sampled_from(KINDS)) for id in ids}
    pairs = [(a, b) for a in ids for b in ids]
    edges = draw(st.sets(st.sampled_from(pairs), max_size=20)) if pairs else set()
    return graph(nodes, *sorted(edges))
