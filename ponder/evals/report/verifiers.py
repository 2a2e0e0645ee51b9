"""How good the verifiers of a study are, over all attempts that they looked at."""

from collections.abc import Sequence
from statistics import fmean

from ponder.evals.cells import Estimate, Setting, attempts
from ponder.evals.record import Cell
from ponder.evals.statistics.interval import Interval
from ponder.evals.statistics.verifiers import (
    Judged,
    VerifierReport,
    accepted_precision,
    best_number_of_samples,
    verifier_report,
)
from ponder.messages import Value

GAIN = COST = 1.0
"""Utility of a right answer, and loss of a wrong one, where abstaining is worth 0."""
LARGEST = 64
"""Most samples that the best number is looked for in."""


class CalibrationBin(Value):
    """Attempts with similar scores."""

    score: float
    """Mean score."""
    right: float
    """Share that is right."""
    attempts: int


class VerifierRow(Setting):
    """One verifier on one task, over all attempts that it looked at."""

    verifier: str
    strategies: tuple[str, ...]
    """Specs of the strategies whose attempts these are."""
    problems: int
    attempts: int
    """Attempts whose truth is known."""
    unreadable: int
    """Attempts left out because no answer could be read from them."""
    unscored: int
    """Attempts that it gave no score; they are left out, never read as 0."""
    undecided: int
    """Attempts that it neither accepted nor refused."""
    false_positive_rate: Estimate | None
    """Share of the wrong attempts that it accepts."""
    true_positive_rate: Estimate | None
    """Share of the right attempts that it accepts."""
    precision: Estimate | None
    """Share of the accepted attempts that are right."""
    limit: float | None
    """c / (c + f): accuracy of resampling until one attempt is accepted."""
    auc: float | None
    auc_within: float | None
    """AUC among attempts at the same problem: what selection can use."""
    calibration_error: float | None
    brier: float | None
    best_samples: int | None
    """Best most number of samples, where a right answer is worth 1, a wrong one costs
    1, abstaining and sampling cost nothing; 0 means not to answer."""
    bins: tuple[CalibrationBin, ...]


def verifier_rows(cells: Sequence[Cell], *, level: float = 0.95) -> list[VerifierRow]:
    """Return one row for each task, model, seed and verifier that judged attempts.

    Args:
        cells: The study.
        level: Confidence of the intervals, which are clustered by problem.
    """
    groups: dict[tuple[str, str, int, str], list[Cell]] = {}
    for cell in cells:
        if cell.verifier is not None and _judged(cell):
            key = (cell.task, cell.model, cell.seed, cell.verifier)
            groups.setdefault(key, []).append(cell)
    return [_verifier_row(group, level) for group in groups.values()]


def _judged(cell: Cell) -> bool:
    return any(a.score is not None or a.passed is not None for a in attempts(cell))


def _verifier_row(cells: Sequence[Cell], level: float) -> VerifierRow:
    items = [item for cell in cells for item in _items(cell)]
    tried = [a for cell in cells for a in attempts(cell) if not a.failed]
    found = verifier_report(items, level=level)
    limit, best = _resampling(items, found)
    first = cells[0]
    return VerifierRow(
        task=first.task,
        model=first.model,
        seed=first.seed,
        verifier=first.verifier or "",
        strategies=tuple(dict.fromkeys(cell.strategy for cell in cells)),
        problems=len({item.problem for item in items}),
        attempts=found.candidates,
        unreadable=len(tried) - found.candidates,
        unscored=found.unscored,
        undecided=found.undecided,
        false_positive_rate=_estimate(found.false_positive_rate),
        true_positive_rate=_estimate(found.true_positive_rate),
        precision=_estimate(found.precision),
        limit=limit,
        auc=found.auc,
        auc_within=found.auc_within,
        calibration_error=found.expected_calibration_error,
        brier=found.brier,
        best_samples=best,
        bins=tuple(
            CalibrationBin(score=b.mean_score, right=b.share_correct, attempts=b.count)
            for b in found.bins
        ),
    )


def _items(cell: Cell) -> list[Judged]:
    """Return the attempts whose truth is known."""
    return [
        Judged(record.problem, attempt.score, attempt.passed, attempt.correct)
        for record in cell.records
        for attempt in record.attempts
        if attempt.correct is not None and not attempt.failed
    ]


def _resampling(
    items: Sequence[Judged], found: VerifierReport
) -> tuple[float | None, int | None]:
    """Return the limit of resampling, and the best most number of samples."""
    t, f = found.true_positive_rate, found.false_positive_rate
    if t is None or f is None:
        return None, None
    by_problem: dict[str, list[bool]] = {}
    for item in items:
        by_problem.setdefault(item.problem, []).append(item.correct)
    shares = [fmean(each) for each in by_problem.values()]
    limits = [accepted_precision(p, t.estimate, f.estimate) for p in shares]
    known = [limit for limit in limits if limit is not None]
    limit = fmean(known) if known else None
    best, _ = best_number_of_samples(
        shares, t.estimate, f.estimate, GAIN, COST, 0.0, LARGEST
    )
    return limit, best


def _estimate(found: Interval | None) -> Estimate | None:
    if found is None:
        return None
    return Estimate(value=found.estimate, low=found.low, high=found.high)
