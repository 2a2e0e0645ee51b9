"""Curves of a study: accuracy over tokens, coverage over the number of attempts."""

from collections.abc import Sequence
from statistics import fmean

from ponder.errors import InvalidParameter
from ponder.evals.cells import (
    RANDOM,
    Estimate,
    Setting,
    by_setting,
    mean,
    mean_tokens,
    series_label,
    short_label,
    usable,
)
from ponder.evals.record import Cell, Count, Record
from ponder.evals.report.table import accuracy, right
from ponder.evals.statistics.independence import effective_samples
from ponder.evals.statistics.pareto import pareto_front
from ponder.graphs.coverage import PowerLaw, coverage, fit_power_law
from ponder.messages import Value


class Point(Value):
    """What one cell reached for its tokens."""

    label: str
    """Strategy and verifier as a reader knows them."""
    series: str
    """The same without the number of samples: equal for all points of one line."""
    verifier: str | None
    budget_tokens: int | None
    tokens: float
    """Mean total tokens of a run."""
    accuracy: Estimate
    on_front: bool
    """Whether no other cell is as accurate for fewer tokens. Controls are left out."""


class CostCurve(Setting):
    """Accuracy over tokens on one task, all strategies and budgets."""

    points: tuple[Point, ...]
    count: Count = "total"
    """Which tokens are counted."""


class CoverageCurve(Setting):
    """Coverage over the number of attempts k of one cell."""

    label: str
    series: str
    """The label without the number of samples."""
    budget_tokens: int | None
    points: tuple[tuple[int, float], ...]
    """``(k, coverage)`` for powers of two, and the largest k that all runs reached."""
    runs: int
    """Runs with at least one attempt."""
    left_out: int
    """Runs without any."""
    law: PowerLaw | None
    """``None`` where coverage is strictly between 0 and 1 at fewer than two k."""
    selected: float
    """Accuracy of the selected answers of the same runs."""
    attempts: float
    """Mean attempts of a run."""
    effective: float | None
    """Independent attempts that scatter as much; see ``effective_samples``."""


def cost_curves(cells: Sequence[Cell], *, level: float = 0.95) -> list[CostCurve]:
    """Return one curve for each task, model and seed that has records."""
    found = []
    for setting, group in by_setting(cells).items():
        points = _points([cell for cell in group if cell.records], level)
        if points:
            place = setting.model_dump()
            found.append(CostCurve(**place, points=points, count=group[0].count))
    return found


def coverage_curves(cells: Sequence[Cell]) -> list[CoverageCurve]:
    """Return a curve for each cell of which every run made several attempts.

    Controls are left out: they sample as the strategy that they control does.
    """
    found = [coverage_curve(cell) for cell in cells if cell.verifier != RANDOM]
    return [curve for curve in found if len(curve.points) > 1]


def coverage_curve(cell: Cell) -> CoverageCurve:
    """Return the coverage of a cell, with the law fitted to it.

    The curve ends at the smallest number of attempts of any run: further on it would
    speak only of the problems that took many. Runs without attempts are left out.
    """
    tried = [record for record in cell.records if record.samples]
    counts = [(len(record.samples), right(record.samples)) for record in tried]
    most = min((n for n, _ in counts), default=0)
    points = tuple((k, coverage(counts, k)) for k in _steps(most))
    return CoverageCurve(
        task=cell.task,
        model=cell.model,
        seed=cell.seed,
        label=short_label(cell),
        series=series_label(cell),
        budget_tokens=cell.budget_tokens,
        points=points,
        runs=len(tried),
        left_out=len(cell.records) - len(tried),
        law=_law(points),
        selected=fmean(map(usable, tried)) if tried else 0.0,
        attempts=fmean(n for n, _ in counts) if counts else 0.0,
        effective=effective_samples(_outcomes(tried)),
    )


def _points(cells: Sequence[Cell], level: float) -> tuple[Point, ...]:
    rivals = [i for i, cell in enumerate(cells) if cell.verifier != RANDOM]
    reached = [(mean_tokens(cell), mean(cell, usable)) for cell in cells]
    front = {rivals[i] for i in pareto_front([reached[i] for i in rivals])}
    return tuple(
        Point(
            label=short_label(cell),
            series=series_label(cell),
            verifier=cell.verifier,
            budget_tokens=cell.budget_tokens,
            tokens=reached[i][0],
            accuracy=accuracy(cell, level),
            on_front=i in front,
        )
        for i, cell in enumerate(cells)
    )


def _steps(most: int) -> list[int]:
    """Return the powers of two up to a number, and the number."""
    powers = [2**i for i in range(most.bit_length())]
    return sorted({*powers, most} - {0})


def _law(points: Sequence[tuple[int, float]]) -> PowerLaw | None:
    try:
        return fit_power_law(points)
    except InvalidParameter:
        return None


def _outcomes(records: Sequence[Record]) -> dict[str, list[bool]]:
    """Return whether each attempt at a problem is right, over all repetitions."""
    found: dict[str, list[bool]] = {}
    for record in records:
        right_or_not = [attempt.correct is True for attempt in record.samples]
        found.setdefault(record.problem, []).extend(right_or_not)
    return found
