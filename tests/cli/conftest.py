from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ponder.cli.app import app
from ponder.models.base import Model
from ponder.settings import Settings


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Done]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command in this process, with no terminal anywhere."""
    monkeypatch.setenv("PONDER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PONDER_DEBUG", raising=False)
    # The width of help and error texts must not depend on who runs the tests.
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str, input: str | bytes | None = None) -> Done:
        done = CliRunner().invoke(app, list(arguments), input=input)
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def use_model(monkeypatch: pytest.MonkeyPatch) -> Callable[[Model], None]:
    """Let every model name mean the given model."""

    def use(model: Model) -> None:
        def opened(name: str, settings: Settings) -> Any:
            return model

        monkeypatch.setattr("ponder.plan.open_plain_model", opened)

    return use
