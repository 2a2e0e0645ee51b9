"""Every example runs as it stands, with its stand-in for a model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
TELLS = {"ask_a_database": "verified", "search_a_maze": "go ", "plan_a_trip": "ponder "}
"""What the output must hold, beside something."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(example)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "PONDER_DATA_DIR": str(tmp_path)},
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.strip()
    assert TELLS.get(example.stem, "") in done.stdout
