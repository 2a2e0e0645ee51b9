"""Models from their names; a model is loaded once per process and kept."""

import atexit
from pathlib import Path

from ponder.errors import ModelFileError, PonderError
from ponder.messages import Completion, OnDelta, Request
from ponder.models.base import Capabilities, Model
from ponder.models.catalog import Catalogued, LocalFile, Remote, resolve
from ponder.models.files.gguf import check_gguf
from ponder.models.litellm import LiteLLMModel
from ponder.models.llama import LlamaModel
from ponder.models.simulated import SimulatedModel
from ponder.settings import Settings

_OPEN: dict[str, Model] = {}


def open_model(name: str, settings: Settings) -> Model:
    """Return the model of a name, loading it at its first use.

    Args:
        name: ``local``, a name of the catalogue, ``gguf:PATH``, a remote model as
            LiteLLM names it, or ``simulated``.
        settings: Where model files are kept.

    Raises:
        UnknownName: No model has that name.
        ModelFileError: The file is not there, damaged or not GGUF.
        MissingExtra: The package that runs such models is not installed.
    """
    key = f"{name} {settings.default_local_model} {settings.cache_dir}"
    if key not in _OPEN:
        _OPEN[key] = _new(name, settings)
    return _OPEN[key]


def _new(name: str, settings: Settings) -> Model:
    if name == "simulated":
        return SimulatedModel()
    found = resolve(name, settings)
    if isinstance(found, Remote):
        return LiteLLMModel(found.model, name=name)
    path = _file(found, settings)
    if isinstance(found, LocalFile):
        # A resumed run must find the file from any folder.
        name = f"gguf:{path.resolve()}"
    return _local(name, path)


def _file(found: LocalFile | Catalogued, settings: Settings) -> Path:
    if isinstance(found, LocalFile):
        return found.path
    path = found.entry.path(settings)
    if not path.exists():
        raise ModelFileError(
            f"Model '{found.entry.name}' is not on this machine yet. Fetch it with: "
            f"ponder models pull {found.entry.name}"
        )
    return path


def _local(name: str, path: Path) -> Model:
    check_gguf(path)
    return LlamaModel(path, name=name)


@atexit.register
def _close_all() -> None:
    for model in _OPEN.values():
        if isinstance(model, LlamaModel):
            model.close()
    _OPEN.clear()


class NamedModel(Model):
    """A model of which only the name is needed: that of a run being replayed."""

    def __init__(self, name: str, capabilities: Capabilities) -> None:
        """Stand for a model; the capabilities decide the way of a strategy."""
        self.name, self.capabilities = name, capabilities

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        """Refuse: a replay calls nothing."""
        raise PonderError(f"A replay called the model '{self.name}'.")
