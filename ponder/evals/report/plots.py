"""The plots of a study: accuracy over tokens, coverage over k, calibration."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from ponder.evals.cells import BASELINE, RANDOM, Setting
from ponder.evals.report.canvas import (
    GREY,
    LABEL_SIZE,
    Label,
    Rendered,
    Style,
    canvas,
    rendered,
    styles,
    write_labels,
)
from ponder.evals.report.curves import CostCurve, CoverageCurve, Point
from ponder.evals.report.study import Study
from ponder.evals.report.verifiers import VerifierRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["cost", "coverage", "calibration"]

COUNTED = {"total": "input and output", "computed": "computed ones"}
"""Which tokens are on the axis."""
WIDTH, HEIGHT = 7.0, 4.6
"""Inches, without the labels at the right."""


@dataclass(frozen=True)
class Plot:
    """One drawing, as PNG and as SVG."""

    kind: Kind
    place: tuple[str, str, int]
    """Task, model and seed."""
    name: str
    """Of the files, without ending."""
    png: bytes
    svg: bytes


def plots(study: Study) -> list[Plot]:
    """Draw all that a study has to show: for each task, model and seed, up to three.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    made: list[Plot] = []
    for number, curve in enumerate(study.costs, start=1):
        stem = f"{number:02d}-{slug(curve.task)}"
        coverages = distinct(c for c in study.coverages if c.place == curve.place)
        judges = [v for v in study.verifiers if v.place == curve.place and v.bins]
        if any(point.tokens for point in curve.points):
            made.append(_plot("cost", curve, stem, cost_figure(curve)))
        if coverages:
            made.append(_plot("coverage", curve, stem, coverage_figure(coverages)))
        if judges:
            made.append(_plot("calibration", curve, stem, calibration_figure(judges)))
    return made


def slug(text: str) -> str:
    """Return text as a part of a file name: ``calendar:people=3`` without signs."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "task"


def distinct(curves: Iterable[CoverageCurve]) -> list[list[CoverageCurve]]:
    """Return the longest curve of each series, those with equal points together.

    Strategies that sample alike and differ in how they select have the same coverage.
    """
    longest: dict[str, CoverageCurve] = {}
    for curve in curves:
        rival = longest.get(curve.series)
        if rival is None or curve.points[-1][0] > rival.points[-1][0]:
            longest[curve.series] = curve
    alike: dict[tuple[tuple[int, float], ...], list[CoverageCurve]] = {}
    for curve in longest.values():
        alike.setdefault(curve.points, []).append(curve)
    return list(alike.values())


def _plot(kind: Kind, place: Setting, stem: str, figure: Rendered) -> Plot:
    return Plot(kind, place.place, f"{stem}-{kind}", figure.png, figure.svg)


def cost_figure(curve: CostCurve) -> Rendered:
    """Draw accuracy over mean total tokens, with intervals and the Pareto front.

    Args:
        curve: The points of one task, one with tokens at least.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    # Where all runs failed no tokens were used: 0 has no place on a log scale.
    shown = [point for point in curve.points if point.tokens > 0]
    look = styles((point.series for point in shown), first=BASELINE)
    with canvas(WIDTH, HEIGHT) as (figure, axes):
        _front(axes, [point for point in shown if point.on_front])
        ordered = sorted(shown, key=lambda p: (p.series, p.tokens))
        labels = [
            _series(axes, list(points), look[series])
            for series, points in groupby(ordered, key=lambda p: p.series)
        ]
        _token_axis(axes, [point.tokens for point in shown])
        axes.set_xlabel(f"Tokens per problem, {COUNTED[curve.count]} (log scale)")
        axes.set_ylabel("Accuracy (%)")
        axes.set_title(f"{_literal(curve.task)}: accuracy over tokens")
        write_labels(axes, labels)
        return rendered(figure)


def coverage_figure(groups: Sequence[Sequence[CoverageCurve]]) -> Rendered:
    """Draw coverage over the number of attempts k, with the fitted laws.

    Args:
        groups: Curves of one task, one at least; those of a group have the same points,
            so they are drawn as one line.
    """
    leaders = [group[0] for group in groups]
    look = styles((curve.label for curve in leaders), first=BASELINE)
    labels: list[Label] = []
    with canvas(WIDTH, HEIGHT) as (figure, axes):
        for group in groups:
            style = look[group[0].label]
            _coverage(axes, group[0], style)
            k, share = group[0].points[-1]
            labels += [Label(c.label, k, 100 * share, style.colour) for c in group]
        most = max(curve.points[-1][0] for curve in leaders)
        ticks = [2**i for i in range(most.bit_length())]
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [str(k) for k in ticks])
        axes.set_xlabel("Attempts k (log scale)")
        axes.set_ylabel("Problems with a right attempt among k (%)")
        law = r"$\log c = a\,k^b$"
        axes.set_title(f"{_literal(leaders[0].task)}: coverage, and its law {law}")
        write_labels(axes, labels)
        return rendered(figure)


def calibration_figure(curves: Sequence[VerifierRow]) -> Rendered:
    """Draw how often attempts are right, over the score that they were given.

    Args:
        curves: One for each verifier of a task, one at least.
    """
    look = styles(curve.verifier for curve in curves)
    with canvas(HEIGHT, HEIGHT) as (figure, axes):
        # On top: the line of a perfect verifier would hide it.
        ends = [0, 100]
        axes.plot(ends, ends, color=GREY, linewidth=1.2, linestyle="--", zorder=2.5)
        labels = [Label("calibrated", 100, 100, GREY)]
        for curve in curves:
            labels.append(_calibration(axes, curve, look[curve.verifier]))
        axes.set(xlim=(-3, 103), ylim=(-3, 103), aspect="equal")
        axes.set_xlabel("Score of the verifier (%)")
        axes.set_ylabel("Attempts that are right (%)")
        axes.set_title(f"{_literal(curves[0].task)}: calibration (area: attempts)")
        write_labels(axes, labels)
        return rendered(figure)


def _literal(text: str) -> str:
    r"""Return text for a title, where ``$`` would begin a formula."""
    return text.replace("$", r"\$")


def _series(axes: "Axes", points: Sequence[Point], style: Style) -> Label:
    control = points[0].verifier == RANDOM
    colour = GREY if control else style.colour
    x = [point.tokens for point in points]
    y = [100 * point.accuracy.value for point in points]
    below = [100 * (p.accuracy.value - p.accuracy.low) for p in points]
    above = [100 * (p.accuracy.high - p.accuracy.value) for p in points]
    axes.errorbar(
        x, y, (below, above), fmt="none", ecolor=colour, elinewidth=1, alpha=0.35
    )
    axes.plot(
        x,
        y,
        color=colour,
        marker=style.marker,
        markersize=5.5,
        linewidth=1.4,
        linestyle="--" if control else "-",
    )
    one = len({point.label for point in points}) == 1
    label = points[0].label if one else points[0].series
    return Label(label, x[-1], y[-1], colour)


def _front(axes: "Axes", front: Sequence[Point]) -> None:
    ordered = sorted(front, key=lambda point: point.tokens)
    axes.step(
        [point.tokens for point in ordered],
        [100 * point.accuracy.value for point in ordered],
        where="post",
        color="#d9d9d9",
        linewidth=6,
        solid_joinstyle="round",
        solid_capstyle="round",
        zorder=1,
        label="Pareto front",
    )
    # Above the axes, where it hides no point.
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        borderaxespad=0.2,
        frameon=False,
        fontsize=LABEL_SIZE,
        handlelength=1.4,
    )


def _token_axis(axes: "Axes", tokens: Sequence[float]) -> None:
    """Make x logarithmic, with some round numbers as ticks however wide it is."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = min(tokens) / 1.35, max(tokens) * 1.35
    digits = (1.0, 2.0, 5.0) if high > 8 * low else (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(subs=digits))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 2 else f"{x:g}")
    )


def _coverage(axes: "Axes", curve: CoverageCurve, style: Style) -> None:
    k = [k for k, _ in curve.points]
    axes.plot(
        k,
        [100 * c for _, c in curve.points],
        color=style.colour,
        marker=style.marker,
        markersize=5.5,
        linestyle="none",
    )
    if curve.law is None:
        return
    steps = [k[0] * (k[-1] / k[0]) ** (i / 60) for i in range(61)]
    axes.plot(
        steps,
        [100 * curve.law.coverage(step) for step in steps],
        color=style.colour,
        linewidth=1.3,
    )


def _calibration(axes: "Axes", curve: VerifierRow, style: Style) -> Label:
    x = [100 * found.score for found in curve.bins]
    y = [100 * found.right for found in curve.bins]
    most = max(found.attempts for found in curve.bins)
    axes.plot(x, y, color=style.colour, linewidth=1.3)
    axes.scatter(
        x,
        y,
        # Areas tell how many attempts a bin holds.
        s=[15 + 105 * found.attempts / most for found in curve.bins],
        color=style.colour,
        marker=style.marker,
        zorder=3,
    )
    return Label(curve.verifier, x[-1], y[-1], style.colour)
