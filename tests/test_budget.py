import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.budget import DIMENSIONS, Budget, Ledger, Reservation
from ponder.errors import InvalidParameter, OutOfBudget
from ponder.messages import Usage

amounts = st.integers(min_value=0, max_value=60)
limits = st.none() | st.integers(min_value=0, max_value=300)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Usage, Usage]:
    """An estimate, and an actual use within it."""
    estimate = Usage(
        calls=1, input_tokens=draw(amounts), output_tokens=draw(amounts), cost=0.1
    )
    share = draw(st.floats(min_value=0, max_value=1))
    actual = Usage(
        calls=1,
        input_tokens=int(estimate.input_tokens * share),
        output_tokens=int(estimate.output_tokens * share),
        cost=0.1 * share,
    )
    return estimate, actual


budgets = st.builds(
    Budget,
    tokens=limits,
    input_tokens=limits,
    output_tokens=limits,
    calls=st.none() | st.integers(min_value=0, max_value=12),
    cost=st.none() | st.floats(min_value=0, max_value=1),
    wrap_up=st.none() | st.floats(min_value=0, max_value=0.5),
)


def within(usage: Usage, budget: Budget) -> bool:
    used = {
        "calls": usage.calls,
        "tokens": usage.total_tokens,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "cost": usage.cost or 0.0,
    }
    return all(
        (limit := getattr(budget, d)) is None or used[d] <= limit + 1e-9
        for d in DIMENSIONS
    )


async def pay(
    ledger: Ledger,
    estimate: Usage,
    actual: Usage,
    rng: random.Random,
    events: list[str],
) -> None:
    try:
        reservation = await ledger.reserve(estimate)
    except OutOfBudget:
        events.append("refused")
        return
    for _ in range(rng.randrange(4)):
        await asyncio.sleep(0)
    if rng.random() < 0.2:
        reservation.refund()
    else:
        granted = reservation.granted
        used = actual.model_copy(
            update={"output_tokens": min(actual.output_tokens, granted.output_tokens)}
        )
        reservation.settle(used)
    events.append("paid")


@settings(max_examples=150, deadline=None)
@given(budgets, st.lists(calls(), max_size=25), st.integers(0, 2**16))
def test_concurrent_reservations_never_exceed_nor_deadlock(
    budget: Budget, wanted: list[tuple[Usage, Usage]], seed: int
) -> None:
    async def main() -> None:
        ledger = Ledger(budget, clock=lambda: 0.0)
        rng, events = random.Random(seed), list[str]()
        pending = [
            asyncio.create_task(pay(ledger, estimate, actual, rng, events))
            for estimate, actual in wanted
        ]
        for task in pending:
            if rng.random() < 0.15:
                task.cancel()
        if pending:
            done, left = await asyncio.wait(pending, timeout=5)
            assert not left, "deadlock"
        assert within(ledger.spent, budget)
        # Nothing is held any more, so what is left is the limit less what was spent.
        assert all(abs(v) < 1e-9 for v in ledger._held.values())

    asyncio.run(main())


@settings(max_examples=100, deadline=None)
@given(
    st.integers(min_value=40, max_value=400),
    st.floats(min_value=0.05, max_value=0.5),
    st.lists(calls(), max_size=20),
)
def test_the_wrap_up_share_survives_everything_else(
    tokens: int, wrap_up: float, wanted: list[tuple[Usage, Usage]]
) -> None:
    async def main() -> None:
        ledger = Ledger(Budget(tokens=tokens, wrap_up=wrap_up), clock=lambda: 0.0)
        events: list[str] = []
        rng = random.Random(0)
        for estimate, actual in wanted:
            await pay(ledger, estimate, actual, rng, events)
        last = Usage(calls=1, output_tokens=int(tokens * wrap_up))
        reservation = await ledger.reserve(last, wrap_up=True, least_output=1)
        assert reservation.granted.output_tokens == last.output_tokens

    asyncio.run(main())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(min_value=0, max_value=500),
    st.integers(min_value=1, max_value=9),
    st.lists(calls(), max_size=20),
    st.integers(0, 2**16),
)
def test_children_together_stay_within_their_parent(
    tokens: int, parts: int, wanted: list[tuple[Usage, Usage]], seed: int
) -> None:
    async def main() -> None:
        budget = Budget(tokens=tokens, calls=tokens // 20)
        parent = Ledger(budget, clock=lambda: 0.0)
        children = parent.split(parts)
        assert sum(c.budget.tokens or 0 for c in children) == tokens
        assert sum(c.budget.calls or 0 for c in children) == tokens // 20
        rng, events = random.Random(seed), list[str]()
        async with asyncio.TaskGroup() as group:
            for i, (estimate, actual) in enumerate(wanted):
                child = children[i % parts]
                group.create_task(pay(child, estimate, actual, rng, events))
        spent = parent.spent
        assert within(spent, budget)
        for child in children:
            child.close()
        assert parent.spent.total_tokens == spent.total_tokens
        assert parent.left("tokens") == tokens - spent.total_tokens

    asyncio.run(main())


async def test_decisions_follow_the_order_of_asking_not_of_settling() -> None:
    async def refused(order: list[int]) -> list[int]:
        """Settle the first three reservations in the given order."""
        ledger = Ledger(Budget(tokens=100), clock=lambda: 0.0)
        tasks = [
            asyncio.create_task(
                ledger.reserve(Usage(calls=1, output_tokens=30), least_output=30)
            )
            for _ in range(6)
        ]
        await asyncio.sleep(0)
        first = [await task for task in tasks[:3]]
        for i in order:
            first[i].settle(Usage(calls=1, output_tokens=20 + i))
        outcomes: list[int] = []
        for i, task in enumerate(tasks[3:], start=3):
            try:
                (await task).settle(Usage(calls=1, output_tokens=10))
            except OutOfBudget:
                outcomes.append(i)
        return outcomes

    assert await refused([0, 1, 2]) == await refused([2, 1, 0]) == [4, 5]


async def test_output_is_cut_to_what_is_left() -> None:
    ledger = Ledger(Budget(tokens=100))
    estimate = Usage(calls=1, input_tokens=40, output_tokens=99)
    reservation = await ledger.reserve(estimate)
    assert reservation.granted.output_tokens == 60


async def test_a_call_too_short_to_be_useful_is_refused() -> None:
    ledger = Ledger(Budget(tokens=50))
    with pytest.raises(OutOfBudget) as stop:
        await ledger.reserve(Usage(calls=1, input_tokens=40, output_tokens=99))
    assert stop.value.dimension == "tokens"


async def test_time_is_a_limit() -> None:
    now = 0.0
    ledger = Ledger(Budget(seconds=10, wrap_up=0.2), clock=lambda: now)
    (await ledger.reserve(Usage(calls=1))).settle(Usage(calls=1))
    now = 8.5
    with pytest.raises(OutOfBudget, match="seconds"):
        await ledger.reserve(Usage(calls=1))
    (await ledger.reserve(Usage(calls=1), wrap_up=True)).settle(Usage(calls=1))
    assert ledger.spent.calls == 2


async def test_one_call_is_always_the_runs_own() -> None:
    ledger = Ledger(Budget(calls=1, wrap_up=0.5))
    assert isinstance(await ledger.reserve(Usage(calls=1)), Reservation)


async def test_settling_twice_is_refused() -> None:
    reservation = await Ledger(Budget()).reserve(Usage(calls=1))
    reservation.settle(Usage())
    with pytest.raises(InvalidParameter, match="settled before"):
        reservation.refund()


def test_a_ledger_splits_into_at_least_one_part() -> None:
    with pytest.raises(InvalidParameter, match="not 0"):
        Ledger(Budget()).split(0)


async def test_a_cancelled_waiter_holds_nothing() -> None:
    ledger = Ledger(Budget(tokens=10), clock=lambda: 0.0)
    first = await ledger.reserve(Usage(calls=1, output_tokens=10))
    waiting = asyncio.create_task(ledger.reserve(Usage(calls=1, output_tokens=10)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    first.refund()
    assert ledger.left("tokens") == 10


async def test_what_a_resumed_run_owes_is_kept_free_and_not_divided() -> None:
    ledger = Ledger(Budget(output_tokens=100))
    ledger.owe(Usage(output_tokens=60))
    first, second = ledger.split(2)
    assert first.budget.output_tokens == 50

    reservation = await first.reserve(Usage(output_tokens=50))
    assert reservation.granted.output_tokens == 40
    # Whether there is room for another call is known when that one has settled.
    waiting = asyncio.create_task(second.reserve(Usage(output_tokens=30)))
    await asyncio.sleep(0)
    assert not waiting.done()
    reservation.settle(Usage(output_tokens=20))
    assert (await waiting).granted.output_tokens == 20

    second.meet(Usage(output_tokens=60))
    assert ledger.spent.output_tokens == 80


async def test_what_is_owed_leaves_the_share_for_the_end_alone() -> None:
    ledger = Ledger(Budget(tokens=1000, wrap_up=0.2))
    ledger.charge(Usage(output_tokens=200))
    ledger.owe(Usage(output_tokens=500))
    reservation = await ledger.reserve(Usage(output_tokens=400))
    assert reservation.granted.output_tokens == 100


async def test_who_waits_for_another_ledger_is_answered_when_nothing_is_owed() -> None:
    ledger = Ledger(Budget(output_tokens=100))
    ledger.owe(Usage(output_tokens=60))
    first, second = ledger.split(2)
    running = await first.reserve(Usage(output_tokens=40))
    waiting = asyncio.create_task(second.reserve(Usage(output_tokens=30)))
    await asyncio.sleep(0)
    assert not waiting.done()

    # What was owed is met in the first part, which may overrun by it.
    first.meet(Usage(output_tokens=60))
    granted = (await asyncio.wait_for(waiting, 1)).granted
    assert granted.output_tokens == 30
    running.settle(Usage(output_tokens=0))
