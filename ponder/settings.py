"""Settings: explicit arguments, then the environment, then the config file, defaults.

The environment variables are the field names in capitals behind ``PONDER_``. The
config file is TOML with the field names as keys, at ``config.toml`` in the user's
config folder unless ``PONDER_CONFIG`` names another.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ponder.errors import InvalidInput, UnknownName

ENV_PREFIX = "PONDER_"
CONFIG_VARIABLE = "PONDER_CONFIG"
CONFIG_FILE = "config.toml"
MODELS_FILE = "models.toml"

Folder = Annotated[Path, AfterValidator(Path.expanduser)]


def config_file() -> Path:
    """Return the place of the config file; it need not exist."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(platformdirs.user_config_dir("ponder", appauthor=False)) / CONFIG_FILE


def _data_dir() -> Path:
    return Path(platformdirs.user_data_dir("ponder", appauthor=False))


def _cache_dir() -> Path:
    return Path(platformdirs.user_cache_dir("ponder", appauthor=False))


class Settings(BaseSettings):
    """What a user can set once instead of with every command."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    model: str = Field(default="local", min_length=1)
    """Which model answers where none is named."""
    strategy: str = Field(default="self_consistency", min_length=1)
    """Which strategy is used where none is named."""
    default_local_model: str = Field(default="qwen2.5-coder-1.5b", min_length=1)
    """What ``local`` stands for: a name of the catalogue or the path of a GGUF file."""
    budget_tokens: int | None = Field(default=None, ge=0)
    """Input plus output tokens of a run; ``None`` is no limit."""
    budget_seconds: float | None = Field(default=None, ge=0)
    """Wall time of a run."""
    budget_calls: int | None = Field(default=None, ge=0)
    """Model calls of a run."""
    budget_cost: float | None = Field(default=None, ge=0)
    """US dollars of a run."""
    data_dir: Folder = Field(default_factory=_data_dir)
    """Where the journal lives. Losing it loses the record of past runs."""
    cache_dir: Folder = Field(default_factory=_cache_dir)
    """Where model files live. Losing it costs only the time to fetch them again."""
    hub_url: str = Field(default="https://huggingface.co", pattern=r"^https?://")
    """The model hub, or a mirror that has the same paths."""

    @property
    def models_dir(self) -> Path:
        """Where pulled models are kept."""
        return self.cache_dir / "models"

    @property
    def models_file(self) -> Path:
        """The user's own catalogue, beside the config file; it need not exist."""
        return config_file().parent / MODELS_FILE

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the sources in order, the strongest first."""
        from_file = InitSettingsSource(settings_cls, _read_config(config_file(), cls))
        return init_settings, env_settings, from_file


def load_settings(**explicit: Any) -> Settings:
    """Gather the settings, and say where a bad one comes from.

    Args:
        **explicit: Fields of ``Settings``. ``None`` means "not given", so that a
            command line can pass all its options on.

    Returns:
        The settings.

    Raises:
        InvalidInput: A value cannot be used, or the config file cannot be read or has
            a key that does not exist.
    """
    given = {name: value for name, value in explicit.items() if value is not None}
    for name in given:
        if name not in Settings.model_fields:
            raise UnknownName("setting", name, Settings.model_fields)
    try:
        return Settings(**given)
    except ValidationError as error:
        raise InvalidInput(_explain(error, given)) from error


def _read_config(path: Path, settings: type[BaseSettings]) -> dict[str, Any]:
    values = read_toml(path)
    for key in values:
        if key not in settings.model_fields:
            unknown = UnknownName("setting", key, settings.model_fields)
            raise InvalidInput(f"In {path}: {unknown}")
    return values


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file, nothing if there is no such file.

    Raises:
        InvalidInput: It cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path} is not valid TOML: {error}. Correct it or delete it."
        ) from error
    except OSError as error:
        raise InvalidInput(f"Cannot read {path}: {error.strerror}.") from error


def _explain(error: ValidationError, given: dict[str, Any]) -> str:
    """Name field, value, reason and where to change it, one line for each."""
    lines = []
    for problem in error.errors():
        field = str(problem["loc"][0])
        lines.append(
            f"{_origin(field, given)} sets {field} to {problem['input']!r}: "
            f"{problem['msg']}. Correct it there or leave it out."
        )
    return "\n".join(lines)


def _origin(field: str, given: dict[str, Any]) -> str:
    variable = ENV_PREFIX + field.upper()
    # pydantic-settings matches the environment without regard to case.
    if field in given:
        return "The argument"
    if any(name.upper() == variable for name in os.environ):
        return f"The environment variable {variable}"
    return f"The config file {config_file()}"
