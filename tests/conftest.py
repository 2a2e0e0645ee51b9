"""Tests never reach beyond this machine, and never touch the user's own files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The first example of a test may import a heavy package: that is no slow test.
# Examples are the same in every run; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("ponder", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ponder"))


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PONDER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PONDER_CONFIG", str(tmp_path / "config.toml"))
    for name in ("PONDER_MODEL", "PONDER_STRATEGY", "PONDER_BUDGET_TOKENS"):
        monkeypatch.delenv(name, raising=False)
    yield
