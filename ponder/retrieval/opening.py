"""Indexes by their folders, and retrievers by their names."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

from ponder.errors import InvalidInput, RetrievalError, UnknownName
from ponder.passages import Retriever
from ponder.retrieval.chunking import SIZE, checked_overlap
from ponder.retrieval.derived import LOCK_FILE
from ponder.retrieval.documents import selection
from ponder.retrieval.embedding import Embedder, open_embedder
from ponder.retrieval.index import MODES, Index, Mode, Writing, check_embedder
from ponder.retrieval.intake import OnProgress, Report
from ponder.retrieval.store import FILE, IndexSettings, Store
from ponder.settings import Settings, load_settings

PREFIX = "index:"
"""Begins the names of retrievers that are indexes on disk."""
FOLDER = "indexes"
"""In the data folder of the settings."""

Folders = Sequence[Path | str]


def index_folder(
    folders: Folders, settings: Settings, out: Path | str | None = None
) -> Path:
    """Return where the index of some folders is kept; it need not exist.

    Args:
        folders: With documents, or one that is itself an index.
        settings: Its ``data_dir`` holds indexes that have no place of their own.
        out: The place, if it was chosen.
    """
    if out is not None:
        return Path(out).expanduser().resolve()
    roots = sorted({Path(f).expanduser().resolve() for f in folders})
    if len(roots) == 1 and (roots[0] / FILE).is_file():
        return roots[0]
    joined = "\x00".join(map(str, roots))
    digest = hashlib.blake2b(joined.encode(), digest_size=6).hexdigest()
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in roots[0].name)
    return settings.data_dir.resolve() / FOLDER / f"{name[:40] or 'root'}-{digest}"


async def build_index(
    folders: Folders,
    *,
    out: Path | str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    size: int = SIZE,
    overlap: int | None = None,
    embedder: Embedder | str | None = None,
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Index, Report]:
    """Build the index of some folders, or build it again in another way.

    What an index that is there already has done, and what stays the same, is kept.

    Args:
        folders: With documents, or single files.
        out: Folder of the index; by default one in the data folder.
        include: Globs; see ``Selection``.
        exclude: Globs; see ``Selection``.
        size: Most characters of a passage.
        overlap: Most characters that neighbours share; a tenth of the size.
        embedder: Who makes vectors, or its name; ``None`` for an index of words only.
        settings: By default from the environment and the config file.
        on_progress: Told how far it is, from any thread.

    Returns:
        The index, and what was done.

    Raises:
        RetrievalError: A folder is not there, or holds no text.
        InvalidInput: A length, a glob or the name of the embedder cannot be used.
    """
    settings = settings or load_settings()
    overlap = checked_overlap(size, overlap)
    chosen = selection(folders, include, exclude)
    if isinstance(embedder, str):
        embedder = open_embedder(embedder, settings)
    folder = index_folder(folders, settings, out)
    store = Store(folder)
    _refuse_other_folder(folder)
    store.create()
    wanted = IndexSettings(
        selection=chosen,
        size=size,
        overlap=overlap,
        embedder=embedder.name if embedder else None,
    )
    async with Writing(folder, on_progress or (lambda progress: None)):
        store.configure(wanted)
    index = Index(folder, embedder=embedder, settings=settings)
    return index, await index.update(on_progress)


def open_index(
    folders: Folders,
    *,
    out: Path | str | None = None,
    mode: str | None = None,
    embedder: str | None = None,
    settings: Settings | None = None,
) -> Index:
    """Open the index of some folders, as it is.

    Args:
        folders: With documents, as they were given to ``build_index``; or the folder
            of the index.
        out: Folder of the index, if it was chosen.
        mode: ``bm25``, ``dense`` or ``hybrid``; by default what the index can do best.
        embedder: Must be the one that the index was built with.
        settings: By default from the environment and the config file.

    Raises:
        RetrievalError: There is no index, or it has other embeddings.
        InvalidInput: The mode cannot be used.
    """
    settings = settings or load_settings()
    folder = index_folder(folders, settings, out)
    known = Store(folder).settings()
    if known is None:
        named = " ".join(map(str, folders))
        raise RetrievalError(
            f"There is no index of {named} yet. Build it: ponder index build {named}"
            f"{'' if out is None else f' --out {out}'}"
        )
    opened = open_embedder(embedder, settings) if embedder is not None else None
    if opened is not None:
        check_embedder(folder, known, opened.name)
    return Index(folder, mode=_mode(mode), embedder=opened, settings=settings)


async def fresh_index(
    folders: Folders,
    *,
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Index, Report]:
    """Return an up-to-date index of some folders: of words, if there is none yet.

    Args:
        folders: As for ``build_index``.
        settings: By default from the environment and the config file.
        on_progress: Told how far it is, from any thread.

    Raises:
        RetrievalError: A folder is not there, or holds no text.
    """
    settings = settings or load_settings()
    if Store(index_folder(folders, settings)).settings() is None:
        return await build_index(folders, settings=settings, on_progress=on_progress)
    index = open_index(folders, settings=settings)
    return index, await index.update(on_progress)


def remove_index(folder: Path) -> None:
    """Delete an index, and nothing else that may be in its folder.

    Args:
        folder: Of the index.

    Raises:
        RetrievalError: There is no index, or it cannot be deleted.
    """
    store = Store(folder)
    if not store.path.is_file():
        raise RetrievalError(f"There is no index in {folder}: nothing to remove.")
    try:
        # First what makes it an index, so that a kill leaves nothing that opens.
        store.path.unlink()
        for derived in (*folder.glob("bm25-*"), *folder.glob("vectors-*")):
            shutil.rmtree(derived)
        (folder / LOCK_FILE).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise RetrievalError(
            f"Cannot remove the index {folder}: {error.strerror or error}."
        ) from error


def open_retriever(name: str, settings: Settings | None = None) -> Retriever:
    """Return a retriever by its name, as a run records it.

    Args:
        name: ``index:FOLDER`` or ``index:FOLDER#MODE``, where the folder is that of
            the index, or that of the documents.
        settings: By default from the environment and the config file.

    Raises:
        UnknownName: No retriever can be opened by such a name.
        RetrievalError: There is no index any more.
    """
    if not name.startswith(PREFIX):
        raise UnknownName(
            "retriever", name, [f"{PREFIX}FOLDER", f"{PREFIX}FOLDER#MODE"]
        )
    folder, mark, mode = name.removeprefix(PREFIX).rpartition("#")
    if not mark or mode not in MODES:
        folder, mode = name.removeprefix(PREFIX), ""
    return open_index([folder], mode=mode or None, settings=settings)


def _mode(mode: str | None) -> Mode | None:
    if mode is not None and mode not in get_args(Mode):
        raise UnknownName("mode of search", mode, MODES)
    return cast(Mode | None, mode)


def _refuse_other_folder(folder: Path) -> None:
    """Keep an index from being written among files that are not its own."""
    if not folder.exists() or (folder / FILE).is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise InvalidInput(
            f"{folder} is not empty and holds no index. Give a new folder with --out."
        )
