import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from ponder.errors import MissingExtra
from ponder.models.llama.bindings import library
from ponder.models.llama.model import LlamaModel


@pytest.fixture(scope="session")
def gguf() -> Path:
    """The small model that the tests of the engine run on."""
    try:
        library()
    except MissingExtra as error:
        pytest.skip(str(error))
    default = Path(platformdirs.user_cache_dir("ponder")) / "models/smollm2-135m.gguf"
    path = Path(os.environ.get("PONDER_TEST_GGUF", default))
    if not path.is_file():
        pytest.skip(
            f"no model at {path}: `make test` fetches it, or set PONDER_TEST_GGUF"
        )
    return path


@pytest.fixture(scope="session")
def shared_model(gguf: Path) -> Iterator[LlamaModel]:
    """One open model for all tests that leave nothing behind but cached prefixes."""
    model = LlamaModel(gguf, n_ctx=4096, profile=False)
    yield model.open()
    model.close()


@pytest.fixture
def model(shared_model: LlamaModel) -> LlamaModel:
    return shared_model
