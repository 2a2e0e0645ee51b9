"""The peer with the least around it: a bare ``llama_decode`` loop."""

import time
from typing import Any

import llama_cpp
import numpy as np

from benchmarks._jobs import Fanout, Job, Sample, Setup
from benchmarks._quiet import quiet


class BareLoop:
    """One row for each branch in every step, and a C sampler chain for each row.

    The prefix is computed once and forked with ``llama_memory_seq_cp`` in a unified
    cache, as an expert would write it for exactly this job: no queue, no events, no
    text.
    """

    repack = True
    """Rearrange weights for the processor when they are loaded: the default."""

    def __init__(self, setup: Setup) -> None:
        """Load the model."""
        quiet()
        llama_cpp.llama_backend_init()
        loading = llama_cpp.llama_model_default_params()
        loading.use_extra_bufts = self.repack
        self.model = llama_cpp.llama_model_load_from_file(
            str(setup.path).encode(), loading
        )
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max = setup.n_ctx, setup.slots
        params.n_threads = params.n_threads_batch = setup.threads
        params.kv_unified = True
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.n_batch = params.n_batch
        self.batch = llama_cpp.llama_batch_init(self.n_batch, 0, 1)
        self.bias = _no_end(llama_cpp.llama_model_get_vocab(self.model))

    def run(self, job: Job) -> Sample:
        """Do a job; a bare loop knows no trees."""
        if not isinstance(job, Fanout):
            raise TypeError("The bare loop does fan-outs only.")
        samplers = [self._sampler(job, row) for row in range(job.branches)]
        try:
            return self._fanout(job, samplers)
        finally:
            for sampler in samplers:
                llama_cpp.llama_sampler_free(sampler)

    def _fanout(self, job: Fanout, samplers: list[Any]) -> Sample:
        llama_cpp.llama_memory_clear(self.memory, False)
        start = time.perf_counter()
        last = self._prefill(job.prompt)
        for row in range(1, job.branches):
            llama_cpp.llama_memory_seq_cp(self.memory, 0, row, -1, -1)
        sample, context = llama_cpp.llama_sampler_sample, self.context
        tokens = [sample(sampler, context, last) for sampler in samplers]
        first = time.perf_counter()
        for step in range(job.tokens - 1):
            self._fill(tokens, len(job.prompt) + step)
            self._decode()
            tokens = [sample(s, context, row) for row, s in enumerate(samplers)]
        end = time.perf_counter()
        return {
            "seconds": end - start,
            "tokens": job.branches * job.tokens,
            "prompt_tokens": len(job.prompt),
            "computed": len(job.prompt),
            "decode_seconds": end - first,
            "decode_tokens": job.branches * (job.tokens - 1),
        }

    def _prefill(self, prompt: tuple[int, ...]) -> int:
        """Compute the prompt; return the index of its last row."""
        rows = 0
        for start in range(0, len(prompt), self.n_batch):
            chunk = prompt[start : start + self.n_batch]
            rows = len(chunk)
            for i, token in enumerate(chunk):
                self._set(i, token, start + i, 0, start + i == len(prompt) - 1)
            self.batch.n_tokens = rows
            self._decode()
        return rows - 1

    def _fill(self, tokens: list[int], position: int) -> None:
        for row, token in enumerate(tokens):
            self._set(row, token, position, row, True)
        self.batch.n_tokens = len(tokens)

    def _set(self, i: int, token: int, position: int, row: int, logits: bool) -> None:
        batch = self.batch
        batch.token[i], batch.pos[i] = token, position
        batch.n_seq_id[i], batch.seq_id[i][0] = 1, row
        batch.logits[i] = logits

    def _decode(self) -> None:
        code = llama_cpp.llama_decode(self.context, self.batch)
        if code != 0:
            raise RuntimeError(f"llama_decode returned {code}")

    def _sampler(self, job: Fanout, row: int) -> Any:
        chain = llama_cpp.llama_sampler_chain_init(
            llama_cpp.llama_sampler_chain_default_params()
        )
        n_vocab = llama_cpp.llama_vocab_n_tokens(
            llama_cpp.llama_model_get_vocab(self.model)
        )
        for link in (
            llama_cpp.llama_sampler_init_logit_bias(n_vocab, len(self.bias), self.bias),
            llama_cpp.llama_sampler_init_temp(job.temperature),
            llama_cpp.llama_sampler_init_dist(job.seed + row),
        ):
            llama_cpp.llama_sampler_chain_add(chain, link)
        return chain

    def close(self) -> None:
        """Free everything."""
        llama_cpp.llama_batch_free(self.batch)
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)


class PlainBareLoop(BareLoop):
    """The same loop on weights as they are in the file.

    What it gains over the other is the layout's merit, and no scheduler's.
    """

    repack = False


def _no_end(vocabulary: Any) -> Any:
    """Return the biases that forbid all tokens that end a text."""
    ends = [
        token
        for token in range(llama_cpp.llama_vocab_n_tokens(vocabulary))
        if llama_cpp.llama_vocab_is_eog(vocabulary, token)
    ]
    biases = (llama_cpp.llama_logit_bias * len(ends))()
    for slot, token in zip(biases, ends, strict=True):
        slot.token, slot.bias = token, -np.inf
    return biases
