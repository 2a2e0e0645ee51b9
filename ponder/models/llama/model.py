"""A GGUF model in this process, as a ``Model``."""

import asyncio
import os
import secrets
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ponder.errors import EngineClosed, InvalidParameter
from ponder.messages import (
    Completion,
    FinishReason,
    Message,
    OnDelta,
    Request,
    TokenLogprob,
    Usage,
)
from ponder.models.base import Capabilities, Model
from ponder.models.llama.bindings import Context, Weights
from ponder.models.llama.branch import Generation, Scoring
from ponder.models.llama.chat import OPEN_THINKING, Chat, read_tool_calls
from ponder.models.llama.engine import Engine
from ponder.models.llama.grammar import Grammars
from ponder.models.llama.profile import FLAT, load_or_measure
from ponder.models.llama.sampler import Sampler
from ponder.models.llama.scheduler import Statistics
from ponder.models.llama.text import covering, spelled
from ponder.models.thinking import split_thinking


class _Gate:
    """Keeps the weights for those who use them outside the engine's thread."""

    def __init__(self, name: str) -> None:
        self._name, self._users, self._shut = name, 0, False
        self._changed = threading.Condition()

    @contextmanager
    def use(self) -> Iterator[None]:
        """Use the weights; who closes the model waits for it.

        Raises:
            EngineClosed: The model was closed.
        """
        with self._changed:
            if self._shut:
                raise EngineClosed(f"Model '{self._name}' was closed.")
            self._users += 1
        try:
            yield
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def shut(self) -> None:
        """Let nobody in any more, and wait for those who are."""
        with self._changed:
            self._shut = True
            self._changed.wait_for(lambda: not self._users)


@dataclass(frozen=True)
class _Opened:
    """Everything that exists only while the model is open."""

    weights: Weights
    chat: Chat
    grammars: Grammars
    engine: Engine
    gate: _Gate

    def close(self) -> None:
        self.engine.close()
        self.gate.shut()
        self.weights.close()


class LlamaModel(Model):
    """A local model whose branches share what they have in common.

    It opens on first use. One thread computes for all callers; several models can
    be open at a time.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        n_ctx: int = 16384,
        n_seq_max: int = 256,
        n_threads: int | None = None,
        n_gpu_layers: int | None = None,
        repack: bool = False,
        flash_attention: bool | None = None,
        profile: bool | str | Path = True,
    ) -> None:
        """Describe a model; nothing is loaded yet.

        Args:
            path: A GGUF file with a chat template.
            name: Identity of the model; ``gguf:PATH`` by default.
            n_ctx: Tokens that all branches and cached prefixes hold together. One
                branch can use no more than the model was trained for either.
            n_seq_max: Most live branches and cached prefixes, 2 to 256.
            n_threads: CPU threads; by default one for each core.
            n_gpu_layers: Layers on a GPU, -1 for all; by default all where the
                installed build can.
            repack: Rearrange the weights for a single stream; see ``Weights``.
            flash_attention: By default on: branches of many questions, or long ones,
                are up to 3.6 times as fast with it. ``False`` is up to a tenth faster
                for short branches of one long prompt.
            profile: Measure once how the machine likes rows cut (some seconds) and
                keep it; a folder to keep it in; or ``False`` for no cutting.

        Raises:
            InvalidParameter: A number is out of range.
        """
        if not 2 <= n_seq_max <= 256:
            raise InvalidParameter(f"n_seq_max is {n_seq_max}, but must be 2 to 256.")
        if n_ctx < 1:
            raise InvalidParameter(f"n_ctx is {n_ctx}, but must be at least 1.")
        self.path = Path(path)
        self.name = name or f"gguf:{path}"
        self._n_ctx, self._n_seq_max = n_ctx, n_seq_max
        self._n_threads = n_threads or _cores()
        self._n_gpu_layers, self._repack, self._profile = n_gpu_layers, repack, profile
        self._flash_attention = flash_attention
        self._lock = threading.Lock()
        self._opened: _Opened | None = None
        self._closed = False
        self.capabilities = Capabilities(
            n=True,
            seed=True,
            logprobs=True,
            prefill=True,
            output_schema=True,
            grammar=True,
            score=True,
            embed=True,
            tools=True,
            stream=True,
            context_length=n_ctx,
        )

    @property
    def identity(self) -> str:
        """Name and size of the file."""
        size = self.path.stat().st_size if self.path.exists() else 0
        return f"{self.path.name} ({size:,} bytes)"

    @property
    def statistics(self) -> Statistics:
        """What the engine has done so far."""
        return self._opened.engine.statistics if self._opened else Statistics()

    @property
    def cells(self) -> int:
        """Cells of the cache in use, by live branches and cached prefixes."""
        return self._opened.engine.cells if self._opened else 0

    @property
    def live(self) -> int:
        """Branches that hold a sequence now."""
        return self._opened.engine.live if self._opened else 0

    def open(self) -> "LlamaModel":
        """Load the model now, not on first use.

        Returns:
            The model itself.

        Raises:
            MissingExtra: llama-cpp-python is not installed.
            ModelFileError: The file is missing, not GGUF, damaged, or no chat model.
            EngineClosed: The model was closed.
        """
        self._open()
        return self

    def _open(self) -> _Opened:
        with self._lock:
            if self._closed:
                raise EngineClosed(f"Model '{self.name}' was closed.")
            if self._opened is None:
                self._opened = self._load()
                # Frees the memory when the model is forgotten without a close, and
                # at exit, before the interpreter takes the thread's world away.
                weakref.finalize(self, self._opened.close)
            return self._opened

    def _load(self) -> _Opened:
        weights = Weights(
            self.path, n_gpu_layers=self._n_gpu_layers, repack=self._repack
        )
        try:
            chat = Chat(weights)
            context = Context(
                weights,
                n_ctx=self._n_ctx,
                n_seq_max=self._n_seq_max,
                n_threads=self._n_threads,
                flash_attention=self._flash_attention,
            )
        except Exception:
            weights.close()
            raise
        folder = None if isinstance(self._profile, bool) else self._profile
        profile = load_or_measure(weights, context, folder) if self._profile else FLAT
        self.capabilities = self.capabilities.model_copy(
            update={
                "tools": chat.has_tools,
                "context_length": min(context.n_ctx, weights.n_ctx_train),
            }
        )
        engine = Engine(context, profile, self.capabilities.context_length)
        grammars = Grammars(weights, self.name)
        return _Opened(weights, chat, grammars, engine, _Gate(self.name))

    async def prepare(self) -> None:
        """Load the model, which takes seconds, beside the event loop."""
        if self._opened is None:
            await asyncio.to_thread(self._open)

    async def probe(self) -> Capabilities:
        """Open the model and return what it can do."""
        await self.prepare()
        return self.capabilities

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        """Answer a request; see ``Model.generate``.

        ``on_delta`` is told of the text as it is written, thinking included. Where a
        stop string ends inside a token, ``Completion.tokens`` is empty, because no
        tokens spell the text.

        Raises:
            ContextOverflow: Prompt and ``max_tokens`` do not fit the context.
            UnsupportedCapability: The schema or grammar cannot be enforced.
            EngineClosed: The model was closed meanwhile.
        """
        started = time.monotonic()
        opened = await asyncio.to_thread(self._open)
        if request.tools:
            self.require("tools")
        branches = await asyncio.to_thread(
            self._branches, opened, request, started, max_seconds
        )
        await opened.engine.run(branches, on_delta)
        seconds = time.monotonic() - started
        with opened.gate.use():
            return [
                _completion(opened, request, branch, index, seconds)
                for index, branch in enumerate(branches)
            ]

    def _branches(
        self,
        opened: _Opened,
        request: Request,
        started: float,
        max_seconds: float | None,
    ) -> list[Generation]:
        with opened.gate.use():
            return self._generations(opened, request, started, max_seconds)

    def _generations(
        self,
        opened: _Opened,
        request: Request,
        started: float,
        max_seconds: float | None,
    ) -> list[Generation]:
        prompt = opened.chat.prompt(request)
        thinking = opened.chat.begins_in_thought(request)
        # The seed of a branch is a function of the request, not of its timing.
        seed = secrets.randbits(64) if request.seed is None else request.seed % 2**64
        deadline = None if max_seconds is None else started + max_seconds
        return [
            Generation(
                prompt,
                max_tokens=request.max_tokens,
                sampler=Sampler(request.sampling, (seed, index)),
                eog=opened.weights.eog,
                piece=opened.weights.piece,
                stops=request.stop,
                logprobs=request.logprobs,
                constraint=opened.grammars.constraint(request),
                deadline=deadline,
                thinking=thinking,
            )
            for index in range(request.n)
        ]

    def count_tokens(self, request: Request) -> int:
        """Return the exact number of prompt tokens; opens the model if need be."""
        return len(self.prompt_tokens(request))

    def prompt_tokens(self, request: Request) -> list[int]:
        """Return the tokens that a completion would continue, prefill included."""
        opened = self._open()
        with opened.gate.use():
            return opened.chat.prompt(request)

    async def score(
        self, messages: Sequence[Message], continuations: Sequence[str]
    ) -> list[float]:
        """Return the log-likelihood (nats) of each text as the assistant's answer.

        The prompt is computed once for all. The end of the answer is not part of
        the event: a text scores no less than any longer one that begins with it.

        Args:
            messages: The conversation before the answer.
            continuations: Texts to score; an empty one scores 0.

        Raises:
            ContextOverflow: Prompt and a text do not fit the context.
            EngineClosed: The model was closed meanwhile.
        """
        opened = await asyncio.to_thread(self._open)
        with opened.gate.use():
            prefix = opened.chat.opening(tuple(messages))
            texts = [opened.weights.tokenize(text) for text in continuations]
        branches = [Scoring(prefix, tokens) if tokens else None for tokens in texts]
        await opened.engine.run([b for b in branches if b is not None])
        return [0.0 if b is None else b.score for b in branches]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the mean last hidden state of each text, at unit length.

        Raises:
            InvalidParameter: A text is empty.
            ContextOverflow: A text does not fit the context.
            EngineClosed: The model was closed meanwhile.
        """
        if "" in texts:
            raise InvalidParameter("An empty text has no embedding.")
        opened = await asyncio.to_thread(self._open)
        with opened.gate.use():
            tokens = [opened.weights.tokenize(text, bos=True) for text in texts]
        return await opened.engine.embed(tokens) if tokens else []

    async def aclose(self) -> None:
        """Free the memory and end the thread; who still waits gets EngineClosed."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Do what ``aclose`` does, where there is no event loop."""
        with self._lock:
            self._closed = True
            if self._opened is not None:
                self._opened.close()


def _cores() -> int:
    """Return the physical cores that this process may use.

    A second thread on a core only gets in the way of arithmetic.
    """
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if cpus is None:
        return os.cpu_count() or 1
    cores = set()
    for cpu in cpus:
        path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.add(path.read_text() if path.exists() else str(cpu))
    return len(cores)


def _completion(
    opened: _Opened, request: Request, branch: Generation, index: int, seconds: float
) -> Completion:
    piece = opened.weights.piece
    inside = opened.chat.begins_in_thought(request)
    thought, answer = split_thinking((OPEN_THINKING if inside else "") + branch.text)
    head = branch.text[: len(branch.text) - len(answer)]
    skipped = covering(branch.generated, head, piece)
    tokens = spelled(branch.generated[skipped:], answer, piece)
    end = skipped + covering(branch.generated[skipped:], answer, piece)
    calls = read_tool_calls(answer) if request.tools else ()
    reason: FinishReason = branch.finish_reason or "stop"
    return Completion(
        text=answer,
        tokens=tokens,
        finish_reason="tool_calls" if calls else reason,
        usage=_usage(branch, index, seconds),
        logprobs=_logprobs(request, branch, skipped, end),
        reasoning=thought,
        tool_calls=calls,
    )


def _logprobs(
    request: Request, branch: Generation, start: int, end: int
) -> tuple[TokenLogprob, ...] | None:
    if request.logprobs is None:
        return None
    if start >= end:
        # Of the token that ended it at once, or that a stop string began in.
        return tuple(branch.logprobs[start : start + 1])
    return tuple(branch.logprobs[start:end])


def _usage(branch: Generation, index: int, seconds: float) -> Usage:
    if index:
        return Usage(output_tokens=branch.output_tokens)
    return Usage(
        calls=1,
        input_tokens=branch.prompt_length,
        cached_tokens=branch.reused or 0,
        output_tokens=branch.output_tokens,
        seconds=seconds,
    )
