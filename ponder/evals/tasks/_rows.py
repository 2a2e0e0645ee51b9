"""Rows of published files: where they come from, and what is wrong with them.

Files are JSONL, JSON (a list, one object, or an object with the rows under
``examples``, ``data`` or ``rows``) or CSV with a header, each perhaps packed with gzip.
"""

import csv
import gzip
import io
import json
import zlib
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from ponder.errors import InvalidInput, MissingExtra
from ponder.evals.benchmark import Listed, Problem

SUFFIXES = (".jsonl", ".json", ".csv")
LISTS = ("examples", "data", "rows")


@dataclass(frozen=True)
class Row:
    """One row, which knows where it stands."""

    values: Mapping[str, Any]
    source: str
    """File or data set."""
    number: int
    """Line of the file where it begins (JSONL, CSV), else its place; from 1."""

    def error(self, message: str) -> InvalidInput:
        """Return the error that names this row."""
        return InvalidInput(f"{self.source}, row {self.number}: {message}")

    def get(self, field: str) -> Any:
        """Return a value that has to be there.

        Raises:
            InvalidInput: It is missing or null.
        """
        if self.values.get(field) is None:
            known = ", ".join(repr(name) for name in self.values) or "none"
            raise self.error(
                f"the field '{field}' is missing. Fields of this row: {known}."
            )
        return self.values[field]

    def text(self, field: str) -> str:
        """Return a text that is not blank, without white space around it.

        Raises:
            InvalidInput: It is missing, blank or no text.
        """
        return self.raw(field).strip()

    def raw(self, field: str) -> str:
        """Return a text that is not blank, white space kept.

        Raises:
            InvalidInput: It is missing, blank or no text.
        """
        value = self.get(field)
        if not isinstance(value, str):
            kind = type(value).__name__
            raise self.error(f"the field '{field}' has to be text, but is {kind}.")
        if not value.strip():
            raise self.error(f"the field '{field}' is empty.")
        return value

    def texts(self, field: str) -> list[str]:
        """Return a list of texts.

        Raises:
            InvalidInput: It is missing or no list of texts.
        """
        value = self.get(field)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        raise self.error(f"the field '{field}' has to be a list of texts.")

    def label(self, field: str, options: Collection[str]) -> str:
        """Return a label that has to be one of some options.

        Raises:
            InvalidInput: It is none of them.
        """
        value = self.text(field)
        if value not in options:
            raise self.error(
                f"the label '{value}' of the field '{field}' is none of the options "
                f"{', '.join(options) or '(none)'}. Correct the row, or take it out."
            )
        return value


class Loaded(Listed):
    """A benchmark whose problems are read from a file or through ``datasets``."""

    id_fields: ClassVar[tuple[str, ...]] = ("id",)
    """Fields that may hold the id of a row, the first one found counts."""

    path: Path | None = None
    """File with the problems; without one they are read through ``datasets``."""
    dataset: str = ""
    """Name of the data set for ``datasets.load_dataset``."""
    config: str | None = None
    """Its configuration."""
    dataset_split: str = "test"
    """Its split, which has nothing to do with the splits of an evaluation."""

    @abstractmethod
    def problem(self, row: Row, id: str) -> Problem:
        """Return the problem of a row.

        Raises:
            InvalidInput: The row has another layout.
        """

    def rows(self) -> Sequence[Row]:
        """Return the rows, in the order of the file."""
        if self.path is not None:
            return read_rows(self.path)
        return dataset_rows(self.dataset, self.config, self.dataset_split)

    def every(self) -> list[Problem]:
        """Read all problems.

        Raises:
            InvalidInput: A file is missing, damaged or of another layout; two rows
                have the same id.
            MissingExtra: ``datasets`` is needed and not installed.
        """
        ids = [(row, self.row_id(row)) for row in self.rows()]
        check_ids(ids)
        return [self.problem(row, id) for row, id in ids]

    def row_id(self, row: Row) -> str:
        """Return the id that the row has, else one made from its number."""
        found = (row.values.get(field) for field in self.id_fields)
        given = next((str(id) for id in found if id not in (None, "")), None)
        return given or f"{self.name}-{row.number}"


def check_ids(rows: Iterable[tuple[Row, str]]) -> None:
    """Refuse rows with the same id.

    Raises:
        InvalidInput: Names the id and both rows.
    """
    seen: dict[str, Row] = {}
    for row, id in rows:
        if id in seen:
            first = seen[id]
            raise row.error(
                f"the id '{id}' is already that of {first.source}, row {first.number}. "
                "Make the ids unique."
            )
        seen[id] = row


def dataset_rows(dataset: str, config: str | None, split: str) -> list[Row]:
    """Read a split of a data set through the package ``datasets``.

    Raises:
        MissingExtra: It is not installed.
        InvalidInput: It cannot give the data set.
    """
    try:
        library = import_module("datasets")
    except ModuleNotFoundError as error:
        raise _NoDatasets(dataset) from error
    name = dataset if config is None else f"{dataset}/{config}"
    try:
        found = [
            dict(row) for row in library.load_dataset(dataset, config, split=split)
        ]
    # Whatever it raises: files, network, access rights and scripts of others.
    except Exception as error:
        raise InvalidInput(
            f"The split '{split}' of the data set '{name}' cannot be read: "
            f"{type(error).__name__}: {error}. Correct dataset, config or "
            "dataset_split, or give the path of a file."
        ) from error
    return _filled(
        [Row(v, f"{name}[{split}]", n) for n, v in enumerate(found, 1)], name
    )


class _NoDatasets(MissingExtra):
    def __init__(self, dataset: str) -> None:
        super().__init__("datasets", "datasets", f"Reading '{dataset}'")
        # No extra of ponder brings it.
        self.args = (
            f"Reading '{dataset}' without a file needs the package datasets. Install "
            "it with: pip install datasets. Or give the path of a file.",
        )


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a file.

    Raises:
        InvalidInput: It cannot be read, is damaged, has no rows or another layout.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = next(iter(suffixes[:-1][-1:] if packed else suffixes[-1:]), "")
    if kind not in SUFFIXES:
        raise InvalidInput(
            f"{path} is no file of problems: its name has to end in "
            f"{', '.join(SUFFIXES)}, perhaps with .gz after it."
        )
    text = _text(path, packed)
    readers = {".jsonl": _json_lines, ".json": _json, ".csv": _csv}
    return _filled(list(readers[kind](text, path.name)), path.name)


def _filled(rows: list[Row], name: str) -> list[Row]:
    if not rows:
        raise InvalidInput(f"{name} holds no rows. Give a file or split with problems.")
    return rows


def _text(path: Path, packed: bool) -> str:
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if packed else content
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8."
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInput(
            f"{path} is no whole gzip file: {error}. Fetch it again."
        ) from error
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror}. Check the path and the rights."
        ) from error


def _json_lines(text: str, name: str) -> Iterator[Row]:
    # Not splitlines: JSON texts may hold the rarer line separators of Unicode.
    for number, line in enumerate(io.StringIO(text), 1):
        if line.strip():
            place = f"{name}, row {number}"
            yield Row(_object(_parsed(line, place), place), name, number)


def _json(text: str, name: str) -> Iterator[Row]:
    value = _parsed(text, name) if text.strip() else []
    if isinstance(value, dict):
        lists = [value[key] for key in LISTS if isinstance(value.get(key), list)]
        value = lists[0] if lists else [value]
    if not isinstance(value, list):
        raise InvalidInput(f"{name} has to hold a list of objects.")
    for number, item in enumerate(value, 1):
        yield Row(_object(item, f"{name}, row {number}"), name, number)


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise InvalidInput(
            f"{place}: no valid JSON ({error.msg}, {line}column {error.colno}). "
            "Mend it, or take it out."
        ) from error
    # Numbers of thousands of digits, brackets of thousands of levels.
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{place}: JSON that cannot be read: {error}.") from error


def _object(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise InvalidInput(f"{place}: a row has to be an object, but is {kind}.")
    return value


def _csv(text: str, name: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    header: list[str] | None = None
    try:
        for cells in reader:
            if header is None:
                header = [cell.strip() for cell in cells]
            elif cells:
                yield _csv_row(header, cells, name, start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInput(
            f"{name}, row {start}: no valid CSV ({error}). Mend the quotes of that row."
        ) from error


def _csv_row(header: list[str], cells: list[str], name: str, number: int) -> Row:
    row = Row(dict(zip(header, cells, strict=False)), name, number)
    if len(cells) > len(header):
        raise row.error(
            f"{len(cells)} cells under a header of {len(header)}. Quote the commas."
        )
    return row
