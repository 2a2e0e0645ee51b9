"""Contestants of the engine benchmark, each in a process of its own."""

import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Protocol

from benchmarks._jobs import Fanout, Job, Sample, Setup

CLASSES = {
    "ponder": "benchmarks._ponder:Ponder",
    "bare": "benchmarks._bare:BareLoop",
    "bare plain": "benchmarks._bare:PlainBareLoop",
    "llama_class": "benchmarks._llama_class:LlamaClass",
    "server": "benchmarks._server:Server",
}
MARGIN = 64
"""Tokens of room beyond what a job needs."""


class Contestant(Protocol):
    """Does jobs. Lives in a process of its own, opened for one sample."""

    def __init__(self, setup: Setup) -> None:
        """Load the model."""

    def run(self, job: Job) -> Sample:
        """Do a job and say how long it took."""

    def close(self) -> None:
        """Free everything."""


_contestant: Contestant | None = None


def _open(name: str, setup: Setup) -> int:
    """Open a contestant in this process, and return the id of the process."""
    global _contestant
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    module, _, kind = CLASSES[name].partition(":")
    _contestant = getattr(import_module(module), kind)(setup)
    return os.getpid()


def _end_with_parent() -> None:
    """Leave nothing behind, however the benchmark was stopped."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(job: Job) -> Sample:
    assert _contestant is not None
    return _contestant.run(job)


def _close() -> None:
    assert _contestant is not None
    _contestant.close()


class Worker:
    """A contestant in a process of its own: a crash loses one sample, not the run."""

    def __init__(self, name: str, setup: Setup) -> None:
        """Start the process and load the model."""
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self._pid = self._pool.submit(_open, name, setup).result()

    def run(self, job: Job) -> Sample:
        """Do a job there."""
        return self._pool.submit(_run, job).result()

    def close(self) -> None:
        """Free the model and end the process."""
        self._pool.submit(_close).result()
        self._pool.shutdown()

    def kill(self) -> None:
        """End the process now, whatever it is doing."""
        os.kill(self._pid, signal.SIGKILL)


def setup_for(job: Job, path: Path, threads: int, options: dict[str, Any]) -> Setup:
    """Return how contestants are opened for jobs of this size."""
    if isinstance(job, Fanout):
        alive, longest = job.branches, len(job.prompt) + job.tokens
        shared = len(job.prompt) + job.branches * job.tokens
    else:
        alive = job.children**job.depth
        # A judge that is asked anew repeats the question within a longer prompt.
        longest = 2 * len(job.prompt) + job.depth * job.tokens + 2 * MARGIN
        shared = longest + job.nodes * (job.tokens + 2 * MARGIN)
    return Setup(
        path=path,
        threads=threads,
        n_ctx=_rounded(shared + MARGIN),
        slots=alive,
        slot_ctx=_rounded(longest + MARGIN),
        options=options,
    )


def _rounded(tokens: int) -> int:
    return -(-tokens // 256) * 256
