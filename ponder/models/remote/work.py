"""One request to a remote model: which calls it takes, and what came of them."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ponder.concurrency import in_order
from ponder.errors import ModelError, ModelRejected, UnsupportedCapability
from ponder.messages import Completion, OnDelta, Request, Usage
from ponder.models.base import Capabilities
from ponder.models.remote.channel import Channel
from ponder.models.remote.reply import Choice, Reply, to_completions
from ponder.models.remote.request import withheld_stops
from ponder.models.remote.retry import Attempts, paid_note
from ponder.models.remote.setup import load_litellm
from ponder.models.remote.stream import Draft

CUT_HERE = (
    "stop strings that the provider refuses, or finds in thoughts, are cut at here: "
    "replies are written to their end, and paid for"
)

REFUSALS = frozenset({400, 422})
"""HTTP status of requests that have a part which the provider does not take."""
NAMED = {
    # Not an "upstream error".
    "stream": re.compile(r"\bstream", re.IGNORECASE),
    "logprobs": re.compile(r"logprob", re.IGNORECASE),
    "output_schema": re.compile(r"response_format|json_schema|\bschema", re.IGNORECASE),
}
"""Capabilities, and what a refusal of them says."""


class Host(Protocol):
    """What a call needs of the model that makes it."""

    name: str
    channel: Channel

    @property
    def able(self) -> Capabilities:
        """What the model is known to do at this moment."""

    def count_tokens(self, request: Request) -> int:
        """Upper bound of the prompt's tokens."""

    def price(self, usage: Usage) -> float | None:
        """Dollars of a usage."""

    cuts_stops: bool

    def learn(self, capability: str, able: bool) -> None:
        """Remember what a reply has shown."""

    def note(self, note: str) -> None:
        """Remember what was used in place of something missing."""


@dataclass
class Job:
    """One call, for one or several completions."""

    request: Request
    first: int
    """Index of its first completion."""
    attempts: Attempts
    draft: Draft | None
    withheld: tuple[str, ...] = ()
    """Stop strings that are not sent: the reply is cut at them."""
    started: float = field(default_factory=time.monotonic)
    done: list[Completion] | None = None


@dataclass
class Work:
    """All calls of one ``generate``."""

    host: Host
    request: Request
    on_delta: OnDelta | None
    streamed: bool
    """Gather single completions from streams, so that a cut leaves their text."""
    jobs: list[Job] = field(default_factory=list)

    async def complete(self) -> list[Completion]:
        """Make the calls and return ``request.n`` completions, in order."""
        n = self.request.n
        if n == 1 or not self.host.able.n:
            return await self._one_by_one(0)
        try:
            completions = await self._do(self._job(self.request, 0))
        except ModelRejected as error:
            # What a provider lists, its servers and models need not take.
            if error.status not in REFUSALS:
                raise
            self.jobs.clear()
            completions = await self._do(self._single(0))
        if len(completions) < n:
            self.host.learn("n", False)
            completions += await self._one_by_one(len(completions))
        return completions

    async def _one_by_one(self, start: int) -> list[Completion]:
        jobs = [self._single(index) for index in range(start, self.request.n)]
        completions: list[Completion] = []
        async with in_order([self._do(job) for job in jobs]) as outcomes:
            async for outcome in outcomes:
                if isinstance(outcome, Exception):
                    # Of a first call that gave fewer than it was asked for, too.
                    paid = [c.usage for job in self.jobs for c in job.done or ()]
                    if paid:
                        total = sum(paid, Usage())
                        outcome.add_note(paid_note(total).strip())
                        if isinstance(outcome, ModelError):
                            outcome.paid = total + (outcome.paid or Usage(calls=1))
                    raise outcome
                completions += outcome
        return completions

    def _single(self, index: int) -> Job:
        # The same seed would give the same completion n times.
        seed = self.request.seed
        own = None if seed is None else seed + index
        return self._job(self.request.model_copy(update={"n": 1, "seed": own}), index)

    def _job(self, request: Request, first: int) -> Job:
        host = self.host
        withheld = withheld_stops(request, host.channel.provider)
        if host.cuts_stops:
            withheld = request.stop
        if withheld:
            host.note(CUT_HERE)
            sent = tuple(text for text in request.stop if text not in withheld)
            request = request.model_copy(update={"stop": sent})
        stream = request.n == 1 and host.able.stream and self.streamed
        job = Job(
            request=request,
            first=first,
            attempts=host.channel.attempts(
                host.count_tokens(request) + request.max_tokens,
                host.able.context_length,
            ),
            draft=Draft(first, self.on_delta) if stream else None,
            withheld=withheld,
        )
        self.jobs.append(job)
        return job

    async def _do(self, job: Job) -> list[Completion]:
        job.done = self._read(job, await self._reply(job))
        if job.request.stop and any(_ended_in_thought(c) for c in job.done):
            job.done = await self._without_stops(job, job.done)
        if self.on_delta is not None and job.draft is None:
            for index, made in enumerate(job.done, job.first):
                self.on_delta(index, made.text, made.usage.output_tokens)
        return job.done

    async def _reply(self, job: Job) -> Reply:
        try:
            return await self._asked(job)
        except ModelRejected as error:
            missing = _refused(error, job)
            if missing is None:
                raise
            self.host.learn(missing, False)
            if missing != "stream":
                words = f"The provider says: {error}"
                raise UnsupportedCapability(self.host.name, missing, words) from error
        # OpenAI lets only verified organisations stream some of its models.
        job.draft = None
        return await self._asked(job)

    async def _asked(self, job: Job) -> Reply:
        return await self.host.channel.chat(
            job.request, self.host.able, job.attempts, job.draft
        )

    async def _without_stops(
        self, job: Job, made: Sequence[Completion]
    ) -> list[Completion]:
        """Ask again: some servers look for stop strings in the thoughts, too."""
        self.host.cuts_stops = True
        self.host.note(CUT_HERE)
        job.withheld += job.request.stop
        # The completions hold what was charged before, too.
        paid = job.attempts.charged = sum((c.usage for c in made), Usage())
        left = max(1, job.request.max_tokens - paid.output_tokens // len(made))
        job.request = job.request.model_copy(update={"stop": (), "max_tokens": left})
        return self._read(job, await self._reply(job))

    def _read(self, job: Job, reply: Reply) -> list[Completion]:
        usage = reply.usage
        if usage is None:
            usage = self._estimate(job.request, reply.choices)
        usage = usage.model_copy(update={"seconds": time.monotonic() - job.started})
        try:
            return to_completions(
                reply,
                usage,
                job.request,
                withheld=job.withheld,
                wasted=job.attempts.charged,
                model=self.host.name,
                provider=self.host.channel.provider,
                price=self.host.price,
            )
        except UnsupportedCapability as error:
            self.host.learn(error.missing, False)
            error.paid = usage + job.attempts.charged
            raise

    def _estimate(self, request: Request, choices: list[Choice]) -> Usage:
        self.host.note("usage was not reported and is estimated by a tokenizer")
        count = load_litellm().token_counter
        model = self.host.channel.model_id
        output = sum(count(model=model, text=c.text + c.reasoning) for c in choices)
        return Usage(
            calls=1,
            input_tokens=self.host.count_tokens(request),
            output_tokens=output,
        )

    def cut_short(self, max_seconds: float) -> list[Completion]:
        """Return what there is when the time is over.

        Raises:
            ModelUnreachable: All that the time was spent on were failures.
        """
        usable = [j for j in self.jobs if j.done or j.attempts.in_flight]
        failed = [j for j in self.jobs if j.attempts.failures]
        if failed and not usable:
            raise failed[0].attempts.unreachable(f", the limit of {max_seconds} s")
        completions: list[Completion] = []
        for job in self.jobs:
            completions += job.done if job.done is not None else self._unfinished(job)
        missing = self.request.n - len(completions)
        return completions + [Completion(text="", finish_reason="time")] * missing

    def _unfinished(self, job: Job) -> list[Completion]:
        if not job.attempts.in_flight:
            made = [Completion(text="", usage=job.attempts.charged)]
        else:
            choice = job.draft.choice if job.draft is not None else Choice()
            made = self._read(job, Reply([choice], usage=None))
        missing = job.request.n - len(made)
        return [
            c.model_copy(update={"finish_reason": "time"})
            for c in made + [Completion(text="")] * missing
        ]


def _ended_in_thought(completion: Completion) -> bool:
    return completion.thought_only and completion.finish_reason == "stop"


def _refused(error: ModelRejected, job: Job) -> str | None:
    """Return the capability that a provider refuses the request for, if it names it."""
    asked = {
        "stream": job.draft is not None,
        "logprobs": job.request.logprobs is not None,
        "output_schema": job.request.output_schema is not None,
    }
    if error.status not in REFUSALS:
        return None
    named = (name for name, words in NAMED.items() if words.search(str(error)))
    return next((name for name in named if asked[name]), None)
