"""The thought graph as a Mermaid flowchart."""

from ponder.drawing.labels import label_lines, short_names
from ponder.thoughts import ThoughtGraph, ThoughtKind

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
    """Draw the graph as a Mermaid flowchart."""
    names = short_names(thoughts)
    lines = ["flowchart TD"]
    for id, name in names.items():
        thought = thoughts.thought(id)
        left, right = _SHAPES[thought.kind]
        label = "<br/>".join(_escaped(line) for line in label_lines(thought))
        lines.append(f'    {name}{left}"{label}"{right}')
    lines += [f"    {names[a]} --> {names[b]}" for a, b in thoughts.graph.edges]
    failed = [name for id, name in names.items() if thoughts.thought(id).failed]
    if failed:
        lines.append("    classDef failed stroke-dasharray: 5 5")
        lines.append(f"    class {','.join(failed)} failed")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    # Letters and a few marks are safe; the rest becomes #code; as Mermaid has it.
    return "".join(c if c.isalnum() or c in _PLAIN else f"#{ord(c)};" for c in text)
