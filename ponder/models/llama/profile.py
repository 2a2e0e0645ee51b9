"""How long one decode takes by its number of rows, and how to cut rows by it.

The time is a staircase, because the kernels work on tiles of rows: on the CPU
measured in ``docs/design/engine.md`` 9 rows cost as much as 16, and 17 as much
as 32. The profile is measured once per machine, model and build, and kept.
"""

import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import platformdirs

from ponder.errors import InvalidParameter
from ponder.models.llama.bindings import Context, Weights, library

_ROWS = (1, 2, 3, 4, 6, 8, 9, 12, 16, 17, 24, 32, 48, 64)
_REPEATS = 3
_SECONDS = 6.0
"""About how long measuring may take; larger row counts are left out then."""
_NOISY = 1.25
"""The best two of several equal runs may differ by this factor."""
_ENOUGH = 0.97
"""Rows that are computed at this share of the best speed are as good as it."""
_CROWD = 16
"""So many branches may always run side by side."""
_WORTHWHILE = 0.95
"""A split or padding must save a twentieth, or measuring noise would decide."""


class Profile:
    """Seconds of one decode by its number of rows."""

    def __init__(self, seconds: Mapping[int, float]) -> None:
        """Take measurements.

        Args:
            seconds: Measured time for some row counts, 1 among them.

        Raises:
            InvalidParameter: No time for one row, or a time that is not positive.
        """
        if 1 not in seconds or min(seconds.values()) <= 0 or min(seconds) < 1:
            raise InvalidParameter(
                f"A profile needs positive times, that of 1 row among them: {seconds}"
            )
        self.seconds = dict(sorted(seconds.items()))
        # _best[r]: least seconds for r rows, and the size of the group ending them.
        self._best: list[tuple[float, int]] = [(0.0, 0)]

    def time(self, rows: int) -> float:
        """Return the seconds of one decode, interpolated where not measured."""
        if rows in self.seconds:
            return self.seconds[rows]
        counts = list(self.seconds)
        above = next((c for c in counts if c > rows), None)
        if above is None:
            return self.seconds[counts[-1]] * rows / counts[-1]
        below = max(c for c in counts if c < rows)
        share = (rows - below) / (above - below)
        low, high = self.seconds[below], self.seconds[above]
        return low + share * (high - low)

    def padded(self, rows: int) -> int:
        """Return the row count to run ``rows`` as: more, where more is faster."""
        fastest = min(
            (c for c in self.seconds if c >= rows), key=self.time, default=rows
        )
        worthwhile = self.time(fastest) < _WORTHWHILE * self.time(rows)
        return fastest if worthwhile else rows

    @property
    def crowd(self) -> int | None:
        """The fewest rows of which a decode gets through as many a second as of any.

        More branches than that, side by side, make none of them end earlier, and take
        cells that slow the others down. ``None`` if more rows than were measured may
        be faster still.
        """
        best = min(seconds / rows for rows, seconds in self.seconds.items())
        enough = next(r for r, s in self.seconds.items() if s * _ENOUGH <= best * r)
        return None if enough in (1, max(self.seconds)) else max(enough, _CROWD)

    def partition(self, rows: int) -> list[int]:
        """Cut rows into the groups that take the least time in all.

        Args:
            rows: Rows to decode, each once; at least 1.

        Returns:
            Sizes of the groups, which add up to ``rows``; ``[rows]`` if no cut is
            clearly faster. A group may be run padded, see ``padded``.
        """
        best = self._best
        for r in range(len(best), rows + 1):
            options = ((best[r - g][0] + self._cost(g), g) for g in range(1, r + 1))
            best.append(min(options))
        if best[rows][0] > _WORTHWHILE * self._cost(rows):
            return [rows]
        groups, left = [], rows
        while left:
            groups.append(best[left][1])
            left -= groups[-1]
        return sorted(groups, reverse=True)

    def _cost(self, rows: int) -> float:
        return self.time(self.padded(rows))

    def worthwhile(self, rows: int, chances: Sequence[float]) -> int:
        """Return how many further rows are worth their time.

        Args:
            rows: Rows that must be decoded.
            chances: Chance of each further row to be of use, best first.

        Returns:
            The number of further rows that gives most useful rows per second; 0
            if none gives clearly more.
        """
        useful, best = float(rows), 0
        rate = useful / self.time(rows) / _WORTHWHILE
        for more, chance in enumerate(chances, 1):
            useful += chance
            if useful / self.time(rows + more) > rate:
                best, rate = more, useful / self.time(rows + more)
        return best


FLAT = Profile({1: 1.0})
"""Knows nothing: every step is one decode, and no row is spare."""


def load_or_measure(
    weights: Weights, context: Context, folder: str | Path | None = None
) -> Profile:
    """Return the profile of this machine, model and build, measured if unknown.

    Args:
        weights: The model.
        context: A context of it that holds nothing; it is left so.
        folder: Where profiles are kept; ``None`` is the user's cache folder.

    Returns:
        The profile. Measuring takes a few seconds. If the machine is too busy for
        it, or the folder cannot be written to, it is measured again next time.
    """
    base = Path(folder or Path(platformdirs.user_cache_dir("ponder")) / "profiles")
    path = base / f"{_key(weights, context)}.json"
    try:
        stored = json.loads(path.read_text())
        return Profile({int(rows): float(s) for rows, s in stored["seconds"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidParameter):
        measured = measure(context)
    if measured is None:
        return FLAT
    _store(path, {"model": weights.path.name, "seconds": measured.seconds})
    return measured


def _key(weights: Weights, context: Context) -> str:
    lib = library()
    facts = (
        weights.path.name,
        weights.path.stat().st_size,
        context.n_threads,
        context.flash_attention,
        weights.repack,
        weights.on_gpu,
        lib.__version__,
        lib.llama_version().decode(),
        platform.node(),
        platform.machine(),
        os.cpu_count(),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:24]


def _store(path: Path, content: object) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, suffix=".part", delete=False
        ) as file:
            json.dump(content, file)
        os.replace(file.name, path)
    except OSError:
        return


def measure(context: Context) -> Profile | None:
    """Time decodes of several row counts on an empty context.

    Returns:
        The profile; ``None`` if the machine is too busy to tell: a wrong profile
        would do harm for as long as it is kept.
    """
    most = min(context.n_seq_max, context.max_outputs, context.n_batch, context.n_ctx)
    counts = [rows for rows in _ROWS if rows <= most]
    _time(context, 1)  # the first decode also reads the weights from the disk
    started = time.monotonic()
    runs: dict[int, list[float]] = {}
    for rows in counts:
        runs[rows] = [_time(context, rows)]
        if time.monotonic() - started > _SECONDS / _REPEATS:
            break
    # Round by round, so that a busy moment does not hit one row count alone.
    for _ in range(_REPEATS - 1):
        for rows, times in runs.items():
            times.append(_time(context, rows))
    context.clear()
    if any(sorted(times)[1] > _NOISY * min(times) for times in runs.values()):
        return None
    return Profile({rows: min(times) for rows, times in runs.items()})


def _time(context: Context, rows: int) -> float:
    context.clear()
    started = time.perf_counter()
    context.decode([0] * rows, [0] * rows, range(rows), [True] * rows)
    # Reading a row waits for a device that computes in the background.
    context.logits(rows - 1)
    return time.perf_counter() - started
