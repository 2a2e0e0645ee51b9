r"""Finding a time at which everybody is free.

The idea is the calendar scheduling task of NATURAL PLAN (Zheng et al. 2024,
https://arxiv.org/abs/2406.04520); problems and their words are made here. Meetings
that are fixed already lie on a grid of 15 or 30 minutes inside 9:00 - 17:00. Any time
that fits is right, to the minute.
"""

import random
import re
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import UNREADABLE, Generated, Grade, Problem, register
from ponder.evals.tasks._clock import DAYS, clock, read_days, read_spans, span
from ponder.evals.tasks._plan_text import Entry, boxed, closing
from ponder.evals.tasks._plan_words import PEOPLE, listed
from ponder.messages import Value

OPENS, CLOSES = 9 * 60, 17 * 60
"""Working hours, in minutes since midnight."""

_OPENINGS = (
    "A meeting of {minutes} minutes with {people} has to be put on {days}, some time "
    "from {opens} to {closes}.",
    "You keep the calendars of {people}. Book one meeting of {minutes} minutes for all "
    "of them on {days}, not before {opens} and over by {closes}.",
    "The office is open from {opens} to {closes}. On {days} a room is wanted for "
    "{minutes} minutes, and these have to come: {people}.",
)
_QUESTION = """{opening}

These times are taken already:
{calendars}

Find a time at which nobody is taken. End your reply with the day, the start and the \
end in a box, written like this: \\boxed{{Sunday, {example}}}"""

_TAKEN = re.compile(
    r"\b(?:booked|blocked|busy|conflicts?|hours|not|overlaps?|taken|unavailable)\b"
    r"|n't\b",
    re.I,
)
"""Words of lines that tell when somebody cannot come."""


class Calendars(Value):
    """What the grader of a calendar problem has to know."""

    days: tuple[str, ...]
    minutes: int
    """Length of the meeting that is looked for."""
    busy: dict[str, dict[str, tuple[tuple[int, int], ...]]]
    """Person, day, and spans in minutes since midnight."""

    def free(self) -> list[Entry]:
        """Return all gaps that are long enough, by day and time, whole.

        These are all solutions: a meeting fits if and only if it lies in one of them.
        """
        return [
            Entry(day, first, last)
            for day in self.days
            for first, last in self._gaps(day, tuple(self.busy))
            if last - first >= self.minutes
        ]

    def _gaps(self, day: str, names: Sequence[str]) -> list[tuple[int, int]]:
        taken = sorted(s for name in names for s in self.busy[name].get(day, ()))
        gaps, since = [], OPENS
        for first, last in taken:
            gaps.append((since, first))
            since = max(since, last)
        return [*gaps, (since, CLOSES)]

    def worked(self, slot: Entry) -> str:
        """Return a solution in steps: who is free when on the day, and who together."""
        names, day = list(self.busy), slot.name
        steps = [f"{name} is free {self._free(day, (name,))}." for name in names]
        for count in range(2, len(names) + 1):
            together = names[:count]
            steps.append(f"{listed(together)} are free {self._free(day, together)}.")
        steps.append(
            f"The meeting takes {self.minutes} minutes, and {day}, "
            f"{span(slot.first, slot.last)} is free: \\boxed{{{write(slot)}}}"
        )
        return "\n\n".join(steps)

    def _free(self, day: str, names: Sequence[str]) -> str:
        found = [span(a, b) for a, b in self._gaps(day, names) if a < b]
        return f"on {day} " + (", ".join(found) or "at no time")

    def broken(self, slot: Entry) -> list[str]:
        """Return what is wrong with a time, one line for each broken constraint."""
        when, reasons = span(slot.first, slot.last), []
        if slot.name not in self.days:
            reasons.append(f"{slot.name} is not asked for, only {listed(self.days)}.")
        if slot.first < OPENS or slot.last > CLOSES:
            reasons.append(f"{when} is not inside {span(OPENS, CLOSES)}.")
        if (lasts := slot.last - slot.first) != self.minutes:
            reasons.append(f"{when} lasts {lasts} minutes, not {self.minutes}.")
        return reasons + [
            f"{person} is busy {slot.name} {span(first, last)}."
            for person, days in self.busy.items()
            for first, last in days.get(slot.name, ())
            if first < slot.last and slot.first < last
        ]


@register
class Calendar(Generated):
    """Find a time for a meeting."""

    name: ClassVar[str] = "calendar"
    source: ClassVar[str] = "https://arxiv.org/abs/2406.04520"

    people: int = Field(default=3, ge=1, le=20)
    days: int = Field(default=1, ge=1, le=5)
    """Working days, from Monday."""
    minutes: int = Field(default=30, ge=15, le=CLOSES - OPENS, multiple_of=15)
    """Length of the meeting."""
    busy: float = Field(default=0.4, ge=0, le=1)
    """Share of each working day that is taken in each person's calendar."""
    unique: bool = False
    """Take so much more that exactly one time is left, as in the published task."""

    def make(self, rng: random.Random, id: str) -> Problem:
        """Return one problem; the time that is its reference is kept free."""
        grid = _Grid(self, rng)
        for person in grid.taken:
            for day in range(self.days):
                grid.fill(person, day)
        while self.unique and grid.narrow():
            pass
        calendars = grid.calendars()
        gap = rng.choice(calendars.free())
        start = rng.randrange(gap.first, gap.last - self.minutes + 1, grid.step)
        slot = Entry(gap.name, start, start + self.minutes)
        return Problem(
            id=id,
            question=self._question(calendars, rng),
            reference=write(slot),
            data=calendars.model_dump(mode="json"),
            worked=calendars.worked(slot),
        )

    def _question(self, calendars: Calendars, rng: random.Random) -> str:
        opening = rng.choice(_OPENINGS).format(
            minutes=self.minutes,
            people=listed(list(calendars.busy)),
            days=listed(calendars.days, "or"),
            opens=clock(OPENS),
            closes=clock(CLOSES),
        )
        lines = [f"- {who}: {_times(days)}" for who, days in calendars.busy.items()]
        return _QUESTION.format(
            opening=opening,
            calendars="\n".join(lines),
            example=span(OPENS, OPENS + self.minutes),
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Grade a reply; any time that fits is right."""
        calendars = Calendars.model_validate(problem.data)
        slot = read(text, calendars.days)
        if slot is None:
            return UNREADABLE
        reasons = tuple(calendars.broken(slot))
        return Grade(correct=not reasons, answer=write(slot), reasons=reasons)


class _Grid:
    """Calendars in the making: who is taken in which cells of which day."""

    def __init__(self, settings: Calendar, rng: random.Random) -> None:
        self.rng, self.days, self.minutes = rng, DAYS[: settings.days], settings.minutes
        self.step = 15 if settings.minutes % 30 else 30
        self.cells = (CLOSES - OPENS) // self.step
        self.share = int(settings.busy * self.cells)
        wanted = settings.minutes // self.step
        if self.share + wanted > self.cells:
            raise InvalidParameter(
                f"busy={settings.busy} leaves no {settings.minutes} minutes free in a "
                f"day of {CLOSES - OPENS}: lower busy or minutes."
            )
        start = rng.randint(0, self.cells - wanted)
        self.kept_day = rng.randrange(settings.days)
        self.kept = frozenset(range(start, start + wanted))
        people = rng.sample(PEOPLE, settings.people)
        self.taken: dict[str, list[set[int]]] = {
            person: [set() for _ in self.days] for person in people
        }

    def fill(self, person: str, day: int) -> None:
        """Take meetings of random length until the share of a day is taken."""
        taken = self.taken[person][day]
        while len(taken) < self.share:
            left = [c for c in self._open(day) if c not in taken]
            start = self.rng.choice(left)
            length = self.rng.randint(1, min(4, self.share - len(taken)))
            meeting = range(start, start + length)
            taken.update(c for c in meeting if c in left)

    def narrow(self) -> bool:
        """Take one more cell of somebody if other times than the kept one fit."""
        kept = {(self.kept_day, cell) for cell in self.kept}
        fits = {
            (self.days.index(gap.name), (minute - OPENS) // self.step)
            for gap in self.calendars().free()
            for minute in range(gap.first, gap.last, self.step)
        }
        if not (spare := sorted(fits - kept)):
            return False
        day, cell = self.rng.choice(spare)
        person = self.rng.choice(list(self.taken))
        self.taken[person][day].add(cell)
        return True

    def _open(self, day: int) -> list[int]:
        kept = self.kept if day == self.kept_day else frozenset()
        return [cell for cell in range(self.cells) if cell not in kept]

    def calendars(self) -> Calendars:
        busy = {
            person: {
                day: tuple(self._spans(cells))
                for day, cells in zip(self.days, by_day, strict=True)
            }
            for person, by_day in self.taken.items()
        }
        return Calendars(days=self.days, minutes=self.minutes, busy=busy)

    def _spans(self, cells: set[int]) -> list[tuple[int, int]]:
        starts = sorted(c for c in cells if c - 1 not in cells)
        ends = sorted(c + 1 for c in cells if c + 1 not in cells)
        return [
            (OPENS + self.step * a, OPENS + self.step * b)
            for a, b in zip(starts, ends, strict=True)
        ]


def write(slot: Entry) -> str:
    """Return a time in the form of an answer."""
    return f"{slot.name}, {span(slot.first, slot.last)}"


def read(text: str, days: tuple[str, ...]) -> Entry | None:
    """Read the time that a reply settles on.

    Args:
        text: What a model wrote.
        days: The days in question; a single one need not be named.

    Returns:
        Day, first and last minute; ``None`` if there is no time, or more than one.
    """
    if marked := boxed(text):
        # The day may stand before a box with the time alone; else the box decides.
        slot, bare = _slot(marked, days), not read_days(marked)
        if slot or not (bare and read_spans(marked)):
            return slot
    found = closing(text, lambda line: _closing_slot(line, days))
    return found[0] if len(found) == 1 else None


def _closing_slot(line: str, days: tuple[str, ...]) -> list[Entry] | None:
    if _TAKEN.search(line):
        return None
    slot = _slot(line, days)
    return None if slot is None else [slot]


def _slot(text: str, days: tuple[str, ...]) -> Entry | None:
    spans = {(found.first, found.last) for found in read_spans(text)}
    named = set(read_days(text)) or (set(days) if len(days) == 1 else set())
    if len(spans) != 1 or len(named) != 1:
        return None
    return Entry(named.pop(), *spans.pop())


def _times(days: dict[str, tuple[tuple[int, int], ...]]) -> str:
    times = [
        f"{day} {', '.join(span(*taken) for taken in spans)}"
        for day, spans in days.items()
        if spans
    ]
    return "; ".join(times) or "nothing"
