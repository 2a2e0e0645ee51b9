"""What a user sees while a model is fetched."""

import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from ponder.messages import Value

Stage = Literal["waiting", "fetching", "verifying", "done"]

REPORT_SECONDS = 0.1
"""Least time between two reports of the same stage."""
SPEED_SECONDS = 5.0
"""The speed is the mean over this time."""


class Progress(Value):
    """How far a pull is."""

    model: str
    stage: Stage
    """``waiting`` is for another pull of the same model."""
    source: str = ""
    """Where the bytes come from, in words."""
    bytes_done: int = Field(default=0, ge=0)
    bytes_total: int = Field(gt=0)
    bytes_per_second: float = Field(default=0.0, ge=0)
    message: str = ""
    """Something the user should read: a source that failed, a damaged file."""


OnProgress = Callable[[Progress], None]


class Meter:
    """Turns byte counts into reports: not too often, and with a speed."""

    def __init__(
        self,
        model: str,
        total: int,
        report: OnProgress,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            model: Name of what is fetched.
            total: Bytes of the whole file.
            report: Told of every step.
            clock: Seconds, monotonic.
        """
        self._model, self._total, self._report = model, total, report
        self._clock = clock
        self._stage: Stage = "fetching"
        self._source = ""
        self._done = 0
        self._reported = float("-inf")
        self._samples: deque[tuple[float, int]] = deque()

    def begin(self, stage: Stage, *, source: str = "", done: int = 0) -> None:
        """Enter a stage; its speed is measured from here."""
        self._stage, self._source, self._done = stage, source, done
        self._samples = deque([(self._clock(), done)])
        self._send()

    def at(self, done: int) -> None:
        """Tell how many bytes of the whole are there."""
        self._done = min(done, self._total)
        now = self._clock()
        if now - self._reported >= REPORT_SECONDS or self._done == self._total:
            self._send()

    def say(self, message: str) -> None:
        """Tell the user something."""
        self._send(message)

    def _send(self, message: str = "") -> None:
        self._reported = self._clock()
        self._report(
            Progress(
                model=self._model,
                stage=self._stage,
                source=self._source,
                bytes_done=self._done,
                bytes_total=self._total,
                bytes_per_second=self._speed(),
                message=message,
            )
        )

    def _speed(self) -> float:
        now = self._clock()
        self._samples.append((now, self._done))
        while now - self._samples[0][0] > SPEED_SECONDS and len(self._samples) > 2:
            self._samples.popleft()
        start, before = self._samples[0]
        return max(0.0, (self._done - before) / (now - start)) if now > start else 0.0
