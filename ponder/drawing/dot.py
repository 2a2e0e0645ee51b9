"""The thought graph in the language of Graphviz."""

from ponder.drawing.labels import inside, label_lines, short_names
from ponder.drawing.nesting import Nesting, nesting
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
    lines += _level(thoughts, nesting(thoughts), names, None)
    lines += [f"    {names[a]} -> {names[b]};" for a, b in thoughts.graph.edges]
    return "\n".join([*lines, "}"])


def _level(
    thoughts: ThoughtGraph, nested: Nesting, names: dict[str, str], owner: str | None
) -> list[str]:
    """Return the nodes of a level, and those inside each of them, indented."""
    lines: list[str] = []
    for id in nested.levels.get(owner, ()):
        node = _node(thoughts.thought(id), names[id])
        if id in nested.levels:
            lines.append(f"    subgraph cluster_{names[id]} {{")
            lines.append(f'        label="{_escaped(inside(id))}"; style=rounded;')
            content = [node, *_level(thoughts, nested, names, id)]
            lines += [f"    {line}" for line in content]
            lines.append("    }")
        else:
            lines.append(node)
    return lines


def _node(thought: Thought, name: str) -> str:
    style = ", style=dashed" if thought.failed else ""
    label = "\\n".join(_escaped(line) for line in label_lines(thought))
    return f'    {name} [shape={_SHAPES[thought.kind]}{style}, label="{label}"];'


def _escaped(text: str) -> str:
    # Graphviz reads HTML entities in labels, so that & must be one.
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
