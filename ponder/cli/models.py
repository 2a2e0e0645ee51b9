"""``ponder models``: list, pull, remove and probe."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ponder.cli.answer import put_json
from ponder.cli.console import is_terminal, put, put_table, say, size
from ponder.cli.errors import Interrupted, reported
from ponder.cli.options import DebugOption
from ponder.cli.pulling import PlainPull, RichPull
from ponder.errors import InvalidInput, ModelFileError, UnknownName
from ponder.models.base import Model
from ponder.models.catalog import LOCAL, CatalogEntry, catalogue
from ponder.models.files.download import pull as pull_file
from ponder.plan import open_model
from ponder.settings import Settings, load_settings

app = typer.Typer(help="The models known by name: list, pull, remove, probe.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A model's name.")]


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="The list as JSON.")] = False,
    debug: DebugOption = False,
) -> None:
    """List the models that are known by name.

    Any other GGUF file works as gguf:PATH, and a remote model as PROVIDER/MODEL.
    """
    if context.invoked_subcommand is not None:
        return
    with reported(debug=debug, as_json=as_json):
        settings = load_settings()
        entries = list(catalogue(settings).values())
        if as_json:
            data = [_summary(entry, settings) for entry in entries]
            put_json(json.dumps(data, ensure_ascii=False))
            return
        put_table(
            ["model", "size", "here", "context", "licence", "description"],
            [_row(entry, settings) for entry in entries],
            right=["size", "context"],
        )
        say(
            f"'{LOCAL}' is {settings.default_local_model}. Fetch one with: "
            "ponder models pull NAME",
            "dim",
        )


@app.command()
def pull(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A model's name.")
    ] = LOCAL,
    debug: DebugOption = False,
) -> None:
    """Fetch a model's file, or verify the one that is here."""
    with reported(debug=debug):
        settings = load_settings()
        entry = _entry(name, settings)
        shown = RichPull(entry) if is_terminal(sys.stderr) else PlainPull(entry)
        try:
            with shown:
                path = pull_file(entry, settings, shown.tell)
        except KeyboardInterrupt:
            raise Interrupted(
                "Stopped. What was fetched is kept; go on with: "
                f"ponder models pull {entry.name}"
            ) from None
        put(str(path))


@app.command()
def remove(name: NameArgument, debug: DebugOption = False) -> None:
    """Delete a model's file, and what an interrupted pull has left of it."""
    with reported(debug=debug):
        settings = load_settings()
        entry = _entry(name, settings)
        found = _files(entry, settings)
        if not found:
            raise ModelFileError(
                f"Model '{entry.name}' is not on this machine: nothing to remove."
            )
        put(f"Removed {entry.name}: {size(_removed(found))} freed.")


@app.command()
def probe(
    name: NameArgument,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    debug: DebugOption = False,
) -> None:
    """Find out by trying what a model can do."""
    with reported(debug=debug, as_json=as_json):
        settings = load_settings()
        say(f"Probing {name} ...")
        found = asyncio.run(_probed(open_model(name, settings)))
        if as_json:
            put_json(json.dumps({"name": name, "capabilities": found}))
        else:
            words = {True: "yes", False: "no", None: "unknown"}
            put_table(
                ["capability", "has it"],
                # A number that equals True is still a number.
                [
                    [key, f"{value:,}" if type(value) is int else words[value]]
                    for key, value in found.items()
                ],
            )


async def _probed(model: Model) -> dict[str, Any]:
    try:
        return (await model.probe()).model_dump(mode="json")
    finally:
        await model.aclose()


def _entry(name: str, settings: Settings) -> CatalogEntry:
    wanted = settings.default_local_model if name == LOCAL else name
    known = catalogue(settings)
    if wanted in known:
        return known[wanted]
    if wanted.lower().endswith(".gguf") or "/" in wanted:
        raise InvalidInput(
            f"'{wanted}' is no name of the catalogue. A GGUF file needs no pulling, "
            "and a remote model has no file here: name it with --model."
        )
    raise UnknownName("model", wanted, [*known, LOCAL])


def _files(entry: CatalogEntry, settings: Settings) -> list[Path]:
    """Return the model's file and all that pulls have left beside it."""
    target = entry.path(settings)
    if not target.parent.exists():
        return []
    left = [
        path
        for path in target.parent.iterdir()
        if path.name.startswith((f"{target.name}.", f"{entry.name}.damaged"))
    ]
    return [*([target] if target.exists() else []), *sorted(left)]


def _removed(paths: list[Path]) -> int:
    """Delete files and folders of files; return their bytes."""
    freed = 0
    for path in paths:
        try:
            if path.is_dir():
                freed += _removed(list(path.iterdir()))
                path.rmdir()
            else:
                freed += path.stat().st_size
                path.unlink()
        except OSError as error:
            raise ModelFileError(
                f"Cannot remove {path}: {error.strerror or error}."
            ) from error
    return freed


def _summary(entry: CatalogEntry, settings: Settings) -> dict[str, Any]:
    path = entry.path(settings)
    return {
        "name": entry.name,
        "description": entry.description,
        "licence": entry.licence,
        "bytes": entry.bytes,
        "parameters": entry.parameters,
        "context_length": entry.context_length,
        "pulled": path.exists(),
        "path": str(path),
        "default": entry.name == settings.default_local_model,
    }


def _row(entry: CatalogEntry, settings: Settings) -> list[str]:
    return [
        entry.name,
        size(entry.bytes),
        "yes" if entry.path(settings).exists() else "no",
        f"{entry.context_length:,}",
        entry.licence,
        entry.description,
    ]
