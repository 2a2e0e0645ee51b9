"""Counting how often sealed problems were read.

A split that is looked at often is no test any more (Dwork et al. 2015, "Preserving
statistical validity in adaptive data analysis"). The count cannot stop anybody; it
stands in every report, so that a reader knows.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from ponder.errors import InvalidInput

FILE = "sealed.json"


def count_sealed_read(folder: Path, tasks: Sequence[str]) -> int:
    """Count one more read of some benchmarks.

    Args:
        folder: Where the count is kept, in the file ``sealed.json``.
        tasks: The benchmarks that are read now.

    Returns:
        How often the one read most has been read, this time included.

    Raises:
        InvalidInput: The file cannot be read or written, so that nothing may be read.
    """
    path = folder / FILE
    try:
        counts = json.loads(path.read_text()) if path.exists() else {}
        for task in tasks:
            counts[task] = int(counts.get(task, 0)) + 1
        folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(counts, indent=2, sort_keys=True))
        beside.replace(path)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"The count of sealed reads {path} cannot be kept ({error}). Repair the "
            "file before you read the sealed problems."
        ) from error
    return max(int(counts[task]) for task in tasks)
