"""An index of documents on disk: searched, updated, and rid of a source for good."""

import asyncio
import time
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, get_args

from ponder.errors import (
    InvalidInput,
    InvalidParameter,
    ModelError,
    RetrievalError,
    UnknownName,
)
from ponder.passages import Passage, Retriever
from ponder.retrieval.derived import (
    Words,
    embed_pending,
    open_vectors,
    remove_old_vectors,
    remove_vectors,
    writing,
)
from ponder.retrieval.embedding import Embedder, Vector, open_embedder
from ponder.retrieval.fusion import reciprocal_rank_fusion
from ponder.retrieval.intake import OnProgress, Progress, Report, take_in
from ponder.retrieval.store import Counts, IndexSettings, Store
from ponder.retrieval.vectors import Vectors
from ponder.settings import Settings, load_settings

Mode = Literal["bm25", "dense", "hybrid"]
"""By words, by vectors, or both with their ranks fused."""
MODES: tuple[Mode, ...] = get_args(Mode)
DEPTH = 100
"""Passages of each ranking that are fused, or more if more are wanted."""

Ranking = list[tuple[str, float]]


class Index(Retriever):
    """An index; open one with ``ponder.retrieval.opening``.

    ``name`` says where it is and how it is searched, so that a run can be resumed:
    ``index:FOLDER#MODE``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        mode: Mode | None = None,
        embedder: Embedder | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Open an index that is there.

        Args:
            folder: Of the index, not of the documents.
            mode: How it is searched; by default ``hybrid`` if it has embeddings, else
                ``bm25``.
            embedder: The one that the index was built with; by default it is opened
                by its name when it is needed.
            settings: Where models are; by default from the environment.

        Raises:
            RetrievalError: There is no index, it is damaged, or it was built with
                another embedder.
            InvalidParameter: The mode needs embeddings, and the index has none.
        """
        self.folder, self.store = folder, Store(folder)
        self._settings, self._embedder = settings, embedder
        known = self.known()
        if embedder is not None:
            check_embedder(folder, known, embedder.name)
        self.mode: Mode = mode or ("hybrid" if known.embedder else "bm25")
        _check_mode(folder, known, self.mode)
        self.name = f"index:{folder}#{self.mode}"
        self._words = Words(self.store)
        self._vectors: Vectors | None = None

    def known(self) -> IndexSettings:
        """Return how the index was built.

        Raises:
            RetrievalError: There is none.
        """
        known = self.store.settings()
        if known is None:
            raise RetrievalError(
                f"There is no index in {self.folder}. Build it: ponder index build "
                f"FOLDER --out {self.folder}"
            )
        return known

    def counts(self) -> Counts:
        """Return how much the index holds."""
        return self.store.counts()

    async def search(self, query: str, k: int) -> list[Passage]:
        """Return the best passages for a query; see ``Retriever``.

        Raises:
            RetrievalError: The index is empty, damaged or gone.
            InvalidParameter: k is below 1.
        """
        if k < 1:
            raise InvalidParameter(f"k is {k}: ask for 1 passage or more.")
        if not query.strip():
            return []
        if self.mode == "bm25":
            return await asyncio.to_thread(self._by_words, query, k)
        try:
            (vector,) = await self.embedder().embed([query])
        except ModelError as error:
            raise RetrievalError(
                f"'{self.name}' cannot be searched by vectors: {error}"
            ) from error
        return await asyncio.to_thread(self._with_vector, query, vector, k)

    def _by_words(self, query: str, k: int) -> list[Passage]:
        return self._passages(self._words.current().search(query, k), k)

    def _with_vector(self, query: str, vector: Vector, k: int) -> list[Passage]:
        if self.mode == "dense":
            return self._passages(self._opened_vectors().search(vector, k), k)
        depth = max(k, DEPTH)
        rankings = (
            self._words.current().search(query, depth),
            self._opened_vectors().search(vector, depth),
        )
        return self._passages(
            reciprocal_rank_fusion([[id for id, _ in r] for r in rankings]), k
        )

    def _passages(self, ranking: Ranking, k: int) -> list[Passage]:
        """Return the best k that are still there."""
        if not ranking and not self.counts().passages:
            raise empty(self.folder, self.known())
        found: list[Passage] = []
        for start in range(0, len(ranking), k):
            part = ranking[start : start + k]
            there = self.store.get([id for id, _ in part])
            found += [
                there[id].model_copy(update={"score": score})
                for id, score in part
                if id in there
            ]
            if len(found) >= k:
                break
        return found[:k]

    def _opened_vectors(self) -> Vectors:
        if self._vectors is None:
            self._vectors = open_vectors(self.store)
        if self._vectors is None:
            raise RetrievalError(
                f"The index {self.folder} has no embeddings yet: an update was stopped "
                "before. Go on with it: ponder index update FOLDER"
            )
        return self._vectors

    def embedder(self) -> Embedder:
        """Return the embedder of the index, opened by its name if need be.

        Raises:
            RetrievalError: The index has none, or its name now means another one.
        """
        known = self.known()
        if self._embedder is None:
            if known.embedder is None:
                raise _no_embeddings(self.folder)
            settings = self._settings or load_settings()
            self._embedder = open_embedder(known.embedder, settings)
        check_embedder(self.folder, known, self._embedder.name)
        return self._embedder

    async def update(self, on_progress: OnProgress | None = None) -> Report:
        """Read what is new or changed in the folders, and forget what is gone.

        A kill at any moment loses at most the files that were being read; the next
        update goes on from there.

        Args:
            on_progress: Told how far it is, from any thread.

        Returns:
            What was done, and which files could not be read.

        Raises:
            RetrievalError: There is no text at all, or a folder is gone.
            ModelError: The embedder failed; everything else is done and kept.
        """
        tell = on_progress or (lambda progress: None)
        begun = time.monotonic()
        async with Writing(self.folder, tell):
            report = await take_in(self.store, self.known(), tell)
            tell(Progress(stage="indexing words"))
            await asyncio.to_thread(self._words.publish)
            await self._embed(tell)
        if not report.passages:
            raise empty(self.folder, self.known(), report)
        return report.model_copy(update={"seconds": time.monotonic() - begun})

    async def _embed(self, tell: OnProgress) -> None:
        self._vectors = None
        if self.known().embedder is None:
            self.store.note_gone(self.store.gone())
        else:
            await embed_pending(
                self.store,
                self.embedder(),
                lambda done, total: tell(
                    Progress(stage="embedding", done=done, total=total)
                ),
            )
        remove_old_vectors(self.store)

    async def drop(self, *sources: str) -> int:
        """Remove sources: no text and no vector of them is left on the disk.

        Updates leave them out from now on; building the index again takes them back.

        Args:
            *sources: As in ``Passage.source``: a file, or one document of a file.

        Returns:
            How many passages are gone.

        Raises:
            InvalidInput: The index has no such source; nothing was removed then.
        """
        async with Writing(self.folder, lambda progress: None):
            known = self.store.sources()
            for source in sources:
                if source not in known:
                    raise _no_source(source, known)
            before = self.counts().passages
            await asyncio.to_thread(self._forget, sources)
        return before - self.counts().passages

    def _forget(self, sources: tuple[str, ...]) -> None:
        self.store.remove(sources, for_good=True)
        self._words.publish()
        remove_vectors(self.store)
        self._vectors = None

    async def aclose(self) -> None:
        """Free the embedder."""
        if self._embedder is not None:
            await self._embedder.aclose()


class Writing:
    """The right to change an index, waited for beside the event loop."""

    def __init__(self, folder: Path, tell: OnProgress) -> None:
        """Name the index; ``tell`` hears of waiting."""
        self._stopped = False
        self._tell = tell
        self._lock = writing(folder, self._wait)

    def _wait(self) -> None:
        if self._stopped:
            raise RetrievalError("Stopped while waiting for another update.")
        self._tell(Progress(stage="waiting for another update of the index"))

    async def __aenter__(self) -> None:
        """Wait until nobody else changes the index."""
        try:
            await asyncio.to_thread(self._lock.__enter__)
        except asyncio.CancelledError:
            self._stopped = True
            raise

    async def __aexit__(self, *_: object) -> None:
        """Let others change it."""
        self._lock.__exit__(None, None, None)


def check_embedder(folder: Path, known: IndexSettings, name: str) -> None:
    """Refuse embeddings that are not those of the index.

    Raises:
        RetrievalError: Names both embedders.
    """
    if known.embedder != name:
        built = f"with '{known.embedder}'" if known.embedder else "without"
        raise RetrievalError(
            f"The index {folder} was built {built} embeddings, and '{name}' is asked "
            "for: vectors of two models cannot be compared. Leave --embedder out to "
            "use the index as it is, or build it again: ponder index build FOLDER "
            f"--embedder {name}"
        )


def empty(
    folder: Path, known: IndexSettings, report: Report | None = None
) -> Exception:
    """Return the error for an index that holds no text, and what helps."""
    roots = ", ".join(map(str, known.selection.roots))
    found = "it holds no file that is read"
    if report is not None and report.problems:
        first = report.problems[0]
        found = f"of its files none can be read, such as {first.source}: {first.reason}"
    elif report is not None and report.other:
        kinds = ", ".join(report.other)
        found = (
            f"its files are of other kinds ({kinds}); name some with --include, such "
            "as --include '*.py'"
        )
    return RetrievalError(f"There is nothing to search in {roots}: {found}.")


def _no_source(source: str, known: list[str]) -> InvalidInput:
    near = get_close_matches(source, known, n=3, cutoff=0.6)
    some = ", ".join(sorted(known)[:3])
    hint = (
        f"Did you mean {' or '.join(near)}?"
        if near
        else f"It has {len(known):,}, such as {some}."
        if known
        else "It has none."
    )
    return InvalidInput(f"The index has no source '{source}'. {hint}")


def _check_mode(folder: Path, known: IndexSettings, mode: str) -> None:
    if mode not in MODES:
        raise UnknownName("mode of search", mode, MODES)
    if mode != "bm25" and known.embedder is None:
        raise _no_embeddings(folder)


def _no_embeddings(folder: Path) -> InvalidParameter:
    return InvalidParameter(
        f"The index {folder} has no embeddings: search it by bm25, or build it again "
        "with --embedder NAME."
    )
