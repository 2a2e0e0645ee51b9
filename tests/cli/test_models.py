import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ponder.cli.pulling import PlainPull, RichPull
from ponder.errors import ModelFileError
from ponder.models.base import Capabilities, Model
from ponder.models.catalog import CatalogEntry
from ponder.models.files.progress import OnProgress, Progress
from ponder.models.scripted import ScriptedModel
from ponder.settings import Settings, load_settings

Cli = Callable[..., Any]
Use = Callable[[Model], None]
NAME = "smollm2-135m"


def file_of(name: str) -> Path:
    return load_settings().models_dir / f"{name}.gguf"


@pytest.fixture
def pulls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were pulled, without any network."""
    pulled: list[str] = []

    def pull(entry: CatalogEntry, settings: Settings, progress: OnProgress) -> Path:
        pulled.append(entry.name)
        progress(
            Progress(
                model=entry.name,
                stage="fetching",
                source="model hub",
                bytes_done=entry.bytes // 2,
                bytes_total=entry.bytes,
                bytes_per_second=1_000_000,
                message="one source failed",
            )
        )
        return entry.path(settings)

    monkeypatch.setattr("ponder.cli.models.pull_file", pull)
    return pulled


def test_models_are_listed_with_size_and_presence(cli: Cli) -> None:
    done = cli("models")
    assert done.code == 0
    row = next(line for line in done.out.splitlines() if line.startswith(NAME))
    assert "98 MB" in row
    assert " no " in row
    file_of(NAME).parent.mkdir(parents=True)
    file_of(NAME).write_bytes(b"x")
    found = {m["name"]: m for m in json.loads(cli("models", "--json").out)}
    assert found[NAME]["pulled"] is True
    assert found[NAME]["bytes"] == 98362432
    assert [m["name"] for m in found.values() if m["default"]] == ["qwen2.5-coder-1.5b"]


def test_pull_shows_plain_progress_in_a_pipe(cli: Cli, pulls: list[str]) -> None:
    done = cli("models", "pull", NAME)
    assert (done.code, pulls) == (0, [NAME])
    assert done.out == f"{file_of(NAME)}\n"
    assert done.err.splitlines() == [
        f"{NAME}: one source failed",
        f"{NAME}: fetching from model hub, 49 MB of 98 MB, 1 MB/s, 0:49 left",
    ]


def test_pull_without_a_name_fetches_the_default(cli: Cli, pulls: list[str]) -> None:
    assert cli("models", "pull").code == 0
    assert pulls == ["qwen2.5-coder-1.5b"]


def test_an_interrupted_pull_says_how_to_go_on(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pull(*_: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr("ponder.cli.models.pull_file", pull)
    done = cli("models", "pull", NAME)
    assert (done.code, done.out) == (130, "")
    assert f"go on with: ponder models pull {NAME}" in done.err


def test_a_failed_pull_is_an_error(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def pull(*_: object) -> Path:
        raise ModelFileError("no source gave it")

    monkeypatch.setattr("ponder.cli.models.pull_file", pull)
    done = cli("models", "pull", NAME)
    assert (done.code, done.err) == (1, "Error: no source gave it\n")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smollm2-135", "Did you mean smollm2-135m?"),
        ("openai/gpt-4o-mini", "a remote model has no file here"),
        ("some/where.gguf", "A GGUF file needs no pulling"),
    ],
)
def test_what_cannot_be_pulled_is_named(cli: Cli, name: str, message: str) -> None:
    done = cli("models", "pull", name)
    assert done.code == 2
    assert message in done.err


def test_remove_frees_the_file_and_what_pulls_have_left(cli: Cli) -> None:
    file = file_of(NAME)
    (file.parent / f"{file.name}.staging").mkdir(parents=True)
    (file.parent / f"{file.name}.staging" / "wheel").write_bytes(b"x" * 500)
    (file.parent / f"{file.name}.hub.part").write_bytes(b"x" * 500)
    (file.parent / f"{NAME}.damaged").write_bytes(b"x" * 500)
    file.write_bytes(b"x" * 1_000_000)
    other = file_of("qwen3-4b")
    other.write_bytes(b"stays")
    done = cli("models", "remove", NAME)
    assert (done.code, done.out) == (0, f"Removed {NAME}: 1 MB freed.\n")
    assert list(file.parent.iterdir()) == [other]
    again = cli("models", "remove", NAME)
    assert again.code == 1
    assert "is not on this machine: nothing to remove" in again.err


def test_probe_prints_what_a_model_can_do(cli: Cli, use_model: Use) -> None:
    can = Capabilities(seed=True, logprobs=True, context_length=4096)
    use_model(ScriptedModel(capabilities=can))
    done = cli("models", "probe", "any")
    rows = dict(line.rsplit(maxsplit=1) for line in done.out.splitlines()[1:])
    assert (rows["seed"], rows["tools"]) == ("yes", "no")
    assert rows["context_length"] == "4,096"
    data = json.loads(cli("models", "probe", "any", "--json").out)
    assert data["capabilities"] == can.model_dump(mode="json")


def report(entry: CatalogEntry, done: int, stage: Any = "fetching") -> Progress:
    return Progress(
        model=entry.name, stage=stage, bytes_done=done, bytes_total=entry.bytes
    )


@pytest.fixture
def entry() -> CatalogEntry:
    return CatalogEntry.model_validate(
        {
            "name": "tiny",
            "licence": "MIT",
            "bytes": 1000,
            "parameters": 1,
            "context_length": 1,
            "hub": {"repository": "a/b", "file": "c.gguf"},
        }
    )


def test_plain_progress_is_not_chatty(
    entry: CatalogEntry, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    shown = PlainPull(entry, clock=lambda: now[0])
    for done in range(0, 1000, 10):
        now[0] += 0.1
        shown.tell(report(entry, done))
    shown.tell(report(entry, 1000, "done"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[-1] == "tiny: complete and verified"


def test_the_bar_moves(entry: CatalogEntry) -> None:
    with RichPull(entry) as shown:
        shown.tell(report(entry, 250))
        (task,) = shown._progress.tasks
        assert (task.completed, task.total) == (250, 1000)
        assert "250 bytes of 1 kB" in task.fields["amounts"]
