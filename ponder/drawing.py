"""The thought graph of a run as text, as a Mermaid chart and as Graphviz DOT.

Labels come from a model and may hold anything: whatever has a meaning in the format,
or moves the cursor of a terminal, is escaped or dropped.
"""

import string
import textwrap
import unicodedata
from collections.abc import Callable, Iterator

from ponder.thoughts import Thought, ThoughtGraph, ThoughtKind

LABEL_WIDTH, LABEL_LINES = 40, 4
"""Characters in a line, and lines, of a label in a picture."""

_INVISIBLE = {"Cc", "Cf", "Cs"}
"""Unicode categories: control, format and surrogate characters."""
_JOINERS = "\u200c\u200d"
"""Format characters that scripts and emoji need."""

_MERMAID_SHAPES: dict[ThoughtKind, tuple[str, str]] = {
    "question": ("([", "])"),
    "thought": ("[", "]"),
    "verdict": ("{{", "}}"),
    "answer": ("[[", "]]"),
    "graph": ("[/", "/]"),
}
_DOT_SHAPES: dict[ThoughtKind, str] = {
    "question": "oval",
    "thought": "box",
    "verdict": "hexagon",
    "answer": "doubleoctagon",
    "graph": "folder",
}
_PLAIN_IN_MERMAID = " .,:!?'()+-*/=_"


def printable(text: str, keep: str = "\n\t") -> str:
    """Return a text without control characters, so that a terminal is safe from it.

    Args:
        text: Anything, such as what a model wrote.
        keep: Control characters that stay.
    """
    return "".join(
        c
        for c in text
        if c in keep or c in _JOINERS or unicodedata.category(c) not in _INVISIBLE
    )


def one_line(text: str, width: int | None = None) -> str:
    """Return a text in one line, shortened to ``width`` columns of a terminal."""
    line = " ".join(printable(text, keep=string.whitespace).split())
    if width is None or _columns(line) <= width:
        return line
    while line and _columns(line) > width - 1:
        line = line[:-1]
    return f"{line}…"


def text_tree(thoughts: ThoughtGraph, width: int = 80) -> str:
    """Draw the graph as an indented tree.

    A thought with several parents is drawn below the first one, and only named below
    the others.

    Args:
        thoughts: The graph.
        width: Columns of the terminal; longer lines are shortened.
    """
    lines: list[str] = []
    for indent, id, parent, repeated in _walk(thoughts):
        text = _named(thoughts.thought(id), parent)
        line = indent + (f"{text} (see above)" if repeated else text)
        lines.append(one_line_indented(line, len(indent), width))
    return "\n".join(lines)


def one_line_indented(line: str, indent: int, width: int) -> str:
    """Shorten a line but never its indent, which ``one_line`` would collapse."""
    return line[:indent] + one_line(line[indent:], max(8, width - indent))


def mermaid(thoughts: ThoughtGraph) -> str:
    """Draw the graph as a Mermaid flowchart."""
    names = _short_names(thoughts)
    lines = ["flowchart TD"]
    for id, name in names.items():
        thought = thoughts.thought(id)
        left, right = _MERMAID_SHAPES[thought.kind]
        label = "<br/>".join(_mermaid_text(line) for line in label_lines(thought))
        lines.append(f'    {name}{left}"{label}"{right}')
    lines += [f"    {names[a]} --> {names[b]}" for a, b in thoughts.graph.edges]
    failed = [name for id, name in names.items() if thoughts.thought(id).failed]
    if failed:
        lines.append("    classDef failed stroke-dasharray: 5 5")
        lines.append(f"    class {','.join(failed)} failed")
    return "\n".join(lines)


def dot(thoughts: ThoughtGraph) -> str:
    """Draw the graph in the language of Graphviz."""
    names = _short_names(thoughts)
    lines = ["digraph thoughts {", "    rankdir=TB;"]
    for id, name in names.items():
        thought = thoughts.thought(id)
        style = ", style=dashed" if thought.failed else ""
        label = "\\n".join(_dot_text(line) for line in label_lines(thought))
        lines.append(
            f'    {name} [shape={_DOT_SHAPES[thought.kind]}{style}, label="{label}"];'
        )
    lines += [f"    {names[a]} -> {names[b]};" for a, b in thoughts.graph.edges]
    return "\n".join([*lines, "}"])


DRAWINGS: dict[str, Callable[[ThoughtGraph], str]] = {
    "text": text_tree,
    "mermaid": mermaid,
    "dot": dot,
}
"""Every drawing by its name."""


def label_lines(thought: Thought) -> list[str]:
    """Return the lines of a thought's label in a picture, not escaped yet."""
    wrapped = textwrap.wrap(
        one_line(thought.label),
        LABEL_WIDTH,
        max_lines=LABEL_LINES,
        placeholder=" …",
    )
    head = [] if thought.kind in ("question", "answer") else [one_line(thought.id)]
    return [*head, *wrapped] or [thought.kind]


def _walk(thoughts: ThoughtGraph) -> Iterator[tuple[str, str, str, bool]]:
    """Yield (indent, thought, parent, drawn before) in the order of the lines."""
    graph = thoughts.graph
    roots = [id for id in graph if graph.in_degree(id) == 0]
    drawn: set[str] = set()
    # The rest stands for thoughts on a circle, which no root leads to.
    for start in (*roots, *graph):
        if start in drawn:
            continue
        # Not recursive: a chain of thoughts may be deeper than Python's stack.
        stack = [("", "", start, "")]
        while stack:
            indent, below, id, parent = stack.pop()
            repeated = id in drawn
            yield indent, id, parent, repeated
            drawn.add(id)
            children = [] if repeated else list(graph.successors(id))
            for child in reversed(children):
                last = child == children[-1]
                stack.append(
                    (
                        below + ("└─ " if last else "├─ "),
                        below + ("   " if last else "│  "),
                        child,
                        id,
                    )
                )


def _named(thought: Thought, parent: str) -> str:
    name = thought.id.removeprefix(f"{parent}/") if parent else thought.id
    score = ""
    if thought.kind != "verdict" and thought.score is not None:
        score = f" ({thought.score:.2f})"
    failed = "failed: " if thought.failed else ""
    if thought.kind == "thought":
        # A long label is cut at its end, and a search is read by its scores.
        return f"{name}{score}: {failed}{thought.label}"
    return f"{name}: {failed}{thought.label}{score}"


def _short_names(thoughts: ThoughtGraph) -> dict[str, str]:
    """Name the nodes n0, n1 ...: an id may hold what the formats cannot read."""
    return {id: f"n{i}" for i, id in enumerate(thoughts.graph)}


def _mermaid_text(text: str) -> str:
    # Letters and a few marks are safe; the rest becomes #code; as Mermaid has it.
    return "".join(
        c if c.isalnum() or c in _PLAIN_IN_MERMAID else f"#{ord(c)};" for c in text
    )


def _dot_text(text: str) -> str:
    # Graphviz reads HTML entities in labels, so that & must be one.
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(
        0
        if unicodedata.combining(c)
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in text
    )
