"""What a strategy owes to its verifier: the same strategy with random scores."""

from collections.abc import Sequence
from statistics import fmean

from ponder.evals.cells import (
    RANDOM,
    Estimate,
    Setting,
    per_problem,
    shared,
    short_label,
)
from ponder.evals.record import Cell
from ponder.evals.report.comparison import Word, verdict
from ponder.evals.statistics.control import random_choice_accuracy
from ponder.evals.statistics.multiplicity import holm
from ponder.evals.statistics.paired import Difference, paired_difference


class ControlRow(Setting):
    """A strategy with a verifier, and with random scores in its place."""

    label: str
    verifier: str
    budget_tokens: int | None
    problems: int
    accuracy: float
    random_accuracy: float
    """Measured with random scores."""
    blind_choice: float
    """Expected of picking one of the control's attempts blindly."""
    difference: Estimate
    p_value: float
    p_corrected: float
    """Corrected after Holm for all controls of the study."""
    verdict: Word
    note: str


class Uncontrolled(Setting):
    """A strategy with a verifier that has no random control."""

    label: str
    budget_tokens: int | None


def control_rows(cells: Sequence[Cell], *, level: float = 0.95) -> list[ControlRow]:
    """Pair every cell that has a verifier with its random control, where it has one.

    Args:
        cells: The study.
        level: Confidence of the intervals.
    """
    controls = {_place(cell): cell for cell in cells if cell.verifier == RANDOM}
    pairs = [
        (cell, controls[_place(cell)])
        for cell in cells
        if cell.verifier not in (None, RANDOM) and _place(cell) in controls
    ]
    pairs = [(c, r) for c, r in pairs if shared(per_problem(c), per_problem(r))[0]]
    found = [
        paired_difference(per_problem(cell), per_problem(control), level)
        for cell, control in pairs
    ]
    corrected = holm([each.p_value for each in found])
    return [
        _row(cell, control, each, p)
        for (cell, control), each, p in zip(pairs, found, corrected, strict=True)
    ]


def without_control(cells: Sequence[Cell]) -> list[Uncontrolled]:
    """Return the strategies with a verifier that no control was run for."""
    controls = {_place(cell) for cell in cells if cell.verifier == RANDOM}
    return [
        Uncontrolled(
            task=cell.task,
            model=cell.model,
            seed=cell.seed,
            label=short_label(cell),
            budget_tokens=cell.budget_tokens,
        )
        for cell in cells
        if cell.verifier not in (None, RANDOM) and _place(cell) not in controls
    ]


def _place(cell: Cell) -> tuple[object, ...]:
    """Return all that a cell and its control have in common."""
    return cell.task, cell.model, cell.seed, cell.strategy, cell.budget_tokens


def _row(cell: Cell, control: Cell, found: Difference, p: float) -> ControlRow:
    gap = Estimate(value=found.estimate, low=found.low, high=found.high)
    word, note = verdict(gap, p, found.level)
    mine, random = shared(per_problem(cell), per_problem(control))
    return ControlRow(
        task=cell.task,
        model=cell.model,
        seed=cell.seed,
        label=short_label(cell),
        verifier=cell.verifier or "",
        budget_tokens=cell.budget_tokens,
        problems=found.problems,
        accuracy=fmean(mine.values()),
        random_accuracy=fmean(random.values()),
        blind_choice=_blind(control),
        difference=gap,
        p_value=found.p_value,
        p_corrected=p,
        verdict=word,
        note=note,
    )


def _blind(control: Cell) -> float:
    return random_choice_accuracy(
        [[a.correct is True for a in r.attempts] for r in control.records]
    )
