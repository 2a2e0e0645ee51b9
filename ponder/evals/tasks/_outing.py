"""Meeting friends in one day: the constraints, and a solver."""

from collections.abc import Iterator

from ponder.evals.tasks._clock import clock, span
from ponder.evals.tasks._plan_text import Entry
from ponder.messages import Value


class Friend(Value):
    """When and where somebody can be met."""

    place: str
    first: int
    """From when on, in minutes since midnight."""
    last: int
    """Until when."""
    minutes: int
    """How long at least."""


class Outing(Value):
    """What the grader of a meeting problem has to know."""

    place: str
    """Where the day begins."""
    time: int
    """When it begins, in minutes since midnight."""
    travel: dict[str, dict[str, int]]
    """Minutes from one place to another one."""
    friends: dict[str, Friend]
    optimum: int = 0
    """How many friends can be met at most."""

    def minutes(self, start: str, goal: str) -> int:
        """Return the minutes from a place to a place, perhaps the same one."""
        return 0 if start == goal else self.travel[start][goal]

    def broken(self, plan: list[Entry]) -> list[str]:
        """Return what is wrong with a plan, one line for each broken constraint."""
        reasons: list[str] = []
        for met in dict.fromkeys(entry.name for entry in plan):
            times = sum(entry.name == met for entry in plan)
            if met not in self.friends:
                reasons.append(f"{met} is none of the friends.")
            elif times > 1:
                reasons.append(f"{met} is met {times} times.")
        known = [entry for entry in plan if entry.name in self.friends]
        for entry in known:
            reasons += self.untimely(entry)
        return [*reasons, *self._late(known)]

    def untimely(self, entry: Entry) -> Iterator[str]:
        """Yield what is wrong with the time of one meeting of a friend."""
        name, first, last = entry
        friend = self.friends[name]
        if last - first < friend.minutes:
            yield (
                f"{name} is met for {last - first} minutes, not for {friend.minutes}."
            )
        if first < friend.first or friend.last < last:
            yield (
                f"{name} is there {span(friend.first, friend.last)}, which does not "
                f"hold {span(first, last)}."
            )

    def _late(self, plan: list[Entry]) -> Iterator[str]:
        place, free = self.place, self.time
        for name, first, last in plan:
            goal = self.friends[name].place
            if (reached := free + self.minutes(place, goal)) > first:
                yield f"{name} is reached at {clock(reached)}, not at {clock(first)}."
            place, free = goal, last


def solve(outing: Outing) -> list[Entry]:
    """Return a plan that meets as many friends as possible.

    Exact: of two plans that meet the same friends and end with the same one, the one
    that is over first can be continued in every way in which the other can. O(2^n n^2)
    steps for n friends.
    """
    best: dict[tuple[frozenset[str], str], list[Entry]] = {(frozenset(), ""): []}
    found: list[Entry] = []
    while best:
        found = min(best.values(), key=lambda plan: plan[-1].last if plan else 0)
        longer: dict[tuple[frozenset[str], str], list[Entry]] = {}
        for (met, _), plan in best.items():
            for entry in _next(outing, plan):
                state = (met | {entry.name}, entry.name)
                if state not in longer or entry.last < longer[state][-1].last:
                    longer[state] = [*plan, entry]
        best = longer
    return found


def _next(outing: Outing, plan: list[Entry]) -> Iterator[Entry]:
    place = outing.friends[plan[-1].name].place if plan else outing.place
    free = plan[-1].last if plan else outing.time
    met = {entry.name for entry in plan}
    for name, friend in outing.friends.items():
        first = max(free + outing.minutes(place, friend.place), friend.first)
        if name not in met and first + friend.minutes <= friend.last:
            yield Entry(name, first, first + friend.minutes)
