"""The table of a study: what each cell reached, and what it cost."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from ponder.evals.cells import (
    Estimate,
    Setting,
    attempts,
    ended,
    mean,
    mean_tokens,
    problems,
    short_label,
    tally,
    tokens,
    usable,
)
from ponder.evals.record import Attempt, Cell, Record
from ponder.evals.statistics.interval import accuracy_interval
from ponder.graphs.coverage import pass_at_k
from ponder.messages import Value

NO_ROLE = "no role"
"""Tokens of a run that none of its roles accounts for."""


class Spent(Value):
    """What the runs of a cell consumed: means per run, a problem answered once."""

    tokens: float
    """Input and output tokens of all roles."""
    by_role: dict[str, float]
    """The part of ``tokens`` of each role: generator, verifier, planner ..."""
    input_tokens: float
    cached_tokens: float
    """The part of ``input_tokens`` that was served from a cache."""
    output_tokens: float
    critical_tokens: float
    """Output tokens on the longest chain of calls that wait for each other."""
    seconds: float
    """Wall time of a run, other runs being in flight."""
    cost: float | None
    """US dollars; ``None`` if the price of any run is not known."""


class Tried(Value):
    """The attempts of a cell."""

    attempts: int
    per_run: float
    right: float | None
    """pass@1: the mean share of right attempts of a run; ``None`` without attempts."""
    unreadable: int
    """No answer could be read from them."""
    truncated: int
    """Cut off at a limit."""
    failed: int
    """The model failed."""


class Row(Setting):
    """One strategy on one benchmark under one budget."""

    label: str
    """Strategy and verifier as a reader knows them."""
    strategy: str
    """Spec of the strategy."""
    verifier: str | None
    budget_tokens: int | None
    problems: int
    """Distinct problems: the clusters of the intervals."""
    runs: int
    accuracy: Estimate | None
    """Of the selected answers. Runs without a usable answer count as not correct."""
    coverage: Estimate | None
    """Share of runs with a right answer among all attempts: the most that any
    selection could reach. ``None`` if no attempt is known."""
    score: float | None
    """Mean partial credit, where the benchmark gives some (F1); 0 for a run without
    a usable answer."""
    support: float | None
    """Mean share of the passages needed that were found, where that is known."""
    unreadable: int
    """Runs that ended, but with an answer that cannot be read."""
    failed: int
    """Runs that ended with an error."""
    errors: dict[str, int]
    """What the failed runs said."""
    stop_reasons: dict[str, int]
    """Of the runs that did not fail."""
    substitutes: dict[str, int]
    """In how many runs something was used in place of a missing capability."""
    tried: Tried
    spent: Spent


def row(cell: Cell, *, level: float = 0.95) -> Row:
    """Return what one cell reached.

    Args:
        cell: The cell; it may be empty.
        level: Confidence of the intervals, which are clustered by problem.
    """
    known = ended(cell).records
    return Row(
        task=cell.task,
        label=short_label(cell),
        strategy=cell.strategy,
        verifier=cell.verifier,
        model=cell.model,
        budget_tokens=cell.budget_tokens,
        seed=cell.seed,
        problems=problems(cell),
        runs=len(cell.records),
        accuracy=accuracy(cell, level) if cell.records else None,
        coverage=_coverage(cell, level),
        score=_score(cell),
        support=_known_mean([record.support for record in known]),
        unreadable=sum(record.grade.correct is None for record in known),
        failed=len(cell.records) - len(known),
        errors=tally(r.error for r in cell.records if r.error is not None),
        stop_reasons=tally(record.stop_reason for record in known),
        substitutes=tally(s for r in cell.records for s in set(r.substitutes)),
        tried=_tried(cell),
        spent=_spent(cell),
    )


def table(cells: Sequence[Cell], *, level: float = 0.95) -> list[Row]:
    """Return one row per cell, in the order of the study."""
    return [row(cell, level=level) for cell in cells]


def accuracy(cell: Cell, level: float) -> Estimate:
    """Return the share of runs with a right answer.

    Raises:
        InvalidParameter: There are no records.
    """
    return estimate(cell, [usable(record) for record in cell.records], level)


def estimate(cell: Cell, outcomes: Sequence[float], level: float) -> Estimate:
    """Return the mean of one outcome per record, its interval clustered by problem.

    Raises:
        InvalidParameter: There are no records.
    """
    clusters = [record.problem for record in cell.records]
    found = accuracy_interval(outcomes, clusters, level)
    return Estimate(value=found.estimate, low=found.low, high=found.high)


def right(attempts: Iterable[Attempt]) -> int:
    """Return the number of right attempts."""
    return sum(attempt.correct is True for attempt in attempts)


def _coverage(cell: Cell, level: float) -> Estimate | None:
    if not attempts(cell):
        return None
    return estimate(cell, [float(right(r.attempts) > 0) for r in cell.records], level)


def _score(cell: Cell) -> float | None:
    if all(record.grade.score is None for record in cell.records):
        return None
    return mean(cell, lambda record: record.grade.score or 0.0)


def _known_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _tried(cell: Cell) -> Tried:
    tried = [attempt for record in cell.records for attempt in record.samples]
    counts = [(len(r.samples), right(r.samples)) for r in cell.records if r.samples]
    return Tried(
        attempts=len(tried),
        per_run=mean(cell, lambda record: len(record.samples)),
        right=fmean(pass_at_k(n, c, 1) for n, c in counts) if counts else None,
        unreadable=sum(a.correct is None and not a.failed for a in tried),
        truncated=sum(attempt.truncated for attempt in tried),
        failed=sum(attempt.failed for attempt in tried),
    )


def _spent(cell: Cell) -> Spent:
    known = ended(cell)
    return Spent(
        tokens=mean_tokens(cell),
        by_role=_by_role(known),
        input_tokens=mean(known, lambda r: r.usage.input_tokens),
        cached_tokens=mean(known, lambda r: r.usage.cached_tokens),
        output_tokens=mean(known, lambda r: r.usage.output_tokens),
        critical_tokens=mean(known, lambda r: r.critical_tokens),
        seconds=mean(known, lambda r: r.usage.seconds),
        cost=_cost(cell.records),
    )


def _by_role(cell: Cell) -> dict[str, float]:
    sums: dict[str, float] = {}
    counted = tokens(cell)
    for record in cell.records:
        named = {
            role: counted(record.model_copy(update={"usage": usage}))
            for role, usage in record.roles.items()
        }
        named[NO_ROLE] = counted(record) - sum(named.values())
        for role, spent in named.items():
            sums[role] = sums.get(role, 0) + spent
    runs = len(cell.records)
    ordered = sorted(sums.items(), key=lambda item: item[0] == NO_ROLE)
    return {role: spent / runs for role, spent in ordered if spent}


def _cost(records: Sequence[Record]) -> float | None:
    """Return the mean cost; a run that made no call cost nothing."""
    costs = [0.0 if r.usage.calls == 0 else r.usage.cost for r in records]
    known = [cost for cost in costs if cost is not None]
    return fmean(known) if known and len(known) == len(costs) else None
