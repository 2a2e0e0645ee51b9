"""Draw the next token of one branch from its row of logits.

In numpy a draw from 151,936 logits costs about 0.14 ms, in llama.cpp's sampler chain
1.3 ms (it copies the row into records and sorts), so numpy it is.
"""

import numpy as np
from numpy.typing import NDArray

from ponder.messages import Sampling
from ponder.models.llama.bindings import Row

_BLOCK = 512
_TAIL = 16.0
"""Candidates are looked for within this distance (nats) of the likeliest first."""

Allowed = NDArray[np.bool_]
"""Which tokens a grammar admits, ``[n_vocab]``."""


class Sampler:
    """Temperature, then top-k, top-p and min-p on the tempered distribution."""

    def __init__(self, sampling: Sampling, seed: tuple[int, ...] | None) -> None:
        """Set up a private random stream.

        Args:
            sampling: How to draw.
            seed: Fixes the stream; ``None`` takes one from the system.
        """
        self._sampling = sampling
        self._random = np.random.default_rng(seed)

    def draw(self, logits: Row, allowed: Allowed | None = None) -> int:
        """Return a token.

        Args:
            logits: Raw logits, ``[n_vocab]``; they are not changed.
            allowed: Tokens that may be drawn; ``None`` is all.

        Returns:
            The id of the drawn token.
        """
        if allowed is None:
            return self._draw(logits)
        ids = np.flatnonzero(allowed[: len(logits)])
        return int(ids[self._draw(logits[ids])])

    def _draw(self, logits: Row) -> int:
        setting = self._sampling
        if setting.temperature == 0:
            return int(logits.argmax())
        if setting.top_k == 0 and setting.top_p == 1 and setting.min_p == 0:
            return self._draw_from_all(logits)
        ids, weights = self._truncate(logits)
        at = np.searchsorted(
            np.cumsum(weights), self._random.random() * weights.sum(), side="right"
        )
        return int(ids[min(int(at), len(ids) - 1)])

    def _draw_from_all(self, logits: Row) -> int:
        # Inverting the cumulative sum in two levels: summing 151,936 numbers one by
        # one costs ten times as much as their exponentials.
        weights = _weights(logits, self._sampling.temperature)
        starts = np.arange(0, len(weights), _BLOCK)
        blocks = np.cumsum(np.add.reduceat(weights, starts), dtype=np.float64)
        point = self._random.random() * blocks[-1]
        block = min(int(np.searchsorted(blocks, point, "right")), len(blocks) - 1)
        start = int(starts[block])
        inside = np.cumsum(weights[start : start + _BLOCK], dtype=np.float64)
        rest = point - (blocks[block - 1] if block else 0.0)
        at = min(int(np.searchsorted(inside, rest, "right")), len(inside) - 1)
        while weights[start + at] == 0:  # rounding at the very end of the block
            at -= 1
        return start + at

    def _truncate(self, logits: Row) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the ids that stay and their weights, likeliest first."""
        setting = self._sampling
        total = float(_weights(logits, setting.temperature).sum(dtype=np.float64))
        reach = _TAIL * max(setting.temperature, 1.0)
        while True:
            ids, weights = _leading(logits, setting.temperature, reach)
            complete = len(ids) == len(logits)
            if complete or self._covers(weights, total):
                break
            reach *= 4
        keep = len(ids)
        if setting.top_k:
            keep = min(keep, setting.top_k)
            total = float(weights[:keep].sum())
        if setting.top_p < 1:
            mass = np.cumsum(weights[:keep])
            keep = min(keep, int(np.searchsorted(mass, setting.top_p * total)) + 1)
        if setting.min_p:
            keep = min(keep, int((weights[:keep] >= setting.min_p).sum()))
        return ids[:keep], weights[:keep]

    def _covers(self, weights: NDArray[np.float64], total: float) -> bool:
        """Tell whether everything that may stay is among the leading tokens."""
        setting = self._sampling
        if setting.top_k and len(weights) >= setting.top_k:
            return True
        if setting.min_p and weights[-1] < setting.min_p:
            return True
        return not setting.top_k and float(weights.sum()) >= setting.top_p * total


def _weights(logits: Row, temperature: float) -> NDArray[np.float32]:
    """Return ``exp((logits - max) / temperature)``; the likeliest weighs 1."""
    weights: NDArray[np.float32] = logits - logits.max()
    if temperature != 1:
        weights /= np.float32(temperature)
    np.exp(weights, out=weights)
    return weights


def _leading(
    logits: Row, temperature: float, reach: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    peak = logits.max()
    ids = np.flatnonzero(logits >= peak - reach)
    gaps = logits[ids].astype(np.float64) - float(peak)
    order = np.argsort(-gaps, kind="stable")
    return ids[order], np.exp(gaps[order] / temperature)


def log_normaliser(logits: Row) -> float:
    """Return ``log(sum(exp(logits)))``."""
    peak = float(logits.max())
    return peak + float(np.log(np.exp(logits - peak).sum(dtype=np.float64)))


def top_tokens(logits: Row, k: int) -> NDArray[np.intp]:
    """Return the ids of the ``k`` largest logits, largest first."""
    k = min(k, len(logits))
    reach = _TAIL / 2
    peak = float(logits.max())
    ids = np.flatnonzero(logits >= peak - reach)
    while len(ids) < k:
        reach *= 4
        ids = np.flatnonzero(logits >= peak - reach)
    return ids[np.argsort(-logits[ids], kind="stable")][:k]
