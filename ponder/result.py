"""What a run is asked and what it gives back."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from ponder.messages import FinishReason, Message, Text, Usage, Value
from ponder.passages import Citation


class StopReason(StrEnum):
    """Why a run ended."""

    FINISHED = "finished"
    """The strategy came to its natural end."""
    VERIFIED = "verified"
    """A verifier passed a candidate, and more would not help."""
    AGREED = "agreed"
    """The leading answer is unlikely to be overtaken."""
    CALLS = "calls"
    TOKENS = "tokens"
    INPUT_TOKENS = "input_tokens"
    CACHED_TOKENS = "cached_tokens"
    OUTPUT_TOKENS = "output_tokens"
    SECONDS = "seconds"
    COST = "cost"


class Task(Value):
    """A question, with the conversation before it."""

    question: str = Field(min_length=1)
    history: tuple[Message, ...] = ()
    """Earlier turns, oldest first."""
    examples: tuple[Message, ...] = ()
    """Worked examples as turns, for the roles that write solutions: whoever judges
    reads neither them nor pays for them."""
    prefill: str = ""
    """Text that the answer must continue (a strategy that stands for a model)."""


class Verdict(Value):
    """What a verifier says of a candidate."""

    score: float | None = Field(default=None, ge=0, le=1)
    """``None`` if the verifier could not tell: never read it as 0."""
    passed: bool | None = None
    """Whether the candidate is accepted; ``None`` if the verifier only ranks."""
    checked: bool = False
    """Whether a function decided this, not the opinion of a model."""
    feedback: Text = ""
    usage: Usage = Usage()


class Candidate(Value):
    """One attempt at the answer."""

    id: str
    """Logical path of the attempt in the run, such as ``sample/3``."""
    text: str
    answer: str | None = None
    """The extracted final answer; ``None`` if none could be read."""
    logprob: float | None = None
    """Log-probability of the whole text under the model (nats)."""
    logprob_tokens: int = 0
    """How many tokens ``logprob`` sums over."""
    output_tokens: int = 0
    finish_reason: FinishReason = "stop"
    """``length`` and ``time``: the text was cut off at a limit."""
    verdict: Verdict | None = None
    error: str | None = None
    """Why this attempt failed; then ``text`` is empty."""

    @property
    def truncated(self) -> bool:
        """Whether the text ended at a limit, not where the model wanted."""
        return self.finish_reason in ("length", "time")


class Substitute(Value):
    """A capability that was missing, and what was used in its place."""

    missing: str
    used: str
    where: str
    """Logical path at which it happened first."""


class Outcome(Value):
    """What a strategy's graph leaves behind."""

    answer: str | None
    """``None`` only if no attempt produced anything that can be read."""
    text: str = ""
    """The full text that carries the answer."""
    confidence: float | None = Field(default=None, ge=0, le=1)
    """Share of the evidence behind the answer; its meaning is the strategy's."""
    candidates: tuple[Candidate, ...] = ()
    stop_reason: StopReason = StopReason.FINISHED
    verdict: Verdict | None = None
    citations: tuple[Citation, ...] = ()
    """What the answer rests on, where it was made from documents."""


class Result(Value):
    """What a run gives back."""

    run_id: str
    answer: str | None
    text: str = ""
    confidence: float | None = None
    candidates: tuple[Candidate, ...] = ()
    stop_reason: StopReason
    usage: Usage
    roles: dict[str, Usage] = Field(default_factory=dict)
    """``usage`` divided by who spent it: generator, verifier ..."""
    critical_tokens: int = 0
    """Output tokens on the longest chain of calls that waited for each other."""
    substitutes: tuple[Substitute, ...] = ()
    verdict: Verdict | None = None
    """Of the answer, where the run had a verifier."""
    citations: tuple[Citation, ...] = ()
    """What the answer rests on, where it was made from documents."""
    warnings: tuple[str, ...] = ()
    graph: dict[str, Any] = Field(default_factory=dict, repr=False)
    """The thought graph as networkx node-link data; see ``ponder.thoughts``."""
