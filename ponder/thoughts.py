"""The graph of a run: what was thought, from what, and how it was judged."""

from typing import Any, Literal

import networkx as nx
from pydantic import Field

from ponder.messages import Value

ThoughtKind = Literal["question", "thought", "verdict", "answer", "graph", "evidence"]


class Thought(Value):
    """A node of the graph."""

    id: str
    """Logical path in the run, unique."""
    kind: ThoughtKind
    label: str
    """One line for people."""
    score: float | None = None
    failed: bool = False
    data: dict[str, Any] = Field(default_factory=dict)


class ThoughtGraph:
    """A networkx ``DiGraph`` of thoughts; ``graph`` is open to any algorithm."""

    def __init__(self) -> None:
        """Start empty."""
        self.graph: nx.DiGraph[str] = nx.DiGraph()

    def add(self, thought: Thought, parents: tuple[str, ...] = ()) -> None:
        """Add or replace a thought, with an edge from each parent that exists."""
        self.graph.add_node(thought.id, **thought.model_dump(exclude={"id"}))
        known = [p for p in parents if p in self.graph]
        self.graph.add_edges_from((parent, thought.id) for parent in known)

    def thought(self, id: str) -> Thought:
        """Return one thought."""
        return Thought(id=id, **self.graph.nodes[id])

    def to_json(self) -> dict[str, Any]:
        """Return networkx node-link data, ordered by place and not by arrival."""
        data: dict[str, Any] = nx.node_link_data(self.graph, edges="edges")
        data["nodes"].sort(key=lambda node: _place(node["id"]))
        data["edges"].sort(key=lambda e: (_place(e["source"]), _place(e["target"])))
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ThoughtGraph":
        """Read what ``to_json`` wrote."""
        self = cls()
        if data:
            self.graph = nx.node_link_graph(data, edges="edges")
        return self


def _place(path: str) -> list[tuple[bool, int, str]]:
    """Sort key of a path: the question first, the answer last, sample/2 before /10."""
    if path in ("question", "answer"):
        return [(path == "answer", 0, "")]
    parts = path.split("/")
    return [
        (False, 1 + int(p), "") if p.isdigit() else (False, 0, f"~{p}") for p in parts
    ]
