"""Reading the sentences of which NATURAL PLAN's published plans consist."""

import re
from collections.abc import Iterator
from itertools import pairwise, takewhile

from ponder.evals.tasks._clock import clock, read_time
from ponder.evals.tasks._outing import Outing
from ponder.evals.tasks._plan_text import Entry, plain
from ponder.evals.tasks.trip import day_ranges

# Bounded, or a reply that repeats itself would take minutes.
_FLIGHT = re.compile(
    r"\bDay\s+(\d{1,3})\b[^\n]{0,40}?\bfrom\s+([^\n.,;]{1,40}?)\s+to\s+([^\n.,;]{1,40})",
    re.I,
)
_STEP = re.compile(
    r"\bYou (start at|travel to|wait until|meet) (.+?)(?=\.(?:\s|$)|\n|$)", re.I
)


def own_part(text: str) -> str:
    """Return what a reply says of its own task.

    A model that has been shown examples may go on with further tasks.
    """
    text = text.split("SOLUTION:", 1)[-1]
    return text.split("\nTASK:", 1)[0]


def trip_stays(text: str, days: int) -> list[Entry]:
    """Read a trip from its days of flight, like the published script.

    Args:
        text: A plan of ``Day 1-4: ...`` and ``Day 4: Fly from A to B`` lines.
        days: Days of the whole trip; what follows its last day is another plan.

    Returns:
        The stays in their order; none if there are no flights.
    """
    flights: list[tuple[int, str, str]] = []
    last = 0
    for line in plain(text).splitlines():
        if ranges := day_ranges(line):
            last = ranges[0].last
        elif match := _FLIGHT.search(line):
            flights.append((int(match[1]), match[2].strip(), match[3].strip()))
        if last == days:
            break
    if not flights or not last:
        return []
    cities = [flights[0][1], *(reached for _, _, reached in flights)]
    turns = [1, *(day for day, _, _ in flights), last]
    return [
        Entry(city, *turn) for city, turn in zip(cities, pairwise(turns), strict=True)
    ]


def meeting_steps(text: str) -> list[tuple[str, str]]:
    """Read the steps of a plan: ``travel to``, ``wait until`` or ``meet``, and what.

    Of several plans the first one counts, as in the published script.
    """
    steps = [(m[1].lower(), m[2].strip()) for m in _STEP.finditer(plain(text))]
    if steps and steps[0][0] == "start at":
        steps = steps[1:]
    return list(takewhile(lambda step: step[0] != "start at", steps))


class Walk:
    """Follows the steps of a plan through the day.

    As in the published script, travel takes the time of the matrix, a meeting begins
    when one is there and lasts as long as it has to, whatever times a plan tells.
    """

    def __init__(self, outing: Outing, steps: list[tuple[str, str]]) -> None:
        """Follow the steps.

        Args:
            outing: The constraints.
            steps: See ``meeting_steps``.
        """
        self.outing = outing
        self.place, self.time = outing.place, outing.time
        self.met: list[Entry] = []
        """Meetings that fit, up to the first step that does not."""
        self.reasons: list[str] = []
        """What is wrong with that step."""
        for verb, what in steps:
            self.reasons = list(self._step(verb, what))
            if self.reasons:
                break

    def _step(self, verb: str, what: str) -> Iterator[str]:
        if verb == "travel to":
            yield from self._travel(what.split(" in ")[0].strip())
        elif verb == "wait until":
            yield from self._wait(what)
        else:
            yield from self._meet(what.split(" for ")[0].strip())

    def _travel(self, goal: str) -> Iterator[str]:
        if goal != self.place and goal not in self.outing.travel.get(self.place, {}):
            yield f"There is no way from {self.place} to {goal}."
        else:
            self.time += self.outing.minutes(self.place, goal)
            self.place = goal

    def _wait(self, what: str) -> Iterator[str]:
        until = read_time(what)
        if until is None:
            yield f"'{what}' is no time to wait for."
        elif until <= self.time:
            yield f"It is {clock(self.time)}: nobody can wait until {clock(until)}."
        else:
            self.time = until

    def _meet(self, name: str) -> Iterator[str]:
        friend = self.outing.friends.get(name)
        if friend is None:
            yield f"{name} is none of the friends."
            return
        entry = Entry(name, self.time, self.time + friend.minutes)
        wrong = list(self.outing.untimely(entry))
        if self.place != friend.place:
            wrong.append(f"{name} is at {friend.place}, not at {self.place}.")
        if any(other.name == name for other in self.met):
            wrong.append(f"{name} is met already.")
        if wrong:
            yield from wrong
        else:
            self.met.append(entry)
            self.time = entry.last
