"""What a strategy is compared with, problem by problem."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from ponder.evals.cells import (
    BASELINE,
    ended,
    is_baseline,
    mean_tokens,
    parameters,
    per_problem,
    strategy_name,
    tokens,
)
from ponder.evals.record import Cell, Record
from ponder.evals.statistics.equal_tokens import Draw, EqualTokens, at_equal_tokens


@dataclass(frozen=True)
class Baseline:
    """How a baseline does on each problem, or why that is not known."""

    name: str
    equal_tokens: bool
    """Whether it was given as many tokens as the strategy spent."""
    values: dict[str, float] = field(default_factory=dict)
    """Expected correctness of each problem, 0 to 1; empty if not known."""
    tokens: float | None = None
    samples: float | None = None
    """Mean number of samples that these tokens pay for."""
    note: str = ""
    """Why there are no values, or what to know about them."""
    too_small: bool = False
    """Whether there are none because more samples are needed."""


def plain(name: str, cell: Cell, group: Sequence[Cell]) -> Baseline:
    """Return a strategy as it is, under the budget of the cell if it was run so.

    Args:
        name: Name of the strategy.
        cell: What will be compared with it.
        group: Cells of the same task, model and seed.
    """
    found = [
        c
        for c in group
        if strategy_name(c) == name and c.verifier is None and c.records
    ]
    if not found:
        return Baseline(name, False, note=f"{name} was not run")
    # Else the one that was least limited.
    found.sort(key=lambda c: c.budget_tokens or float("inf"), reverse=True)
    same = [c for c in found if c.budget_tokens == cell.budget_tokens]
    chosen = (same or found)[0]
    return Baseline(name, False, per_problem(chosen), tokens=mean_tokens(chosen))


def equal_tokens(cell: Cell, group: Sequence[Cell]) -> Baseline:
    """Return self-consistency with as many tokens as the cell spent.

    The draws are those of the self-consistency cell with the most samples.

    Args:
        cell: What will be compared with it.
        group: Cells of the same task, model and seed.
    """
    banks = [c for c in group if is_baseline(c) and _shortest(c)]
    if not banks:
        return Baseline(BASELINE, True, note="self_consistency was not run: no bank")
    source = max(banks, key=lambda c: (_shortest(c), len(c.records)))
    spent = per_problem(ended(cell), tokens(cell))
    bank = {p: d for p, d in draws(source).items() if d and p in spent}
    if not bank:
        return Baseline(BASELINE, True, note="the bank has none of these problems")
    target = fmean(spent[problem] for problem in bank)
    found = _voted(source, bank, target)
    if not found.enough:
        least = min(map(len, bank.values()))
        return Baseline(
            BASELINE,
            True,
            note=f"the bank is too small: the {least} samples that it has of every "
            f"problem take {found.tokens:,.0f} of {target:,.0f} tokens",
            too_small=True,
        )
    note = "one sample already takes more" if found.tokens > 1.005 * target else ""
    return Baseline(BASELINE, True, found.values, found.tokens, found.samples, note)


def _voted(
    source: Cell, bank: Mapping[str, Sequence[Draw]], target: float
) -> EqualTokens:
    verdicts = _verdicts(source)
    exact = parameters(source).get("equality") == "exact"
    return at_equal_tokens(
        bank,
        target,
        lambda problem, answer: verdicts.get((problem, answer), 0.0),
        equality="exact" if exact else "math",
    )


def draws(cell: Cell) -> dict[str, list[Draw]]:
    """Return the samples of each problem, in the order in which they were drawn.

    A sample is charged its output and an equal share of what else its run has spent:
    the input that counts, and asking for answers that samples forgot. Where a cache
    serves input, the first sample is charged what it did not serve: the others find it
    there. Attempts at which the model failed are no samples.
    """
    found: dict[str, list[Draw]] = {}
    for record in cell.records:
        drawn = [a for a in record.samples if not a.failed]
        first, rest = _shared_costs(cell, record)
        share = max(rest, 0) / max(len(record.samples), 1)
        charged = (share + (first if i == 0 else 0) for i in range(len(drawn)))
        found.setdefault(record.problem, []).extend(
            Draw(a.answer, round(a.output_tokens + cost))
            for a, cost in zip(drawn, charged, strict=True)
        )
    return found


def _shared_costs(cell: Cell, record: Record) -> tuple[int, float]:
    """Return what the first sample of a run has cost beside its output, and all did."""
    usage = record.usage
    written = sum(a.output_tokens for a in record.samples if not a.failed)
    read = usage.input_tokens - usage.cached_tokens if cell.count == "computed" else 0
    return read, tokens(cell)(record) - read - written


def unevenness(cell: Cell) -> float:
    """Return how much longer the samples of one problem are than those of a mean one.

    A budget that is to pay for k samples of every problem must be so much larger.
    """
    means = [fmean(d.tokens for d in each) for each in draws(cell).values() if each]
    return max(means) / fmean(means) if any(means) else 1.0


def _shortest(cell: Cell) -> int:
    """Return the smallest number of samples of a problem that has any."""
    return min((len(each) for each in draws(cell).values() if each), default=0)


def _verdicts(cell: Cell) -> dict[tuple[str, str | None], float]:
    """Return the grade of each answer: that of the sample that gave it first.

    Its text is what self-consistency would hand to the grader. Where no sample has an
    answer, it would make one answer; ``None`` has the grade of that.
    """
    found: dict[tuple[str, str | None], float] = {}
    for record in cell.records:
        for attempt in record.attempts:
            if attempt.rescued:
                found[record.problem, None] = float(attempt.correct is True)
            elif attempt.answer is not None:
                key = (record.problem, attempt.answer)
                found.setdefault(key, float(attempt.correct is True))
    return found
