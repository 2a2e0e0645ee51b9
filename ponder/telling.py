"""What a place of a run tells: candidates, verdicts, thoughts, warnings, substitutes.

All of it goes into what the places of a run have in common, and out as events.
"""

from dataclasses import dataclass, field

from ponder.errors import PonderError
from ponder.events import CandidateFound, Emit, Judged, Substituted, Warned
from ponder.journal import RunLog
from ponder.messages import Usage
from ponder.result import Candidate, Substitute, Verdict
from ponder.thoughts import Thought, ThoughtGraph

Path = tuple[str | int, ...]


def place_id(path: Path) -> str:
    """Return a place as text: ``sample/3``."""
    return "/".join(map(str, path))


def in_order(path: Path) -> tuple[tuple[int, str], ...]:
    """Return what to sort places by: names by letters, numbers by their value."""
    return tuple((p, "") if isinstance(p, int) else (-1, p) for p in path)


@dataclass
class Shared:
    """What all places of one run have in common."""

    run_id: str
    log: RunLog
    emit: Emit
    graph: ThoughtGraph
    replaying: bool = False
    """Serve everything from the journal; never call."""
    new_budget: bool = False
    """The run was resumed with another budget: ask again what was refused."""
    substitutes: dict[tuple[str, str], Substitute] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    noted: dict[object, Path] = field(default_factory=dict)
    """Where each substitute and warning was noted: the first in the order of places,
    so that a result does not depend on which branch was there first."""
    paths: set[str] = field(default_factory=set)
    failures: list[PonderError] = field(default_factory=list)
    roles: dict[str, Usage] = field(default_factory=dict)

    def place(self, noted: object) -> tuple[tuple[int, str], ...]:
        """Return what to sort a substitute or a warning by."""
        return in_order(self.noted[noted])

    def spend(self, role: str, usage: Usage) -> None:
        """Note who spent what; the ledger keeps the sum, and the time."""
        usage = usage.model_copy(update={"seconds": 0.0})
        self.roles[role] = self.roles.get(role, Usage()) + usage


class Telling:
    """A place of a run, as far as it tells something."""

    shared: Shared
    path: Path

    @property
    def id(self) -> str:
        """The place, as text: ``sample/3``."""
        return place_id(self.path)

    def found(self, candidate: Candidate) -> None:
        """Tell of a candidate as soon as it is there."""
        self.shared.emit(CandidateFound(candidate=candidate))

    def judged(self, candidate: Candidate, verdict: Verdict) -> None:
        """Tell of a verdict as soon as it is there."""
        self.shared.emit(Judged(path=candidate.id, verdict=verdict))

    def keep(self, candidate: Candidate, parents: tuple[str, ...]) -> None:
        """Put a candidate, with its verdict, into the thought graph.

        A strategy keeps what it has looked at. What a branch found after the
        strategy had enough is told, not kept: it is there by chance of timing.
        """
        label = candidate.error or candidate.answer or _one_line(candidate.text)
        self.think(
            Thought(
                id=candidate.id,
                kind="thought",
                label=label,
                failed=candidate.error is not None,
                data={"text": candidate.text, "answer": candidate.answer},
            ),
            parents,
        )
        if candidate.verdict is not None:
            self._keep_verdict(candidate.id, candidate.verdict)

    def _keep_verdict(self, id: str, verdict: Verdict) -> None:
        passed = {True: "passed", False: "failed", None: ""}[verdict.passed]
        score = "unreadable" if verdict.score is None else f"{verdict.score:.2f}"
        self.think(
            Thought(
                id=f"{id}/verdict",
                kind="verdict",
                label=f"{score} {passed}".strip(),
                score=verdict.score,
                data={"feedback": verdict.feedback},
            ),
            (id,),
        )

    def think(self, thought: Thought, parents: tuple[str, ...] = ()) -> None:
        """Put a thought into the graph of the run."""
        self.shared.graph.add(thought, parents)

    def substitute(self, missing: str, used: str) -> None:
        """Note, once, that something was missing and something else was used."""
        new = self._first((missing, used))
        where = place_id(self.shared.noted[missing, used])
        note = Substitute(missing=missing, used=used, where=where)
        self.shared.substitutes[missing, used] = note
        if new:
            self.shared.emit(Substituted(substitute=note))

    def warn(self, message: str) -> None:
        """Tell, once, that something is not as it should be."""
        if self._first(message):
            self.shared.warnings.append(message)
            self.shared.emit(Warned(message=message))

    def _first(self, what: object) -> bool:
        """Note the place of something; return whether it was not known before."""
        noted = self.shared.noted
        new = what not in noted
        if new or in_order(self.path) < in_order(noted[what]):
            noted[what] = self.path
        return new


def _one_line(text: str, width: int = 72) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
