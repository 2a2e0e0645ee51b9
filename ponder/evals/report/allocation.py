"""How well the computation allocation model chooses a retrieval configuration.

Yue et al. 2024 (https://arxiv.org/abs/2410.04343), section 5: what the model, fitted to
some runs, chooses for a budget of context, against the best configuration found. The
model is fitted to one half of the problems and its choice is measured on the other, so
that it gains nothing from chance that it was fitted to; so is the configuration that
was the best in the first half, which is what one would take without a model.
"""

from collections.abc import Sequence
from statistics import fmean

from ponder.errors import InvalidInput, InvalidParameter
from ponder.evals.allocation import AllocationModel, Observation, Theta, fit
from ponder.evals.cells import Setting, by_setting, strategy_name
from ponder.evals.observations import STRATEGIES, Metric, observe
from ponder.evals.record import Cell
from ponder.messages import Value

LEAST = 6
"""Configurations; with fewer, nothing is left over to choose among."""
STEPS = 4
"""Budgets that are looked at: quarters of the configurations, by their cost."""


class Half(Value):
    """Choices made on one half of the problems, measured on the other."""

    fitted: Theta
    """What the model chooses."""
    found: Theta
    """What was measured to be the best in the half that the model was fitted to."""
    fitted_measured: float
    found_measured: float
    most: float
    """The most that any configuration within the budget reached in the other half."""


class Choice(Value):
    """What is chosen within one budget of effective context length."""

    budget: int
    """Most input tokens of any run."""
    candidates: int
    halves: tuple[Half, Half]

    def mean(self, field: str) -> float:
        """Return a measured value over both halves."""
        return fmean(getattr(half, field) for half in self.halves)


class Allocation(Setting):
    """The allocation model of one task."""

    metric: Metric
    fitted: AllocationModel
    """To all problems."""
    choices: tuple[Choice, ...]


def allocations(cells: Sequence[Cell]) -> list[Allocation]:
    """Return one allocation for each task of a study with configurations enough.

    Tasks whose runs cannot be fitted are left out: all configurations reached the
    same, or two parameters were always varied together.
    """
    able = [c for c in cells if strategy_name(c) in STRATEGIES and c.records]
    found = [_allocation(setting, rows) for setting, rows in by_setting(able).items()]
    return [allocation for allocation in found if allocation is not None]


def _allocation(setting: Setting, cells: Sequence[Cell]) -> Allocation | None:
    metric = _metric(cells)
    try:
        everything = _distinct(observe(cells, metric))
        if len(everything) < LEAST:
            return None
        halves = [_distinct(observe(_half(cells, i), metric)) for i in (0, 1)]
        models = [fit(list(half.values())) for half in halves]
        fitted = fit(list(everything.values()))
    except (InvalidParameter, InvalidInput):
        return None
    cost = {theta: float(o.context) for theta, o in everything.items()}
    return Allocation(
        task=setting.task,
        model=setting.model,
        seed=setting.seed,
        metric=metric,
        fitted=fitted,
        choices=tuple(
            _choice(budget, cost, halves, models) for budget in _budgets(cost)
        ),
    )


def _metric(cells: Sequence[Cell]) -> Metric:
    scored = all(
        r.grade.score is not None for c in cells for r in c.records if r.grade.answer
    )
    return "score" if scored else "correct"


def _half(cells: Sequence[Cell], which: int) -> list[Cell]:
    """Return the cells with every other problem."""
    names = sorted({r.problem for c in cells for r in c.records})
    kept = set(names[which::2])
    return [
        c.model_copy(
            update={"records": tuple(r for r in c.records if r.problem in kept)}
        )
        for c in cells
    ]


def _distinct(observations: Sequence[Observation]) -> dict[Theta, Observation]:
    """Return one observation of each configuration, the one that was met first."""
    found: dict[Theta, Observation] = {}
    for observation in observations:
        found.setdefault(observation.theta, observation)
    return found


def _budgets(cost: dict[Theta, float]) -> list[int]:
    ordered = sorted(cost.values())
    at = [len(ordered) * (i + 1) // STEPS - 1 for i in range(STEPS)]
    return sorted({int(ordered[i]) for i in at})


def _choice(
    budget: int,
    cost: dict[Theta, float],
    halves: Sequence[dict[Theta, Observation]],
    models: Sequence[AllocationModel],
) -> Choice:
    within = [theta for theta, spent in cost.items() if spent <= budget]

    def half(seen: int) -> Half:
        known, other = halves[seen], halves[1 - seen]
        fitted = models[seen].best(budget, within, cost.__getitem__)
        found = max(within, key=lambda theta: known[theta].performance)
        return Half(
            fitted=fitted,
            found=found,
            fitted_measured=other[fitted].performance,
            found_measured=other[found].performance,
            most=max(other[theta].performance for theta in within),
        )

    return Choice(budget=budget, candidates=len(within), halves=(half(0), half(1)))
