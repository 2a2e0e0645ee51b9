"""What NATURAL PLAN's three published files have in common."""

import json
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ValidationError

from ponder.errors import InvalidInput
from ponder.evals.benchmark import Listed, Problem

_ASK = "\n\nEnd your reply with the plan in a box, written like this: \\boxed{{{}}}"


class Record(BaseModel):
    """Fields that all records have; others are ignored."""

    prompt_0shot: str | None = None
    prompt_5shot: str | None = None
    golden_plan: str | list[str]

    @property
    def golden(self) -> str:
        """The golden plan as one text."""
        plan = self.golden_plan
        return plan if isinstance(plan, str) else "\n".join(plan)


class Unusable(ValueError):
    """A field of a record cannot be used."""

    def __init__(self, field: str, message: str) -> None:
        """Name the field."""
        self.field = field
        super().__init__(message)


class Published(Listed):
    """One of the published files."""

    source: ClassVar[str] = "https://github.com/google-deepmind/natural-plan"
    example: ClassVar[str]
    """The form of an answer in one line."""

    path: Path
    """The published file, or one of the same layout."""
    examples: bool = True
    """Ask with the five solved examples of the file (``prompt_5shot``)."""

    @abstractmethod
    def problem(self, id: str, row: Any) -> Problem:
        """Return the problem of a record.

        Raises:
            Unusable: A field cannot be used; ``ValidationError`` says so too.
        """

    def every(self) -> Sequence[Problem]:
        """Read the file.

        Raises:
            InvalidInput: It is missing or damaged, or a record is; the message names
                the record and its field.
        """
        return [self._checked(id, row) for id, row in records(self.path).items()]

    def _checked(self, id: str, row: Any) -> Problem:
        try:
            return self.problem(id, row)
        except ValidationError as error:
            first = error.errors()[0]
            where = [str(part) for part in first["loc"]]
            raise self._wrong(id, where[0] if where else "", first["msg"]) from error
        except Unusable as error:
            raise self._wrong(id, error.field, str(error)) from error

    def _wrong(self, id: str, field: str, message: str) -> InvalidInput:
        place = f"record '{id}'" + (f", field '{field}'" if field else "")
        return InvalidInput(
            f"'{self.path}', {place}: {message.rstrip('.')}. "
            "Take the file as it is published, or correct the record."
        )

    def asked(self, record: Record) -> str:
        """Return the text that a model is asked.

        Raises:
            Unusable: The record has none of the wanted kind.
        """
        field = "prompt_5shot" if self.examples else "prompt_0shot"
        prompt: str | None = getattr(record, field)
        if not prompt:
            raise Unusable(field, f"Field required where examples={self.examples}")
        # The solved examples show a form already.
        return prompt if self.examples else prompt + _ASK.format(self.example)


def records(path: Path) -> dict[str, Any]:
    """Read a file of records by id.

    Raises:
        InvalidInput: It is missing, no JSON, no such object, or an id stands there
            twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"'{path}' cannot be read: {error}. Give the path of a JSON file of "
            "NATURAL PLAN."
        ) from error
    try:
        found = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"'{path}' is damaged: {error}.") from error
    if not isinstance(found, dict) or not found:
        raise InvalidInput(
            f"'{path}' holds no records: a JSON object of records by id is expected."
        )
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"'{key}' stands there twice, make it unique")
        found[key] = value
    return found
