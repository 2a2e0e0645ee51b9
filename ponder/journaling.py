"""What a place of a run remembers: what was done there before, from the journal."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ponder.budget import Ledger
from ponder.errors import (
    ControlFlow,
    ModelError,
    OutOfBudget,
    PonderError,
    ReplayDrift,
    RetrievalError,
    VerifierError,
    revived,
)
from ponder.events import CallFailed, Refused
from ponder.journal import Entry, Kind, content_key
from ponder.messages import Usage
from ponder.telling import Path, Telling, place_id


class Journaling(Telling):
    """A place of a run, as far as it remembers what happens there."""

    ledger: Ledger
    wrapping_up: bool
    role: str

    async def remember(
        self,
        content: str,
        compute: Callable[[], Awaitable[dict[str, Any]]],
        *,
        timed: bool = False,
    ) -> dict[str, Any]:
        """Do something once per place, and give its journaled value ever after.

        For effects other than model calls: tools, retrieval, a user's verifier. That
        it failed is remembered, too; a resumed run tries again.

        Args:
            content: What decides the value; a change of it is a drift.
            compute: Does it, and returns JSON data.
            timed: It may take long: it is cancelled when the seconds of the budget
                are over, and not begun after that.

        Raises:
            OutOfBudget: The seconds of the budget are over.
            PonderError: What ``compute`` raised.
        """
        key = content_key(content)
        entry = self._find(key)
        if entry is not None and not self._retry(entry):
            self._raise_again(entry)
            return entry.body
        try:
            value = await (self._in_time(compute) if timed else compute())
        except OutOfBudget as stop:
            self._record(key, "refusal", {"dimension": stop.dimension})
            raise
        except (VerifierError, RetrievalError, ModelError) as error:
            # A run goes on after these, so that a replay must meet them again.
            self._record_failure(key, error)
            raise
        self._record(key, "value", value)
        return value

    async def _in_time(
        self, compute: Callable[[], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        seconds = self.ledger.seconds_left(wrap_up=self.wrapping_up)
        if seconds is not None and seconds <= 0:
            raise self._refuse(OutOfBudget("seconds"))
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await compute()
        except TimeoutError:
            if limit.expired():
                raise self._refuse(OutOfBudget("seconds")) from None
            raise

    def _find(self, key: str) -> Entry | None:
        if self.id in self.shared.paths:
            raise PonderError(
                f"Two calls at the same place '{self.id}' of a run: a strategy must "
                "give every call a place of its own with context.at(...)."
            )
        self.shared.paths.add(self.id)
        entry = self.shared.log.find(self.id, key)
        if entry is None and self.shared.replaying:
            raise ReplayDrift(
                f"The journal holds no call at '{self.id}' with this content. Replay "
                "with the strategy, parameters, verifier and version that made the run."
            )
        return entry

    def _retry(self, entry: Entry) -> bool:
        """Whether a resumed run should try again: it may work now."""
        if self.shared.replaying:
            return False
        return entry.kind == "failure" or (
            entry.kind == "refusal" and self.shared.new_budget
        )

    def _raise_again(self, entry: Entry) -> None:
        """Raise what was raised here before, if anything was."""
        if entry.kind == "refusal":
            raise self._refuse(OutOfBudget(entry.body["dimension"]))
        if entry.kind == "failure":
            error = revived(entry.body.get("kind", ""), entry.body["error"])
            raise self._failed(error) if isinstance(error, ModelError) else error

    @contextmanager
    def _noting(self, key: str) -> Iterator[None]:
        """Note that a call failed before it could be made, and cost nothing."""
        try:
            yield
        except ModelError as error:
            self._record_failure(key, error)
            raise self._failed(error) from error

    def _record(
        self,
        key: str,
        kind: Kind,
        body: dict[str, Any],
        usage: Usage | None = None,
        *,
        below: Path = (),
    ) -> None:
        if usage is not None:
            self.shared.spend(self.role, usage)
        self.shared.log.record(
            Entry(
                path=place_id(self.path + below),
                key=key,
                kind=kind,
                body=body,
                usage=usage or Usage(),
                elapsed=self.ledger.elapsed,
            )
        )
        for warning in self.shared.log.warnings:
            self.warn(warning)

    def _record_failure(
        self, key: str, error: PonderError, usage: Usage | None = None
    ) -> None:
        kind = type(error).__name__
        body = {"error": str(error), "kind": kind, "role": self.role}
        self._record(key, "failure", body, usage)

    def _refuse(self, stop: OutOfBudget) -> ControlFlow:
        self.shared.emit(Refused(path=self.id, dimension=stop.dimension))
        return stop

    def _failed(self, error: ModelError) -> ModelError:
        self.shared.failures.append(error)
        self.shared.emit(CallFailed(path=self.id, error=str(error)))
        return error
