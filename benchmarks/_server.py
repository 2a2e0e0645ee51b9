"""llama.cpp's own server, in this process through ``xllamacpp``."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import xllamacpp

from benchmarks._jobs import APPENDED, OPENING, Fanout, Job, Sample, Setup, Tree

T = TypeVar("T")
TOP = 20
"""Log-probabilities that the judge asks for."""


class Server:
    """As many slots as branches; requests come from threads, without HTTP."""

    def __init__(self, setup: Setup) -> None:
        """Load the model."""
        params = xllamacpp.CommonParams()
        params.model.path = str(setup.path)
        params.n_parallel = setup.slots
        params.kv_unified = setup.options.get("server_kv", "split") == "unified"
        params.no_extra_bufts = bool(setup.options.get("server_plain"))
        shared = params.kv_unified
        params.n_ctx = setup.n_ctx if shared else setup.slots * setup.slot_ctx
        params.cpuparams.n_threads = setup.threads
        params.cpuparams_batch.n_threads = setup.threads
        params.verbosity = 0
        self.server = xllamacpp.Server(params)
        self.threads = ThreadPoolExecutor(max_workers=1024)

    def run(self, job: Job) -> Sample:
        """Do a job."""
        start = time.perf_counter()
        replies = self._fanout(job) if isinstance(job, Fanout) else self._tree(job)
        seconds = time.perf_counter() - start
        texts = [r for r in replies if not r.get("judge")]
        choices = [choice for reply in texts for choice in reply["choices"]]
        # With n_cmpl, ``usage`` counts the first choice alone.
        if any(choice["finish_reason"] != "length" for choice in choices):
            raise RuntimeError("The server ended a text before its limit.")
        return {
            "seconds": seconds,
            "tokens": len(choices) * job.tokens,
            **_decode(job, texts),
        }

    def _fanout(self, job: Fanout) -> list[dict[str, Any]]:
        prompt = list(job.prompt)
        if not job.independent:
            return [self._write(job, prompt, job.branches, 0)]
        return self._together(
            lambda row: self._write(job, prompt, 1, row), range(job.branches)
        )

    def _tree(self, job: Tree) -> list[dict[str, Any]]:
        """Expand all nodes of a level at once; judge each child as soon as it is."""
        replies: list[dict[str, Any]] = []
        level = [OPENING]
        for depth in range(job.depth):

            def expand(path: str, place: int = depth) -> list[dict[str, Any]]:
                return self._expand(job, path, place)

            expanded = self._together(expand, level)
            level = [
                path + choice["text"]
                for path, (reply, *_) in zip(level, expanded, strict=True)
                for choice in reply["choices"]
            ]
            replies += [reply for group in expanded for reply in group]
        return replies

    def _expand(self, job: Tree, path: str, place: int) -> list[dict[str, Any]]:
        prompt = job.chat.prompt(job.user) + path
        reply = self._write(job, prompt, job.children, place)
        texts = [path + choice["text"] for choice in reply["choices"]]
        return [reply, *self._together(lambda text: self._judge(job, text), texts)]

    def _write(
        self, job: Job, prompt: str | list[int], n: int, place: int
    ) -> dict[str, Any]:
        return self._ask(
            prompt=prompt,
            n_cmpl=n,
            n_predict=job.tokens,
            temperature=job.temperature,
            seed=job.seed + place,
            ignore_eos=True,
        )

    def _judge(self, job: Tree, text: str) -> dict[str, Any]:
        if job.judge == "append":
            prompt = job.chat.prompt(job.user) + text + APPENDED
        else:
            user = job.judge.format(question=job.user, solution=text)
            prompt = job.chat.prompt(user)
        reply = self._ask(prompt=prompt, n_predict=1, temperature=0.0, n_probs=TOP)
        return {**reply, "judge": True}

    def _ask(self, **request: Any) -> dict[str, Any]:
        # The samplers that the server puts before the temperature by default.
        whole = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
        reply: Any = self.server.handle_completions({**whole, **request})
        if "choices" not in reply:
            raise RuntimeError(f"The server answered {reply}")
        answer: dict[str, Any] = reply
        return answer

    def _together(self, do: Callable[..., T], items: Sequence[Any]) -> list[T]:
        return list(self.threads.map(do, items))

    def close(self) -> None:
        """Stop the server."""
        self.threads.shutdown()
        del self.server


def _decode(job: Job, replies: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the server itself says of the time after the prompt."""
    if not isinstance(job, Fanout) or job.independent:
        # Prompts and answers of many requests overlap: there is no such time.
        return {}
    timings = replies[0]["timings"]
    return {
        "computed": timings["prompt_n"],
        "decode_seconds": timings["predicted_ms"] / 1000,
        "decode_tokens": job.branches * (job.tokens - 1),
    }
