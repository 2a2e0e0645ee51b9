"""What happens in a run, told while it happens.

A run starts with ``RunStarted`` and ends with ``RunFinished``, ``RunFailed`` or
``RunCancelled``. Every ``CallStarted`` is followed by one ``CallFinished`` or
``CallFailed`` of the same path.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from ponder.budget import Budget
from ponder.messages import Usage, Value
from ponder.result import Candidate, Result, Substitute, Verdict


class RunStarted(Value):
    """The run exists and is journaled from now on."""

    kind: Literal["run_started"] = "run_started"
    run_id: str
    question: str
    strategy: str
    model: str
    budget: Budget
    resumed: bool = False


class CallStarted(Value):
    """A model call was granted its budget and is on its way."""

    kind: Literal["call_started"] = "call_started"
    path: str
    model: str
    n: int = 1


class TextDelta(Value):
    """New text of a call."""

    kind: Literal["text_delta"] = "text_delta"
    path: str
    index: int
    text: str
    output_tokens: int
    """Of this completion so far."""


class CallFinished(Value):
    """A model call came back."""

    kind: Literal["call_finished"] = "call_finished"
    path: str
    usage: Usage
    replayed: bool = False
    """It came from the journal: nothing was paid."""


class CallFailed(Value):
    """A model call failed; its siblings go on."""

    kind: Literal["call_failed"] = "call_failed"
    path: str
    error: str


class Refused(Value):
    """The budget admitted no further call here."""

    kind: Literal["refused"] = "refused"
    path: str
    dimension: str


class CandidateFound(Value):
    """An attempt at the answer is complete."""

    kind: Literal["candidate_found"] = "candidate_found"
    candidate: Candidate


class Judged(Value):
    """A verifier gave its verdict."""

    kind: Literal["judged"] = "judged"
    path: str
    verdict: Verdict


class Retrieved(Value):
    """A search for passages came back."""

    kind: Literal["retrieved"] = "retrieved"
    path: str
    query: str
    passages: tuple[str, ...]
    """Where they stand, the best first."""


class Substituted(Value):
    """Something was missing, and something else was used."""

    kind: Literal["substituted"] = "substituted"
    substitute: Substitute


class Warned(Value):
    """Something is not as it should be; the run goes on."""

    kind: Literal["warned"] = "warned"
    message: str


class RunFinished(Value):
    """The run has a result."""

    kind: Literal["run_finished"] = "run_finished"
    result: Result


class RunFailed(Value):
    """The run ended with an error."""

    kind: Literal["run_failed"] = "run_failed"
    run_id: str
    error: str


class RunCancelled(Value):
    """The consumer went away; what was paid is in the journal."""

    kind: Literal["run_cancelled"] = "run_cancelled"
    run_id: str


Event = Annotated[
    RunStarted
    | CallStarted
    | TextDelta
    | CallFinished
    | CallFailed
    | Refused
    | CandidateFound
    | Judged
    | Retrieved
    | Substituted
    | Warned
    | RunFinished
    | RunFailed
    | RunCancelled,
    Field(discriminator="kind"),
]

Emit = Callable[[Event], None]

EVENTS: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads and writes any event as JSON."""
