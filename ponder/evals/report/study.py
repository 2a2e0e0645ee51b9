"""All that a report tells, computed once from the cells of a study."""

from collections.abc import Sequence

from ponder.evals.record import Cell
from ponder.evals.report.allocation import Allocation, allocations
from ponder.evals.report.comparison import Comparison, comparisons
from ponder.evals.report.controls import (
    ControlRow,
    Uncontrolled,
    control_rows,
    without_control,
)
from ponder.evals.report.curves import (
    CostCurve,
    CoverageCurve,
    cost_curves,
    coverage_curves,
)
from ponder.evals.report.table import Row, table
from ponder.evals.report.verifiers import VerifierRow, verifier_rows
from ponder.messages import Value


class Study(Value):
    """The results of a study."""

    level: float
    """Confidence of all intervals."""
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    costs: tuple[CostCurve, ...]
    coverages: tuple[CoverageCurve, ...]
    verifiers: tuple[VerifierRow, ...]
    controls: tuple[ControlRow, ...]
    uncontrolled: tuple[Uncontrolled, ...]
    """Strategies with a verifier that no random control was run for."""
    allocations: tuple[Allocation, ...] = ()
    """Of tasks on which retrieval ran in configurations enough."""


def analyse(cells: Sequence[Cell], *, level: float = 0.95) -> Study:
    """Return the results of a study.

    Args:
        cells: The study; cells without records count as not run.
        level: Confidence of all intervals, and 1 less the chance of any wrong verdict
            among the comparisons, and among the controls.
    """
    return Study(
        level=level,
        rows=tuple(table(cells, level=level)),
        comparisons=tuple(comparisons(cells, level=level)),
        costs=tuple(cost_curves(cells, level=level)),
        coverages=tuple(coverage_curves(cells)),
        verifiers=tuple(verifier_rows(cells, level=level)),
        controls=tuple(control_rows(cells, level=level)),
        uncontrolled=tuple(without_control(cells)),
        allocations=tuple(allocations(cells)),
    )
