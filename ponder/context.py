"""What a node of a strategy's graph works with: the run, seen from one place in it.

Every model call goes through ``RunContext.generate``, which looks into the journal,
reserves budget, calls, settles, journals and tells the world, in this order. A node
cannot reach a model, tool or verifier around it.
"""

import asyncio
import hashlib
import random
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

from ponder.budget import LEAST_OUTPUT, Ledger, Reservation
from ponder.concurrency import chain, settle
from ponder.errors import (
    ControlFlow,
    InvalidInput,
    InvalidParameter,
    ModelError,
    ModelUnreachable,
    OutOfBudget,
    PonderError,
    ReplayDrift,
    RetrievalError,
    VerifierError,
    revived,
)
from ponder.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Refused,
    Retrieved,
    TextDelta,
)
from ponder.journal import Entry, Kind, content_key
from ponder.messages import Completion, Message, OnDelta, Request, Usage
from ponder.models.base import Model
from ponder.passages import Passage, Retriever
from ponder.result import Candidate, Task, Verdict
from ponder.telling import Path, Shared, Telling

T = TypeVar("T")


@runtime_checkable
class Verifier(Protocol):
    """Judges candidates. See ``ponder.agents.verifier`` for factories."""

    name: str

    async def verify(
        self, task: Task, candidate: Candidate, context: "RunContext"
    ) -> Verdict:
        """Judge one candidate; a model judge calls its model through ``context``."""
        ...


class Composite(Model):
    """A model that is itself made of calls, such as a strategy ``as_model``.

    It is not charged or journaled as a whole: the calls inside it are, below the
    path of the outer call.
    """

    @property
    @abstractmethod
    def base(self) -> Model:
        """The model that the inner calls go to."""

    @abstractmethod
    async def generate_within(
        self, context: "RunContext", request: Request
    ) -> list[Completion]:
        """Answer ``request`` with calls made through ``context``."""

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        """Refuse: outside a run there is no ledger to charge.

        Raises:
            InvalidParameter: Always; give this model to ``ponder.solve`` instead.
        """
        raise InvalidParameter(
            f"'{self.name}' is a strategy in the place of a model and works inside a "
            "run only: pass it as the model of ponder.solve(...)."
        )


@dataclass(frozen=True)
class RunContext(Telling):
    """A run, seen from one logical place; passed to every node by LangGraph."""

    model: Model
    ledger: Ledger
    shared: Shared
    seed: int = 0
    verifier: Verifier | None = None
    retriever: Retriever | None = None
    path: Path = ()
    wrapping_up: bool = False
    """Calls made from here may use the share kept back for the end."""
    role: str = "generator"
    """On whose account calls made from here are."""
    sealed: bool = False
    """Whether the share kept back for the end is another strategy's."""

    def at(self, *parts: str | int) -> "RunContext":
        """Return the context of a place below this one."""
        return replace(self, path=self.path + parts)

    def inside(self, model: Model) -> "RunContext":
        """Return this place as seen by a strategy that stands in for the model.

        What was kept back for the end is out of its reach: it is for the end of the
        strategy around it.
        """
        return replace(self, model=model, sealed=True)

    @contextmanager
    def nested(self, share: float) -> Iterator["RunContext"]:
        """Give a strategy that runs alone inside another all that is left.

        Args:
            share: Of that, what it keeps back for its own end; what the strategy around
                it keeps back is out of its reach.
        """
        with closing(self.ledger.lend(wrap_up=share)) as ledger:
            yield replace(self, ledger=ledger, sealed=False)

    def wrap_up(self) -> "RunContext":
        """Return this context with access to the share kept back for the end."""
        return self if self.sealed else replace(self, wrapping_up=True)

    def acting(self, role: str) -> "RunContext":
        """Return this context with its calls on the account of another role."""
        return replace(self, role=role)

    @contextmanager
    def branches(
        self, name: str, indices: Sequence[int]
    ) -> Iterator[list["RunContext"]]:
        """Give one context to each of several branches that run side by side.

        Branches that call a plain model share the ledger, whose reservations keep
        them together below the limit. Branches that run a whole strategy each get
        an equal part of what is left, so that none starves the others; what they
        leave comes back when the block is left.
        """
        places = [self.at(name, i) for i in indices]
        if not isinstance(self.model, Composite) or not places:
            yield places
            return
        ledgers = self.ledger.split(len(places))
        try:
            yield [replace(p, ledger=x) for p, x in zip(places, ledgers, strict=True)]
        finally:
            for ledger in ledgers:
                ledger.close()

    def derive_seed(self, *parts: str | int) -> int:
        """Return a seed that depends on the run's seed and the place alone."""
        place = "/".join(str(p) for p in (self.seed, *self.path, *parts))
        digest = hashlib.blake2b(place.encode(), digest_size=4).digest()
        return int.from_bytes(digest) & 0x7FFFFFFF

    def rng(self) -> random.Random:
        """Return a random source that depends on seed and place alone."""
        return random.Random(self.derive_seed("rng"))

    async def generate(
        self, request: Request, model: Model | None = None
    ) -> list[Completion]:
        """Call a model under the run's budget and journal.

        A request without a seed gets the seed of this place; of its sampling, what the
        model does not take is left out, and noted.

        Args:
            request: What to ask.
            model: Whom to ask; the run's model by default.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
            ReplayDrift: A replay has no such call.
        """
        model = model or self.model
        request = self._seeded(self._sampled(request, model), model)
        if isinstance(model, Composite):
            return await model.generate_within(self, request)
        if request.n > 1 and not model.capabilities.n:
            return await self._one_by_one(model, request)
        key = content_key(request.model_dump_json(exclude_defaults=True))
        entry = self._find(key)
        if entry is not None and not self._retry(entry):
            return self._served(entry, model)
        return await self._paid(model, request, key)

    async def score(
        self,
        messages: Sequence[Message],
        continuations: Sequence[str],
        model: Model | None = None,
    ) -> list[float]:
        """Ask how likely texts are as answers, under the run's budget and journal.

        It is one call. A model does not tell what scoring has used, so its input is
        counted beforehand: the messages once, and every text.

        Args:
            messages: The conversation before the answer, 1 or more.
            continuations: Texts to score.
            model: Whom to ask; the run's model by default.

        Returns:
            The log-likelihood (nats) of each text, in their order.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed, or the model cannot score.
            ReplayDrift: A replay has no such call.
        """
        model = model or self.model
        requests = [
            Request(messages=tuple(messages), prefill=text)
            for text in ("", *continuations)
        ]
        asked = [request.model_dump_json(exclude_defaults=True) for request in requests]
        key = content_key("\n".join(("score", *asked)))
        entry = self._find(key)
        if entry is not None and not self._retry(entry):
            self._served(entry, model)
            return [float(score) for score in entry.body["scores"]]
        with self._noting(key):
            await model.prepare()
            model.require("score")
            prompt, *whole = (model.count_tokens(request) for request in requests)
        read = prompt + sum(max(0, tokens - prompt) for tokens in whole)
        usage = Usage(calls=1, input_tokens=read)
        usage = usage.model_copy(update={"cost": model.price(usage)})
        reservation = await self._reserved(usage, key)
        self.shared.emit(CallStarted(path=self.id, model=model.name))
        scores = await self._guarded(
            lambda _: model.score(messages, continuations), reservation, key, [0]
        )
        reservation.settle(usage)
        body = {"completions": [], "scores": scores, **self._by(model)}
        self._record(key, "reply", body, usage)
        self.shared.emit(CallFinished(path=self.id, usage=usage))
        return scores

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

    async def retrieve(self, query: str, k: int) -> list[Passage]:
        """Search the documents of the run; a search is made once per place.

        Args:
            query: What to look for; an empty one finds nothing.
            k: At most so many passages.

        Raises:
            InvalidInput: The run has no documents.
            RetrievalError: The search failed: the run can go on without.
            OutOfBudget: The seconds of the budget are over.
        """
        retriever = self.retriever
        if retriever is None:
            raise InvalidInput(
                "This strategy searches documents, and the run has none: give a "
                "retriever to ponder.solve(...), or --docs FOLDER."
            )
        if not query.strip():
            return []

        async def search() -> dict[str, Any]:
            found = await retriever.search(query, k)
            return {"passages": [p.model_dump(mode="json") for p in found]}

        content = f"{retriever.name}\n{k}\n{query}"
        value = await self.remember(content, search, timed=True)
        passages = [Passage.model_validate(p) for p in value["passages"]]
        places = tuple(p.place for p in passages)
        self.shared.emit(Retrieved(path=self.id, query=query, passages=places))
        return passages

    def _sampled(self, request: Request, model: Model) -> Request:
        able, wish = model.capabilities, request.sampling
        wanted = "temperature" in wish.model_fields_set and wish.temperature != 1
        if wanted and not able.temperature:
            self.substitute("temperature", "samples at the model's own temperature")
        if wish.top_p < 1 and not able.top_p:
            self.substitute("top_p", "samples of all tokens")
        return request.model_copy(update={"sampling": able.sampling(wish)})

    def _seeded(self, request: Request, model: Model) -> Request:
        if request.seed is not None:
            return request
        if not model.capabilities.seed:
            if request.sampling.temperature > 0:
                self.substitute("seed", "samples that only the journal can repeat")
            return request
        return request.model_copy(update={"seed": self.derive_seed()})

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

    def _raise_again(self, entry: Entry) -> None:
        """Raise what was raised here before, if anything was."""
        if entry.kind == "refusal":
            raise self._refuse(OutOfBudget(entry.body["dimension"]))
        if entry.kind == "failure":
            error = revived(entry.body.get("kind", ""), entry.body["error"])
            raise self._failed(error) if isinstance(error, ModelError) else error

    async def _one_by_one(self, model: Model, request: Request) -> list[Completion]:
        """Make a call for each completion; those that failed are left out.

        Raises:
            OutOfBudget: The budget admits none of them.
            ModelError: All of them failed.
        """
        self.substitute("n", "a call for each sample")
        outcomes = await settle(
            [self.at(i).generate(_single(request, i), model) for i in range(request.n)]
        )
        made = [c for found in outcomes if isinstance(found, list) for c in found]
        failures = [found for found in outcomes if isinstance(found, Exception)]
        for failure in failures:
            if not made or not isinstance(failure, OutOfBudget | ModelError):
                raise failure
            if isinstance(failure, ModelError):
                self.warn(str(failure))
        return made

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
        try:
            return await self.ledger.reserve(estimate, wrap_up=self.wrapping_up)
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
        except (TimeoutError, asyncio.CancelledError) as stop:
            # The prompt and what was written so far are spent, answer or not.
            usage = Usage(
                calls=1,
                input_tokens=reservation.granted.input_tokens,
                output_tokens=sum(written),
            )
            reservation.settle(usage)
            over = "cancelled" if isinstance(stop, asyncio.CancelledError) else "time"
            self.shared.emit(CallFailed(path=self.id, error=over))
            if isinstance(stop, asyncio.CancelledError):
                # Under a place of its own: a resumed run asks again.
                lost = self.at(f"lost@{self.ledger.elapsed:.6f}")
                lost._record(key, "lost", {"role": self.role}, usage)
                raise
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

    @contextmanager
    def _noting(self, key: str) -> Iterator[None]:
        """Note that a call failed before it could be made, and cost nothing."""
        try:
            yield
        except ModelError as error:
            self._record_failure(key, error)
            raise self._failed(error) from error

    def _estimate(self, model: Model, request: Request) -> Usage:
        usage = Usage(
            calls=1,
            input_tokens=model.count_tokens(request),
            output_tokens=request.max_tokens * request.n,
        )
        return usage.model_copy(update={"cost": model.price(usage)})

    def _record(
        self, key: str, kind: Kind, body: dict[str, Any], usage: Usage | None = None
    ) -> None:
        if usage is not None:
            self.shared.spend(self.role, usage)
        self.shared.log.record(
            Entry(
                path=self.id,
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


def _single(request: Request, index: int) -> Request:
    """Return the request for one of its completions, with a seed of its own."""
    seed = None if request.seed is None else request.seed + index
    return request.model_copy(update={"n": 1, "seed": seed})


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
