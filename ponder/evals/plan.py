"""What a study measures: from a few lists to the cells that are run."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from ponder.agents.solver import STEP_BY_STEP
from ponder.errors import InvalidInput, InvalidParameter
from ponder.evals.benchmark import Split, benchmark
from ponder.evals.cells import BASELINE, RANDOM
from ponder.evals.record import Cell, Count
from ponder.evals.verifiers import VerifierName
from ponder.graphs.base import Strategy, strategy
from ponder.messages import Value

MOST_SAMPLES = 256
"""Of the baseline: a bound, the budget is what ends it."""
SAMPLES_WITHOUT_BUDGET = 16


class Sweep(Value):
    """Choosing temperature and prompt before the study, on another split."""

    temperatures: tuple[float, ...] = (0.4, 0.7, 1.0)
    instructions: tuple[str, ...] = (STEP_BY_STEP,)
    """System prompts."""
    limit: int = Field(default=10, ge=1)
    """Problems of each benchmark."""
    tasks: tuple[str, ...] = ()
    """Benchmarks to choose on; by default those of the study."""


class StudyPlan(Value):
    """Which strategies are measured on which benchmarks, and how."""

    title: str = "Evaluation"
    notes: tuple[str, ...] = ()
    """Printed at the head of the report."""
    tasks: tuple[str, ...] = Field(min_length=1)
    """Benchmarks, such as ``calendar:people=3``."""
    strategies: tuple[str, ...] = ()
    """Beside the baselines, which run unasked."""
    verifiers: tuple[VerifierName, ...] = ("judge",)
    """For the strategies that need one; ``random`` is added as a control. One that has
    a verifier of its own runs with that instead of ``judge``."""
    control: bool = True
    """Whether strategies that need a verifier run with ``random``, too."""
    model: str = "local"
    budget_tokens: tuple[int, ...] = ()
    """Limits of each run; none is no limit."""
    count: Count = "total"
    """Which tokens are equal in comparisons, and limited by the budgets: ``total``, all
    input and output, what a remote model is paid for; or ``computed``, what costs time
    on a local one: output and input that no cache served. Budgets then limit output."""
    limit: int = Field(default=20, ge=1)
    """Problems of each benchmark."""
    epochs: int = Field(default=1, ge=1)
    """How often each problem is answered, with other seeds."""
    seed: int = 0
    split: Split = "test"
    in_flight: int = Field(default=8, ge=1)
    """Problems that are worked on at a time, so that the engine's batch stays full."""
    defaults: dict[str, Any] = Field(default_factory=dict)
    """Parameters for every strategy that has them and does not set them."""
    sweep: Sweep | None = None

    @property
    def budgets(self) -> tuple[int | None, ...]:
        """The budgets, the largest first: the others find its samples in the bank."""
        return tuple(sorted(set(self.budget_tokens), reverse=True)) or (None,)


def load_plan(path: Path, **changes: Any) -> StudyPlan:
    """Read a plan from a TOML file.

    Args:
        path: The file; paths of benchmarks in it are relative to the working folder.
        **changes: Win over the file; those that are ``None`` are left out.

    Raises:
        InvalidInput: The file cannot be read, or holds what no plan has.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"The study {path} cannot be read: {error}") from error
    return make_plan({**data, **_given(changes)}, str(path))


def make_plan(data: dict[str, Any], origin: str) -> StudyPlan:
    """Return a plan from plain data.

    Args:
        data: Fields of the plan; those that are ``None`` are left out.
        origin: What a message calls the data.
    """
    try:
        plan = StudyPlan.model_validate(_given(data))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{origin}: {field}: {first['msg']}.") from error
    if bad := [b for b in plan.budget_tokens if b < 1]:
        raise InvalidParameter(f"A budget of {bad[0]} tokens: give 1 or more.")
    for spec in plan.tasks:
        benchmark(spec)
    cells(plan)
    return plan


def _given(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value is not None}


def cells(plan: StudyPlan) -> list[Cell]:
    """Return all cells of a study, without records, in the order of running.

    Baselines run unasked, and every strategy with a verifier runs once more with one
    that scores at random. The baseline with the largest budget comes first, since
    the others share its samples.

    Raises:
        UnknownName: A strategy is not known.
        InvalidParameter: A parameter is unknown or outside its range.
    """
    made: list[Cell] = []
    for task in plan.tasks:
        for budget in plan.budgets:
            made.append(_cell(plan, task, baseline(plan, budget), None, budget))
        for spec in ("direct", "chain_of_thought"):
            made.append(_cell(plan, task, spec, None, plan.budgets[0]))
        for spec in plan.strategies:
            for verifier in _verifiers(plan, spec):
                for budget in plan.budgets:
                    made.append(_cell(plan, task, spec, verifier, budget))
    # A strategy that is a baseline, too, was made twice.
    return list({c.model_dump_json(): c for c in made}.values())


def baseline(plan: StudyPlan, budget: int | None) -> str:
    """Return the spec of self-consistency that spends a budget to its end."""
    n = SAMPLES_WITHOUT_BUDGET if budget is None else MOST_SAMPLES
    return strategy(BASELINE, {"n": n, "criterion": "none"}).spec()


def _verifiers(plan: StudyPlan, spec: str) -> tuple[VerifierName | None, ...]:
    made = strategy(spec)
    if made.own_verifier:
        return tuple(None if v == "judge" else v for v in plan.verifiers)
    if not made.needs_verifier:
        return (None,)
    return tuple(dict.fromkeys((*plan.verifiers, *((RANDOM,) if plan.control else ()))))


def _cell(
    plan: StudyPlan, task: str, spec: str, verifier: str | None, budget: int | None
) -> Cell:
    return Cell(
        task=task,
        strategy=with_defaults(strategy(spec), plan.defaults).spec(),
        verifier=verifier,
        model=plan.model,
        budget_tokens=budget,
        count=plan.count,
        seed=plan.seed,
    )


def with_defaults(made: Strategy, defaults: dict[str, Any]) -> Strategy:
    """Return a strategy with parameters that it has and does not set itself.

    A strategy whose temperature is 0 by default is deterministic on purpose, so no
    other temperature is a default for it.
    """
    greedy = getattr(made, "temperature", None) == 0
    missing = {
        key: value
        for key, value in defaults.items()
        if key in type(made).model_fields and key not in made.model_fields_set
        if not (greedy and key == "temperature")
    }
    given = made.model_dump(mode="json", include=made.model_fields_set)
    return strategy(made.name, {**given, **missing})
