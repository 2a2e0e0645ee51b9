"""The logs of a study: one for each finished cell, which is then not run again.

A log is inspect-ai's. What it belongs to is kept in its metadata: the cell, how many
problems of which split, and the version of the records.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ponder.errors import InvalidInput, MissingExtra
from ponder.evals.benchmark import UNREADABLE
from ponder.evals.record import RECORD_VERSION, Cell, Record

Identity = dict[str, Any]


def key(cell: Cell) -> str:
    """Return what tells a cell from others: all of it but its records, as JSON."""
    return json.dumps(_plain(cell), sort_keys=True)


def identity(cell: Cell, *, limit: int, epochs: int, split: str) -> Identity:
    """Return what the log of a cell says of itself."""
    return {
        "record_version": RECORD_VERSION,
        "cell": _plain(cell),
        "limit": limit,
        "epochs": epochs,
        "split": split,
    }


async def finished(
    folder: Path, expected: Callable[[Cell], Identity], *, failed_too: bool = False
) -> dict[str, tuple[Record, ...]]:
    """Return the records of the finished cells in a folder, by ``key``.

    Args:
        folder: Where the logs are; it need not exist.
        expected: The identity that the log of a cell has in this study; logs of
            other studies are passed over.
        failed_too: Also cells with a record of a model that failed; by default those
            count as not finished, so that they are tried again.

    Raises:
        InvalidInput: A log cannot be read, or another version of ponder wrote it.
    """
    found: dict[str, tuple[Record, ...]] = {}
    for path in _paths(folder):
        log = await _read(path, header_only=True)
        told = (log.eval.metadata or {}).get("ponder")
        if log.status != "success" or told is None:
            continue
        _check_version(path, told)
        cell = Cell.model_validate(told["cell"])
        # Fields that cells did not have yet are those of today's default.
        if {**told, "cell": _plain(cell)} != expected(cell):
            continue
        records = _records(await _read(path, header_only=False))
        if failed_too or not any(map(_failed, records)):
            found[key(cell)] = records
    return found


def load_harness() -> Any:
    """Return the module that joins ponder to inspect-ai.

    Raises:
        MissingExtra: inspect-ai is not installed.
    """
    # inspect-ai is heavy and an extra, and the harness cannot be written without it,
    # so the module itself is what is loaded where it is used.
    try:
        from ponder.evals import harness
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("inspect_ai"):
            raise
        raise MissingExtra("inspect-ai", "evals", "Evaluating") from error
    return harness


def _plain(cell: Cell) -> dict[str, Any]:
    return cell.model_dump(mode="json", exclude={"records"})


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.eval"))


async def _read(path: Path, *, header_only: bool) -> Any:
    load_harness()
    # Its twin without "async" would patch asyncio for the whole process.
    from inspect_ai.log import read_eval_log_async

    try:
        return await read_eval_log_async(str(path), header_only=header_only)
    except Exception as error:
        raise InvalidInput(
            f"The log {path} cannot be read ({error}). Move it away to run its cell "
            "again; what the model said is kept."
        ) from error


def _check_version(path: Path, identity: dict[str, Any]) -> None:
    if identity.get("record_version") != RECORD_VERSION:
        raise InvalidInput(
            f"The log {path} was written by another version of ponder (its records "
            f"have version {identity.get('record_version')}, this one reads "
            f"{RECORD_VERSION}). Choose another folder with --out, or report with the "
            "version that wrote it."
        )


def _records(log: Any) -> tuple[Record, ...]:
    return tuple(_record(sample) for sample in log.samples or ())


def _record(sample: Any) -> Record:
    scores = sample.scores or {}
    metadata = scores["graded"].metadata if "graded" in scores else None
    if metadata and "record" in metadata:
        return Record.model_validate(metadata["record"])
    error = sample.error.message if sample.error else "There is no record."
    return Record(
        problem=str(sample.id), epoch=sample.epoch - 1, grade=UNREADABLE, error=error
    )


def _failed(record: Record) -> bool:
    """Whether a model failed, so that it is worth while to try again."""
    return record.error is not None or any(a.failed for a in record.attempts)
