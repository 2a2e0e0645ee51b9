"""What is known of a run while it goes on, folded from its events."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ponder.budget import Budget
from ponder.drawing import one_line
from ponder.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    CandidateFound,
    Event,
    Judged,
    Refused,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    TextDelta,
    Warned,
)
from ponder.messages import Usage
from ponder.result import Candidate, Verdict

TAIL = 400
"""Characters of the newest text that are kept of each completion."""
ANSWER_WIDTH = 60
"""Columns of an answer in the line of its candidate."""


@dataclass
class Branch:
    """One completion that is being written."""

    path: str
    tokens: int = 0
    """Output tokens so far."""
    tail: str = ""


@dataclass
class Limit:
    """A limit of the budget and how much of it is used."""

    name: str
    used: float
    limit: float

    @property
    def left(self) -> float:
        """What is left, never negative."""
        return max(0.0, self.limit - self.used)


@dataclass
class Board:
    """The state of a run as a display needs it. ``tell`` it every event."""

    clock: Callable[[], float] = time.monotonic
    seconds_before: float = 0.0
    """What a resumed run had used before."""
    run_id: str = ""
    model: str = ""
    strategy: str = ""
    budget: Budget = field(default_factory=Budget)
    running: dict[tuple[str, int], Branch] = field(default_factory=dict)
    """By path and index of the completion."""
    spent: Usage = field(default_factory=Usage)
    """Of the calls that came back."""
    warnings: list[str] = field(default_factory=list)
    _started: float | None = None

    def tell(self, event: Event) -> None:
        """Take notice of an event."""
        match event:
            case RunStarted():
                self.run_id, self.budget = event.run_id, event.budget
                self.strategy, self.model = event.strategy, event.model
                self._started = self.clock()
            case CallStarted():
                for i in range(event.n):
                    self.running[event.path, i] = Branch(event.path)
            case TextDelta():
                self._extend(event)
            case CallFinished():
                self.spent = self.spent + event.usage
                self._end(event.path)
            case CallFailed() | Refused():
                self._end(event.path)
            case Warned():
                self.warnings.append(event.message)
            case RunFinished() | RunFailed() | RunCancelled():
                self.running.clear()

    @property
    def seconds(self) -> float:
        """Wall time of the run so far."""
        if self._started is None:
            return 0.0
        return self.seconds_before + self.clock() - self._started

    @property
    def tokens(self) -> int:
        """Tokens used so far, those being written included."""
        return self.spent.total_tokens + self._writing

    @property
    def calls(self) -> int:
        """Calls made so far, those under way included."""
        return self.spent.calls + len({path for path, _ in list(self.running)})

    @property
    def limits(self) -> list[Limit]:
        """Every limit of the budget with its use."""
        used = {
            "calls": float(self.calls),
            "tokens": float(self.tokens),
            "input_tokens": float(self.spent.input_tokens),
            "cached_tokens": float(self.spent.cached_tokens),
            "output_tokens": float(self.spent.output_tokens + self._writing),
            "seconds": self.seconds,
            "cost": self.spent.cost or 0.0,
        }
        limits = {name: getattr(self.budget, name) for name in used}
        return [
            Limit(name, used[name], float(limit))
            for name, limit in limits.items()
            if limit is not None
        ]

    @property
    def _writing(self) -> int:
        return sum(branch.tokens for branch in list(self.running.values()))

    def _extend(self, event: TextDelta) -> None:
        key = (event.path, event.index)
        branch = self.running.setdefault(key, Branch(event.path))
        branch.tokens = event.output_tokens
        branch.tail = (branch.tail + event.text)[-TAIL:]

    def _end(self, path: str) -> None:
        for key in [key for key in self.running if key[0] == path]:
            del self.running[key]


def milestone(event: Event) -> tuple[str, str] | None:
    """Return the line and its style for an event that a user should keep seeing."""
    match event:
        case RunStarted():
            return _started(event), "dim"
        case CandidateFound():
            return _found(event.candidate)
        case Judged():
            return f"{event.path} judged {verdict_text(event.verdict)}", "dim"
    return None


def _started(event: RunStarted) -> str:
    word = "goes on" if event.resumed else "starts"
    limits = [
        f"{value:g} {name.replace('_', ' ')}"
        for name, value in event.budget.model_dump(exclude={"wrap_up"}).items()
        if value is not None
    ]
    within = f", within {' and '.join(limits)}" if limits else ", without a limit"
    return f"Run {event.run_id} {word}: {event.strategy} over {event.model}{within}"


def _found(candidate: Candidate) -> tuple[str, str]:
    if candidate.error is not None:
        return f"{candidate.id} failed: {candidate.error}", "yellow"
    tokens = f"{candidate.output_tokens:,} tokens"
    cut = ", cut off" if candidate.truncated else ""
    if candidate.answer is None:
        return f"{candidate.id} came to no answer ({tokens}{cut})", "yellow"
    answer = one_line(candidate.answer, ANSWER_WIDTH)
    return f"{candidate.id} answers {answer} ({tokens}{cut})", "green"


def verdict_text(verdict: Verdict) -> str:
    """Return a verdict in words."""
    if verdict.score is None and verdict.passed is None:
        return f"unreadable: {verdict.feedback}" if verdict.feedback else "unreadable"
    passed = {True: "passed", False: "not passed", None: ""}[verdict.passed]
    score = "" if verdict.score is None else f"{verdict.score:.2f}"
    return f"{score} {passed}".strip()
