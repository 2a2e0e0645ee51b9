"""Visiting cities by direct flights: the constraints, and a solver."""

from collections.abc import Iterator
from itertools import pairwise

from ponder.evals.tasks._plan_text import Entry
from ponder.messages import Value


class Journey(Value):
    """What the grader of a trip problem has to know."""

    days: int
    """Days of the whole trip."""
    stays: dict[str, int]
    """Days in each city, both days of flight included."""
    flights: tuple[tuple[str, str], ...]
    """Pairs of cities, each good for both directions."""
    events: dict[str, tuple[int, int]]
    """First and last day on which one has to be in a city."""

    def connected(self, a: str, b: str) -> bool:
        """Tell whether there is a direct flight."""
        return (a, b) in self.flights or (b, a) in self.flights

    def broken(self, plan: list[Entry]) -> list[str]:
        """Return what is wrong with a plan, one line for each broken constraint."""
        return [*self._wrong_cities(plan), *self._wrong_moves(plan)]

    def _wrong_cities(self, plan: list[Entry]) -> Iterator[str]:
        visited = [stay.name for stay in plan]
        for city in dict.fromkeys([*self.stays, *visited]):
            if city not in self.stays:
                yield f"{city} is not one of the cities."
            elif city not in visited:
                yield f"{city} is missing."
            elif visited.count(city) > 1:
                yield f"{city} is visited {visited.count(city)} times."
        for city, first, last in plan:
            days = last - first + 1
            if days != self.stays.get(city, days):
                yield f"{city} lasts {days} days, not {self.stays[city]}."
            begins, ends = self.events.get(city, (first, last))
            if begins < first or last < ends:
                yield (
                    f"The stay in {city} on days {first}-{last} misses the event "
                    f"on days {begins}-{ends}."
                )

    def _wrong_moves(self, plan: list[Entry]) -> Iterator[str]:
        if plan[0].first != 1:
            yield f"The trip begins on day {plan[0].first}, not on day 1."
        if plan[-1].last != self.days:
            yield f"The trip ends on day {plan[-1].last}, not on day {self.days}."
        for left, reached in pairwise(plan):
            if not self.connected(left.name, reached.name):
                yield f"There is no direct flight from {left.name} to {reached.name}."
            if left.last != reached.first:
                yield (
                    f"{left.name} is left on day {left.last}, but {reached.name} is "
                    f"reached on day {reached.first}."
                )


def solve(journey: Journey) -> list[Entry]:
    """Return a plan that breaks no constraint, an empty one if there is none.

    Exhaustive, in O(2^n n^2) steps for n cities: what may follow depends only on the
    cities visited so far, since they fix the day, and on the last of them.
    """
    return _extended(journey, [], set())


def _extended(
    journey: Journey, plan: list[Entry], dead: set[tuple[frozenset[str], str]]
) -> list[Entry]:
    if len(plan) == len(journey.stays):
        return plan
    state = (frozenset(s.name for s in plan), plan[-1].name if plan else "")
    if state not in dead:
        for stay in _next(journey, plan):
            if found := _extended(journey, [*plan, stay], dead):
                return found
        dead.add(state)
    return []


def _next(journey: Journey, plan: list[Entry]) -> Iterator[Entry]:
    day = plan[-1].last if plan else 1
    visited = {stay.name for stay in plan}
    for city, days in journey.stays.items():
        last = day + days - 1
        first_needed, last_needed = journey.events.get(city, (day, last))
        in_time = day <= first_needed and last_needed <= last
        reached = not plan or journey.connected(plan[-1].name, city)
        if city not in visited and in_time and reached:
            yield Entry(city, day, last)
