"""The thought graph of a run as text, Mermaid chart, Graphviz DOT and SVG picture.

Labels come from a model and may hold anything: whatever has a meaning in the format,
or moves the cursor of a terminal, is escaped or dropped.
"""

from collections.abc import Callable

from ponder.drawing.dot import dot_graph
from ponder.drawing.labels import label_lines, one_line, printable
from ponder.drawing.mermaid import mermaid_chart
from ponder.drawing.svg import svg_picture
from ponder.drawing.text import text_tree
from ponder.thoughts import ThoughtGraph

DRAWINGS: dict[str, Callable[[ThoughtGraph], str]] = {
    "text": text_tree,
    "mermaid": mermaid_chart,
    "dot": dot_graph,
    "svg": svg_picture,
}
"""Every drawing by its name."""

__all__ = [
    "DRAWINGS",
    "dot_graph",
    "label_lines",
    "mermaid_chart",
    "one_line",
    "printable",
    "svg_picture",
    "text_tree",
]
