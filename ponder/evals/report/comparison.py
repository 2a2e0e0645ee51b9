"""Every strategy against the baselines, on the same problems.

The question behind a comparison is whether a strategy is worth its tokens. So the
first baseline is self-consistency that may spend as many tokens as the strategy did;
direct answers and one chain of thought, which cost what they cost, come after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from ponder.evals.cells import (
    RANDOM,
    Estimate,
    Setting,
    by_setting,
    is_baseline,
    mean_tokens,
    per_problem,
    shared,
    short_label,
    strategy_name,
)
from ponder.evals.record import Cell, Count
from ponder.evals.report.baselines import Baseline, equal_tokens, plain
from ponder.evals.statistics.multiplicity import holm
from ponder.evals.statistics.paired import Difference, paired_difference

Word = Literal["better", "worse", "no difference shown", "not compared"]

PLAIN = ("direct", "chain_of_thought")
"""Baselines that are compared with as they are, whatever they cost."""


class Comparison(Setting):
    """A strategy against a baseline, paired over the problems that both answered."""

    label: str
    """Strategy and verifier as a reader knows them."""
    strategy: str
    verifier: str | None
    budget_tokens: int | None
    count: Count
    """Which tokens are equal."""
    against: str
    """Name of the baseline."""
    equal_tokens: bool
    """Whether the baseline was given as many tokens as the strategy spent."""
    tokens: float
    """Mean tokens of the strategy, counted so."""
    baseline_tokens: float | None
    baseline_samples: float | None
    """Mean number of samples that these tokens pay for."""
    problems: int
    accuracy: float | None
    """Of the strategy on these problems; ``None`` if it is not compared."""
    baseline_accuracy: float | None
    difference: Estimate | None
    """Accuracy less that of the baseline; its interval is not corrected."""
    p_value: float | None
    p_corrected: float | None
    """Corrected after Holm for all comparisons of the table."""
    verdict: Word
    note: str
    """Why it is not compared, or what to know about the verdict."""


@dataclass(frozen=True)
class _Pair:
    cell: Cell
    baseline: Baseline
    accuracy: float | None
    """Of the cell, on the problems that both have."""
    baseline_accuracy: float | None
    problems: int
    found: Difference | None


def comparisons(cells: Sequence[Cell], *, level: float = 0.95) -> list[Comparison]:
    """Compare every strategy with the baselines of its task, model and seed.

    Cells that score at random are controls; they have a table of their own.

    Args:
        cells: The study.
        level: Confidence of the intervals; 1 - level is the chance of any wrong
            verdict in the whole table.
    """
    pairs = [
        _pair(cell, baseline, level)
        for group in by_setting(cells).values()
        for cell in group
        if cell.verifier != RANDOM
        for baseline in baselines(cell, group)
    ]
    tested = [pair.found.p_value for pair in pairs if pair.found is not None]
    corrected = iter(holm(tested))
    return [
        _row(pair, None if pair.found is None else next(corrected), level)
        for pair in pairs
    ]


def baselines(cell: Cell, group: Sequence[Cell]) -> list[Baseline]:
    """Return what a cell is compared with.

    Self-consistency is not compared with itself, nor direct with direct; and as the
    chain of thought is compared with direct, direct is not compared with it.
    """
    name = strategy_name(cell) if cell.verifier is None else ""
    found = [] if is_baseline(cell) else [equal_tokens(cell, group)]
    own = PLAIN.index(name) if name in PLAIN else len(PLAIN)
    return found + [plain(other, cell, group) for other in PLAIN[:own]]


def verdict(difference: Estimate, p_corrected: float, level: float) -> tuple[Word, str]:
    """Return what a difference shows, and what to know about it.

    Better and worse are said only if the interval excludes 0 and the corrected test
    agrees: of twenty intervals alone, one excludes 0 by chance.
    """
    word: Word = "no difference shown"
    if difference.low > 0:
        word = "better"
    elif difference.high < 0:
        word = "worse"
    if word == "no difference shown" or p_corrected <= 1 - level:
        return word, ""
    return "no difference shown", f"{word} alone, but not after the correction"


def _pair(cell: Cell, baseline: Baseline, level: float) -> _Pair:
    values, other = shared(per_problem(cell), baseline.values)
    if not values:
        return _Pair(cell, baseline, None, None, 0, None)
    found = paired_difference(per_problem(cell), baseline.values, level)
    means = fmean(values.values()), fmean(other.values())
    return _Pair(cell, baseline, *means, len(values), found)


def _row(pair: _Pair, p_corrected: float | None, level: float) -> Comparison:
    cell, baseline, found = pair.cell, pair.baseline, pair.found
    gap: Estimate | None = None
    word: Word = "not compared"
    notes = [baseline.note or ("" if found else "no common problem")]
    if found is not None and p_corrected is not None:
        gap = Estimate(value=found.estimate, low=found.low, high=found.high)
        word, about = verdict(gap, p_corrected, level)
        notes.insert(0, about)
        if found.unpaired:
            notes.append(f"left out, as only one has them: {found.unpaired}")
    return Comparison(
        task=cell.task,
        model=cell.model,
        seed=cell.seed,
        label=short_label(cell),
        strategy=cell.strategy,
        verifier=cell.verifier,
        budget_tokens=cell.budget_tokens,
        count=cell.count,
        against=baseline.name,
        equal_tokens=baseline.equal_tokens,
        tokens=mean_tokens(cell),
        baseline_tokens=baseline.tokens,
        baseline_samples=baseline.samples,
        problems=pair.problems,
        accuracy=pair.accuracy,
        baseline_accuracy=pair.baseline_accuracy,
        difference=gap,
        p_value=None if found is None else found.p_value,
        p_corrected=p_corrected,
        verdict=word,
        note="; ".join(filter(None, notes)),
    )
