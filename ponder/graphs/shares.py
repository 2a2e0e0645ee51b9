"""Shares of a budget: what a call takes, and what is kept or given to whom.

For strategies whose branches may spend without end, such as graphs that nest graphs.
See docs/design/agot.md.
"""

import json
import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ponder.agents.choice import plain_model
from ponder.budget import DIMENSIONS, Dimension, Ledger, amounts_of
from ponder.concurrency import chain
from ponder.context import RunContext
from ponder.messages import Request, Usage
from ponder.models.base import Model
from ponder.result import StopReason

SHARE = 0.2
"""Of what a graph has left, kept back for its final answer."""


async def priced(
    requests: Sequence[Request], outputs: Sequence[int], context: RunContext
) -> list[Usage]:
    """Return what the dearest of some calls takes, for replies of several lengths.

    What the model counts is kept in the journal, since a replay has no model to count.

    Args:
        requests: The calls, one or more.
        outputs: Tokens of the reply, cut to the limit of the request.
        context: A place of its own.
    """
    model, limit = plain_model(context.model), requests[0].max_tokens
    replies = [Usage(calls=1, output_tokens=min(o, limit)) for o in outputs]
    if not counts(context.ledger):
        return replies

    async def count() -> dict[str, Any]:
        read = max(model.count_tokens(r) for r in requests)
        usages = [price_of(model, read, r.output_tokens) for r in replies]
        return {"usages": [usage.model_dump(mode="json") for usage in usages]}

    content = json.dumps(
        [list(outputs), [r.model_dump_json(exclude_defaults=True) for r in requests]]
    )
    value = await context.remember(content, count)
    return [Usage.model_validate(u) for u in value["usages"]]


@dataclass(frozen=True)
class Room:
    """What can be written before a last call, which reads it, and what that takes."""

    tokens: int
    """Most tokens; 0 where nothing but the last call can be paid."""
    last: Usage
    """What the last call takes behind so many tokens."""


async def room_before(
    first: Request, last: Request, context: RunContext, *, bare: Request, written: int
) -> Room:
    """Return how long a reply may be if a last call, which reads it, is to be paid too.

    As with ``priced``, what was found stays in the journal. How much time a reply takes
    is reckoned from how fast the longest chain of replies was written so far.

    Args:
        first: The call whose reply it is; its ``max_tokens`` is the most.
        last: The last call; its prompt grows by the reply.
        context: A place of its own, with the share of the budget that may be spent.
        bare: The last call without what has been written so far. It tells how much a
            token counts in a prompt: more than 1 where a model gives an upper bound.
        written: Tokens that have been written so far.
    """
    model, ledger = plain_model(context.model), context.ledger

    async def measure() -> dict[str, Any]:
        prompt, read, without = (model.count_tokens(r) for r in (first, last, bare))
        weight = max(1.0, (read - without) / max(1, written))

        def behind(reply: int) -> Usage:
            return price_of(model, read + math.ceil(weight * reply), last.max_tokens)

        def fits(reply: int) -> bool:
            both = price_of(model, prompt, reply) + behind(reply)
            return tightest(ledger, both, wrap_up=context.wrapping_up)[0] >= 1

        most = min(first.max_tokens, _in_time(context) - last.max_tokens)
        lengths = range(1, int(max(0, most)) + 1)
        tokens = bisect_left(lengths, True, key=lambda n: not fits(n))
        return {"tokens": tokens, "last": behind(tokens).model_dump(mode="json")}

    requests = [r.model_dump_json(exclude_defaults=True) for r in (first, last)]
    budget = ledger.budget.model_dump_json()
    value = await context.remember(json.dumps(["room", budget, *requests]), measure)
    return Room(int(value["tokens"]), Usage.model_validate(value["last"]))


def price_of(model: Model, read: int, written: int) -> Usage:
    """Return what a call takes that reads and writes so many tokens."""
    usage = Usage(calls=1, input_tokens=read, output_tokens=written)
    return usage.model_copy(update={"cost": model.price(usage)})


def _in_time(context: RunContext) -> float:
    """Return how many tokens, one after another, the time left is expected to give."""
    left = context.ledger.seconds_left(wrap_up=context.wrapping_up)
    if left is None:
        return math.inf
    return left * chain().length / max(context.ledger.elapsed_in_all, 1e-9)


def counts(ledger: Ledger) -> bool:
    """Whether prompts must be counted: only where a limit concerns them."""
    budget = ledger.budget
    limits = (budget.tokens, budget.input_tokens, budget.cost)
    return any(limit is not None for limit in limits)


def tightest(
    ledger: Ledger, each: Usage, *, wrap_up: bool = False
) -> tuple[float, Dimension]:
    """Return how many calls of one kind a ledger can pay, and what limits them."""
    found: list[tuple[float, Dimension]] = [(math.inf, "calls")]
    for dimension, needed in amounts_of(each).items():
        left = ledger.left(dimension, wrap_up=wrap_up)
        if left is not None and needed > 0:
            found.append((max(0.0, left) // needed, dimension))
    return min(found, key=lambda pair: pair[0])


async def lacking(
    needed: Mapping[Dimension, float],
    left: Mapping[Dimension, float | None],
    context: RunContext,
) -> StopReason | None:
    """Return the first limit that leaves less than is needed.

    What is said once is said again when the run goes on or is replayed, since neither
    what is left nor what a model counts need be the same then.

    Args:
        needed: By limit.
        left: By limit; ``None`` where there is no limit.
        context: A place of its own for this decision.

    Returns:
        ``None`` if there is room.
    """
    limits = {name: most for name, most in left.items() if most is not None}
    if not limits:
        return None

    async def decide() -> dict[str, Any]:
        return {"short": [n for n, most in limits.items() if needed[n] > most]}

    content = f"room {context.ledger.budget.model_dump_json()}"
    value = await context.remember(content, decide)
    return StopReason(value["short"][0]) if value["short"] else None


@contextmanager
def set_aside(context: RunContext, last: Usage) -> Iterator[None]:
    """Keep what a last call takes out of the reach of what runs in the block."""
    with closing(context.ledger.lend(amounts_of(last))):
        yield


@contextmanager
def keeping(
    context: RunContext, most: Mapping[Dimension, float]
) -> Iterator[RunContext]:
    """Give a place that may spend what is kept back for the end, but for so much of it.

    What is kept back is a share of the budget: of a large one it is more than an end
    can take. Time is kept as it is.

    Args:
        context: Whose ledger it is; no call may be in flight on it.
        most: What the end can take, by limit; the whole share where it is not said.
    """
    ledger, place = context.ledger, context.wrap_up()
    if not place.wrapping_up or ledger.budget.seconds is not None:
        yield context
        return
    kept: dict[Dimension, float] = {}
    for dimension in DIMENSIONS:
        everything = ledger.left(dimension, wrap_up=True)
        left = ledger.left(dimension)
        if everything is not None and left is not None:
            share = everything - left
            if dimension != "cost":
                share = math.ceil(round(share, 6))
            kept[dimension] = min(share, most.get(dimension, math.inf))
    with closing(ledger.lend(kept)):
        yield place


@contextmanager
def kept_back(context: RunContext, last: Usage) -> Iterator[StopReason | None]:
    """Keep enough for a last call out of the reach of what runs in the block.

    What is kept is the price of that call, or ``SHARE`` of what is left where that is
    more.

    Args:
        context: Whose ledger it is; no call may be in flight on it.
        last: What the last call takes.

    Yields:
        ``None``, or the limit that leaves nothing beside the last call.
    """
    amounts, tight = _wanting(context.ledger, last)
    if tight is not None:
        yield StopReason(tight)
        return
    with closing(context.ledger.lend(amounts)):
        yield None


def _wanting(
    ledger: Ledger, last: Usage
) -> tuple[dict[Dimension, float], Dimension | None]:
    """Return what to set aside for a last call, and the limit that has not even twice.

    Less than that would leave less for everything else than for the last call.
    """
    amounts: dict[Dimension, float] = {}
    short: list[tuple[float, Dimension]] = []
    for dimension, needed in amounts_of(last).items():
        left = ledger.left(dimension)
        everything = ledger.left(dimension, wrap_up=True)
        if left is None or everything is None:
            continue
        # The share that the run keeps for its end counts.
        wanting = max(needed, SHARE * everything) - (everything - left)
        wanting = wanting if dimension == "cost" else math.ceil(wanting)
        amounts[dimension] = max(0.0, wanting)
        if wanting > 0 and left // wanting < 2:
            short.append((left // wanting, dimension))
    tight = min(short, key=lambda pair: pair[0])[1] if short else None
    return amounts, tight


@contextmanager
def shared_out(
    context: RunContext, places: Sequence[RunContext], layers: int, each: Usage
) -> Iterator[list[RunContext]]:
    """Give each thought of a layer an equal part of what is left.

    As much stays for each of the layers to come, but for parts that would be too small
    to answer a thought. What is not used comes back.

    Args:
        context: Whose ledger it is; no call may be in flight on it.
        places: Of the thoughts.
        layers: This layer and those that may come.
        each: What it takes to answer one thought.
    """
    wanted = len(places) * layers
    parts = max(len(places), min(wanted, tightest(context.ledger, each)[0]))
    ledgers = context.ledger.split(int(parts))
    given, others = ledgers[: len(places)], ledgers[len(places) :]
    for other in others:
        other.close()
    try:
        yield [replace(p, ledger=x) for p, x in zip(places, given, strict=True)]
    finally:
        for ledger in given:
            ledger.close()
