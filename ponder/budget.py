"""Limits of a run, and the ledger that keeps them.

A call is paid for before it is made: ``reserve`` sets aside the most it can cost,
``settle`` puts back what it did not use. Reservations are granted strictly in the
order in which they are asked for, so which call is the first to be refused depends
on the place of the calls and on what they used, never on which one happened to
finish first. See docs/design/ledger.md.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from ponder.errors import InvalidParameter, OutOfBudget
from ponder.messages import Usage, Value

Dimension = Literal[
    "calls", "tokens", "input_tokens", "cached_tokens", "output_tokens", "cost"
]
DIMENSIONS: tuple[Dimension, ...] = (
    "calls",
    "tokens",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "cost",
)
LEAST_OUTPUT = 16
"""A call cut to fewer output tokens than this is not worth its prompt."""


class Budget(Value):
    """Limits of a run. ``None`` is no limit."""

    tokens: int | None = Field(default=None, ge=0)
    """Input plus output tokens."""
    input_tokens: int | None = Field(default=None, ge=0)
    cached_tokens: int | None = Field(default=None, ge=0)
    """Input tokens served from a cache: they are cheap, not free."""
    output_tokens: int | None = Field(default=None, ge=0)
    calls: int | None = Field(default=None, ge=0)
    seconds: float | None = Field(default=None, ge=0)
    cost: float | None = Field(default=None, ge=0)
    """US dollars. A model without a known price counts as free."""
    wrap_up: float | None = Field(default=None, ge=0, lt=1)
    """Share kept back for the last steps; ``None`` is the strategy's own share."""


Amounts = dict[Dimension, float]


def amounts_of(usage: Usage) -> Amounts:
    """Return what was used, or may be, by limit."""
    return {
        "calls": usage.calls,
        "tokens": usage.total_tokens,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "cost": usage.cost or 0.0,
    }


@dataclass(eq=False)
class Reservation:
    """Budget set aside for one call: settle it exactly once."""

    granted: Usage
    """The most that the call may use; ``output_tokens`` may have been cut."""
    ledger: "Ledger" = field(repr=False)
    open: bool = True

    def settle(self, actual: Usage) -> None:
        """Charge what the call used and put back the rest."""
        self._close(actual)

    def refund(self) -> None:
        """Put everything back: the call was not made."""
        self._close(Usage())

    def _close(self, actual: Usage) -> None:
        if not self.open:
            raise InvalidParameter("This reservation was settled before.")
        self.open = False
        self.ledger._release(self.granted, actual)


@dataclass(eq=False)
class _Waiter:
    estimate: Usage
    wrap_up: bool
    least_output: int
    future: "asyncio.Future[Reservation]"


class Ledger:
    """Keeps one budget over concurrent calls. Used from one event loop."""

    def __init__(
        self,
        budget: Budget,
        *,
        clock: Callable[[], float] = time.monotonic,
        spent_seconds: float = 0.0,
        parent: "Ledger | None" = None,
    ) -> None:
        """Open a ledger.

        Args:
            budget: The limits.
            clock: Seconds, monotonic.
            spent_seconds: What the run had used before it was resumed.
            parent: The ledger that this one's budget was split from.
        """
        self.budget = budget
        self._clock = clock
        self._start = clock() - spent_seconds
        self._parent = parent
        self._spent = Usage()
        self._held: Amounts = dict.fromkeys(DIMENSIONS, 0.0)
        self._owed: Amounts = dict.fromkeys(DIMENSIONS, 0.0)
        self._in_flight = 0
        self._children: list[Ledger] = []
        self._waiters: deque[_Waiter] = deque()
        self._closed = False

    @property
    def spent(self) -> Usage:
        """What was used so far, open children included; ``seconds`` is wall time."""
        total = self._spent
        for child in self._children:
            total = total + child.spent
        return total.model_copy(update={"seconds": self.elapsed})

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._start

    @property
    def elapsed_in_all(self) -> float:
        """Seconds since the run began, also where this ledger was split off later."""
        return self._parent.elapsed_in_all if self._parent else self.elapsed

    def seconds_left(self, *, wrap_up: bool = False) -> float | None:
        """Return seconds until the limit, ``None`` without one, never negative."""
        if self.budget.seconds is None:
            return None
        limit = self.budget.seconds * self._usable(wrap_up)
        return max(0.0, limit - self.elapsed)

    def left(self, dimension: Dimension, *, wrap_up: bool = False) -> float | None:
        """Return what may still be reserved, ``None`` without a limit."""
        limit = getattr(self.budget, dimension)
        if limit is None:
            return None
        allowed = float(limit) * self._usable(wrap_up)
        if dimension == "calls":
            # A call cannot be made in part, and the first one is always the run's.
            allowed = max(min(1.0, limit), float(int(allowed)))
        used = amounts_of(self._spent)[dimension] + self._held[dimension]
        return allowed - used - self._children_hold(dimension)

    async def reserve(
        self,
        estimate: Usage,
        *,
        wrap_up: bool = False,
        least_output: int = LEAST_OUTPUT,
    ) -> Reservation:
        """Set budget aside for one call, waiting for earlier calls to settle.

        If the estimate does not fit once all earlier calls have settled, its output
        is cut to what is left.

        Args:
            estimate: The most that the call can use.
            wrap_up: The call may use the share kept back for the end.
            least_output: Refuse rather than cut the output below this many tokens.

        Raises:
            OutOfBudget: The budget admits no such call.
        """
        future: asyncio.Future[Reservation] = asyncio.Future()
        least = min(least_output, estimate.output_tokens)
        self._waiters.append(_Waiter(estimate, wrap_up, least, future))
        self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            self._forget(future)
            raise

    def charge(self, usage: Usage) -> None:
        """Charge what was paid without a reservation."""
        self._spent = self._spent + usage
        self._pump()

    def owe(self, usage: Usage) -> None:
        """Note what a run had paid before it was resumed, and comes to again later.

        It is not in ``left``, so that a resumed run divides its budget as before; but
        no call is admitted with which it would be more than the budget.
        """
        for dimension, amount in amounts_of(usage).items():
            self._owed[dimension] += amount

    def meet(self, usage: Usage) -> None:
        """Charge a call found in the journal, which is no longer owed."""
        owed = self._root._owed
        for dimension, amount in amounts_of(usage).items():
            owed[dimension] = max(0.0, owed[dimension] - amount)
        self._spent = self._spent + usage
        self._pump_all()

    def split(self, parts: int) -> list["Ledger"]:
        """Divide what is left among parts that run side by side.

        Whole numbers that do not divide evenly favour the first parts. Time is not
        divided, since the parts share it.

        Args:
            parts: How many children.

        Returns:
            The children. Close each one to return what it did not use.
        """
        if parts < 1:
            raise InvalidParameter(
                f"A ledger splits into 1 or more parts, not {parts}."
            )
        limits = {d: self.left(d) for d in DIMENSIONS}
        shares = {
            d: _divide(d, left, parts) for d, left in limits.items() if left is not None
        }
        return [self.lend({d: shares[d][i] for d in shares}) for i in range(parts)]

    def lend(
        self, amounts: Mapping[Dimension, float] | None = None, *, wrap_up: float = 0.0
    ) -> "Ledger":
        """Set an amount aside as a ledger of its own.

        Args:
            amounts: How much, by limit; by default all that is left. What is not
                limited here is not limited there.
            wrap_up: Share of it that the ledger keeps back for an end of its own.

        Returns:
            A child. Close it to return what it did not use.
        """
        limits: dict[str, float | None] = {}
        for dimension in DIMENSIONS:
            left = self.left(dimension)
            if left is not None:
                given = left if amounts is None else amounts.get(dimension, 0.0)
                limits[dimension] = max(
                    0.0, given if dimension == "cost" else given // 1
                )
        budget = Budget.model_validate(
            {**limits, "seconds": self.seconds_left(), "wrap_up": wrap_up}
        )
        child = Ledger(budget, clock=self._clock, parent=self)
        self._children.append(child)
        return child

    def close(self) -> None:
        """Return to the parent what this ledger did not use."""
        if self._closed or self._parent is None:
            return
        self._closed = True
        self._parent._children.remove(self)
        self._parent.charge(self.spent.model_copy(update={"seconds": 0.0}))

    def _usable(self, wrap_up: bool) -> float:
        return 1.0 if wrap_up else 1.0 - (self.budget.wrap_up or 0.0)

    def _children_hold(self, dimension: Dimension) -> float:
        # A child may overrun its limit when a model used more than it announced.
        return sum(
            max(
                float(getattr(child.budget, dimension) or 0.0),
                amounts_of(child.spent)[dimension],
            )
            for child in self._children
        )

    def _exceeded(self, amounts: Amounts, wrap_up: bool) -> str | None:
        seconds = self.seconds_left(wrap_up=wrap_up)
        if seconds is not None and seconds <= 0:
            return "seconds"
        for dimension in DIMENSIONS:
            free = self._free(dimension, wrap_up)
            if free is not None and amounts[dimension] > free:
                return dimension
        return None

    def _free(self, dimension: Dimension, wrap_up: bool) -> float | None:
        """Return what is left, less what the run owes and has no other room for."""
        left, root = self.left(dimension, wrap_up=wrap_up), self._root
        limit: float | None = getattr(root.budget, dimension)
        if limit is None or not root._owed[dimension]:
            return left
        limit = limit * root._usable(wrap_up)
        rest = limit - root._committed(dimension) - root._owed[dimension]
        return rest if left is None else min(left, rest)

    @property
    def _busy(self) -> bool:
        """Whether there are calls in flight that may leave room.

        Those of other ledgers may as long as the run owes something.
        """
        ledgers = self._tree if self._owes else [self]
        return any(ledger._in_flight for ledger in ledgers)

    @property
    def _owes(self) -> bool:
        """Whether the run was resumed, and has not met all that it had paid."""
        return any(self._root._owed.values())

    @property
    def _tree(self) -> list["Ledger"]:
        """All ledgers of the run."""
        found = [self._root]
        for ledger in found:
            found.extend(ledger._children)
        return found

    @property
    def _root(self) -> "Ledger":
        return self._parent._root if self._parent else self

    def _committed(self, dimension: Dimension) -> float:
        """Return what was used or is set aside for calls, here and in children."""
        own = amounts_of(self._spent)[dimension] + self._held[dimension]
        return own + sum(child._committed(dimension) for child in self._children)

    def _pump_all(self) -> None:
        """Answer all that wait in the run: as long as it owes, all wait for all."""
        for ledger in self._tree:
            ledger._pump()

    def _pump(self) -> None:
        """Answer the waiting reservations, strictly in order."""
        while self._waiters:
            waiter = self._waiters[0]
            if not waiter.future.done() and not self._answer(waiter):
                return
            self._waiters.popleft()

    def _answer(self, waiter: _Waiter) -> bool:
        estimate = waiter.estimate
        exceeded = self._exceeded(amounts_of(estimate), waiter.wrap_up)
        if exceeded is not None:
            if self._busy and exceeded != "seconds":
                return False
            estimate = self._cut(waiter)
            if self._exceeded(amounts_of(estimate), waiter.wrap_up):
                waiter.future.set_exception(OutOfBudget(exceeded))
                return True
        self._hold(estimate)
        waiter.future.set_result(Reservation(estimate, self))
        return True

    def _cut(self, waiter: _Waiter) -> Usage:
        """Shrink the output to what is left, if that leaves enough to be useful."""
        estimate = waiter.estimate
        room: list[float] = [estimate.output_tokens]
        tokens = self._free("tokens", waiter.wrap_up)
        if tokens is not None:
            room.append(tokens - estimate.input_tokens)
        output = self._free("output_tokens", waiter.wrap_up)
        if output is not None:
            room.append(output)
        fits = int(min(room))
        if fits < waiter.least_output:
            return estimate
        return estimate.model_copy(update={"output_tokens": fits})

    def _hold(self, usage: Usage) -> None:
        for dimension, amount in amounts_of(usage).items():
            self._held[dimension] += amount
        self._in_flight += 1

    def _release(self, granted: Usage, actual: Usage) -> None:
        for dimension, amount in amounts_of(granted).items():
            self._held[dimension] -= amount
        self._in_flight -= 1
        self._spent = self._spent + actual.model_copy(update={"seconds": 0.0})
        if self._owes:
            self._pump_all()
        else:
            self._pump()

    def _forget(self, future: "asyncio.Future[Reservation]") -> None:
        """Drop a waiter whose caller was cancelled."""
        if future.done() and not future.cancelled() and future.exception() is None:
            future.result().refund()
        self._waiters = deque(w for w in self._waiters if w.future is not future)
        self._pump()


def _divide(dimension: Dimension, left: float, parts: int) -> Sequence[float]:
    left = max(0.0, left)
    if dimension == "cost":
        return [left / parts] * parts
    whole, rest = divmod(int(left), parts)
    return [whole + (i < rest) for i in range(parts)]
