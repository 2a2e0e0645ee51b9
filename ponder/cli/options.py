"""The options that commands share, and how their values are read."""

import json
import sys
from typing import Annotated, Any

import typer

from ponder.budget import Budget
from ponder.errors import InvalidInput

StrategyOption = Annotated[
    str | None,
    typer.Option(
        "--strategy", "-s", help="Strategy; see: ponder strategies.", metavar="NAME"
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Model: a name of 'ponder models', gguf:PATH, PROVIDER/MODEL, or a "
        "strategy before any of these: self_consistency/local.",
        metavar="NAME",
    ),
]
VerifierOption = Annotated[
    str | None,
    typer.Option(
        "--verifier",
        "-v",
        help="Who judges candidates: 'judge', or a Python function (task, candidate) "
        "as MODULE:FUNCTION or FILE.py:FUNCTION.",
        metavar="V",
    ),
]
DocsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--docs",
        help="Answer from the documents in this folder, which is indexed first; may "
        "be given again. Without --strategy: rag.",
        metavar="FOLDER",
    ),
]
RetrieverOption = Annotated[
    str | None,
    typer.Option(
        "--retriever",
        help="Answer from an index as it is: index:FOLDER, or index:FOLDER#MODE with "
        "the mode bm25, dense or hybrid.",
        metavar="NAME",
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="Ask a generated problem instead, such as calendar:seed=7,people=3, and "
        "show the thoughts and the validator's verdict. Adds the verifier 'exact'.",
        metavar="TASK",
    ),
]
TokensOption = Annotated[
    int | None,
    typer.Option("--budget-tokens", min=0, help="Input plus output tokens."),
]
SecondsOption = Annotated[
    float | None, typer.Option("--budget-seconds", min=0, help="Wall time.")
]
CallsOption = Annotated[
    int | None, typer.Option("--budget-calls", min=0, help="Model calls.")
]
CostOption = Annotated[
    float | None, typer.Option("--budget-cost", min=0, help="US dollars.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A parameter of the strategy; may be given again.",
        metavar="NAME=VALUE",
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", help="Decides all randomness of the run.")
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="One JSON object on standard output, nothing else."),
]
StreamOption = Annotated[
    bool,
    typer.Option(
        "--stream", help="Show the reasoning as it is written (standard error)."
    ),
]
DebugOption = Annotated[
    bool,
    typer.Option("--debug", envvar="PONDER_DEBUG", help="Show tracebacks of errors."),
]
RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Id of a run; a unique beginning is enough."),
]


def pairs(values: list[str] | None, option: str = "--set") -> dict[str, Any]:
    """Read ``name=value`` pairs; a value is JSON or else a string.

    Args:
        values: As typed.
        option: Named in the error.

    Raises:
        InvalidInput: A pair has no name or no ``=``.
    """
    found: dict[str, Any] = {}
    for pair in values or []:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise InvalidInput(
                f"'{pair}' is not of the form NAME=VALUE. Write it like: "
                f"{option} n=8".strip()
            )
        found[name.strip()] = _value(value)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def changed(
    budget: Budget,
    *,
    tokens: int | None,
    seconds: float | None,
    calls: int | None,
    cost: float | None,
) -> Budget | None:
    """Return a budget with some limits replaced, ``None`` if none was given."""
    given = {"tokens": tokens, "seconds": seconds, "calls": calls, "cost": cost}
    given = {name: value for name, value in given.items() if value is not None}
    return budget.model_copy(update=given) if given else None


def read_question(question: str | None) -> str:
    """Return the question, from standard input where it is ``-`` or not given.

    Raises:
        InvalidInput: There is none, or it is not text.
    """
    if question is None and sys.stdin.isatty():
        raise InvalidInput(
            'No question. Give one: ponder ask "How many ...?", or pipe one in.'
        )
    if question is None or question == "-":
        return _decoded(sys.stdin.buffer.read())
    return _decoded(question.encode("utf-8", "surrogateescape"))


def _decoded(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The question is not UTF-8 text: {error}.") from None
    if not text:
        raise InvalidInput("The question is empty. Give some text to answer.")
    return text
