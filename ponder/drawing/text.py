"""The thought graph as an indented tree for a terminal."""

from collections.abc import Iterator

from ponder.drawing.labels import one_line, score_text
from ponder.thoughts import Thought, ThoughtGraph


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
        lines.append(_shortened(line, len(indent), width))
    return "\n".join(lines)


def _shortened(line: str, indent: int, width: int) -> str:
    # The indent stays: one_line would collapse it.
    return line[:indent] + one_line(line[indent:], max(8, width - indent))


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
    score = score_text(thought)
    failed = "failed: " if thought.failed else ""
    if thought.kind == "thought":
        # A long label is cut at its end, and a search is read by its scores.
        return f"{name}{score}: {failed}{thought.label}"
    return f"{name}: {failed}{thought.label}{score}"
