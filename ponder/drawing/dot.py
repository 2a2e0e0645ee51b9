"""The thought graph in the language of Graphviz."""

from ponder.drawing.labels import inside, label_lines, short_names
from ponder.drawing.nesting import indented
from ponder.thoughts import Thought, ThoughtGraph, ThoughtKind

_SHAPES: dict[ThoughtKind, str] = {
    "question": "oval",
    "thought": "box",
    "verdict": "hexagon",
    "answer": "doubleoctagon",
    "graph": "folder",
    "evidence": "note",
}


def dot_graph(thoughts: ThoughtGraph) -> str:
    """Draw the graph in the language of Graphviz; nested graphs are clusters."""
    names = short_names(thoughts)
    lines = ["digraph thoughts {", "    rankdir=TB;"]
    lines += indented(
        thoughts,
        lambda id, thought: _node(thought, names[id]),
        lambda id: _frame(id, names[id]),
    )
    lines += [f"    {names[a]} -> {names[b]};" for a, b in thoughts.graph.edges]
    return "\n".join([*lines, "}"])


def _frame(id: str, name: str) -> tuple[tuple[str, str], str]:
    label = f'        label="{_escaped(inside(id))}"; style=rounded;'
    return (f"    subgraph cluster_{name} {{", label), "    }"


def _node(thought: Thought, name: str) -> str:
    style = ", style=dashed" if thought.failed else ""
    label = "\\n".join(_escaped(line) for line in label_lines(thought))
    return f'    {name} [shape={_SHAPES[thought.kind]}{style}, label="{label}"];'


def _escaped(text: str) -> str:
    # Graphviz reads HTML entities in labels, so that & must be one.
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
