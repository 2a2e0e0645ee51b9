"""``ponder strategies``: what can be chosen, and its parameters."""

import json
from typing import Annotated, Any

import typer

from ponder.cli.answer import put_json
from ponder.cli.console import put, put_table
from ponder.cli.errors import reported
from ponder.cli.options import DebugOption
from ponder.drawing import one_line
from ponder.errors import UnknownName
from ponder.graphs.base import describe
from ponder.graphs.base import strategies as known_strategies

VALUE_WIDTH = 48


def strategies(
    name: Annotated[
        str | None, typer.Argument(help="Show the parameters of this one.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Names, parameters and sources as JSON.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """List the strategies, or the parameters of one."""
    with reported(debug=debug, as_json=as_json):
        known = known_strategies()
        if name is not None and name not in known:
            raise UnknownName("strategy", name, known)
        described = [describe(known[n]) for n in ([name] if name else known)]
        if as_json:
            data = described[0] if name else described
            put_json(json.dumps(data, ensure_ascii=False))
        elif name:
            _put_one(described[0])
        else:
            _put_all(described)


def _put_all(described: list[dict[str, Any]]) -> None:
    put_table(
        ["strategy", "what it does", "source"],
        [[d["name"], d["summary"], d["source"]] for d in described],
    )


def _put_one(described: dict[str, Any]) -> None:
    put(f"{described['name']}: {described['summary']}")
    put(f"Source: {described['source']}")
    if described["needs_verifier"]:
        without = described["without_verifier"]
        put(f"Uses the verifier of the run; without one, {without}.")
    put("")
    put_table(
        ["parameter", "default", "meaning"],
        [
            [
                name,
                one_line(json.dumps(about["default"], ensure_ascii=False), VALUE_WIDTH),
                about["description"],
            ]
            for name, about in described["parameters"].items()
        ],
    )
    put("")
    put(f"Set them with: ponder ask --strategy {described['name']} --set NAME=VALUE")
