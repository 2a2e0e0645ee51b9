"""What every part of a report reads off a cell."""

import json
from collections.abc import Callable, Iterable, Mapping
from statistics import fmean
from typing import Final

from ponder.errors import InvalidInput
from ponder.evals.record import Attempt, Cell, Record
from ponder.messages import Value

BASELINE = "self_consistency"
"""What every strategy is compared with at equal total tokens."""
RANDOM: Final = "random"
"""Name of the verifier that scores at random: the control."""


class Estimate(Value):
    """A number from a sample, with its interval."""

    value: float
    low: float
    high: float


class Setting(Value):
    """What two cells must share to be compared; all rows of a report have one."""

    task: str
    model: str
    seed: int

    @property
    def place(self) -> tuple[str, str, int]:
        """Task, model and seed: equal for all rows of one setting."""
        return self.task, self.model, self.seed


def by_setting(cells: Iterable[Cell]) -> dict[Setting, list[Cell]]:
    """Return the cells of each setting, in the order of the study."""
    groups: dict[Setting, list[Cell]] = {}
    for cell in cells:
        place = Setting(task=cell.task, model=cell.model, seed=cell.seed)
        groups.setdefault(place, []).append(cell)
    return groups


def strategy_name(cell: Cell) -> str:
    """Return the name of the strategy without its parameters."""
    return cell.strategy.partition("{")[0].strip()


def parameters(cell: Cell) -> dict[str, object]:
    """Return the parameters in the spec of the strategy.

    Raises:
        InvalidInput: They are no JSON object.
    """
    _, brace, rest = cell.strategy.partition("{")
    try:
        found = json.loads(brace + rest or "{}")
    except ValueError as error:
        raise InvalidInput(
            f"The strategy '{cell.strategy}' of a cell cannot be read: {error}. "
            'Write it as name{"parameter": value}.'
        ) from error
    return dict(found)


def short_label(cell: Cell) -> str:
    """Return strategy and verifier for a reader: ``best_of_n (n=8) + judge``."""
    return _label(cell, parameters(cell))


def series_label(cell: Cell) -> str:
    """Return the label without the number of samples: ``best_of_n + judge``.

    Cells with the same one are points of one line: more samples, or a larger budget.
    """
    told = {key: value for key, value in parameters(cell).items() if key != "n"}
    return _label(cell, told)


def _label(cell: Cell, told: Mapping[str, object]) -> str:
    inside = ", ".join(f"{key}={value}" for key, value in told.items())
    label = strategy_name(cell) + (f" ({inside})" if inside else "")
    return label + (f" + {cell.verifier}" if cell.verifier else "")


def is_baseline(cell: Cell) -> bool:
    """Whether the cell is plain self-consistency."""
    return strategy_name(cell) == BASELINE and cell.verifier is None


def problems(cell: Cell) -> int:
    """Return the number of distinct problems."""
    return len({record.problem for record in cell.records})


def usable(record: Record) -> float:
    """Return 1 if the user got a right answer, else 0.

    A run that failed or whose answer cannot be read gave no right answer; how many
    did is told apart, so that it is never taken for a wrong answer.
    """
    return 1.0 if record.grade.correct is True else 0.0


def per_problem(
    cell: Cell, measure: Callable[[Record], float] = usable
) -> dict[str, float]:
    """Return the mean of a measure over the repetitions of each problem."""
    found: dict[str, list[float]] = {}
    for record in cell.records:
        found.setdefault(record.problem, []).append(measure(record))
    return {problem: fmean(values) for problem, values in found.items()}


def mean(cell: Cell, measure: Callable[[Record], float]) -> float:
    """Return the mean of a measure over runs; 0 of a cell without records."""
    return fmean(map(measure, cell.records)) if cell.records else 0.0


def tokens(cell: Cell) -> Callable[[Record], float]:
    """Return what measures the tokens of a run, of all roles, as the cell counts."""
    if cell.count == "total":
        return lambda record: record.usage.total_tokens
    return lambda record: record.usage.total_tokens - record.usage.cached_tokens


def mean_tokens(cell: Cell) -> float:
    """Return the mean tokens of a run, of all roles, as the cell counts them.

    What a run that failed has spent is not known, and no part of the mean.
    """
    return mean(ended(cell), tokens(cell))


def ended(cell: Cell) -> Cell:
    """Return the cell with the runs that did not fail."""
    records = tuple(record for record in cell.records if record.error is None)
    return cell.model_copy(update={"records": records})


def attempts(cell: Cell) -> list[Attempt]:
    """Return the attempts of all records."""
    return [attempt for record in cell.records for attempt in record.attempts]


def tally(things: Iterable[str]) -> dict[str, int]:
    """Count equal things; the most frequent come first, ties by name."""
    counts: dict[str, int] = {}
    for thing in things:
        counts[thing] = counts.get(thing, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def shared(
    first: Mapping[str, float], second: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return both mappings without the problems that only one of them has."""
    both = [problem for problem in first if problem in second]
    return {p: first[p] for p in both}, {p: second[p] for p in both}
