"""The peer that most Python users have: llama-cpp-python's ``Llama`` class."""

import math
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

import llama_cpp
import numpy as np

from benchmarks._jobs import APPENDED, OPENING, Fanout, Job, Sample, Setup, Tree

TOP = 20
"""Log-probabilities that the judge asks for."""


class LlamaClass:
    """One sequence after the other, with the class's own prefix reuse.

    ``Llama.generate`` is used instead of ``create_completion``: it makes no text and
    does not stop at the end of one, so it does less work.
    """

    def __init__(self, setup: Setup) -> None:
        """Load the model."""
        self.llama = llama_cpp.Llama(
            str(setup.path),
            n_ctx=setup.slot_ctx,
            n_threads=setup.threads,
            n_threads_batch=setup.threads,
            verbose=False,
        )
        self.evaluated = 0
        self._count_evaluated()

    def _count_evaluated(self) -> None:
        original = self.llama.eval

        def counting(tokens: Sequence[int]) -> None:
            self.evaluated += len(tokens)
            original(tokens)

        self.llama.eval = counting

    def run(self, job: Job) -> Sample:
        """Do a job."""
        self.evaluated = 0
        start = time.perf_counter()
        written = self._fanout(job) if isinstance(job, Fanout) else self._tree(job)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "tokens": written, **self._prompt_tokens(written)}

    def _prompt_tokens(self, written: int) -> dict[str, int]:
        # Each completion leaves its last token undecoded.
        return {"computed": self.evaluated - written + self._completions}

    def _fanout(self, job: Fanout) -> int:
        self._completions = job.branches
        return sum(
            len(self._write(job.prompt, job, row)) for row in range(job.branches)
        )

    def _tree(self, job: Tree) -> int:
        """Go level by level, and judge each child at once: its text is cached."""
        self._completions = job.nodes
        level: list[tuple[int, ...]] = [()]
        written = 0
        for _ in range(job.depth):
            level, parents = [], level
            for path in parents:
                for child in range(job.children):
                    prompt = job.prompt + path
                    text = self._write(prompt, job, written + child)
                    written += len(text)
                    level.append(path + text)
                    self._judge(job, path + text)
        return written

    def _write(self, prompt: tuple[int, ...], job: Job, place: int) -> tuple[int, ...]:
        self.llama.set_seed(job.seed + place)
        tokens = self.llama.generate(
            list(prompt), temp=job.temperature, top_k=0, top_p=1.0, min_p=0.0
        )
        return tuple(islice(tokens, job.tokens))

    def _judge(self, job: Tree, path: tuple[int, ...]) -> dict[str, float]:
        """Return the log-probabilities of the judge's likeliest words."""
        if job.judge == "append":
            prompt = [*job.prompt, *path, *self._ids(APPENDED)]
        else:
            solution = self.llama.detokenize(list(path)).decode(errors="replace")
            user = job.judge.format(question=job.user, solution=OPENING + solution)
            prompt = self._ids(job.chat.prompt(user))
        next(self.llama.generate(prompt, temp=0.0))
        return self._likeliest()

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.llama.tokenize(text.encode(), add_bos=False, special=True)
        return ids

    def _likeliest(self) -> dict[str, float]:
        # Asking the class for them needs ``logits_all``, which slows every prompt.
        row: Any = llama_cpp.llama_get_logits_ith(self.llama.ctx, -1)
        logits = np.ctypeslib.as_array(row, shape=(self.llama.n_vocab(),))
        top = np.argpartition(logits, -TOP)[-TOP:]
        norm = float(logits.max())
        norm += math.log(float(np.exp(logits - norm).sum()))
        return {
            self.llama.detokenize([int(i)]).decode(errors="replace"): float(logits[i])
            - norm
            for i in top
        }

    def close(self) -> None:
        """Free everything."""
        self.llama.close()
