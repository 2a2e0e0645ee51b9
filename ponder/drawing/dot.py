"""The thought graph in the language of Graphviz."""

from ponder.drawing.labels import label_lines, short_names
from ponder.thoughts import ThoughtGraph, ThoughtKind

_SHAPES: dict[ThoughtKind, str] = {
    "question": "oval",
    "thought": "box",
    "verdict": "hexagon",
    "answer": "doubleoctagon",
    "graph": "folder",
    "evidence": "note",
}


def dot_graph(thoughts: ThoughtGraph) -> str:
    """Draw the graph in the language of Graphviz."""
    names = short_names(thoughts)
    lines = ["digraph thoughts {", "    rankdir=TB;"]
    for id, name in names.items():
        thought = thoughts.thought(id)
        style = ", style=dashed" if thought.failed else ""
        label = "\\n".join(_escaped(line) for line in label_lines(thought))
        lines.append(
            f'    {name} [shape={_SHAPES[thought.kind]}{style}, label="{label}"];'
        )
    lines += [f"    {names[a]} -> {names[b]};" for a, b in thoughts.graph.edges]
    return "\n".join([*lines, "}"])


def _escaped(text: str) -> str:
    # Graphviz reads HTML entities in labels, so that & must be one.
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
