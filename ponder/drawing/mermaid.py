"""The thought graph as a Mermaid flowchart."""

from ponder.drawing.labels import inside, label_lines, short_names
from ponder.drawing.nesting import Nesting, nesting
from ponder.thoughts import Thought, ThoughtGraph, ThoughtKind

_SHAPES: dict[ThoughtKind, tuple[str, str]] = {
    "question": ("([", "])"),
    "thought": ("[", "]"),
    "verdict": ("{{", "}}"),
    "answer": ("[[", "]]"),
    "graph": ("[/", "/]"),
    "evidence": ("[(", ")]"),
}
_PLAIN = " .,:!?'()+-*/=_"
"""Marks that need no code in a label."""


def mermaid_chart(thoughts: ThoughtGraph) -> str:
    """Draw the graph as a Mermaid flowchart; nested graphs are subgraphs."""
    names = short_names(thoughts)
    lines = ["flowchart TD", *_level(thoughts, nesting(thoughts), names, None)]
    lines += [f"    {names[a]} --> {names[b]}" for a, b in thoughts.graph.edges]
    failed = [name for id, name in names.items() if thoughts.thought(id).failed]
    if failed:
        lines.append("    classDef failed stroke-dasharray: 5 5")
        lines.append(f"    class {','.join(failed)} failed")
    return "\n".join(lines)


def _level(
    thoughts: ThoughtGraph, nested: Nesting, names: dict[str, str], owner: str | None
) -> list[str]:
    """Return the nodes of a level, and those inside each of them, indented."""
    lines: list[str] = []
    for id in nested.levels.get(owner, ()):
        node = _node(thoughts.thought(id), names[id])
        if id in nested.levels:
            title = _escaped(inside(id))
            lines.append(f'    subgraph inside_{names[id]}["{title}"]')
            content = [node, *_level(thoughts, nested, names, id)]
            lines += [f"    {line}" for line in content]
            lines.append("    end")
        else:
            lines.append(node)
    return lines


def _node(thought: Thought, name: str) -> str:
    left, right = _SHAPES[thought.kind]
    label = "<br/>".join(_escaped(line) for line in label_lines(thought))
    return f'    {name}{left}"{label}"{right}'


def _escaped(text: str) -> str:
    # Letters and a few marks are safe; the rest becomes #code; as Mermaid has it.
    return "".join(c if c.isalnum() or c in _PLAIN else f"#{ord(c)};" for c in text)
