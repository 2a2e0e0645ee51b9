r"""Finding an order of cities that direct flights and fixed dates allow.

The idea is the trip planning task of NATURAL PLAN (Zheng et al. 2024,
https://arxiv.org/abs/2406.04520); problems and their words are made here. A day of
flight counts for both of its cities, as in the paper: a trip of stays d_1 ... d_n
lasts d_1 + ... + d_n - (n - 1) days. Any plan that fits is right.
"""

import random
import re
from itertools import combinations, pairwise
from typing import ClassVar

from pydantic import Field

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import UNREADABLE, Generated, Grade, Problem, register
from ponder.evals.tasks._journey import Journey, solve
from ponder.evals.tasks._plan_text import (
    Entry,
    Range,
    boxed,
    closing,
    entries,
    line_entries,
    unplaced,
)

CITIES = (
    "Amsterdam", "Athens", "Barcelona", "Belgrade", "Berlin", "Bologna", "Bordeaux",
    "Brussels", "Budapest", "Copenhagen", "Dublin", "Edinburgh", "Geneva", "Hamburg",
    "Helsinki", "Istanbul", "Lisbon", "London", "Lyon", "Madrid", "Milan", "Munich",
    "Naples", "Oslo", "Paris", "Porto", "Prague", "Riga", "Rome", "Sofia", "Stockholm",
    "Tallinn", "Valencia", "Venice", "Vienna", "Vilnius", "Warsaw", "Zurich",
)  # fmt: skip

_EVENTS = (
    "a chess tournament", "a concert", "a conference", "a course", "a festival",
    "a fair", "a regatta", "a reunion", "a wedding", "a workshop",
)  # fmt: skip
_OPENINGS = (
    "Plan a journey of {days} days through {cities} cities.",
    "Somebody has {days} days for {cities} cities. Work out the route.",
    "{cities} cities are to be seen in {days} days. Put them in order.",
)
_QUESTION = """{opening} Day 1 is spent in the first city, day {days} in the last one.

Days in each city:
{stays}

Direct flights, in both directions:
{flights}
{events}
Each city is visited once, and cities are changed by direct flight only. A day of \
flight counts for the city that is left and for the city that is reached: whoever \
arrives on day 3 and stays for 4 days leaves on day 6.

End your reply with all cities and their first and last days in a box, written like \
this: \\boxed{{Cairo 1-3; Delhi 3-6; Lima 6-7}}"""

_DAYS = re.compile(
    r"(?<![\d:.-])(\d{1,3})\s*(?:-+|\bto\b|\bthrough\b)\s*"
    r"(?:day\s*)?(\d{1,3})(?!\d|[:-]\d)",
    re.I,
)
_FLIGHT = re.compile(r"[^a-z]*(?:fly|flight)\b", re.I)


@register
class Trip(Generated):
    """Find an order of cities."""

    name: ClassVar[str] = "trip"
    source: ClassVar[str] = "https://arxiv.org/abs/2406.04520"

    cities: int = Field(default=5, ge=3, le=10)
    longest: int = Field(default=6, ge=2, le=30)
    """Most days in a city; two are the fewest."""
    flights: float = Field(default=0.3, ge=0, le=1)
    """Share of the pairs of cities that are connected besides those on the route."""
    events: int = Field(default=1, ge=0, le=10)
    """Cities in which one has to be on certain days."""

    def make(self, rng: random.Random, id: str) -> Problem:
        """Return one problem; its reference is found by exhaustive search.

        Raises:
            InvalidParameter: There are more events than cities.
        """
        if self.events > self.cities:
            raise InvalidParameter(
                f"events={self.events} needs as many cities, but cities={self.cities}: "
                "raise cities or lower events."
            )
        journey = self._journey(rng)
        route = solve(journey)
        return Problem(
            id=id,
            question=_question(journey, rng),
            reference=write(route),
            data=journey.model_dump(mode="json"),
            worked=_worked(journey, route),
        )

    def _journey(self, rng: random.Random) -> Journey:
        """Draw a route and hide it among other flights."""
        route, day = [], 1
        for city in rng.sample(CITIES, self.cities):
            route.append(Entry(city, day, day + rng.randint(2, self.longest) - 1))
            day = route[-1].last
        legs = {(a.name, b.name) for a, b in pairwise(route)}
        others = [
            (a.name, b.name)
            for a, b in combinations(route, 2)
            if (a.name, b.name) not in legs
        ]
        extra = [pair for pair in others if rng.random() < self.flights]
        flights = [tuple(rng.sample(pair, 2)) for pair in [*sorted(legs), *extra]]
        rng.shuffle(flights)
        shown = rng.sample(route, len(route))
        return Journey(
            days=day,
            stays={stay.name: stay.last - stay.first + 1 for stay in shown},
            flights=tuple((a, b) for a, b in flights),
            events={s.name: _window(s, rng) for s in rng.sample(route, self.events)},
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Grade a reply; any plan that fits is right."""
        journey = Journey.model_validate(problem.data)
        plan = read(text, list(journey.stays))
        if not plan:
            return UNREADABLE
        reasons = tuple(journey.broken(plan))
        return Grade(correct=not reasons, answer=write(plan), reasons=reasons)


def _worked(journey: Journey, route: list[Entry]) -> str:
    """Return one step for each city, and the answer."""
    steps, before = [], ""
    for city, first, last in route:
        start = (
            f"From {before} there is a flight to" if before else "The trip starts in"
        )
        event = journey.events.get(city)
        fits = f" The event there is on days {event[0]}-{event[1]}." if event else ""
        days = journey.stays[city]
        stay = (
            f"{city} takes {days} days, the first is day {first}, the last is day "
            f"{first} + {days} - 1 = {last}: days {first}-{last}."
        )
        steps.append(f"{start} {city}. {stay}{fits}")
        before = city
    end = f"The trip ends on day {route[-1].last}: \\boxed{{{write(route)}}}"
    return "\n\n".join([*steps, end])


def _window(stay: Entry, rng: random.Random) -> tuple[int, int]:
    first = rng.randint(stay.first, stay.last - 1)
    return first, rng.randint(first + 1, stay.last)


def write(plan: list[Entry]) -> str:
    """Return a plan in the form of an answer."""
    return "; ".join(f"{city} {first}-{last}" for city, first, last in plan)


def read(text: str, cities: list[str]) -> list[Entry]:
    """Read the plan that a reply settles on.

    Args:
        text: What a model wrote.
        cities: The names to expect.

    Returns:
        The stays in the order of the reply; none if there is no plan.
    """
    if (marked := boxed(text)) and (plan := entries(marked, cities, day_ranges)):
        return [] if unplaced(marked, cities, day_ranges) else plan
    plan = closing(text, lambda line: line_entries(line, cities, day_ranges))
    # Lines that end a text and name single stays are talk about a plan.
    return plan if len(plan) > 1 and any(stay.first == 1 for stay in plan) else []


def day_ranges(text: str) -> list[Range]:
    """Find the ranges of days in a text without mark-up, but for those of flights."""
    return [
        Range(*m.span(), int(m[1]), int(m[2]))
        for m in _DAYS.finditer(text)
        if not _FLIGHT.match(text, m.end())
    ]


def _question(journey: Journey, rng: random.Random) -> str:
    opening = rng.choice(_OPENINGS).format(days=journey.days, cities=len(journey.stays))
    kinds = rng.sample(_EVENTS, len(journey.events))
    events = [
        f"- {kind} in {city}, from day {first} to day {last}"
        for kind, (city, (first, last)) in zip(
            kinds, journey.events.items(), strict=True
        )
    ]
    fixed = "\nNot to be missed, from the first to the last of these days:\n{}\n"
    return _QUESTION.format(
        opening=opening,
        days=journey.days,
        stays="\n".join(f"- {city}: {days}" for city, days in journey.stays.items()),
        flights="\n".join(f"- {a} and {b}" for a, b in journey.flights),
        events=fixed.format("\n".join(events)) if events else "",
    )
