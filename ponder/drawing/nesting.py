"""Which thoughts of a graph stand inside which: graphs nested in one of its thoughts.

A thought of the kind ``graph`` holds the thoughts whose ids are paths below its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import networkx as nx

from ponder.thoughts import Thought, ThoughtGraph

Edge = tuple[str, str]


@dataclass(frozen=True)
class Nesting:
    """The levels of a graph of thoughts, each a graph of its own."""

    owner: dict[str, str | None]
    """By thought: the innermost graph that holds it, ``None`` for the outermost."""
    levels: "dict[str | None, nx.DiGraph[str]]"
    """By owner: its own thoughts. An edge into or out of a nested graph is one of the
    thought that holds it; an edge between a graph and its own content is left out."""

    def holders(self, id: str) -> list[str]:
        """Return the graphs that a thought stands in, outermost first."""
        found: list[str] = []
        above = self.owner[id]
        while above is not None:
            found.append(above)
            above = self.owner[above]
        return found[::-1]

    def lifted(self, edge: Edge) -> tuple[str | None, Edge] | None:
        """Return the level on which an edge is drawn, and its two ends there.

        Args:
            edge: Two thoughts.

        Returns:
            ``None`` for an edge between a graph and its own content.
        """
        a, b = edge
        if a == b:
            return self.owner[a], edge
        for x, y in zip((*self.holders(a), a), (*self.holders(b), b), strict=False):
            if x != y:
                return self.owner[x], (x, y)
        return None


def nesting(thoughts: ThoughtGraph) -> Nesting:
    """Sort thoughts by the graphs that hold them."""
    graph = thoughts.graph
    graphs = {id for id, kind in graph.nodes(data="kind") if kind == "graph"}
    found = Nesting({id: _owner(id, graphs) for id in graph}, {})
    for id in graph:
        level = found.levels.setdefault(found.owner[id], nx.DiGraph())
        level.add_node(id)
    for edge in graph.edges:
        place = found.lifted(edge)
        if place is not None:
            owner, ends = place
            found.levels[owner].add_edge(*ends)
    return found


def starts(level: "nx.DiGraph[str]") -> list[str]:
    """Return thoughts from which all others of a level can be reached.

    They are the roots, and one thought of every circle that no root leads to.
    """
    chosen: list[str] = []
    seen: set[str] = set()
    roots = [id for id in level if level.in_degree(id) == 0]
    for start in (*roots, *level):
        if start not in seen:
            chosen.append(start)
            seen.update(_reached(level, start, seen))
    return chosen


def _owner(id: str, graphs: set[str]) -> str | None:
    if not graphs:
        return None
    return next((above for above in _above(id) if above in graphs), None)


def _above(id: str) -> Iterator[str]:
    while "/" in id:
        id = id.rpartition("/")[0]
        yield id


def _reached(level: "nx.DiGraph[str]", start: str, seen: set[str]) -> set[str]:
    found, waiting = {start}, [start]
    while waiting:
        for child in level.successors(waiting.pop()):
            if child not in seen and child not in found:
                found.add(child)
                waiting.append(child)
    return found


def indented(
    thoughts: ThoughtGraph,
    node: Callable[[str, Thought], str],
    frame: Callable[[str], tuple[Sequence[str], str]],
) -> list[str]:
    """Return one line for each thought, nested graphs indented between two more.

    Args:
        thoughts: What to draw.
        node: Returns the line of a thought, given its id and itself.
        frame: Returns the lines before and behind what is inside a thought.
    """
    nested = nesting(thoughts)

    def level(owner: str | None) -> list[str]:
        lines: list[str] = []
        for id in nested.levels.get(owner, ()):
            line = node(id, thoughts.thought(id))
            if id in nested.levels:
                begin, end = frame(id)
                content = [f"    {inner}" for inner in (line, *level(id))]
                lines += [*begin, *content, end]
            else:
                lines.append(line)
        return lines

    return level(None)
