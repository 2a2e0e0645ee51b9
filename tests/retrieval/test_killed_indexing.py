import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "support" / "killed_indexing.py"


def trials(
    folder: Path, action: str, kind: str, first: int, step: int
) -> list[dict[str, Any]]:
    arguments = [str(folder), action, kind, str(first), str(step)]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found, done.stderr
    for trial in found:
        assert trial["check"] == 0, done.stderr
    return found


@pytest.mark.parametrize(
    ("action", "kind", "first", "step", "least"),
    [
        ("build", "words", 1, 6, 4),
        ("update", "words", 1, 7, 4),
        ("drop", "words", 2, 9, 2),
        ("update", "dense", 20, 12, 2),
        ("drop", "dense", 26, 9, 1),
    ],
)
def test_an_index_survives_its_writer(
    tmp_path: Path, action: str, kind: str, first: int, step: int, least: int
) -> None:
    found = trials(tmp_path, action, kind, first, step)
    *killed, ended = found
    assert [t["killed"] for t in found] == [True] * len(killed) + [False]
    assert len(killed) >= least, "too few places were tried"
    for trial in found:
        # What was there before is found at once, and the action done again ends as
        # if nobody had been killed.
        if action != "build":
            assert trial.get("found"), trial
        assert trial["whole"] == [], trial
