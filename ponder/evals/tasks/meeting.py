r"""Meeting as many friends as possible in one day.

The idea is the meeting planning task of NATURAL PLAN (Zheng et al. 2024,
https://arxiv.org/abs/2406.04520); problems and their words are made here. Every friend
is at a place of their own for some time and has to be met there for a while. Any plan
that meets as many friends as possible is right.
"""

import math
import random
from typing import ClassVar

from pydantic import Field

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import UNREADABLE, Generated, Grade, Problem, register
from ponder.evals.tasks._clock import clock, read_spans, span
from ponder.evals.tasks._outing import Friend, Outing, solve
from ponder.evals.tasks._plan_text import (
    Entry,
    Range,
    boxed,
    closing,
    entries,
    is_transit,
    line_entries,
)
from ponder.evals.tasks._plan_words import PEOPLE

STARTS = 9 * 60
"""When every generated day begins, in minutes since midnight."""
ARRIVING = 4
"""Most minutes that reaching a place takes besides the way (stairs, a gate)."""

PLACES = (
    "Abbey", "Botanical Garden", "Castle", "Central Station", "City Library",
    "Concert Hall", "Fish Market", "Harbour", "Lighthouse", "Market Square",
    "Old Mill", "Opera", "Planetarium", "Riverside", "Stadium", "Town Hall",
    "University", "Zoo",
)  # fmt: skip

_OPENINGS = (
    "You are at {place} at {time} and want to see as many of these friends as you can.",
    "Your day in town begins at {place} at {time}. Meet as many friends as possible.",
    "It is {time} and you stand at {place}. See how many of these friends you can "
    "meet today.",
)
_QUESTION = """{opening}

{friends}

Minutes from place to place:
{travel}

Each friend is met once at most, and only at that place and within those hours. You \
may wait anywhere.

End your reply with the friends in the order in which you meet them, each with start \
and end of the meeting, in a box, written like this: \
\\boxed{{Xenia 10:15 - 11:00; Zoltan 13:00 - 13:45}}"""


@register
class Meeting(Generated):
    """Meet as many friends as possible."""

    name: ClassVar[str] = "meeting"
    source: ClassVar[str] = "https://arxiv.org/abs/2406.04520"

    people: int = Field(default=3, ge=1, le=10)
    hours: int = Field(default=6, ge=1, le=12)
    """From the begin of the day to the last minute of any friend."""
    longest: int = Field(default=90, ge=15, le=240, multiple_of=15)
    """Longest meeting, in minutes; the shortest takes 15."""
    slack: int = Field(default=120, ge=0, le=480, multiple_of=15)
    """Most minutes for which a friend is there beyond those of the meeting."""
    spread: int = Field(default=30, ge=10, le=120)
    """Most minutes between two places."""

    def make(self, rng: random.Random, id: str) -> Problem:
        """Return one problem; its reference is found by exhaustive search.

        Raises:
            InvalidParameter: The day is too short for the longest way and meeting.
        """
        if self.longest + self.spread > 60 * self.hours:
            raise InvalidParameter(
                f"hours={self.hours} is too short for a way of spread={self.spread} "
                f"and a meeting of longest={self.longest} minutes: raise hours, or "
                "lower spread or longest."
            )
        outing = self._outing(rng)
        plan = solve(outing)
        outing = outing.model_copy(update={"optimum": len(plan)})
        return Problem(
            id=id,
            question=_question(outing, rng),
            reference=write(plan),
            data=outing.model_dump(mode="json"),
        )

    def _outing(self, rng: random.Random) -> Outing:
        start, *places = rng.sample(PLACES, self.people + 1)
        travel = _travel([start, *places], self.spread, rng)
        people = rng.sample(PEOPLE, self.people)
        friends = {
            person: self._friend(place, travel[start][place], rng)
            for person, place in zip(people, places, strict=True)
        }
        return Outing(place=start, time=STARTS, travel=travel, friends=friends)

    def _friend(self, place: str, way: int, rng: random.Random) -> Friend:
        """Draw hours within which a friend could be met if there were no other."""
        ends = STARTS + 60 * self.hours
        minutes = 15 * rng.randint(1, self.longest // 15)
        earliest = math.ceil((STARTS + way) / 15)
        first = 15 * rng.randint(earliest, max(earliest, (ends - minutes) // 15))
        last = first + minutes + 15 * rng.randint(0, self.slack // 15)
        return Friend(place=place, first=first, last=min(last, ends), minutes=minutes)

    def grade(self, problem: Problem, text: str) -> Grade:
        """Grade a reply; the score is the share of the optimum if the plan is valid."""
        outing = Outing.model_validate(problem.data)
        plan = read(text, outing)
        return grade_plan(outing, plan, outing.broken(plan)) if plan else UNREADABLE


def grade_plan(outing: Outing, plan: list[Entry], reasons: list[str]) -> Grade:
    """Grade a plan by its constraints and the number of its meetings.

    Args:
        outing: The constraints and the optimum.
        plan: The meetings.
        reasons: What is wrong with them; one reason makes the plan worthless.
    """
    answer = write(plan) or None
    if reasons:
        return Grade(correct=False, answer=answer, reasons=tuple(reasons), score=0)
    share = min(1.0, len(plan) / outing.optimum)
    few = f"{len(plan)} of the friends are met, but {outing.optimum} can be."
    return Grade(
        correct=share == 1, answer=answer, score=share, reasons=(few,) * (share < 1)
    )


def _travel(
    places: list[str], spread: int, rng: random.Random
) -> dict[str, dict[str, int]]:
    """Draw minutes between places so that no way around is shorter."""
    radius = (spread - ARRIVING) / 2
    points = [
        (radius * math.sqrt(rng.random()), math.tau * rng.random()) for _ in places
    ]
    spots = {
        place: (r * math.cos(angle), r * math.sin(angle), rng.randint(1, ARRIVING))
        for place, (r, angle) in zip(places, points, strict=True)
    }
    return {
        a: {
            b: math.ceil(math.dist(spots[a][:2], spots[b][:2])) + spots[b][2]
            for b in places
            if b != a
        }
        for a in places
    }


def write(plan: list[Entry]) -> str:
    """Return a plan in the form of an answer."""
    return "; ".join(f"{name} {span(first, last)}" for name, first, last in plan)


def read(text: str, outing: Outing) -> list[Entry]:
    """Read the plan that a reply settles on.

    Args:
        text: What a model wrote.
        outing: Tells the names to expect.

    Returns:
        The meetings by time; none if there is no plan.
    """
    names, places = list(outing.friends), list(outing.travel)
    plan = entries(boxed(text) or "", names, _meetings)
    if not plan:
        plan = closing(text, lambda line: line_entries(line, names, _meetings, places))
    meetings = [entry for entry in plan if entry.name not in places]
    return sorted(meetings, key=lambda entry: entry.first)


def _meetings(text: str) -> list[Range]:
    """Find the spans of a text, but for those of being on the way."""
    spans = read_spans(text)
    return [] if is_transit(text, spans) else spans


def _question(outing: Outing, rng: random.Random) -> str:
    opening = rng.choice(_OPENINGS)
    friends = [
        f"- {name} is at {friend.place} {span(friend.first, friend.last)}; a "
        f"meeting takes {friend.minutes} minutes or more."
        for name, friend in outing.friends.items()
    ]
    travel = [
        f"- from {start} to {', '.join(f'{goal} {n}' for goal, n in goals.items())}"
        for start, goals in outing.travel.items()
    ]
    return _QUESTION.format(
        opening=opening.format(place=outing.place, time=clock(outing.time)),
        friends="\n".join(friends),
        travel="\n".join(travel),
    )
