"""The one thread that owns a context, and the door to it from asyncio."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from ponder.errors import ContextOverflow, EngineClosed, ModelError
from ponder.messages import OnDelta
from ponder.models.llama.bindings import Context
from ponder.models.llama.branch import Branch, Generation, State
from ponder.models.llama.profile import FLAT, Profile
from ponder.models.llama.scheduler import Scheduler, Statistics

B = TypeVar("B", bound=Branch)

Delta = tuple[int, str, int]

_EMBED_ROWS = 64
"""Rows of one decode for embeddings; each also costs a row of logits."""


@dataclass(eq=False)
class _Ticket:
    """What a caller waits for."""

    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[None]"
    on_delta: OnDelta | None = None
    branches: Sequence[Branch] = ()
    texts: Sequence[Sequence[int]] = ()
    """Tokens of texts to embed."""
    vectors: list[list[float]] = field(default_factory=list)
    cancelled: bool = False

    def resolve(self, deltas: list[Delta], error: Exception | None, end: bool) -> None:
        """Pass on news; runs in the caller's loop."""
        if self.future.done():
            return
        try:
            for delta in deltas if self.on_delta else ():
                assert self.on_delta is not None
                self.on_delta(*delta)
        except Exception as caused:
            error = caused
        if error is not None:
            self.future.set_exception(error)
        elif end:
            self.future.set_result(None)


_News = tuple[_Ticket, list[Delta], Exception | None, bool]


class Engine:
    """Runs branches for any number of callers on any number of event loops."""

    def __init__(
        self,
        context: Context,
        profile: Profile = FLAT,
        longest: int | None = None,
    ) -> None:
        """Start the thread.

        Args:
            context: It belongs to the engine's thread from now on.
            profile: How long a decode takes by its number of rows.
            longest: Most tokens of one branch; by default the whole context.
        """
        self._context = context
        self._longest = longest or context.n_ctx
        self._scheduler = Scheduler(context, profile, self._longest)
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._tickets: dict[Branch, _Ticket] = {}
        self._embeddings: list[_Ticket] = []
        self._news: list[_News] = []
        # Guards the closing only, so that no message is left in a dead inbox.
        self._door = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(
            target=self._serve, name="ponder-llama", daemon=True
        )
        self._thread.start()

    @property
    def statistics(self) -> Statistics:
        """Counts since the start."""
        return self._scheduler.statistics

    @property
    def cells(self) -> int:
        """Cells of the cache in use."""
        return self._scheduler.cache.cells

    @property
    def live(self) -> int:
        """Sequences held by running branches."""
        return self._scheduler.live

    # -- called from any thread ----------------------------------------------------

    async def run(
        self, branches: Sequence[B], on_delta: OnDelta | None = None
    ) -> Sequence[B]:
        """Run branches to their end.

        Args:
            branches: What to run; they belong to the engine until this returns.
            on_delta: Told of text as it appears, by index in ``branches``.

        Returns:
            The same branches, done.

        Raises:
            EngineClosed: The engine is closed, or was meanwhile.
            ContextOverflow: One of them can never fit.
            ModelError: One of them failed; the others of this call are dropped.
        """
        if not branches:
            return branches
        ticket = self._ticket()
        ticket.branches, ticket.on_delta = branches, on_delta
        await self._await(ticket, lambda: self._accept(ticket))
        return branches

    async def embed(self, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """Return the mean of the last hidden states of each text, at unit length.

        Args:
            texts: Tokens of each text, at least one token in each.

        Raises:
            EngineClosed: The engine is closed, or was meanwhile.
            ContextOverflow: A text can never fit.
        """
        ticket = self._ticket()
        ticket.texts = texts
        await self._await(ticket, lambda: self._embeddings.append(ticket))
        return ticket.vectors

    def _ticket(self) -> _Ticket:
        loop = asyncio.get_running_loop()
        return _Ticket(loop, loop.create_future())

    async def _await(self, ticket: _Ticket, message: Callable[[], None]) -> None:
        self._send(message)
        try:
            await ticket.future
        finally:
            # Cancelled, left with its loop, or a callback raised: nobody waits for
            # the rest any more.
            future = ticket.future
            if not future.done() or future.cancelled() or future.exception():
                self._send(lambda: self._forget(ticket), missing_ok=True)

    def _send(self, message: Callable[[], None], missing_ok: bool = False) -> None:
        with self._door:
            if not self._closed:
                self._inbox.put(message)
            elif not missing_ok:
                raise EngineClosed("The engine is closed; open the model again.")

    def close(self) -> None:
        """Fail who waits, free the context and end the thread; may be called twice."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._inbox.put(None)
        self._thread.join()

    # -- in the engine's thread ----------------------------------------------------

    def _serve(self) -> None:
        reason: Exception = EngineClosed("The engine was closed while this waited.")
        try:
            while self._read_inbox():
                self._work()
                self._publish()
        except Exception as error:
            reason = ModelError(f"The engine stopped by an error of its own: {error!r}")
            reason.__cause__ = error
        with self._door:
            self._closed = True
        self._drain()
        for ticket in (*dict.fromkeys(self._tickets.values()), *self._embeddings):
            self._news.append((ticket, [], reason, True))
        self._publish()
        self._context.close()

    def _drain(self) -> None:
        while not self._inbox.empty():
            message = self._inbox.get()
            if message is not None:
                message()

    def _read_inbox(self) -> bool:
        """Handle all messages, waiting for one if there is no work.

        Returns:
            False when the engine is to close.
        """
        while True:
            busy = not self._scheduler.idle or self._embeddings or self._news
            try:
                message = self._inbox.get(block=not busy)
            except queue.Empty:
                return True
            if message is None:
                return False
            message()

    def _accept(self, ticket: _Ticket) -> None:
        for branch in ticket.branches:
            try:
                self._scheduler.submit(branch)
            except ContextOverflow as error:
                self._forget(ticket)
                self._news.append((ticket, [], error, True))
                return
            self._tickets[branch] = ticket

    def _forget(self, ticket: _Ticket) -> None:
        ticket.cancelled = True
        for branch in ticket.branches:
            if self._tickets.pop(branch, None) is not None:
                self._scheduler.cancel(branch)
        if ticket in self._embeddings:
            self._embeddings.remove(ticket)

    def _work(self) -> None:
        if self._embeddings:
            self._embed_next()
        touched: dict[_Ticket, list[Branch]] = {}
        for branch in self._scheduler.step():
            if branch in self._tickets:
                touched.setdefault(self._tickets[branch], []).append(branch)
        for ticket, branches in touched.items():
            self._report(ticket, branches)

    def _report(self, ticket: _Ticket, branches: list[Branch]) -> None:
        deltas = self._deltas(ticket, branches) if ticket.on_delta else []
        error = next((b.error for b in branches if b.error is not None), None)
        if error is not None:
            self._forget(ticket)
        for branch in branches:
            if branch.state is State.DONE:
                self._tickets.pop(branch, None)
        end = all(b.state is State.DONE for b in ticket.branches)
        if deltas or error or end:
            self._news.append((ticket, deltas, error, end))

    def _deltas(self, ticket: _Ticket, branches: list[Branch]) -> list[Delta]:
        touched = set(branches)
        return [
            (index, text, branch.output_tokens)
            for index, branch in enumerate(ticket.branches)
            if branch in touched and isinstance(branch, Generation)
            if (text := branch.take_delta())
        ]

    def _publish(self) -> None:
        """Hand over all news, with one wake-up of each loop."""
        news, self._news = self._news, []
        by_loop: dict[asyncio.AbstractEventLoop, list[_News]] = {}
        for item in news:
            by_loop.setdefault(item[0].loop, []).append(item)
        for loop, items in by_loop.items():
            try:
                loop.call_soon_threadsafe(_deliver, items)
            except RuntimeError:  # the loop was closed, so nobody waits there
                for ticket, *_ in items:
                    self._forget(ticket)

    # -- embeddings ----------------------------------------------------------------

    def _embed_next(self) -> None:
        """Embed one text of the first ticket that waits, if there is room."""
        ticket = self._embeddings[0]
        tokens = ticket.texts[len(ticket.vectors)]
        error: Exception | None = None
        if len(tokens) > self._longest:
            error = ContextOverflow(
                len(tokens), self._longest, "Embed shorter pieces of the text."
            )
        elif not self._scheduler.cache.make_room_for_one(len(tokens)):
            return
        else:
            try:
                ticket.vectors.append(self._embed(tokens))
            except ModelError as failure:
                error = failure
        if error is not None or len(ticket.vectors) == len(ticket.texts):
            self._embeddings.remove(ticket)
            self._news.append((ticket, [], error, True))

    def _embed(self, tokens: Sequence[int]) -> list[float]:
        context, sequence = self._context, self._scheduler.cache.spare_sequence
        assert sequence is not None
        total = np.zeros(context.n_embd, np.float64)
        context.want_embeddings(True)
        try:
            for at in range(0, len(tokens), _EMBED_ROWS):
                part = tokens[at : at + _EMBED_ROWS]
                n = len(part)
                context.decode(part, range(at, at + n), [sequence] * n, [True] * n)
                for row in range(n):
                    total += context.embedding(row)
        finally:
            context.want_embeddings(False)
            context.trim(sequence, 0)
        length = float(np.linalg.norm(total))
        return [float(x) for x in total / (length or 1.0)]


def _deliver(items: list[_News]) -> None:
    for ticket, deltas, error, end in items:
        ticket.resolve(deltas, error, end)
