"""ponder's own engine, used as its strategies use it."""

import asyncio
import time
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks._jobs import (
    APPENDED,
    OPENING,
    Fanout,
    Job,
    Prompts,
    Sample,
    Setup,
    Tree,
    prompt_tokens,
)
from ponder.messages import (
    GREEDY,
    Completion,
    Message,
    Request,
    Sampling,
    system,
    user,
)
from ponder.models.llama import LlamaModel

T = TypeVar("T")
TOP = 20
"""Log-probabilities that the judge asks for."""


@dataclass
class _Clock:
    """When the last branch had its first token, and how much was written by then."""

    branches: int
    written: dict[int, int] = field(default_factory=dict)
    first: float | None = None
    before: int = 0

    def saw(self, branch: int, tokens: int) -> None:
        self.written[branch] = tokens
        if self.first is None and len(self.written) == self.branches:
            self.first, self.before = time.perf_counter(), sum(self.written.values())


@dataclass
class _Trace:
    """Every prompt of a tree, and what was written behind it."""

    prompts: list[tuple[int, ...]] = field(default_factory=list)
    written: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    tokens: int = 0


@dataclass(frozen=True)
class _Node:
    text: str = ""
    tokens: tuple[int, ...] = ()


class Ponder:
    """One request for each branch, or for each node of a tree, all at once."""

    def __init__(self, setup: Setup) -> None:
        """Load the model, and measure the throughput profile if there is none."""
        self.loop = asyncio.Runner()
        self.model = LlamaModel(
            setup.path,
            n_ctx=setup.n_ctx,
            n_seq_max=256,
            n_threads=setup.threads,
            flash_attention=setup.options.get("flash_attention"),
            profile=setup.options.get("profile", True),
        ).open()
        # After the engine, which has a say in how OpenMP's threads wait: whoever loads
        # the library first decides that for the process.
        self.prompts = Prompts(setup.path)

    def run(self, job: Job) -> Sample:
        """Do a job."""
        before = self.model.statistics.computed_tokens
        work = self._fanout(job) if isinstance(job, Fanout) else self._tree(job)
        sample = self.loop.run(work)
        computed = self.model.statistics.computed_tokens - before
        sample["computed"] = computed
        for measure in ("distinct", "needed"):
            if measure in sample:
                sample[f"computed_over_{measure}"] = computed / sample[measure]
        return sample

    async def _fanout(self, job: Fanout) -> Sample:
        clock = _Clock(job.branches)

        async def branch(row: int) -> Completion:
            request = Request(
                messages=(system(job.chat.system), user(job.user)),
                max_tokens=job.tokens,
                sampling=Sampling(temperature=job.temperature),
                seed=job.seed + row,
                prefill=job.beginning,
                prefill_tokens=job.opening,
            )

            def on_delta(index: int, text: str, tokens: int) -> None:
                clock.saw(row, tokens)

            (completion,) = await self.model.generate(request, on_delta=on_delta)
            return completion

        start = time.perf_counter()
        completions = await _together(branch(row) for row in range(job.branches))
        end = time.perf_counter()
        _check(completions[0], len(job.prompt))
        tokens = sum(c.usage.output_tokens for c in completions)
        return {
            "seconds": end - start,
            "tokens": tokens,
            "decode_seconds": end - (clock.first or start),
            "decode_tokens": tokens - clock.before,
        }

    async def _tree(self, job: Tree) -> Sample:
        trace = _Trace()
        start = time.perf_counter()
        level = [_Node()]
        for depth in range(job.depth):
            grown = await _together(
                self._expand(job, node, job.seed + 1000 * depth + i, trace)
                for i, node in enumerate(level)
            )
            level = [child for children in grown for child in children]
        seconds = time.perf_counter() - start
        distinct, needed = prompt_tokens(trace.prompts, trace.written)
        return {
            "seconds": seconds,
            "tokens": trace.tokens,
            "prompt_tokens": sum(map(len, trace.prompts)),
            "distinct": distinct,
            "needed": needed,
        }

    async def _expand(
        self, job: Tree, node: _Node, seed: int, trace: _Trace
    ) -> list[_Node]:
        request = Request(
            messages=_question(job),
            n=job.children,
            max_tokens=job.tokens,
            sampling=Sampling(temperature=job.temperature),
            seed=seed,
            prefill=OPENING + node.text,
            prefill_tokens=job.opening + node.tokens,
        )
        completions = await self.model.generate(request)
        prompt = job.prompt + node.tokens
        _check(completions[0], len(prompt))
        children = [
            _Node(node.text + c.text, node.tokens + c.tokens) for c in completions
        ]
        trace.prompts.append(prompt)
        trace.written += [
            (len(prompt), job.prompt + child.tokens) for child in children
        ]
        trace.tokens += sum(c.usage.output_tokens for c in completions)
        await _together(self._judge(job, child, trace) for child in children)
        return children

    async def _judge(self, job: Tree, node: _Node, trace: _Trace) -> dict[str, float]:
        """Return the log-probabilities of the judge's likeliest words."""
        request = Request(
            messages=_question(job), max_tokens=1, sampling=GREEDY, logprobs=TOP
        )
        if job.judge == "append":
            ids = node.tokens + job.appended
            more: dict[str, object] = {
                "prefill": OPENING + node.text + APPENDED,
                "prefill_tokens": job.opening + ids,
            }
            prompt = job.prompt + ids
        else:
            text = job.judge.format(question=job.user, solution=OPENING + node.text)
            more = {"messages": (system(job.chat.system), user(text))}
            prompt = self.prompts.ids(job.chat.prompt(text))
        (completion,) = await self.model.generate(request.model_copy(update=more))
        _check(completion, len(prompt))
        trace.prompts.append(prompt)
        # A model that ends at once says nothing: there is no first word to look at.
        return completion.logprobs[0].top if completion.logprobs else {}

    def close(self) -> None:
        """Free everything."""
        self.loop.run(self.model.aclose())
        self.loop.close()


def _question(job: Tree) -> tuple[Message, ...]:
    return (system(job.chat.system), user(job.user))


async def _together(work: Iterable[Awaitable[T]]) -> list[T]:
    async def one(item: Awaitable[T]) -> T:
        return await item

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in work]
    return [task.result() for task in tasks]


def _check(completion: Completion, length: int) -> None:
    """Refuse to compare if ponder's prompt is not the one that the peers get."""
    if completion.usage.input_tokens != length:
        raise RuntimeError(
            f"ponder made a prompt of {completion.usage.input_tokens} tokens where the "
            f"peers get {length}."
        )
