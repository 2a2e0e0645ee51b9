"""Writing a report into a folder."""

import json
from collections.abc import Sequence
from pathlib import Path

from ponder.errors import InvalidInput
from ponder.evals.record import Cell
from ponder.evals.report.formats import as_csv
from ponder.evals.report.markdown import markdown
from ponder.evals.report.plots import Plot, plots
from ponder.evals.report.study import Study, analyse
from ponder.messages import Value


def write_report(
    cells: Sequence[Cell],
    folder: Path,
    *,
    title: str,
    notes: Sequence[str] = (),
    sealed_reads: int | None = None,
) -> list[Path]:
    """Write the report of a study: text, tables, comparisons and plots.

    Every file appears complete or not at all: it is written beside its place first.

    Args:
        cells: The study.
        folder: Where to write; made if missing. Files of the same names are replaced.
        title: First heading.
        notes: Paragraphs for the reader, such as what was left out and why.
        sealed_reads: How often the sealed problems have been read so far; ``None`` if
            they were not.

    Returns:
        The files, ``report.md`` first.

    Raises:
        InvalidInput: The folder cannot be written, or the spec of a strategy cannot
            be read.
        MissingExtra: matplotlib is not installed; then nothing is written.
    """
    study = analyse(cells)
    drawn = plots(study)
    text = markdown(study, drawn, title=title, notes=notes, sealed_reads=sealed_reads)
    files = {"report.md": text.encode(), **_tables(study), **_images(drawn)}
    try:
        return [_write(folder / name, content) for name, content in files.items()]
    except OSError as error:
        raise InvalidInput(
            f"The report cannot be written to {folder}: {error}. Give another folder."
        ) from error


def _tables(study: Study) -> dict[str, bytes]:
    rest = study.model_dump_json(indent=2, exclude={"rows", "comparisons"})
    return {
        "table.csv": as_csv(study.rows).encode(),
        "table.json": _json(study.rows),
        "comparisons.csv": as_csv(study.comparisons).encode(),
        "comparisons.json": _json(study.comparisons),
        "curves.json": f"{rest}\n".encode(),
    }


def _images(drawn: Sequence[Plot]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for plot in drawn:
        files[f"plots/{plot.name}.png"] = plot.png
        files[f"plots/{plot.name}.svg"] = plot.svg
    return files


def _json(rows: Sequence[Value]) -> bytes:
    values = [row.model_dump(mode="json") for row in rows]
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
    return path
