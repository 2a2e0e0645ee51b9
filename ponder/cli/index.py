"""``ponder index``: build, update, search and drop the index of a folder."""

import asyncio
import json
import os
import textwrap
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated, Any

import typer

from ponder.cli.answer import put_json
from ponder.cli.console import put, say
from ponder.cli.errors import Interrupted, reported
from ponder.cli.indexing import counted, report_line, steps, tell_problems
from ponder.cli.options import DebugOption, JsonOption
from ponder.drawing import one_line
from ponder.errors import InvalidInput
from ponder.passages import Passage
from ponder.retrieval.chunking import SIZE
from ponder.retrieval.index import Index
from ponder.retrieval.intake import Report
from ponder.retrieval.opening import (
    build_index,
    index_folder,
    open_index,
    remove_index,
)
from ponder.settings import load_settings

app = typer.Typer(
    help="Documents to answer from: build, update, search, drop an index.",
    no_args_is_help=True,
)

TEXT_LINES = 4
"""Lines of each passage that a search shows."""
WIDEST = 100
"""Columns of a passage, however wide the terminal is."""

FoldersArgument = Annotated[
    list[str],
    typer.Argument(metavar="FOLDER", help="Folders with documents, or files."),
]
FolderArgument = Annotated[
    str,
    typer.Argument(metavar="FOLDER", help="A folder with documents, or an index."),
]
OutOption = Annotated[
    str | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder of the index; by default one in ponder's data folder.",
    ),
]
EmbedderOption = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        metavar="NAME",
        help="Search by meaning, too: 'local' or another GGUF model, litellm:MODEL, "
        "or st:MODEL (sentence-transformers).",
    ),
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="Read only such files, whatever their kind; may be given again.",
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB", help="Leave out such files and folders; may be given again."
    ),
]


@app.command()
def build(
    folders: FoldersArgument,
    out: OutOption = None,
    embedder: EmbedderOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    size: Annotated[int, typer.Option(help="Most characters of a passage.")] = SIZE,
    overlap: Annotated[
        int | None,
        typer.Option(help="Most characters that neighbours share; a tenth of --size."),
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Index folders: text, Markdown, HTML, PDF and JSONL.

    An index that is there is built again in the way that is asked for now, and takes
    back what was dropped; what stays the same is kept.
    """
    with reported(debug=debug, as_json=as_json):
        settings = load_settings()
        try:
            with steps() as shown:
                index, report = asyncio.run(
                    build_index(
                        folders,
                        out=out,
                        include=include or (),
                        exclude=exclude or (),
                        size=size,
                        overlap=overlap,
                        embedder=embedder,
                        settings=settings,
                        on_progress=shown.tell,
                    )
                )
        except KeyboardInterrupt:
            raise _stopped() from None
        _show_report(index, report, as_json)
        if not as_json:
            named = _named(folders, out)
            say(f'Search it: ponder index search {named} "QUERY"', "dim")


@app.command()
def update(
    folders: FoldersArgument,
    out: OutOption = None,
    embedder: EmbedderOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Read what is new or changed since, and forget what is gone."""
    with reported(debug=debug, as_json=as_json):
        index = open_index(
            folders, out=out, embedder=embedder, settings=load_settings()
        )
        try:
            with steps() as shown:
                report = asyncio.run(index.update(shown.tell))
        except KeyboardInterrupt:
            raise _stopped() from None
        _show_report(index, report, as_json)


@app.command()
def search(
    folder: FolderArgument,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.")],
    out: OutOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="At most so many.")] = 5,
    mode: Annotated[
        str | None,
        typer.Option(
            metavar="MODE", help="bm25 (words), dense (meaning) or hybrid (both)."
        ),
    ] = None,
    embedder: EmbedderOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Find passages in an index, as it is now."""
    with reported(debug=debug, as_json=as_json):
        index = open_index(
            [folder], out=out, mode=mode, embedder=embedder, settings=load_settings()
        )
        if not query.strip():
            raise InvalidInput("The query is empty. Give some words to look for.")
        _tell_pending(index)
        found = asyncio.run(index.search(query, k))
        if as_json:
            _put(
                index, query=query, mode=index.mode, passages=[_plain(p) for p in found]
            )
            return
        for number, passage in enumerate(found, 1):
            _show_passage(number, passage)
        if not found:
            say("Nothing was found. Try other words.", "yellow")


@app.command()
def drop(
    folder: FolderArgument,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE", help="Files to remove, as searches name them."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove the whole index.")
    ] = False,
    out: OutOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Remove sources without a trace; the files themselves stay.

    Updates leave them out from now on, until the index is built again.
    """
    with reported(debug=debug, as_json=as_json):
        if bool(sources) == everything:
            raise InvalidInput("Name sources to remove, or --all for the whole index.")
        settings = load_settings()
        index = open_index([folder], out=out, mode="bm25", settings=settings)
        if sources:
            names = [_source(index, given) for given in sources]
            gone = asyncio.run(index.drop(*names))
        else:
            names, gone = [], index.counts().passages
            remove_index(index_folder([folder], settings, out))
        if as_json:
            _put(index, dropped=names, passages=gone)
        else:
            what = ", ".join(names) or f"the index {index.folder}"
            put(f"Removed {what}: {counted(gone, 'passage')}.")


def _stopped() -> Interrupted:
    return Interrupted("Stopped. What was indexed is kept; the same command goes on.")


def _named(folders: list[str], out: str | None) -> str:
    """Return how the index is named in a command."""
    return out or (folders[0] if len(folders) == 1 else "--out DIR")


def _show_report(index: Index, report: Report, as_json: bool) -> None:
    if as_json:
        _put(index, **report.model_dump(mode="json"))
        return
    put(f"Indexed {report_line(report)}")
    put(f"Index: {index.folder}")
    tell_problems(report)


def _tell_pending(index: Index) -> None:
    """Say if a stopped update left passages that only words can find."""
    counts = index.counts()
    missing = counts.passages - counts.embedded
    if index.mode != "bm25" and missing:
        say(
            f"Warning: {counted(missing, 'passage')} of {counts.passages:,} have no "
            "embedding yet. Go on with: ponder index update FOLDER",
            "yellow",
        )


def _show_passage(number: int, passage: Passage) -> None:
    named = passage.title and passage.title not in passage.place
    title = f" · {one_line(passage.title, 50)}" if named else ""
    score = "" if passage.score is None else f" · score {passage.score:.3g}"
    put(f"{number}. {passage.place}{title}{score}", "bold")
    width = min(WIDEST, get_terminal_size().columns) - 3
    lines = textwrap.wrap(
        one_line(passage.text),
        width,
        max_lines=TEXT_LINES,
        placeholder=" …",
        break_on_hyphens=False,
    )
    put("\n".join(f"   {line}" for line in lines))


def _plain(passage: Passage) -> dict[str, Any]:
    return passage.model_dump(mode="json")


def _put(index: Index, **data: Any) -> None:
    put_json(json.dumps({"index": str(index.folder), **data}, ensure_ascii=False))


def _source(index: Index, given: str) -> str:
    """Return the source that is meant, which may be typed as a path."""
    if given in index.store.sources():
        return given
    base = index.known().selection.base
    path = os.path.relpath(Path(given).expanduser().resolve(), base)
    return path if path in index.store.sources() else given
