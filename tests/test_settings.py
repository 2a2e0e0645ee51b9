from pathlib import Path

import pytest

from ponder.errors import InvalidInput, UnknownName
from ponder.settings import Settings, config_file, load_settings


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PONDER_{name.upper()}", raising=False)
    path = tmp_path / "config.toml"
    monkeypatch.setenv("PONDER_CONFIG", str(path))
    return path


def complaint(**explicit: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_settings(**explicit)
    return str(caught.value)


def test_defaults_without_a_file(config: Path) -> None:
    settings = load_settings()
    assert settings.model == "local"
    assert settings.strategy == "self_consistency"
    assert settings.default_local_model == "qwen2.5-coder-1.5b"
    assert settings.budget_tokens is None
    assert settings.data_dir.name == settings.cache_dir.name == "ponder"
    assert settings.data_dir != settings.cache_dir


def test_explicit_beats_environment_beats_file(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(
        'model = "file"\nstrategy = "file"\nbudget_tokens = 1\nbudget_calls = 1\n'
    )
    monkeypatch.setenv("PONDER_MODEL", "environment")
    monkeypatch.setenv("PONDER_BUDGET_TOKENS", "2")
    monkeypatch.setenv("PONDER_STRATEGY", "environment")
    settings = load_settings(budget_tokens=3, model=None)
    assert settings.budget_tokens == 3
    assert settings.model == "environment"  # None is "not given"
    assert settings.strategy == "environment"
    assert settings.budget_calls == 1


def test_an_empty_variable_is_not_set(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PONDER_BUDGET_TOKENS", "")
    assert load_settings().budget_tokens is None


def test_the_config_file_is_in_the_users_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PONDER_CONFIG", raising=False)
    assert config_file().parts[-2:] == ("ponder", "config.toml")


def test_own_models_are_beside_the_config_file(config: Path) -> None:
    assert load_settings().models_file == config.with_name("models.toml")


def test_home_is_expanded(config: Path) -> None:
    config.write_text('cache_dir = "~/models"\n')
    assert load_settings().models_dir == Path.home() / "models" / "models"


def test_settings_cannot_be_changed(config: Path) -> None:
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        setattr(settings, "model", "other")  # noqa: B010  # mypy knows it is frozen


def test_a_bad_value_in_the_file_names_file_field_and_remedy(config: Path) -> None:
    config.write_text("budget_tokens = -5\n")
    message = complaint()
    assert f"The config file {config} sets budget_tokens to -5" in message
    assert "greater than or equal to 0" in message
    assert "Correct it there" in message


def test_every_bad_value_is_named(config: Path) -> None:
    config.write_text('budget_tokens = "many"\nhub_url = "ftp://hub"\n')
    message = complaint()
    assert "budget_tokens to 'many'" in message
    assert "hub_url to 'ftp://hub'" in message


def test_a_bad_variable_is_named(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ponder_budget_seconds", "soon")
    message = complaint()
    assert "The environment variable PONDER_BUDGET_SECONDS" in message
    assert "'soon'" in message


def test_a_bad_argument_is_named(config: Path) -> None:
    assert "The argument sets budget_cost to -1" in complaint(budget_cost=-1)


def test_an_unknown_key_gives_the_file_and_the_nearest_name(config: Path) -> None:
    config.write_text('modle = "x"\n')
    message = complaint()
    assert str(config) in message
    assert "Unknown setting 'modle'. Did you mean model?" in message


def test_an_unknown_argument_gives_the_nearest_name(config: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean strategy?"):
        load_settings(stratgy="direct")


def test_broken_toml(config: Path) -> None:
    config.write_text("model = \n")
    message = complaint()
    assert f"{config} is not valid TOML" in message
    assert "line 1" in message


def test_a_file_that_is_not_text(config: Path) -> None:
    config.write_bytes(b"\xff\xfe\x00")
    assert "is not valid TOML" in complaint()


def test_a_folder_instead_of_the_file(config: Path) -> None:
    config.mkdir()
    assert f"Cannot read {config}: Is a directory" in complaint()
