"""A strategy as a node of an ordinary LangGraph application."""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Protocol

from ponder.budget import Budget
from ponder.errors import InvalidInput
from ponder.events import Event
from ponder.graphs.base import Strategy
from ponder.journal import Journal, RunStatus
from ponder.models.base import Model
from ponder.plan import named_strategy, plain
from ponder.result import Result
from ponder.run import JOURNAL_FILE, aresume, asolve
from ponder.settings import Settings, load_settings

AGAIN = ("verifier", "retriever", "settings")
"""Options that a run which goes on needs again; the others are in its record."""

ONGOING = (RunStatus.CANCELLED, RunStatus.INTERRUPTED, RunStatus.FAILED)
"""How a run stands that the application has begun and not finished."""


class Node(Protocol):
    """What ``StateGraph.add_node`` takes. See ``as_node``."""

    async def __call__(self, state: Any) -> dict[str, Any]:
        """Return the update of a state."""
        ...


def as_node(
    strategy: Strategy | str,
    *,
    model: Model | str | None = None,
    budget: Budget | None = None,
    question: str = "question",
    answer: str = "answer",
    result: str | None = None,
    parameters: dict[str, Any] | None = None,
    resume: bool = True,
    journal: Journal | None = None,
    **options: Any,
) -> Node:
    """Return a function that ``StateGraph.add_node`` takes.

    It reads the question from the state of the application, answers it in a run of its
    own, and puts the answer into the state. Every event of the run goes, as JSON data,
    to the application's stream (``stream_mode="custom"``). The run's own state stays
    out of the application's checkpoints, and the other way around.

    Where the application is killed or the node fails in the middle of a run, and
    LangGraph runs the node again, the run is found in the journal and goes on: nothing
    is paid twice.

    Args:
        strategy: A strategy or its name.
        model: A model or its name; by default the one of the settings.
        budget: Limits of each run.
        question: Key of the state that holds the question.
        answer: Key of the state that gets the answer; ``None`` is put there if the run
            came to none.
        result: Key of the state that gets the whole ``Result`` as JSON data; by default
            it is not kept.
        parameters: Parameters of a strategy given by name.
        resume: Go on with an unfinished run of the same question, strategy, seed and
            model rather than begin a new one.
        journal: Where runs are kept; by default the user's journal.
        **options: Further options of ``asolve``, such as ``verifier`` or ``seed``.

    Returns:
        An async function from the state to its update.

    Raises:
        UnknownName: There is no such strategy.
        InvalidParameter: A parameter is unknown or outside its range.
    """
    chosen = named_strategy(strategy, parameters)

    async def node(state: Any) -> dict[str, Any]:
        from langgraph.config import get_stream_writer

        asked, settings = _question(state, question), options.get("settings")
        # The writer finds its stream through the context of the node.
        write, here = get_stream_writer(), copy_context()

        def tell(event: Event) -> None:
            here.run(write, event.model_dump(mode="json"))

        with _opened(journal, settings) as opened:
            begun = _begun(opened, asked, chosen, model, options) if resume else None
            common: dict[str, Any] = {
                "strategy": chosen,
                "model": model,
                "budget": budget,
                "journal": opened,
                "on_event": tell,
            }
            if begun is None:
                found = await _apart(asolve(asked, **common, **options))
            else:
                again = {k: v for k, v in options.items() if k in AGAIN}
                found = await _apart(aresume(begun, **common, **again))
        update: dict[str, Any] = {answer: found.answer}
        if result is not None:
            update[result] = found.model_dump(mode="json")
        return update

    node.__name__ = node.__qualname__ = chosen.name
    return node


def _question(state: Any, key: str) -> str:
    found = state.get(key) if isinstance(state, Mapping) else getattr(state, key, None)
    if not isinstance(found, str):
        raise InvalidInput(
            f"The state of the application has no text under '{key}': put the question "
            "there, or give as_node(..., question=...) the key that holds it."
        )
    return found


def _begun(
    journal: Journal,
    question: str,
    strategy: Strategy,
    model: Model | str | None,
    options: Mapping[str, Any],
) -> str | None:
    """Return the newest run of this question, if it was not finished."""
    settings = options.get("settings") or load_settings()
    wanted = (
        question, strategy.spec(), options.get("seed", 0),
        model.name if isinstance(model, Model) else model or settings.model,
        plain(options.get("history", ())), plain(options.get("examples", ())),
    )  # fmt: skip
    for info in journal.runs():
        r = info.record
        if (r.question, r.strategy, r.seed, r.model, r.history, r.examples) == wanted:
            return info.run_id if info.status in ONGOING else None
    return None


async def _apart(run: Coroutine[Any, Any, Result]) -> Result:
    """Await a run as if no graph were around it.

    LangGraph takes a graph that is started inside a node for a part of the outer one,
    and would write its state into the outer checkpoints.
    """
    from langchain_core.runnables.config import var_child_runnable_config

    context = copy_context()
    context.run(var_child_runnable_config.set, None)
    return await asyncio.create_task(run, context=context)


@contextmanager
def _opened(journal: Journal | None, settings: Settings | None) -> Iterator[Journal]:
    """Give the caller's journal, or the user's own for as long as it is needed."""
    if journal is not None:
        yield journal
        return
    folder = (settings or load_settings()).data_dir
    with Journal(folder / JOURNAL_FILE) as own:
        yield own
