"""What a node of a strategy's graph works with: the run, seen from one place in it.

Every model call goes through ``RunContext.generate`` or ``score``: a node cannot reach
a model, tool or verifier around them. How it calls is in ``calling``, what it remembers
in ``journaling``, what it tells in ``telling``.
"""

import hashlib
import random
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from ponder.budget import Ledger
from ponder.calling import Calling
from ponder.concurrency import settle
from ponder.errors import (
    InvalidInput,
    InvalidParameter,
    ModelError,
    OutOfBudget,
    UnsupportedCapability,
)
from ponder.events import CallFinished, CallStarted, Retrieved
from ponder.journal import content_key
from ponder.messages import Completion, Message, OnDelta, Request, Usage
from ponder.models.base import Model
from ponder.passages import Passage, Retriever
from ponder.result import Candidate, Task, Verdict
from ponder.telling import Path, Shared


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
class RunContext(Calling):
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

        A request without a seed gets the seed of this place. What the model does not
        take of the sampling is left out, and noted; so are log-probabilities of the
        chosen tokens that its provider refuses.

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
        try:
            return await self._completed(model, request)
        except UnsupportedCapability:
            # Strategies that weigh texts by their probabilities can do without.
            if request.logprobs != 0:
                raise
        self.substitute("logprobs", "texts without their probabilities")
        plain = request.model_copy(update={"logprobs": None})
        return await self.at("plain")._completed(model, plain)

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
        if wish.sets_temperature and not able.temperature:
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


def _single(request: Request, index: int) -> Request:
    """Return the request for one of its completions, with a seed of its own."""
    seed = None if request.seed is None else request.seed + index
    return request.model_copy(update={"n": 1, "seed": seed})
