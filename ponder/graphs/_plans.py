"""Plans kept on disk between runs, by the signature of the kind of task."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from ponder.agents.discoverer import Step
from ponder.result import Task

FOLDER = "plans"
"""In the data folder of the settings."""

_STEPS = TypeAdapter(tuple[Step, ...])
_BLANK_LINES = re.compile(r"\n\s*\n")


def instruction(task: Task) -> str:
    """Return what tasks of a kind have in common, as far as a task shows it.

    That is what system messages say, and all paragraphs of the question but the last;
    of a question that is one paragraph, with nothing before it, the question itself.
    """
    said = [m.content for m in task.history if m.role == "system"]
    *before, last = _BLANK_LINES.split(task.question.strip())
    return "\n\n".join([*said, *before]) or last


def digest(signature: dict[str, Any]) -> str:
    """Return a file name for a signature."""
    text = json.dumps(signature, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def load(folder: Path, key: str) -> tuple[Step, ...] | None:
    """Return the plan of a key.

    Args:
        folder: Where plans are kept.
        key: The digest of its signature.

    Returns:
        ``None`` if there is none.

    Raises:
        ValueError: There is one, and it cannot be read.
    """
    file = folder / f"{key}.json"
    try:
        return _STEPS.validate_python(json.loads(file.read_text("utf-8"))["steps"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise ValueError(
            f"The plan in {file} cannot be read and is made anew: {error}"
        ) from error


def save(
    folder: Path, key: str, steps: tuple[Step, ...], signature: dict[str, Any]
) -> None:
    """Keep a plan; whoever reads it meanwhile sees the old one or the new one.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    body = {"signature": signature, "steps": _STEPS.dump_python(steps, mode="json")}
    part = folder / f".{key}.{uuid4().hex}"
    part.write_text(json.dumps(body, ensure_ascii=False, indent=1), "utf-8")
    os.replace(part, folder / f"{key}.json")
