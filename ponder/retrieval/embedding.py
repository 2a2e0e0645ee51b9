"""Vectors of texts: the port, and whoever computes them."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ponder.errors import InvalidInput, ModelError
from ponder.models.base import Model
from ponder.models.catalog import Catalogued, resolve
from ponder.models.litellm import LiteLLMModel
from ponder.models.load import open_model
from ponder.settings import Settings

Vector = NDArray[np.float32]

LITELLM_PREFIX = "litellm:"
SENTENCE_TRANSFORMERS_PREFIX = "st:"
BATCH = 64
"""Texts of one call: enough to keep an engine busy, and few enough for every API."""


class Embedder(ABC):
    """Turns texts into vectors whose dot product says how much they are alike."""

    name: str
    """Vectors of the same name can be compared, and no others."""

    @abstractmethod
    async def embed(self, texts: Sequence[str]) -> Vector:
        """Return a vector for each text.

        Args:
            texts: None of them empty.

        Returns:
            Shape (texts, dimensions), rows of length 1; (0, 0) for no texts.

        Raises:
            InvalidInput: A text is empty.
            ModelError: The model could not do it.
        """

    async def aclose(self) -> None:
        """Free what is held."""
        return None


class ModelEmbedder(Embedder):
    """The embeddings of a model."""

    def __init__(
        self,
        model: Model,
        *,
        name: str | None = None,
        batch: int = BATCH,
        owner: bool = False,
    ) -> None:
        """Wrap a model.

        Args:
            model: Its ``embed`` is called.
            name: By default the name of the model.
            batch: Texts of one call.
            owner: Whether ``aclose`` closes the model.
        """
        self.name = name or model.name
        self.model, self.batch, self._owner = model, batch, owner

    async def embed(self, texts: Sequence[str]) -> Vector:
        """Return a vector for each text, computed in batches.

        Raises:
            InvalidInput: A text is empty.
            ModelError: The model could not do it, or its vectors are of no use.
        """
        refuse_empty(texts)
        rows: list[list[float]] = []
        for start in range(0, len(texts), self.batch):
            rows += await self.model.embed(texts[start : start + self.batch])
        return unit_rows(rows, len(texts), self.name)

    async def aclose(self) -> None:
        """Close the model if it is this embedder's own."""
        if self._owner:
            await self.model.aclose()


class SentenceTransformersEmbedder(Embedder):
    """A model of sentence-transformers, loaded at its first use."""

    def __init__(self, model: str, *, batch: int = BATCH) -> None:
        """Name the model.

        Args:
            model: As sentence-transformers names it, or the path of a folder.
            batch: Texts of one call.

        Raises:
            InvalidInput: sentence-transformers is not installed.
        """
        self.name = f"{SENTENCE_TRANSFORMERS_PREFIX}{model}"
        self._model, self._batch = model, batch
        self._class = _sentence_transformer()
        self._loaded: Any | None = None
        self._lock = asyncio.Lock()

    async def embed(self, texts: Sequence[str]) -> Vector:
        """Return a vector for each text.

        Raises:
            InvalidInput: A text is empty.
            ModelError: The model cannot be loaded, or failed.
        """
        refuse_empty(texts)
        if not texts:
            return np.zeros((0, 0), np.float32)
        async with self._lock:
            rows = await asyncio.to_thread(self._encode, list(texts))
        return unit_rows(rows, len(texts), self.name)

    def _encode(self, texts: list[str]) -> Any:
        try:
            if self._loaded is None:
                self._loaded = self._class(self._model)
            return self._loaded.encode(
                texts, batch_size=self._batch, show_progress_bar=False
            )
        except Exception as error:  # torch, the hub and the file system raise anything
            raise ModelError(
                f"Model '{self.name}' failed: {type(error).__name__}: {error}"
            ) from error


def open_embedder(spec: str, settings: Settings) -> Embedder:
    """Return the embedder of a name.

    Args:
        spec: ``litellm:MODEL`` for any embedding model of LiteLLM, ``st:MODEL`` for
            sentence-transformers, or else a model as ``open_model`` takes it:
            ``local``, a name of the catalogue, the path of a GGUF file. A local chat
            model gives the mean of its last hidden states, which is a weak embedding;
            a GGUF file that was trained to embed is better.
        settings: Say what ``local`` is and where model files are.

    Raises:
        UnknownName: No model has that name.
        ModelFileError: The model's file is not there, damaged or not GGUF.
        InvalidInput: The package that runs such models is not installed.
    """
    if spec.startswith(LITELLM_PREFIX):
        remote = LiteLLMModel(spec.removeprefix(LITELLM_PREFIX))
        return ModelEmbedder(remote, name=spec, owner=True)
    if spec.startswith(SENTENCE_TRANSFORMERS_PREFIX):
        return SentenceTransformersEmbedder(
            spec.removeprefix(SENTENCE_TRANSFORMERS_PREFIX)
        )
    found = resolve(spec, settings)
    if isinstance(found, Catalogued):
        # What "local" is can change, and an index must know whose vectors it holds.
        spec = found.entry.name
    return ModelEmbedder(open_model(spec, settings))


def refuse_empty(texts: Sequence[str]) -> None:
    """Raise ``InvalidInput`` for the first text without any visible character."""
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            raise InvalidInput(
                f"Text {number} of {len(texts)} is empty, and an empty text has no "
                "embedding. Leave it out."
            )


def unit_rows(rows: Any, count: int, name: str) -> Vector:
    """Return vectors as one array, each at length 1.

    Args:
        rows: The vectors.
        count: How many there must be.
        name: Whose vectors they are, for the error.

    Raises:
        ModelError: They are too few, of different lengths, or without a direction.
    """
    if not count:
        return np.zeros((0, 0), np.float32)
    try:
        array = np.asarray(rows, np.float32)
    except ValueError as error:
        raise ModelError(f"Model '{name}' gave vectors of several lengths.") from error
    if array.ndim != 2 or len(array) != count:
        raise ModelError(
            f"Model '{name}' gave vectors of shape {array.shape} for {count} texts."
        )
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise ModelError(f"Model '{name}' gave an embedding without a direction.")
    return cast(Vector, array / lengths)


def _sentence_transformer() -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        # No extra brings it: it needs torch, in the build that fits the machine.
        raise InvalidInput(
            "Embeddings by 'st:MODEL' need sentence-transformers. Install it with: "
            "pip install sentence-transformers"
        ) from error
    return SentenceTransformer
