"""What is computed from an index's passages, and can be computed again: BM25, vectors.

Each lives in a folder whose name tells of which state of the SQLite file it is made:
``bm25-GENERATION`` and ``vectors-NUMBER``.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ponder.errors import RetrievalError
from ponder.models.files.file_lock import file_lock
from ponder.retrieval.embedding import Embedder
from ponder.retrieval.lexical import BM25
from ponder.retrieval.store import Store
from ponder.retrieval.vectors import Vectors

LOCK_FILE = "lock"
FIRST_BATCH, LARGEST_BATCH = 16, 512
BATCH_SECONDS = 4.0
"""Passages are embedded for about so long between two notes of it: what a kill may
cost. Larger batches are cheaper to write."""

Tell = Callable[[int, int], None]
"""Told how many passages are done, of how many."""


class _Busy(Exception):
    pass


@contextmanager
def writing(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Be the only one that changes an index; a killed holder holds nothing.

    Args:
        folder: Of the index.
        on_wait: Called while another process changes it; may raise to give up.
    """
    with file_lock(folder / LOCK_FILE, on_wait):
        yield


class Words:
    """The BM25 index of an index, in memory and on disk."""

    def __init__(self, store: Store) -> None:
        """Belong to a store; nothing is loaded yet."""
        self._store = store
        self._loaded: tuple[int, BM25] | None = None

    def current(self) -> BM25:
        """Return the BM25 index of the passages that there are.

        While another process changes the passages, it is the last whole one. If a
        killed process left none, it is built here.

        Raises:
            RetrievalError: The passages cannot be read.
            MissingExtra: bm25s is not installed.
        """
        generation = self._store.number("generation")
        if self._loaded is not None and self._loaded[0] == generation:
            return self._loaded[1]
        found = self._load(generation) or self._publish_now() or self._last()
        self._loaded = found
        return found[1]

    def publish(self) -> None:
        """Write the BM25 index of the passages that there are; forget the others.

        Call it with the lock held. The folder appears under its name only when it is
        whole.
        """
        generation, ids, texts = self._store.texts()
        final = self._folder(generation)
        if self._load(generation) is None:
            made = BM25.build(ids, texts)
            unfinished = final.with_name(f"{final.name}.{os.getpid()}.tmp")
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.rmtree(final, ignore_errors=True)
            made.save(unfinished)
            os.replace(unfinished, final)
            self._loaded = generation, made
        _remove_others(self._store.folder, "bm25-", final.name)

    def _publish_now(self) -> tuple[int, BM25] | None:
        """Make good for a killed writer; do nothing if a writer lives."""

        def give_up() -> None:
            raise _Busy

        try:
            with writing(self._store.folder, give_up):
                self.publish()
        except _Busy:
            return None
        return self._loaded

    def _last(self) -> tuple[int, BM25]:
        """Return the newest one that is whole, from memory if none is on disk."""
        if self._loaded is not None:
            return self._loaded
        folders = self._store.folder.glob("bm25-*")
        numbers = [int(n) for f in folders if (n := f.name[5:]).isdigit()]
        for number in sorted(numbers, reverse=True):
            if found := self._load(number):
                return found
        generation, ids, texts = self._store.texts()
        return generation, BM25.build(ids, texts)

    def _load(self, generation: int) -> tuple[int, BM25] | None:
        folder = self._folder(generation)
        if not folder.is_dir():
            return None
        try:
            return generation, BM25.load(folder)
        except RetrievalError:
            # Damaged: the passages are all there to build it again.
            return None

    def _folder(self, generation: int) -> Path:
        return self._store.folder / f"bm25-{generation}"


def open_vectors(store: Store) -> Vectors | None:
    """Return the vectors of an index; ``None`` if it has none yet.

    Raises:
        RetrievalError: They cannot be read.
        MissingExtra: LanceDB is not installed.
    """
    settings = store.settings()
    if settings is None or settings.dimension is None:
        return None
    return Vectors.open(_vectors_folder(store), settings.dimension)


async def embed_pending(store: Store, embedder: Embedder, tell: Tell) -> int:
    """Bring the vectors in step with the passages; call it with the lock held.

    What was done before a kill is kept: a passage counts as embedded only after its
    vector is written, and writing one again replaces it.

    Args:
        store: With the passages.
        embedder: The one of the index.
        tell: Told of the progress.

    Returns:
        How many passages were embedded.

    Raises:
        RetrievalError: The vectors have another dimension than those of the index.
        ModelError: The embedder failed; what was done is kept.
    """
    vectors = await asyncio.to_thread(_consistent, store)
    counts = store.counts()
    todo = counts.passages - counts.embedded
    done, size = 0, FIRST_BATCH
    tell(done, todo)
    while batch := await asyncio.to_thread(store.pending, size):
        begun = time.monotonic()
        ids = [id for id, _ in batch]
        array = await embedder.embed([text for _, text in batch])
        if vectors is None:
            vectors = await asyncio.to_thread(_begin, store, array.shape[1])
        _check_dimension(vectors, embedder.name, array.shape[1])
        await asyncio.to_thread(vectors.add, ids, array)
        store.note_embedded(ids)
        done += len(ids)
        tell(done, todo)
        size = _next_size(size, time.monotonic() - begun)
    if vectors is not None:
        await asyncio.to_thread(vectors.compact)
    return done


def _next_size(size: int, seconds: float) -> int:
    if seconds > BATCH_SECONDS:
        return max(1, size // 2)
    return min(LARGEST_BATCH, size * 2) if seconds < BATCH_SECONDS / 2 else size


def remove_vectors(store: Store) -> None:
    """Delete the vectors of passages that are gone, from the disk too."""
    gone = store.gone()
    vectors = open_vectors(store)
    if gone and vectors is not None:
        vectors.delete(gone)
        vectors.compact()
    store.note_gone(gone)


def remove_old_vectors(store: Store) -> None:
    """Remove vectors of another embedder, and all if the index has none."""
    settings = store.settings()
    kept = settings is not None and settings.embedder is not None
    _remove_others(
        store.folder, "vectors-", _vectors_folder(store).name if kept else ""
    )


def _consistent(store: Store) -> Vectors | None:
    """Return the vectors without those of passages that are gone.

    If some are missing, such as those of a folder that was deleted, all are forgotten.
    """
    vectors = open_vectors(store)
    if vectors is None:
        return None
    gone = store.gone()
    vectors.delete(gone)
    store.note_gone(gone)
    if vectors.count() > store.counts().embedded:
        # Written, but not noted before a kill.
        vectors.delete([id for id, _ in store.pending()])
    if vectors.count() != store.counts().embedded:
        store.forget_vectors()
        vectors = _begin(store, vectors.dimension)
        remove_old_vectors(store)
    return vectors


def _begin(store: Store, dimension: int) -> Vectors:
    store.set_dimension(dimension)
    vectors = open_vectors(store)
    assert vectors is not None, "the dimension was just set"
    return vectors


def _check_dimension(vectors: Vectors, name: str, dimension: int) -> None:
    if dimension != vectors.dimension:
        raise RetrievalError(
            f"The index has embeddings of '{name}' with {vectors.dimension} numbers, "
            f"and '{name}' now gives {dimension}: the model has changed. Build the "
            "index again: delete its folder, then ponder index build."
        )


def _vectors_folder(store: Store) -> Path:
    return store.folder / f"vectors-{store.number('vectors')}"


def _remove_others(folder: Path, prefix: str, keep: str) -> None:
    for other in folder.glob(f"{prefix}*"):
        if other.name != keep:
            # A reader may still use it where open files cannot be deleted; the next
            # update tries again.
            shutil.rmtree(other, ignore_errors=True)
