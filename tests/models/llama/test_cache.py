from collections.abc import Sequence

import numpy as np

from ponder.models.llama.bindings import Row
from ponder.models.llama.cache import KEPT_LOGITS, PATIENCE, Cache


class Recorder:
    """A context that only notes what it is told."""

    def __init__(self, n_ctx: int = 20_000, n_seq_max: int = 8) -> None:
        self.n_ctx, self.n_seq_max = n_ctx, n_seq_max
        self.n_batch = self.max_outputs = 512
        self.tiled = False
        self.trimmed: list[tuple[int, int]] = []

    def decode(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        sequences: Sequence[int],
        outputs: Sequence[bool],
    ) -> None:
        raise NotImplementedError

    def logits(self, row: int) -> Row:
        raise NotImplementedError

    def fork(self, source: int, target: int, length: int) -> None:
        return None

    def trim(self, sequence: int, length: int) -> None:
        self.trimmed.append((sequence, length))


def kept(cache: Cache, tokens: Sequence[int]) -> None:
    """Compute some tokens from what is there, and keep them."""
    source, matched = cache.match(tokens)
    sequence = cache.take(source, matched)
    assert sequence is not None
    cache.append(sequence, tokens[matched:])
    cache.keep(sequence)


def work(cache: Cache, rows: int) -> None:
    """Let rows be computed that leave nothing behind."""
    sequence = cache.take(None, 0)
    assert sequence is not None
    cache.append(sequence, [7] * rows)
    cache.release(sequence)
    cache.age()


def test_what_nobody_comes_back_to_is_dropped_after_a_while() -> None:
    cache = Cache(Recorder())
    kept(cache, [1, 2, 3])
    work(cache, PATIENCE[1] - 10)
    assert cache.cells == 3
    work(cache, 20)

    assert cache.cells == 0
    assert cache.evictions == 0


def test_a_prefix_that_was_shared_outlives_the_ends() -> None:
    cache = Cache(Recorder())
    prompt = list(range(10, 60))
    for end in ([1, 2], [3, 4], [5, 6]):
        kept(cache, prompt + end)
    assert cache.cells == 56
    work(cache, PATIENCE[1] + 1)

    assert cache.cells == 50
    assert cache.match([*prompt, 9])[1] == 50
    work(cache, 10_000)
    assert cache.cells == 0


def test_use_starts_the_clock_anew() -> None:
    cache = Cache(Recorder())
    kept(cache, [1, 2, 3])
    for _ in range(5):
        work(cache, PATIENCE[1] - 100)
        kept(cache, [1, 2, 3])

    assert cache.cells == 3


def test_things_kept_for_nothing_wear_patience_down() -> None:
    cache = Cache(Recorder())
    for first in range(100):
        kept(cache, [1000 + first, 1])
        work(cache, PATIENCE[1] + 1)
    kept(cache, [1, 2, 3])
    work(cache, PATIENCE[0] + 1)

    assert cache.cells == 0


def test_coming_back_too_late_makes_patient() -> None:
    cache = Cache(Recorder())
    kept(cache, [1, 2, 3])
    work(cache, PATIENCE[1] + 300)
    assert cache.cells == 0
    cache.regret([1, 2, 3, 4])
    kept(cache, [1, 2, 3])
    work(cache, PATIENCE[1] + 300)

    assert cache.cells == 3
    work(cache, PATIENCE[2])
    assert cache.cells == 0


def test_a_prompt_that_continues_nothing_dropped_changes_nothing() -> None:
    cache = Cache(Recorder())
    kept(cache, [1, 2, 3])
    work(cache, PATIENCE[1] + 300)
    cache.regret([1, 2, 4])
    kept(cache, [1, 2, 3])
    work(cache, PATIENCE[1] + 300)

    assert cache.cells == 0


def test_the_least_recently_used_gives_way_first() -> None:
    cache = Cache(Recorder(n_ctx=10))
    kept(cache, [1, 1, 1, 1])
    kept(cache, [2, 2, 2, 2])
    assert cache.match([1, 1, 1, 1, 5]) == (cache.match([1])[0], 4)
    kept(cache, [1, 1, 1, 1, 5])

    assert cache.make_room(4)
    assert cache.match([1, 1, 1, 1, 5])[1] == 5
    assert cache.match([2])[1] == 0
    assert cache.evictions == 1


def test_only_so_many_rows_are_kept() -> None:
    cache = Cache(Recorder())
    row = np.zeros(3, np.float32)
    for token in range(KEPT_LOGITS):
        cache.keep_row([token], row)
    assert cache.row([0]) is not None
    cache.keep_row([-1], row)
    row[:] = 5

    assert cache.row([1]) is None
    first = cache.row([0])
    assert first is not None and first[0] == 0
