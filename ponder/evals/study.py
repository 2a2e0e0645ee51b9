"""Running a study: every cell over one engine, resumed without paying again.

A cell that is finished has a log in the folder, and is not run again. What an
interrupted cell had been told by the model is in the bank, so running it again costs
only what was still missing.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from ponder.errors import PonderError
from ponder.evals.benchmark import problems_of
from ponder.evals.cells import is_baseline, mean, mean_tokens, usable
from ponder.evals.logs import finished, identity, key, load_harness
from ponder.evals.plan import StudyPlan, Sweep, baseline, cells, with_defaults
from ponder.evals.record import Cell
from ponder.evals.report.baselines import equal_tokens, unevenness
from ponder.graphs.base import strategy
from ponder.journal import Journal
from ponder.models.bank import Banked
from ponder.models.base import Model
from ponder.models.simulated import Problem as Known
from ponder.models.simulated import SimulatedModel
from ponder.plan import open_model
from ponder.settings import Settings, load_settings

LOGS, BANK, JOURNAL = "logs", "bank.sqlite", "journal.sqlite"
_SIDE_BY_SIDE = 2
"""Cells that run together, so that the end of one does not leave the engine idle."""
_SPARE = 1.1
"""How much more than the dearest strategy the baseline may spend to match it."""


@dataclass(frozen=True)
class Progress:
    """How far a study has come."""

    total: int
    """Problems over all cells."""
    done: int
    what: str


OnProgress = Callable[[Progress], None]


def _quiet(progress: Progress) -> None:
    """Tell nobody."""


class Study:
    """One plan, run into one folder."""

    def __init__(
        self,
        plan: StudyPlan,
        folder: Path,
        *,
        model: Model | None = None,
        settings: Settings | None = None,
        on_progress: OnProgress = _quiet,
    ) -> None:
        """Prepare a study.

        Args:
            plan: What to measure.
            folder: Where logs, replies and runs are kept.
            model: The model, opened already; by default the one that the plan names.
            settings: By default from the environment and the config file.
            on_progress: Told of every problem that is done.
        """
        self.plan, self.folder = plan, folder
        self._settings = settings or load_settings()
        self._model = model
        self._on_progress = on_progress
        self._total = self._done = 0

    async def run(self) -> list[Cell]:
        """Run what is not finished yet.

        Returns:
            All cells with their records, baselines included.

        Raises:
            InvalidInput: The folder holds a log that cannot be read.
            ModelError: The model cannot be opened.
        """
        done = await self.run_cells(cells(self.plan))
        return [*done, *await self.run_cells(self._matching(done))]

    async def swept(self) -> tuple[StudyPlan, list[str]]:
        """Choose temperature and prompt first, where the plan asks for that.

        Returns:
            The plan with the choice among its defaults, and what to tell the reader.
        """
        if self.plan.sweep is None:
            return self.plan, []
        best, compared = await self.sweep(self.plan.sweep)
        plan = self.plan.model_copy(
            update={"defaults": {**self.plan.defaults, **best}, "sweep": None}
        )
        return plan, _sweep_notes(best, compared)

    async def sweep(self, sweep: Sweep) -> tuple[dict[str, Any], list[Cell]]:
        """Choose temperature and prompt on the split for that.

        Returns:
            The parameters with the highest mean accuracy over the benchmarks, and
            all cells that were compared.
        """
        choices = [
            {"temperature": t, "instructions": text}
            for t in sweep.temperatures
            for text in sweep.instructions
        ]
        asked: list[Cell] = []
        specs: list[str] = []
        for choice in choices:
            made = strategy("chain_of_thought", choice)
            specs.append(with_defaults(made, self.plan.defaults).spec())
        for task in sweep.tasks or self.plan.tasks:
            asked += [
                Cell(task=task, strategy=s, model=self.plan.model, seed=self.plan.seed)
                for s in specs
            ]
        plan = self.plan.model_copy(
            update={"limit": sweep.limit, "split": "tune", "epochs": 1}
        )
        inner = Study(
            plan,
            self.folder / "sweep",
            model=self._model,
            settings=self._settings,
            on_progress=self._on_progress,
        )
        done = await inner.run_cells(asked)
        means = [_mean_accuracy([c for c in done if c.strategy == s]) for s in specs]
        return choices[means.index(max(means))], done

    def _matching(self, done: Sequence[Cell]) -> list[Cell]:
        """Return cells of the baseline that spend what the dearest strategy spent."""
        wanted: list[Cell] = []
        for task in self.plan.tasks:
            here = [c for c in done if c.task == task]
            most = max((mean_tokens(c) for c in here), default=0.0)
            if any(equal_tokens(c, here).too_small for c in here if not is_baseline(c)):
                uneven = max((unevenness(c) for c in here if is_baseline(c)), default=1)
                budget = int(most * uneven * _SPARE)
                spec = with_defaults(
                    strategy(baseline(self.plan, budget)), self.plan.defaults
                ).spec()
                wanted.append(
                    here[0].model_copy(
                        update={
                            "strategy": spec,
                            "verifier": None,
                            "budget_tokens": budget,
                            "records": (),
                        }
                    )
                )
        return wanted

    async def run_cells(self, asked: Sequence[Cell]) -> list[Cell]:
        """Run the cells of these that are not finished, and return all with records."""
        logs = await finished(self.folder / LOGS, self._identity)
        missing = [c for c in asked if key(c) not in logs]
        self._total += len(asked) * self.plan.limit * self.plan.epochs
        self._done += (len(asked) - len(missing)) * self.plan.limit * self.plan.epochs
        self._tell("finished before" if len(missing) < len(asked) else "starting")
        if missing:
            await self._evaluate(missing)
            logs = await finished(self.folder / LOGS, self._identity, failed_too=True)
        return [c.model_copy(update={"records": logs[key(c)]}) for c in asked]

    def _tell(self, what: str) -> None:
        self._on_progress(Progress(self._total, self._done, what))

    async def _evaluate(self, missing: Sequence[Cell]) -> None:
        harness = load_harness()
        from inspect_ai import eval_async
        from inspect_ai.util import display_type

        # Progress is ours to show; inspect fixes its display when it is first asked.
        os.environ.setdefault("INSPECT_DISPLAY", "none")
        display_type()

        journal = Journal(self.folder / JOURNAL)
        bank = Banked(self._opened(missing), self.folder / BANK)

        def on_done() -> None:
            self._done += 1
            self._tell(f"{bank.served} replies reused")

        bench = harness.Workbench(
            models={self.plan.model: bank},
            journal=journal,
            settings=self._settings,
            in_flight=asyncio.Semaphore(self.plan.in_flight),
            on_done=on_done,
        )
        token = harness.WORKBENCH.set(bench)
        try:
            await eval_async(
                [self._task(cell) for cell in missing],
                model=None,
                log_dir=str(self.folder / LOGS),
                epochs=self.plan.epochs,
                fail_on_error=False,
                max_samples=self.plan.in_flight,
                max_tasks=_SIDE_BY_SIDE,
                log_level="error",
                log_realtime=False,
                score_display=False,
            )
        finally:
            harness.WORKBENCH.reset(token)
            journal.close()
            await bank.aclose()

    def _opened(self, missing: Sequence[Cell]) -> Model:
        if self._model is not None:
            return self._model
        if self.plan.model == "simulated":
            return SimulatedModel(problems=self._known(missing))
        return open_model(self.plan.model, self._settings)

    def _known(self, missing: Sequence[Cell]) -> dict[str, Known]:
        """Return what the simulated model is told: the reference of every problem."""
        plan = self.plan
        known: dict[str, Known] = {}
        for spec in {cell.task for cell in missing}:
            made, problems = problems_of(
                spec, seed=plan.seed, limit=plan.limit, split=plan.split
            )
            for problem in problems:
                answer = made.grade(problem, problem.reference).answer
                truth = answer or problem.reference
                known[problem.question] = Known(truth=truth)
        return known

    def _task(self, cell: Cell) -> Any:
        harness = load_harness()
        plan = self.plan
        made = harness.benchmark_task(cell.task, plan.limit, plan.seed, plan.split)
        made.solver = harness.ponder_solver(
            strategy=cell.strategy,
            model=cell.model,
            verifier=cell.verifier,
            budget_tokens=cell.budget_tokens if cell.count == "total" else None,
            budget_output_tokens=(
                cell.budget_tokens if cell.count == "computed" else None
            ),
            seed=cell.seed,
        )
        made.metadata = {"ponder": self._identity(cell)}
        return made

    def _identity(self, cell: Cell) -> dict[str, Any]:
        plan = self.plan
        return identity(cell, limit=plan.limit, epochs=plan.epochs, split=plan.split)


def _sweep_notes(best: dict[str, Any], compared: Sequence[Cell]) -> list[str]:
    shares: dict[str, list[str]] = {}
    for cell in compared:
        right = round(sum(map(usable, cell.records)))
        shares.setdefault(cell.strategy, []).append(
            f"{cell.task.partition(':')[0]} {right}/{len(cell.records)}"
        )
    lines = [f"- `{spec}`: {', '.join(found)}" for spec, found in shares.items()]
    head = (
        "Temperature and prompt were chosen on the `tune` split, by the mean accuracy "
        f"of one chain of thought: temperature {best['temperature']}, prompt "
        f"{best['instructions']!r}. Compared:"
    )
    return ["\n".join([head, "", *lines])]


def _mean_accuracy(found: Sequence[Cell]) -> float:
    shares = [mean(cell, usable) for cell in found if cell.records]
    if not shares:
        raise PonderError("The sweep has measured nothing.")
    return fmean(shares)
