"""The thought graph as a Mermaid flowchart."""

import re

from ponder.drawing.labels import inside, label_lines, short_names
from ponder.drawing.nesting import indented
from ponder.thoughts import Thought, ThoughtGraph, ThoughtKind

_SHAPES: dict[ThoughtKind, tuple[str, str]] = {
    "question": ("([", "])"),
    "thought": ("[", "]"),
    "verdict": ("{{", "}}"),
    "answer": ("[[", "]]"),
    "graph": ("[/", "/]"),
    "evidence": ("[(", ")]"),
}
_PLAIN = re.compile(r"[^\W_]|[ ,!?'(/=]|(?<!\d)\)|:(?!/)|(?<=[^\W_])[.+-](?=[^\W_])")
"""What needs no code in a label: the rest may begin a Markdown list or link, or make
letters bold."""


def mermaid_chart(thoughts: ThoughtGraph) -> str:
    """Draw the graph as a Mermaid flowchart; nested graphs are subgraphs."""
    names = short_names(thoughts)
    nodes = indented(
        thoughts,
        lambda id, thought: _node(thought, names[id]),
        lambda id: _frame(id, names[id]),
    )
    lines = ["flowchart TD", *nodes]
    lines += [f"    {names[a]} --> {names[b]}" for a, b in thoughts.graph.edges]
    failed = [name for id, name in names.items() if thoughts.thought(id).failed]
    if failed:
        lines.append("    classDef failed stroke-dasharray: 5 5")
        lines.append(f"    class {','.join(failed)} failed")
    return "\n".join(lines)


def _frame(id: str, name: str) -> tuple[tuple[str], str]:
    return (f'    subgraph inside_{name}["{_escaped(inside(id))}"]',), "    end"


def _node(thought: Thought, name: str) -> str:
    left, right = _SHAPES[thought.kind]
    label = "<br/>".join(_escaped(line) for line in label_lines(thought))
    return f'    {name}{left}"{label}"{right}'


def _escaped(text: str) -> str:
    # Letters and a few marks are safe; the rest becomes #code; as Mermaid has it.
    return "".join(
        c if _PLAIN.match(text, i) else f"#{ord(c)};" for i, c in enumerate(text)
    )
