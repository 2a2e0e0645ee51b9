"""Bounded retries, exponential with full jitter, that obey Retry-After."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ponder.errors import InvalidParameter, ModelUnreachable
from ponder.messages import Usage
from ponder.models.remote.errors import (
    Kind,
    Malformed,
    Place,
    diagnose,
    final_error,
    retry_after,
)

T = TypeVar("T")


def full_jitter(bound: float) -> float:
    """Draw a delay evenly from 0 to the bound, so that callers do not line up."""
    return random.uniform(0.0, bound)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and when to ask again.

    Exponential backoff with full jitter: https://aws.amazon.com/blogs/architecture/
    exponential-backoff-and-jitter/ (M. Brooker, 2015).
    """

    max_retries: int = 4
    base: float = 0.5
    """Upper bound of the first delay, in seconds; it doubles each time."""
    cap: float = 20.0
    """Upper bound of every delay, in seconds, what a server asks for included."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[float], float] = full_jitter

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.max_retries < 0 or self.base < 0 or self.cap < 0:
            raise InvalidParameter(
                "max_retries, retry_base and retry_cap must not be negative: "
                f"{self.max_retries}, {self.base}, {self.cap}."
            )

    def delay(self, failures: int, asked: float | None) -> float:
        """Return the seconds to wait after so many failures in a row.

        Args:
            failures: At least 1.
            asked: What the server asked for, in seconds.
        """
        if asked is not None:
            return min(self.cap, asked)
        return self.jitter(min(self.cap, self.base * 2.0 ** (failures - 1)))


@dataclass
class Attempts:
    """What was tried so far for one call."""

    place: Place
    failures: list[Exception] = field(default_factory=list)
    charged: Usage = field(default_factory=Usage)
    """What replies cost that could not be used."""
    in_flight: bool = False
    """A request was sent and not answered yet."""
    started: float = field(default_factory=time.monotonic)

    async def run(self, policy: RetryPolicy, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make the attempt until it succeeds, fails for good, or retries are over.

        Raises:
            ModelError: The translated failure.
        """
        while True:
            try:
                return await attempt()
            except Exception as error:
                self.in_flight = False
                self._note(error)
                if len(self.failures) > policy.max_retries:
                    raise self.unreachable() from error
                wait = policy.delay(len(self.failures), retry_after(error))
            await policy.sleep(wait)

    def _note(self, error: Exception) -> None:
        kind = diagnose(error)
        if kind is None:
            raise error
        if kind is not Kind.RETRY:
            final = final_error(kind, error, self.place)
            if self.charged.total_tokens:
                final.add_note(paid_note(self.charged).strip())
                final.paid = self.charged
            raise final from error
        if isinstance(error, Malformed):
            self.charged = self.charged + error.usage
        self.failures.append(error)

    def unreachable(self, why: str = "") -> ModelUnreachable:
        """Say what was tried, and what it cost all the same."""
        last = self.failures[-1]
        seconds = time.monotonic() - self.started
        lines = [
            f"Model '{self.place.model}' at {self.place.provider.address} gave no "
            f"usable answer in {len(self.failures)} attempts over {seconds:.1f} s"
            f"{why}; the last failed with {type(last).__name__}: "
            f"{self.place.detail(last).rstrip('.')}.",
            "Check that the server runs and can be reached, or raise timeout= or "
            "max_retries=.",
        ]
        error = ModelUnreachable(" ".join(lines) + paid_note(self.charged))
        error.paid = self.charged if self.charged.total_tokens else None
        return error


def paid_note(usage: Usage) -> str:
    """Say what a failure was charged for; nothing if it was free."""
    if not usage.total_tokens:
        return ""
    cost = "" if usage.cost is None else f", ${usage.cost:.6f}"
    return (
        f" The provider charged for what could not be used: {usage.input_tokens} "
        f"input and {usage.output_tokens} output tokens{cost}."
    )
