"""What a study keeps of each problem: plain values, from which every report is made."""

from typing import Literal

from pydantic import Field

from ponder.evals.benchmark import Grade
from ponder.messages import Usage, Value

RECORD_VERSION = 1
"""Of the records in the logs; a log with another one cannot be read."""


class Attempt(Value):
    """One candidate of a run, graded by the benchmark (the truth)."""

    answer: str | None
    correct: bool | None
    """``None`` if no answer could be read from it."""
    score: float | None = None
    """What the run's verifier said, 0 to 1; ``None`` if it said nothing."""
    passed: bool | None = None
    """Whether the run's verifier accepted it."""
    output_tokens: int = 0
    truncated: bool = False
    failed: bool = False
    """The model failed; there is no text."""
    rescued: bool = False
    """Another attempt that was made to answer: no sample of its own."""


class Record(Value):
    """One problem answered once."""

    problem: str
    """Id of the problem: the cluster of all that was measured on it."""
    epoch: int = 0
    """Which repetition."""
    grade: Grade
    """Of the selected answer."""
    attempts: tuple[Attempt, ...] = ()
    """In the order of the run's candidates."""
    usage: Usage = Usage()
    """Of the whole run; ``seconds`` is its wall time, other runs being in flight."""
    roles: dict[str, Usage] = Field(default_factory=dict)
    """``usage`` divided by role: generator, verifier, planner ..."""
    critical_tokens: int = 0
    """Output tokens on the longest chain of calls that had to wait for each other."""
    support: float | None = Field(default=None, ge=0, le=1)
    """Share of the passages needed that were found, where that is known."""
    confidence: float | None = None
    stop_reason: str = "finished"
    substitutes: tuple[str, ...] = ()
    run_id: str = ""
    error: str | None = None
    """Why the run failed; then the grade is unreadable."""

    @property
    def samples(self) -> tuple[Attempt, ...]:
        """The attempts that were sampled, or the one that was rescued."""
        return tuple(a for a in self.attempts if not a.rescued) or self.attempts


Count = Literal["total", "computed"]
"""Which tokens are compared: all input and output, or those that had to be computed,
which leaves out input that a cache served."""


class Cell(Value):
    """One strategy on one benchmark under one budget."""

    task: str
    """Spec of the benchmark, such as ``calendar:people=3``."""
    strategy: str
    """Spec of the strategy, such as ``best_of_n{"n": 8}``."""
    verifier: str | None = None
    """``judge``, ``exact``, ``random`` or ``None``."""
    model: str
    budget_tokens: int | None = None
    """Limit of each run; ``None`` is no limit."""
    count: Count = "total"
    """Which tokens are compared. With ``computed``, the budget limits the output: how
    much input a cache will serve is not known before a call."""
    seed: int = 0
    records: tuple[Record, ...] = ()

    @property
    def label(self) -> str:
        """Strategy and verifier, as a reader knows them."""
        return self.strategy + (f" + {self.verifier}" if self.verifier else "")
