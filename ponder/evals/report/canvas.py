"""How plots look: colours, labels beside their lines, PNG and SVG from one figure.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which people
with any colour vision tell apart; markers differ as well, for print in grey.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ponder.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
GREY = "#8a8a8a"
LABEL_SIZE = 8.5
DPI = 160


@dataclass(frozen=True)
class Style:
    """How one series is drawn wherever it appears."""

    colour: str
    marker: str


@dataclass(frozen=True)
class Label:
    """A text that belongs to a point of the plot."""

    text: str
    x: float
    y: float
    colour: str


@dataclass(frozen=True)
class Rendered:
    """A figure in both formats."""

    png: bytes
    svg: bytes


def styles(labels: Iterable[str], first: str = "") -> dict[str, Style]:
    """Give each label a style of its own.

    There are 7 colours and 9 markers, so that 63 styles differ in one or the other.

    Args:
        labels: In the order of the study; they may repeat.
        first: What the labels that come first, in black, begin with.
    """
    ordered = sorted(dict.fromkeys(labels), key=lambda it: not it.startswith(first))
    return {
        label: Style(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
        for i, label in enumerate(ordered)
    }


@contextmanager
def canvas(width: float, height: float) -> Iterator[tuple["Figure", "Axes"]]:
    """Give an empty figure with one pair of axes, in inches.

    No state of pyplot is touched, and nothing is shown.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "evals", "Drawing plots") from error
    with matplotlib.rc_context(
        {
            "font.size": 10,
            "font.family": "DejaVu Sans",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.grid": True,
            "grid.color": "#e6e6e6",
            "grid.linewidth": 0.7,
            "axes.axisbelow": True,
            "xtick.minor.visible": False,
            # The same study gives the same bytes.
            "svg.hashsalt": "ponder",
        }
    ):
        figure = Figure(figsize=(width, height), dpi=DPI)
        FigureCanvasAgg(figure)
        yield figure, figure.add_subplot()


def rendered(figure: "Figure") -> Rendered:
    """Return a figure as PNG and SVG."""
    return Rendered(png=_saved(figure, "png"), svg=_saved(figure, "svg", Date=None))


def write_labels(axes: "Axes", labels: Sequence[Label]) -> None:
    """Write labels to the right of the axes, each near its point, none on another.

    A dotted line leads from each point to its label.
    """
    ordered = sorted(labels, key=lambda label: label.y)
    height = axes.get_window_extent().height
    points = [axes.transData.transform((0.5, label.y))[1] for label in ordered]
    bottom = axes.get_window_extent().y0
    row = 1.35 * LABEL_SIZE * DPI / 72
    places = spread([(y - bottom) / height for y in points], row / height)
    for label, place in zip(ordered, places, strict=True):
        axes.annotate(
            label.text,
            xy=(label.x, label.y),
            xytext=(1.03, place),
            textcoords="axes fraction",
            va="center",
            fontsize=LABEL_SIZE,
            color=label.colour,
            annotation_clip=False,
            parse_math=False,
            arrowprops={
                "arrowstyle": "-",
                "color": label.colour,
                "linewidth": 0.8,
                "linestyle": ":",
                "shrinkA": 1,
                "shrinkB": 5,
                "relpos": (0, 0.5),
            },
        )


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Move ascending positions apart, as little as needed.

    The sum of the squares of the moves is least: after the gaps are taken out, it is
    an isotonic regression, solved by pooling neighbours that are in each other's way.

    Args:
        wanted: Positions in ascending order.
        gap: Least distance of neighbours.
    """
    pools: list[list[float]] = []
    for i, position in enumerate(wanted):
        pools.append([position - i * gap])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    flat = [_mean(pool) for pool in pools for _ in pool]
    return [place + i * gap for i, place in enumerate(flat)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _saved(figure: "Figure", format: str, **metadata: None) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format, bbox_inches="tight", metadata=metadata)
    return buffer.getvalue()
