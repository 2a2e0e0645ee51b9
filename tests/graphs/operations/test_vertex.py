"""Thoughts, how they are joined, and their volume."""

import networkx as nx

from ponder.graphs.operations.vertex import Thoughts, Vertex, initial, joined, volume
from ponder.result import Candidate, StopReason, Task, Verdict
from ponder.thoughts import Thought, ThoughtGraph

TASK = Task(question="How many?")


def vertex(id: str, score: float | None = None) -> Vertex:
    verdict = None if score is None else Verdict(score=score)
    return Vertex(task=TASK, candidate=Candidate(id=id, text=id, verdict=verdict))


def graph_of(edges: list[tuple[str, str]]) -> ThoughtGraph:
    thoughts = ThoughtGraph()
    for node in nx.topological_sort(nx.DiGraph(edges)):
        parents = tuple(a for a, b in edges if b == node)
        thoughts.add(Thought(id=node, kind="thought", label=node), parents)
    return thoughts


def test_the_first_thought_is_the_question() -> None:
    (first,) = initial(TASK).items
    assert (first.id, first.text, first.score) == ("question", "", None)
    assert first.task == TASK


def test_joined_thoughts_keep_order_verdicts_and_limits() -> None:
    found = joined(
        [
            Thoughts(items=(vertex("a"), vertex("b", 0.5)), errors=("down",)),
            Thoughts(
                items=(vertex("b"), vertex("c"), vertex("a", 0.0)),
                stop_reason=StopReason.TOKENS,
                errors=("down",),
            ),
        ]
    )
    assert [(v.id, v.score) for v in found.items] == [
        ("a", 0.0),
        ("b", 0.5),
        ("c", None),
    ]
    assert found.stop_reason is StopReason.TOKENS
    assert found.errors == ("down",)


def test_the_volume_counts_what_could_be_drawn_on() -> None:
    chain = [(f"c{i}", f"c{i + 1}") for i in range(7)]
    assert volume(graph_of(chain), "c7") == 7

    # A tree of 15 thoughts: a leaf draws on log_2 16 - 1 of them.
    tree = [(f"t{i}", f"t{j}") for i in range(7) for j in (2 * i + 1, 2 * i + 2)]
    assert volume(graph_of(tree), "t14") == 3

    # Split and merged again, the last thought draws on all, in twice as many steps.
    merged = [(f"m{j}", f"m{i}") for i in range(7) for j in (2 * i + 1, 2 * i + 2)]
    both = tree + [(f"t{i}", f"m{i}") for i in range(7, 15)] + merged
    graph = graph_of(both)
    assert volume(graph, "m0") == graph.graph.number_of_nodes() - 1 == 29
    assert nx.shortest_path_length(graph.graph, "t0", "m0") == 7


def test_verdicts_are_no_thoughts_of_the_volume() -> None:
    graph = graph_of([("a", "b")])
    graph.add(Thought(id="a/verdict", kind="verdict", label="0.5"), ("a",))
    graph.add(Thought(id="c", kind="thought", label="c"), ("b", "a/verdict"))
    assert volume(graph, "c") == 2
    assert volume(graph.to_json(), "c") == 2
