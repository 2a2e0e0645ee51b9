"""One request to a remote model: which calls it takes, and what came of them."""

import time
from dataclasses import dataclass, field
from typing import Protocol

from ponder.concurrency import in_order
from ponder.errors import ModelError, UnsupportedCapability
from ponder.messages import Completion, OnDelta, Request, Usage
from ponder.models.base import Capabilities
from ponder.models.remote.channel import Channel
from ponder.models.remote.reply import Choice, Reply, to_completions
from ponder.models.remote.request import withheld_stops
from ponder.models.remote.retry import Attempts, paid_note
from ponder.models.remote.setup import load_litellm
from ponder.models.remote.stream import Draft

CUT_HERE = (
    "the provider refuses these stop strings: complete replies are cut at them, and "
    "what follows is paid for"
)


class Host(Protocol):
    """What a call needs of the model that makes it."""

    name: str
    channel: Channel

    @property
    def capabilities(self) -> Capabilities:
        """What the model is known to do."""

    def count_tokens(self, request: Request) -> int:
        """Upper bound of the prompt's tokens."""

    def price(self, usage: Usage) -> float | None:
        """Dollars of a usage."""

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
        if n == 1 or not self.host.capabilities.n:
            return await self._one_by_one(0)
        completions = await self._do(self._job(self.request, 0))
        if len(completions) < n:
            self.host.learn("n", False)
            completions += await self._one_by_one(len(completions))
        return completions

    async def _one_by_one(self, start: int) -> list[Completion]:
        seed = self.request.seed
        jobs = []
        for index in range(start, self.request.n):
            # The same seed would give the same completion n times.
            own = None if seed is None else seed + index
            single = self.request.model_copy(update={"n": 1, "seed": own})
            jobs.append(self._job(single, index))
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

    def _job(self, request: Request, first: int) -> Job:
        host = self.host
        if withheld_stops(request, host.channel.provider):
            host.note(CUT_HERE)
        stream = request.n == 1 and host.capabilities.stream and self.streamed
        job = Job(
            request=request,
            first=first,
            attempts=host.channel.attempts(
                host.count_tokens(request) + request.max_tokens,
                host.capabilities.context_length,
            ),
            draft=Draft(first, self.on_delta) if stream else None,
        )
        self.jobs.append(job)
        return job

    async def _do(self, job: Job) -> list[Completion]:
        reply = await self.host.channel.chat(
            job.request, self.host.capabilities, job.attempts, job.draft
        )
        job.done = self._read(job, reply)
        if self.on_delta is not None and job.draft is None:
            for index, made in enumerate(job.done, job.first):
                self.on_delta(index, made.text, made.usage.output_tokens)
        return job.done

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
