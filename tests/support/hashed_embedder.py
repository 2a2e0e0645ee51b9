"""An embedder for tests: texts with the same words have the same vector."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from ponder.errors import ModelError
from ponder.retrieval.embedding import Embedder, refuse_empty, unit_rows
from ponder.retrieval.words import words


class HashedEmbedder(Embedder):
    """Counts the words of a text, each in the dimension of its hash."""

    def __init__(self, dimension: int = 64, name: str = "hashed") -> None:
        self.name, self.dimension = name, dimension
        self.calls: list[list[str]] = []
        self.closed = False

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Fail for the text ``fail``."""
        refuse_empty(texts)
        self.calls.append(list(texts))
        if "fail" in texts:
            raise ModelError("The model 'hashed' failed.")
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            # A text without words has a direction too.
            for word in words(text) or [""]:
                digest = blake2b(word.encode(), digest_size=4).digest()
                row[int.from_bytes(digest) % self.dimension] += 1
        return unit_rows(rows, len(texts), self.name)

    async def aclose(self) -> None:
        self.closed = True
