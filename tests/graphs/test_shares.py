"""Shares of a budget: what is kept back, and what is given to whom."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.budget import Budget, Dimension, Ledger
from ponder.concurrency import chain_from
from ponder.context import RunContext
from ponder.graphs.shares import (
    keeping,
    kept_back,
    priced,
    room_before,
    set_aside,
    shared_out,
    tightest,
)
from ponder.messages import Request, Usage, user
from ponder.models.scripted import ScriptedModel
from ponder.result import StopReason
from tests.support.places import paths, place

SHORT = Request(messages=(user("one two"),), max_tokens=50)
LONG = Request(messages=(user("one two three four"),), max_tokens=50)


class Priced(ScriptedModel):
    """A model at a cent for ten tokens."""

    def price(self, usage: Usage) -> float:
        return usage.total_tokens / 1000


async def test_a_price_is_that_of_the_dearest_call() -> None:
    context = place(Priced(), budget=Budget(tokens=100))
    least, most = await priced([SHORT, LONG], [20, 999], context)
    assert (least.calls, least.input_tokens, least.output_tokens) == (1, 4, 20)
    # A reply is never longer than its limit.
    assert (most.output_tokens, most.cost) == (50, 0.054)


async def test_a_price_is_kept_for_replays_which_have_no_model_to_ask() -> None:
    context = place(Priced(), budget=Budget(tokens=100))
    paid = await priced([SHORT], [20], context)
    assert paths(context) == ["here"]
    context.shared.paths.clear()
    again = context.inside(ScriptedModel())
    assert await priced([SHORT], [20], again) == paid


@pytest.mark.parametrize(
    "budget", [Budget(), Budget(calls=3), Budget(output_tokens=99)]
)
async def test_without_a_limit_on_prompts_nothing_is_counted(budget: Budget) -> None:
    context = place(ScriptedModel(), budget=budget)
    (usage,) = await priced([LONG], [20], context)
    assert usage == Usage(calls=1, output_tokens=20)
    assert paths(context) == []


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(), (math.inf, "calls")),
        (Budget(calls=7), (7, "calls")),
        (Budget(calls=7, tokens=120), (2, "tokens")),
        (Budget(tokens=400, output_tokens=19), (0, "output_tokens")),
        (Budget(tokens=400, cost=0.35), (3, "cost")),
    ],
)
def test_the_tightest_limit_decides(
    budget: Budget, expected: tuple[float, str]
) -> None:
    each = Usage(calls=1, input_tokens=30, output_tokens=20, cost=0.1)
    assert tightest(place(ScriptedModel(), budget=budget).ledger, each) == expected


def test_what_is_kept_back_pays_the_last_call_and_comes_back() -> None:
    last = Usage(calls=1, input_tokens=30, output_tokens=20)
    for tokens in range(0, 400, 7):
        context = place(ScriptedModel(), budget=Budget(tokens=tokens, calls=9))
        whole = context.ledger.left("tokens")
        assert whole == tokens
        with kept_back(context, last) as tight:
            left = context.ledger.left("tokens")
            assert left is not None
            assert (tight is StopReason.TOKENS) == (tokens < 100)
            if tight is None:
                # 20 % of it, or the price of the call.
                assert tokens - left >= max(50, 0.2 * tokens - 1)
                assert 0 < (context.ledger.left("calls") or 0) < 9
        assert context.ledger.left("tokens") == tokens


def test_the_share_kept_for_the_end_of_the_run_counts() -> None:
    last = Usage(calls=1, input_tokens=30, output_tokens=20)
    context = place(ScriptedModel(), budget=Budget(tokens=1000, wrap_up=0.2))
    with kept_back(context, last) as tight:
        assert tight is None
        assert context.ledger.left("tokens") == 800


@pytest.mark.parametrize(
    ("tokens", "layers", "each", "share"),
    [
        # The same for three thoughts of each of two layers ...
        (1200, 2, 100, 200),
        # ... unless that is too little for an answer ...
        (1200, 2, 300, 300),
        # ... which the layer may spend all it has on.
        (1200, 2, 900, 400),
    ],
)
def test_thoughts_share_what_is_left_of_the_budget(
    tokens: int, layers: int, each: int, share: int
) -> None:
    context = place(ScriptedModel(), budget=Budget(tokens=tokens))
    places = [context.at(i) for i in range(3)]
    needed = Usage(calls=1, input_tokens=each)
    with shared_out(context, places, layers, needed) as given_out:
        assert [c.ledger.left("tokens") for c in given_out] == [share] * 3
        assert context.ledger.left("tokens") == tokens - 3 * share
    assert context.ledger.left("tokens") == tokens


class Bounding(ScriptedModel):
    """A model that counts twice as many tokens as there are."""

    def count_tokens(self, request: Request) -> int:
        return 2 * super().count_tokens(request)


@given(
    limit=st.integers(0, 300),
    most=st.integers(1, 60),
    share=st.sampled_from([0.0, 0.3]),
    dimension=st.sampled_from(["tokens", "input_tokens", "output_tokens"]),
    weight=st.sampled_from([1, 2]),
)
async def test_a_reply_leaves_room_for_the_call_that_reads_it(
    limit: int, most: int, share: float, dimension: str, weight: int
) -> None:
    budget = Budget.model_validate({dimension: limit, "wrap_up": share})
    model = Bounding() if weight == 2 else ScriptedModel()
    context = place(model, budget=budget).wrap_up()
    first = SHORT.model_copy(update={"max_tokens": most})
    room = await room_before(first, LONG, context, bare=SHORT, written=2)
    reply = room.tokens

    def needed(tokens: int) -> int:
        read, written = weight * (2 + 4 + tokens), tokens + 50
        amounts = {"input_tokens": read, "output_tokens": written}
        return amounts.get(dimension, read + written)

    assert 0 <= reply <= most
    assert reply == 0 or needed(reply) <= limit
    assert reply == most or needed(reply + 1) > limit
    assert (room.last.calls, room.last.output_tokens) == (1, 50)
    read = 4 + reply if dimension != "output_tokens" or weight == 1 else None
    assert read is None or room.last.input_tokens == weight * read


async def room(context: RunContext) -> int:
    found = await room_before(SHORT, LONG, context, bare=SHORT, written=2)
    return found.tokens


@pytest.mark.parametrize(
    ("budget", "tokens"),
    [
        (Budget(), 50),
        (Budget(calls=1), 0),
        (Budget(calls=2), 50),
        # 2 and 4 tokens of prompts, 50 of the last reply, and 6 twice: a cent for ten.
        (Budget(cost=0.068), 6),
    ],
)
async def test_room_is_what_the_tightest_limit_leaves(
    budget: Budget, tokens: int
) -> None:
    context = place(Priced(), budget=budget)
    assert await room(context) == tokens
    assert paths(context) == ["here"]
    # Said once, it is said again, whatever has changed but the budget.
    context.shared.paths.clear()
    assert await room(context.inside(ScriptedModel())) == tokens
    context.shared.paths.clear()
    more = replace(context, ledger=Ledger(Budget(calls=2, seconds=1e9)))
    with chain_from(1_000):
        assert await room(more) == 50


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(("written", "tokens"), [(100, 0), (160, 14), (400, 50)])
async def test_time_is_reckoned_from_the_speed_so_far(
    written: int, tokens: int, split: bool
) -> None:
    """5 of 7 s have passed, and the last reply takes up to 50 tokens, too."""
    now = 0.0
    ledger = Ledger(Budget(seconds=7), clock=lambda: now)
    now = 5.0
    ledger = ledger.split(1)[0] if split else ledger
    with chain_from(written):
        context = replace(place(ScriptedModel()), ledger=ledger)
        assert await room(context) == tokens


def test_what_is_set_aside_pays_the_last_call() -> None:
    budget = Budget(tokens=100, calls=3, wrap_up=0.2)
    context = place(ScriptedModel(), budget=budget).wrap_up()
    with set_aside(context, Usage(calls=1, input_tokens=30, output_tokens=20)):
        left = [context.ledger.left(d, wrap_up=True) for d in ("tokens", "calls")]
        assert left == [50, 2]
    assert context.ledger.left("tokens", wrap_up=True) == 100


def test_of_a_large_share_no_more_is_kept_than_an_end_can_take() -> None:
    budget = Budget(output_tokens=1000, tokens=999, calls=9, cost=1.0, wrap_up=0.2)
    context = place(ScriptedModel(), budget=budget)
    with keeping(context, {"output_tokens": 50}) as inner:
        left = {
            d: context.ledger.left(d, wrap_up=inner.wrapping_up)
            for d in ("output_tokens", "tokens", "calls", "cost")
        }
    assert left.pop("cost") == pytest.approx(0.8)
    assert left == {"output_tokens": 950, "tokens": 799, "calls": 7}
    assert context.ledger.left("output_tokens", wrap_up=True) == 1000


@pytest.mark.parametrize("most", [{}, {"output_tokens": 9999.0}])
def test_never_more_is_kept_than_the_share(most: dict[Dimension, float]) -> None:
    context = place(ScriptedModel(), budget=Budget(output_tokens=100, wrap_up=0.3))
    with keeping(context, most) as inner:
        assert context.ledger.left("output_tokens", wrap_up=inner.wrapping_up) == 70


def test_time_and_the_share_of_another_strategy_are_kept_as_they_are() -> None:
    timed = place(ScriptedModel(), budget=Budget(seconds=9, wrap_up=0.2))
    inner = place(ScriptedModel(), budget=Budget(calls=9, wrap_up=0.2))
    for context in (timed, inner.inside(ScriptedModel())):
        with keeping(context, {"calls": 1, "output_tokens": 1}) as same:
            assert same == context
