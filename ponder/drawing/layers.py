"""Which thoughts stand in one row of a picture, and in what order.

The first half of a layered drawing (Sugiyama, Tagawa and Toda, 1981,
https://doi.org/10.1109/TSMC.1981.4308636): circles are opened, every thought is put
below its lowest parent, edges over several rows get a place in each, and rows are
ordered by the places of the parents.
"""

from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

Slot = str | tuple[str, str, int]
"""A thought, or the place in a row where the edge from one to another passes."""

MAX_BENDS = 1000
"""Places for edges over several rows; what is beyond is drawn behind the boxes."""


@dataclass(frozen=True)
class Layers:
    """Rows from the top, each from the left."""

    rows: list[list[Slot]]
    links: "nx.DiGraph[Slot]"
    """Edges from one row to the next, including those between bends."""
    chains: dict[tuple[str, str], list[Slot]]
    """By edge: its two thoughts and the bends between them, in its direction."""


def layered(graph: "nx.DiGraph[str]") -> Layers:
    """Put the nodes of any directed graph into rows.

    Args:
        graph: The graph. It may have circles; a loop at one node has no chain.
    """
    closing = _closing_edges(graph)
    acyclic: nx.DiGraph[str] = nx.DiGraph()
    acyclic.add_nodes_from(graph)
    for a, b in graph.edges:
        if a != b:
            acyclic.add_edge(*((b, a) if (a, b) in closing else (a, b)))
    generations = [list(row) for row in nx.topological_generations(acyclic)]
    downward = _chains(acyclic, generations)
    chains = {
        (a, b): downward[b, a][::-1] if (a, b) in closing else downward[a, b]
        for a, b in graph.edges
        if a != b
    }
    links = _links(generations, list(downward.values()))
    return Layers(_ordered(links), links, chains)


def _closing_edges(graph: "nx.DiGraph[str]") -> set[tuple[str, str]]:
    """Return the edges that lead back to where a depth-first search came from."""
    closing: set[tuple[str, str]] = set()
    entered: set[str] = set()
    for a, b, direction in nx.dfs_labeled_edges(graph):
        if direction == "forward":
            entered.add(b)
        elif direction == "reverse":
            entered.discard(b)
        elif b in entered:
            closing.add((a, b))
    return closing


def _chains(
    acyclic: "nx.DiGraph[str]", generations: list[list[str]]
) -> dict[tuple[str, str], list[Slot]]:
    depth = {id: i for i, row in enumerate(generations) for id in row}
    chains: dict[tuple[str, str], list[Slot]] = {}
    left = MAX_BENDS
    for a, b in acyclic.edges:
        bends: list[Slot] = [(a, b, i) for i in range(depth[a] + 1, depth[b])]
        if len(bends) > left:
            bends = []
        left -= len(bends)
        chains[a, b] = [a, *bends, b]
    return chains


def _links(
    generations: list[list[str]], chains: list[list[Slot]]
) -> "nx.DiGraph[Slot]":
    links: nx.DiGraph[Slot] = nx.DiGraph()
    for i, row in enumerate(generations):
        links.add_nodes_from(row, row=i)
    for chain in chains:
        links.add_nodes_from((bend, {"row": bend[2]}) for bend in chain[1:-1])
        links.add_edges_from(
            (a, b)
            for a, b in pairwise(chain)
            if links.nodes[b]["row"] == links.nodes[a]["row"] + 1
        )
    return links


def _ordered(links: "nx.DiGraph[Slot]") -> list[list[Slot]]:
    """Order each row by the mean place of the parents, and siblings as they came."""
    rows: dict[int, list[Slot]] = {}
    # Depth first, so that the trees of a forest stand side by side.
    for slot in nx.dfs_preorder_nodes(links):
        rows.setdefault(links.nodes[slot]["row"], []).append(slot)
    place: dict[Slot, float] = {}
    for i in sorted(rows):
        if i > 0:
            rows[i].sort(key=lambda slot: _mean_place(place, links.pred[slot]))
        place = {slot: float(j) for j, slot in enumerate(rows[i])}
    return [rows[i] for i in sorted(rows)]


def _mean_place(place: dict[Slot, float], parents: "nx.DiGraph[Slot]") -> float:
    return sum(place[p] for p in parents) / len(parents)
