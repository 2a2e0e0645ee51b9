"""How a place of a run calls a model.

Look into the journal; else reserve budget, call, settle, journal and tell the world, in
this order.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from ponder.budget import LEAST_OUTPUT, Reservation
from ponder.concurrency import chain
from ponder.errors import ModelError, ModelUnreachable, OutOfBudget
from ponder.events import CallFailed, CallFinished, CallStarted, TextDelta
from ponder.journal import Entry, content_key
from ponder.journaling import Journaling
from ponder.messages import Completion, Request, Usage
from ponder.models.base import Model

T = TypeVar("T")

THOUGHT_ONLY = (
    "A reply ended before its answer began: all its tokens went into thoughts. Raise "
    "max_tokens (step_tokens for steps), or take a model that does not think first."
)


class Calling(Journaling):
    """A place of a run, as far as it calls models."""

    async def _completed(self, model: Model, request: Request) -> list[Completion]:
        """Return the completions of a request, from the journal or from the model."""
        key = content_key(request.model_dump_json(exclude_defaults=True))
        entry = self._find(key)
        if entry is not None and not self._retry(entry):
            completions = self._served(entry, model)
        else:
            completions = await self._paid(model, request, key)
        if request.max_tokens > 1 and any(c.thought_only for c in completions):
            self.warn(THOUGHT_ONLY)
        return completions

    def _served(self, entry: Entry, model: Model) -> list[Completion]:
        self.ledger.meet(entry.usage)
        self.shared.log.met(self.id)
        self.shared.spend(self.role, entry.usage)
        if entry.kind != "refusal":
            self.shared.emit(CallStarted(path=self.id, model=model.name))
        self._raise_again(entry)
        completions = [Completion.model_validate(c) for c in entry.body["completions"]]
        _lengthen_chain(completions)
        self.shared.emit(CallFinished(path=self.id, usage=entry.usage, replayed=True))
        return completions

    async def _paid(self, model: Model, request: Request, key: str) -> list[Completion]:
        with self._noting(key):
            await model.prepare()
            estimate = self._estimate(model, request)
        reservation = await self._reserved(estimate, key)
        request = _within(request, reservation.granted.output_tokens)
        completions = await self._called(model, request, reservation, key)
        usage = _total(completions)
        reservation.settle(usage)
        made = [_stored(c) for c in completions]
        body = {"completions": made, **self._by(model)}
        self._record(key, "reply", body, usage)
        _lengthen_chain(completions)
        self.shared.emit(CallFinished(path=self.id, usage=usage))
        return completions

    def _by(self, model: Model) -> dict[str, str]:
        return {"model": model.name, "role": self.role}

    async def _reserved(self, estimate: Usage, key: str) -> Reservation:
        # Its price is fixed by now, as if nothing were cached: the most it can be.
        cached = {"cached_tokens": estimate.input_tokens}
        most = estimate.model_copy(update=cached)
        try:
            return await self.ledger.reserve(most, wrap_up=self.wrapping_up)
        except OutOfBudget as stop:
            self._record(key, "refusal", {"dimension": stop.dimension})
            raise self._refuse(stop) from None

    async def _called(
        self, model: Model, request: Request, reservation: Reservation, key: str
    ) -> list[Completion]:
        written = [0] * request.n

        def on_delta(index: int, text: str, tokens: int) -> None:
            written[index] = tokens
            self.shared.emit(
                TextDelta(path=self.id, index=index, text=text, output_tokens=tokens)
            )

        self.shared.emit(CallStarted(path=self.id, model=model.name, n=request.n))
        return await self._guarded(
            lambda seconds: model.generate(
                request,
                on_delta=on_delta,
                max_seconds=None if seconds is None else _leave_room(seconds),
            ),
            reservation,
            key,
            written,
        )

    async def _guarded(
        self,
        call: Callable[[float | None], Awaitable[T]],
        reservation: Reservation,
        key: str,
        written: Sequence[int],
    ) -> T:
        """Make the call; settle the reservation here only if it does not succeed.

        Args:
            call: Makes it, told how many seconds are left.
            reservation: What was set aside for it.
            key: Hash of its content.
            written: Output tokens of each completion so far, kept up to date by it.
        """
        seconds = self.ledger.seconds_left(wrap_up=self.wrapping_up)
        try:
            async with asyncio.timeout(seconds):
                return await self._made(call, seconds)
        except asyncio.CancelledError:
            usage = self._broken_off(reservation, written, "cancelled")
            # Under a place of its own: a resumed run asks again.
            place = f"lost@{self.ledger.elapsed:.6f}"
            self._record(key, "lost", {"role": self.role}, usage, below=(place,))
            raise
        except TimeoutError:
            usage = self._broken_off(reservation, written, "time")
            body = {"dimension": "seconds", "role": self.role}
            self._record(key, "refusal", body, usage)
            raise self._refuse(OutOfBudget("seconds")) from None
        except ModelError as error:
            usage = Usage(calls=1) if error.paid is None else error.paid
            reservation.settle(usage)
            self._record_failure(key, error, usage)
            raise self._failed(error) from error
        except BaseException:
            reservation.refund()
            raise

    def _broken_off(
        self, reservation: Reservation, written: Sequence[int], why: str
    ) -> Usage:
        """Settle for the prompt and what was written so far: they are spent."""
        usage = Usage(
            calls=1,
            input_tokens=reservation.granted.input_tokens,
            output_tokens=sum(written),
        )
        reservation.settle(usage)
        self.shared.emit(CallFailed(path=self.id, error=why))
        return usage

    async def _made(
        self, call: Callable[[float | None], Awaitable[T]], seconds: float | None
    ) -> T:
        """Make the call; a time limit that is not the run's is a failure of a model."""
        try:
            return await call(seconds)
        except TimeoutError as error:
            left = self.ledger.seconds_left(wrap_up=self.wrapping_up)
            if seconds and left is not None and left <= seconds - _leave_room(seconds):
                raise
            said = f": {error}" if str(error) else ""
            raise ModelUnreachable(
                f"The model did not answer within its own time limit{said}."
            ) from error

    def _estimate(self, model: Model, request: Request) -> Usage:
        usage = Usage(
            calls=1,
            input_tokens=model.count_tokens(request),
            output_tokens=request.max_tokens * request.n,
        )
        return usage.model_copy(update={"cost": model.price(usage)})


def _within(request: Request, output_tokens: int) -> Request:
    """Return a request that stays within what was granted.

    Replies get shorter first; where they would be too short to be of use, there are
    fewer of them.
    """
    least = max(1, min(LEAST_OUTPUT, request.max_tokens))
    n = min(request.n, max(1, output_tokens // least))
    most = min(request.max_tokens, output_tokens // n)
    return request.model_copy(update={"n": n, "max_tokens": max(1, most)})


def _leave_room(seconds: float) -> float:
    """Return a little less time, so that a model can hand over what it has."""
    return max(0.0, seconds - min(1.0, 0.1 * seconds))


def _lengthen_chain(completions: Sequence[Completion]) -> None:
    chain().length += max((c.usage.output_tokens for c in completions), default=0)


def _total(completions: Sequence[Completion]) -> Usage:
    total = Usage()
    for completion in completions:
        total = total + completion.usage
    return total


def _stored(completion: Completion) -> dict[str, Any]:
    return completion.model_dump(mode="json", exclude_defaults=True)
