import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import platformdirs
import pytest

from ponder import ScriptedModel
from ponder.errors import (
    InvalidInput,
    MissingExtra,
    ModelError,
    ModelFileError,
    UnknownName,
    UnsupportedCapability,
)
from ponder.models.litellm import LiteLLMModel
from ponder.models.llama.bindings import library
from ponder.retrieval.embedding import (
    ModelEmbedder,
    SentenceTransformersEmbedder,
    open_embedder,
    unit_rows,
)
from ponder.settings import Settings
from tests.support.openai_server import serve_model


class Embedding(ScriptedModel):
    """A model whose vector of a text is its length and 1."""

    def __init__(self) -> None:
        super().__init__([])
        self.batches: list[list[str]] = []
        self.closed = False

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.batches.append(list(texts))
        return [[float(len(text)), 1.0] for text in texts]

    async def aclose(self) -> None:
        self.closed = True


async def test_texts_go_in_batches_and_come_back_in_order() -> None:
    model = Embedding()
    texts = ["x" * n for n in range(1, 8)]
    rows = await ModelEmbedder(model, batch=3).embed(texts)
    assert model.batches == [texts[:3], texts[3:6], texts[6:]]
    assert rows.dtype == np.float32 and rows.shape == (7, 2)
    lengths = np.arange(1, 8)
    assert rows[:, 0] == pytest.approx(lengths / np.hypot(lengths, 1))
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(7))


async def test_no_texts_need_no_call() -> None:
    model = Embedding()
    assert (await ModelEmbedder(model).embed([])).shape == (0, 0)
    assert model.batches == []


@pytest.mark.parametrize("empty", ["", " \n"])
async def test_an_empty_text_is_named(empty: str) -> None:
    with pytest.raises(InvalidInput, match="Text 2 of 3 is empty"):
        await ModelEmbedder(Embedding()).embed(["a", empty, "b"])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0, 0.0]], r"shape \(1, 2\) for 2 texts"),
        ([[1.0, 0.0], [1.0]], "several lengths"),
        ([[1.0, 0.0], [0.0, 0.0]], "without a direction"),
        ([[1.0, 0.0], [float("nan"), 0.0]], "without a direction"),
    ],
)
def test_useless_vectors_are_refused(rows: list[list[float]], said: str) -> None:
    with pytest.raises(ModelError, match=f"'m' gave .*{said}"):
        unit_rows(rows, 2, "m")


async def test_only_an_own_model_is_closed() -> None:
    lent, own = Embedding(), Embedding()
    await ModelEmbedder(lent).aclose()
    await ModelEmbedder(own, owner=True).aclose()
    assert not lent.closed and own.closed


async def test_a_model_without_embeddings_says_so() -> None:
    embedder = ModelEmbedder(ScriptedModel([]))
    with pytest.raises(UnsupportedCapability, match="embed"):
        await embedder.embed(["a"])


async def test_litellm_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Embedding()
    async with serve_model(model) as server:
        remote = LiteLLMModel("openai/tiny", api_base=server.url, api_key="k")
        embedder = ModelEmbedder(remote, name="litellm:openai/tiny", owner=True)
        rows = await embedder.embed(["abc", "d"])
        await embedder.aclose()
    assert model.batches == [["abc", "d"]]
    assert rows[0] == pytest.approx(np.array([3, 1]) / np.sqrt(10))


def test_names_open_what_they_say(tmp_path: Path) -> None:
    embedder = open_embedder("litellm:openai/text-embedding-3-small", Settings())
    assert isinstance(embedder, ModelEmbedder)
    assert isinstance(embedder.model, LiteLLMModel)
    assert embedder.name == "litellm:openai/text-embedding-3-small"
    assert embedder.model.model_id == "openai/text-embedding-3-small"
    with pytest.raises(UnknownName, match="no-such-model"):
        open_embedder("no-such-model", Settings())
    with pytest.raises(ModelFileError):
        open_embedder(f"gguf:{tmp_path / 'none.gguf'}", Settings())
    # "local" is another model for each user: the error names which one it is here.
    with pytest.raises(ModelFileError, match=r"qwen2\.5-coder-1\.5b"):
        open_embedder("local", Settings(cache_dir=tmp_path))


@pytest.fixture
def gguf() -> Path:
    try:
        library()
    except MissingExtra as error:
        pytest.skip(str(error))
    cached = platformdirs.user_cache_path("ponder") / "models" / "smollm2-135m.gguf"
    path = Path(os.environ.get("PONDER_TEST_GGUF") or cached)
    if not path.is_file():
        pytest.skip(f"no model at {path}: set PONDER_TEST_GGUF")
    return path.resolve()


@pytest.mark.engine
async def test_the_local_engine_embeds(gguf: Path) -> None:
    settings = Settings(default_local_model=str(gguf))
    embedder = open_embedder("local", settings)
    texts = ["The cat sat.", "A cat was sitting.", "Interest rates rose sharply."]
    rows = await embedder.embed(texts)
    assert embedder.name == f"gguf:{gguf}"
    assert rows.shape[0] == 3 and rows.dtype == np.float32
    assert rows[0] @ rows[1] > rows[0] @ rows[2]
    assert await embedder.embed(texts[:1]) == pytest.approx(rows[:1], abs=1e-2)


class FakeTransformer:
    """Stands where sentence-transformers has its class."""

    def __init__(self, name: str) -> None:
        if name == "missing":
            raise OSError("no such model")

    def encode(self, texts: list[str], **options: Any) -> Any:
        return np.array([[len(text), 1.0] for text in texts])


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = FakeTransformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)


async def test_sentence_transformers(transformers: None) -> None:
    embedder = open_embedder("st:some/model", Settings())
    assert isinstance(embedder, SentenceTransformersEmbedder)
    assert embedder.name == "st:some/model"
    rows = await embedder.embed(["abc", "d"])
    assert rows[0] == pytest.approx(np.array([3, 1]) / np.sqrt(10))
    assert (await embedder.embed([])).shape == (0, 0)
    with pytest.raises(InvalidInput, match="empty"):
        await embedder.embed([""])
    with pytest.raises(ModelError, match="'st:missing' failed: OSError: no such model"):
        await open_embedder("st:missing", Settings()).embed(["a"])


def test_without_the_package_the_command_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(InvalidInput, match="pip install sentence-transformers"):
        open_embedder("st:some/model", Settings())
