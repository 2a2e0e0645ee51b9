"""``ponder eval``: measure strategies on benchmarks."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from ponder.cli.console import put, say
from ponder.cli.errors import reported
from ponder.cli.measuring import progress
from ponder.cli.options import DebugOption
from ponder.errors import InvalidInput
from ponder.evals.plan import StudyPlan, load_plan, make_plan
from ponder.evals.report import write_report
from ponder.evals.sealed import count_sealed_read
from ponder.evals.study import Study
from ponder.settings import load_settings


def evaluate(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(help="Benchmarks, such as gsm8k:path=FILE or calendar."),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="Names, separated by commas; baselines run unasked."),
    ] = None,
    verifier: Annotated[
        str | None,
        typer.Option(help="judge, exact; a random one is added as a control."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="As for ponder ask.")] = None,
    budget_tokens: Annotated[
        str | None,
        typer.Option(help="Limits of each run, separated by commas: 500,1000,2000."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Problems of each benchmark (20).")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="How often each problem is answered (1).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Which problems, and how.")] = None,
    in_flight: Annotated[
        int | None, typer.Option(help="Problems worked on at a time (8).")
    ] = None,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Use the sealed split; reads are counted.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="A study as a TOML file; options win over it.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for logs, tables and plots.")
    ] = Path("ponder-eval"),
    debug: DebugOption = False,
) -> None:
    """Measure strategies on benchmarks, against baselines at equal tokens.

    Run it again to go on after an interruption: what was paid is not paid again.
    """
    with reported(debug=debug, as_json=False):
        changes: dict[str, Any] = {
            "tasks": tuple(tasks) if tasks else None,
            "strategies": _listed(strategy),
            "verifiers": _listed(verifier),
            "model": model,
            "budget_tokens": _numbers(budget_tokens),
            "limit": limit,
            "epochs": epochs,
            "seed": seed,
            "in_flight": in_flight,
            "split": "sealed" if sealed else None,
        }
        if config is None and not tasks:
            raise InvalidInput(
                "Name a benchmark, such as: ponder eval calendar --strategy "
                "best_of_n. Or give a study with --config FILE."
            )
        plan = (
            load_plan(config, **changes)
            if config
            else make_plan(changes, "ponder eval")
        )
        asyncio.run(_measure(plan, out))


async def _measure(plan: StudyPlan, out: Path) -> None:
    settings = load_settings()
    reads = (
        count_sealed_read(settings.data_dir, plan.tasks)
        if plan.split == "sealed"
        else None
    )
    with progress() as tell:
        first = Study(plan, out, settings=settings, on_progress=tell)
        plan, told = await first.swept()
        study = Study(plan, out, settings=settings, on_progress=tell)
        cells = await study.run()
    written = write_report(
        cells, out, title=plan.title, notes=[*plan.notes, *told], sealed_reads=reads
    )
    failed = sum(r.error is not None for c in cells for r in c.records)
    if failed:
        say(f"{failed} runs failed; run the same command again to try them again.")
    put(f"The report: {written[0]}")


def _listed(text: str | None) -> tuple[str, ...] | None:
    """Split at commas that are not inside braces: parameters have commas, too."""
    if text is None:
        return None
    parts, depth = [""], 0
    for letter in text:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return tuple(part.strip() for part in parts if part.strip())


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(
            f"--budget-tokens {text}: give whole numbers separated by commas."
        ) from None
