"""The final answer of a graph of AGoT: its price, what it can read, and its making."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ponder.agents.choice import plain_model
from ponder.agents.concluder import Concluder
from ponder.agents.solver import forced_answer
from ponder.agents.thought_planner import SubThought
from ponder.context import RunContext
from ponder.errors import ModelError
from ponder.graphs._agot import AGoTState, answered, opening
from ponder.graphs.shares import counts, price_of, priced, tightest
from ponder.messages import Request, Usage
from ponder.result import Candidate, Outcome, StopReason, Task
from ponder.thoughts import Thought

LEAST_OUTPUT = 128
"""Output tokens that are kept back at least, if the answer may have so many."""


async def direct_price(
    state: AGoTState, conclude: Concluder, context: RunContext
) -> Usage:
    """Return what it takes to answer the question of a graph without any thoughts."""
    above = state.get("background", "")
    request = conclude.request(state["task"], (), context, background=above)
    (usage,) = await priced([request], [LEAST_OUTPUT], context.at("price"))
    return usage


async def concluded(
    state: AGoTState, conclude: Concluder, context: RunContext
) -> Candidate:
    """Write the final answer, from the question alone if that fails once.

    Args:
        state: Of a graph whose thoughts are all made.
        conclude: Who writes it.
        context: The place of the graph, with the share kept back for the end.

    Raises:
        OutOfBudget: The budget admits no such call.
        ModelError: It failed twice.
    """
    task, above = state["task"], state.get("background", "")
    place = context.at("conclude")

    def request(shown: Sequence[SubThought]) -> Request:
        return conclude.request(task, shown, place, background=above)

    shown = await fitting(state["thoughts"], request, context.at("fitting"))
    if len(shown) < len(answered(state["thoughts"])):
        place.warn("The budget does not pay for a final answer from all thoughts.")
    try:
        candidate = await conclude(task, shown, place, background=above)
    except ModelError as error:
        place.warn(f"A final answer failed and was asked for again: {error}")
        candidate = await conclude(task, (), place.at("again"), background=above)
        shown = []
    ends = _sinks(state.get("places", {}), shown)
    _show(candidate, place, ends or [opening(state, context)])
    return candidate


async def with_an_answer(
    task: Task, candidate: Candidate, place: RunContext
) -> Candidate:
    """Return a final answer that can be read, by one more call if it takes one."""
    if candidate.answer is not None or not candidate.text.strip():
        return candidate
    return await forced_answer(task, candidate, place) or candidate


def unconcluded(state: AGoTState, reason: StopReason) -> Outcome:
    """Return the outcome of a graph without a final answer: its last thought."""
    known = answered(state["thoughts"])
    text = known[-1].answer or "" if known else ""
    return Outcome(answer=None, text=text, stop_reason=reason)


async def fitting(
    thoughts: Sequence[SubThought],
    request: Callable[[Sequence[SubThought]], Request],
    context: RunContext,
) -> list[SubThought]:
    """Return the last thoughts whose answers a final call can still pay to read.

    Args:
        thoughts: The thoughts of a graph.
        request: Makes the final call of some of them.
        context: A place of its own; see ``priced``.
    """
    known = answered(thoughts)
    if not known or not counts(context.ledger):
        return known
    model = plain_model(context.model)

    async def count() -> dict[str, Any]:
        for first in range(len(known)):
            asked = request(known[first:])
            written = min(LEAST_OUTPUT, asked.max_tokens)
            usage = price_of(model, model.count_tokens(asked), written)
            if tightest(context.ledger, usage, wrap_up=True)[0] >= 1:
                return {"first": first}
        return {"first": len(known)}

    content = request(known).model_dump_json(exclude_defaults=True)
    value = await context.remember(content, count)
    return known[int(value["first"]) :]


def _show(candidate: Candidate, place: RunContext, parents: Sequence[str]) -> None:
    """Put the final answer of a graph into the graph of the run."""
    label = candidate.answer or " ".join(candidate.text.split())
    data = {"text": candidate.text, "answer": candidate.answer}
    node = Thought(id=candidate.id, kind="thought", label=label, data=data)
    place.think(node, tuple(parents))


def _sinks(places: Mapping[int, str], thoughts: Sequence[SubThought]) -> list[str]:
    """Return the places of the thoughts that no other one of them rests on."""
    needed = {n for t in thoughts for n in t.needs}
    return [places[t.number] for t in thoughts if t.number not in needed]
