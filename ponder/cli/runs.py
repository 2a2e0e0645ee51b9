"""``ponder runs`` and ``ponder show``: what was done before."""

import json
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from ponder.cli.answer import details, put_json
from ponder.cli.console import put, put_table, say
from ponder.cli.errors import reported
from ponder.cli.options import DebugOption, RunArgument
from ponder.drawing import DRAWINGS, one_line
from ponder.errors import InvalidInput
from ponder.journal import Entry, Journal, RunInfo, RunStatus
from ponder.result import Result
from ponder.run import JOURNAL_FILE
from ponder.settings import Settings, load_settings
from ponder.thoughts import ThoughtGraph

QUESTION_WIDTH, ANSWER_WIDTH = 40, 20


class Format(StrEnum):
    """How a run is shown."""

    TEXT = "text"
    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    JSON = "json"
    CALLS = "calls"


def open_journal(settings: Settings) -> Journal:
    """Return the user's journal; close it."""
    return Journal(settings.data_dir / JOURNAL_FILE)


def runs(
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON list, newest first.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="How many runs.")
    ] = 20,
    debug: DebugOption = False,
) -> None:
    """List past runs, newest first."""
    with (
        reported(debug=debug, as_json=as_json),
        open_journal(load_settings()) as journal,
    ):
        found = journal.runs(limit)
        for warning in journal.warnings:
            say(f"Warning: {warning}", "yellow")
        if as_json:
            put_json(json.dumps([_summary(info) for info in found], ensure_ascii=False))
        elif not found:
            say('No runs yet. Begin with: ponder ask "How many ...?"')
        else:
            put_table(
                ["run", "age", "status", "strategy", "tokens", "answer", "question"],
                [_row(info) for info in found],
                right=["age", "tokens"],
            )


def show(
    run: RunArgument,
    format: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            help="text, mermaid, dot, svg or json: the thought graph (svg: a picture, "
            "to write into a file with '> run.svg'); calls: the numbered steps, as for "
            "'ponder fork --at'.",
        ),
    ] = Format.TEXT,
    debug: DebugOption = False,
) -> None:
    """Show what was thought in a run."""
    with reported(debug=debug), open_journal(load_settings()) as journal:
        info = journal.run(run)
        log = journal.read(info.run_id)
        if format is Format.CALLS:
            _put_calls(log.entries)
        elif format is Format.TEXT:
            _put_text(info, log.entries)
        else:
            _put_graph(_graph(info), format)
        for warning in (*journal.warnings, *log.warnings):
            say(f"Warning: {warning}", "yellow")


def _summary(info: RunInfo) -> dict[str, Any]:
    record, result = info.record, info.result or {}
    return {
        "run_id": info.run_id,
        "status": info.status.value,
        "created": datetime.fromtimestamp(info.created, UTC).isoformat(),
        "question": record.question,
        "strategy": record.strategy,
        "model": record.model,
        "verifier": record.verifier,
        "budget": record.budget,
        "seed": record.seed,
        "forked_from": record.forked_from,
        "answer": result.get("answer"),
        "confidence": result.get("confidence"),
        "stop_reason": result.get("stop_reason"),
        "usage": result.get("usage"),
    }


def _row(info: RunInfo) -> list[str]:
    result = Result.model_validate(info.result) if info.result else None
    return [
        info.run_id,
        _age(time.time() - info.created),
        info.status.value,
        one_line(info.record.strategy, 24),
        f"{result.usage.total_tokens:,}" if result else "-",
        one_line(result.answer or "-", ANSWER_WIDTH) if result else "-",
        one_line(info.record.question, QUESTION_WIDTH),
    ]


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _graph(info: RunInfo) -> ThoughtGraph:
    if info.result is None:
        raise InvalidInput(
            f"Run {info.run_id} is {info.status.value}, so its thoughts are not "
            f"complete. Go on with it first: ponder resume {info.run_id}. Its calls "
            f"so far: ponder show {info.run_id} --format calls"
        )
    return ThoughtGraph.from_json(info.result.get("graph", {}))


def _put_graph(graph: ThoughtGraph, format: Format) -> None:
    if format is Format.JSON:
        put_json(json.dumps(graph.to_json(), ensure_ascii=False))
    else:
        put(DRAWINGS[format.value](graph))


def _put_text(info: RunInfo, entries: list[Entry]) -> None:
    for line in _head(info):
        put(line)
    put("")
    if info.result is None:
        if entries:
            _put_calls(entries)
        if info.status is not RunStatus.RUNNING:
            put(f"Go on with it: ponder resume {info.run_id}")
        return
    put(DRAWINGS["text"](_graph(info)))
    put("")
    result = Result.model_validate(info.result)
    put(f"Answer: {result.answer if result.answer is not None else '(none)'}")
    # The last lines of details point to this very command.
    for line, _ in details(result):
        if not line.startswith("Thoughts:"):
            put(line)


def _head(info: RunInfo) -> list[str]:
    record = info.record
    limits = ", ".join(f"{k} {v:g}" for k, v in record.budget.items() if k != "wrap_up")
    created = datetime.fromtimestamp(info.created, UTC).astimezone()
    facts = {
        "Run": f"{info.run_id} ({info.status.value}), {created:%Y-%m-%d %H:%M}",
        "Strategy": f"{record.strategy} over {record.model}, seed {record.seed}",
        "Verifier": record.verifier,
        "Budget": limits or "no limit",
        "Forked from": record.forked_from,
    }
    return [f"{name}: {value}" for name, value in facts.items() if value]


def _put_calls(entries: list[Entry]) -> None:
    put_table(
        ["step", "call", "kind", "in", "out", "at", "content"],
        [_call(i, entry) for i, entry in enumerate(entries, start=1)],
        right=["step", "in", "out", "at"],
    )


def _call(number: int, entry: Entry) -> list[str]:
    return [
        str(number),
        entry.path,
        entry.kind,
        str(entry.usage.input_tokens),
        str(entry.usage.output_tokens),
        f"{entry.elapsed:.1f} s",
        _content(entry),
    ]


def _content(entry: Entry) -> str:
    match entry.kind:
        case "reply":
            texts = [str(c.get("text", "")) for c in entry.body["completions"]]
            # The end says more than the beginning: that is where the answer is.
            return " | ".join(_ending(text) for text in texts)
        case "refusal":
            return f"no budget left: {entry.body['dimension']}"
        case "failure":
            return one_line(str(entry.body["error"]), QUESTION_WIDTH)
        case "lost":
            return "stopped before it ended"
        case "value":
            return one_line(json.dumps(entry.body, ensure_ascii=False), QUESTION_WIDTH)


def _ending(text: str) -> str:
    line = one_line(text)
    if len(line) <= QUESTION_WIDTH:
        return line
    return f"…{line[1 - QUESTION_WIDTH :]}"
