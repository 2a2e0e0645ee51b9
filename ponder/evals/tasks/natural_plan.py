"""NATURAL PLAN from its published files (Zheng et al. 2024).

Paper: https://arxiv.org/abs/2406.04520. Files ``trip_planning.json``,
``meeting_planning.json`` and ``calendar_scheduling.json`` of
https://github.com/google-deepmind/natural-plan: objects of records by id.

As published, trips and calendars are right if they equal the golden plan. Meetings are
right if the plan is valid and meets as many friends as the golden one; the published
script also counts a plan that goes wrong only after so many meetings.
"""

from collections.abc import Iterator
from itertools import permutations
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from ponder.evals.benchmark import UNREADABLE, Grade, Problem, register
from ponder.evals.tasks import calendar, meeting, trip
from ponder.evals.tasks._clock import DAYS, read_spans, read_time
from ponder.evals.tasks._outing import Friend, Outing
from ponder.evals.tasks._plan_text import Entry, boxed, entries
from ponder.evals.tasks._published import Published, Record, Unusable
from ponder.evals.tasks._published_plans import (
    Walk,
    meeting_steps,
    own_part,
    trip_stays,
)


class TripRecord(Record):
    """A record of trip planning."""

    num_cities: int
    cities: str
    """Cities in the order of the golden plan, parted by ``**``."""
    durations: str
    """Days in each of them, parted by ``**``."""


class MeetingRecord(Record):
    """A record of meeting planning."""

    num_people: int
    constraints: list[Any]
    """Place and time of the begin; then name, place, hours and minutes of each."""
    dist_matrix: dict[str, dict[str, int]]


class CalendarRecord(Record):
    """A record of calendar scheduling."""

    num_people: int
    num_days: int


_BEGIN = TypeAdapter(tuple[str, str])
_FRIENDS = TypeAdapter(list[tuple[str, str, str, int]])


@register
class PublishedTrip(Published):
    """Trip planning, judged by the golden plan."""

    name: ClassVar[str] = "natural_plan_trip"
    example: ClassVar[str] = "Cairo 1-3; Delhi 3-6; Lima 6-7"

    def problem(self, id: str, row: Any) -> Problem:
        """Return the problem of a record."""
        record = TripRecord.model_validate(row)
        cities = [city.strip() for city in record.cities.split("**") if city.strip()]
        days = [text.strip() for text in record.durations.split("**") if text.strip()]
        if not cities:
            raise Unusable("cities", "There is none")
        if len(days) != len(cities) or not all(map(str.isdecimal, days)):
            raise Unusable("durations", f"These are no {len(cities)} whole numbers")
        plan = _plan(cities, [int(n) for n in days])
        return Problem(
            id=id,
            question=self.asked(record),
            reference=trip.write(plan),
            data={"plan": [list(stay) for stay in plan], "cities": record.num_cities},
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Grade a reply, in the published form or in one line."""
        golden = [Entry(*stay) for stay in problem.data["plan"]]
        plan = _read_trip(own_part(text), golden)
        if not plan:
            return UNREADABLE
        reasons = tuple(_differences(plan, golden))
        return Grade(correct=not reasons, answer=trip.write(plan), reasons=reasons)


def _plan(cities: list[str], days: list[int]) -> list[Entry]:
    plan, day = [], 1
    for city, count in zip(cities, days, strict=True):
        plan.append(Entry(city, day, day + count - 1))
        day += count - 1
    return plan


def _read_trip(text: str, golden: list[Entry]) -> list[Entry]:
    cities = [stay.name for stay in golden]
    if plan := entries(boxed(text) or "", cities, trip.day_ranges):
        return plan
    return trip_stays(text, golden[-1].last) or trip.read(text, cities)


def _differences(plan: list[Entry], golden: list[Entry]) -> Iterator[str]:
    if len(plan) != len(golden):
        yield f"There are {len(plan)} stays, not {len(golden)}."
    # The golden plan itself is not told: reasons may reach a model.
    for number, (stay, right) in enumerate(zip(plan, golden, strict=False), 1):
        if stay.name != right.name:
            yield f"Stay {number} of the published plan is not {stay.name}."
        elif stay != right:
            yield (
                f"{stay.name} is not visited on days {stay.first}-{stay.last} in the "
                "published plan."
            )


@register
class PublishedMeeting(Published):
    """Meeting planning, judged by its constraints."""

    name: ClassVar[str] = "natural_plan_meeting"
    example: ClassVar[str] = "Xenia 10:15 - 11:00; Zoltan 13:00 - 13:45"

    def problem(self, id: str, row: Any) -> Problem:
        """Return the problem of a record.

        The golden plan counts up to its first step that breaks a constraint, as in
        the published script.
        """
        record = MeetingRecord.model_validate(row)
        outing = _outing(record)
        walk = Walk(outing, meeting_steps(record.golden))
        if not walk.met:
            raise Unusable("golden_plan", " ".join(["It meets nobody.", *walk.reasons]))
        outing = outing.model_copy(update={"optimum": len(walk.met)})
        return Problem(
            id=id,
            question=self.asked(record),
            reference=meeting.write(walk.met),
            data={
                "outing": outing.model_dump(mode="json"),
                "people": record.num_people,
            },
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Grade a reply, in the published form or in one line."""
        outing = Outing.model_validate(problem.data["outing"])
        text = own_part(text)
        steps = meeting_steps(text)
        if boxed(text) is None and any(verb == "meet" for verb, _ in steps):
            walk = Walk(outing, steps)
            return meeting.grade_plan(outing, walk.met, walk.reasons)
        plan = meeting.read(text, outing)
        if not plan:
            return UNREADABLE
        return meeting.grade_plan(outing, plan, outing.broken(plan))


def _outing(record: MeetingRecord) -> Outing:
    try:
        place, begin = _BEGIN.validate_python(next(iter(record.constraints), None))
        rows = _FRIENDS.validate_python(record.constraints[1:])
    except ValidationError as error:
        raise Unusable("constraints", error.errors()[0]["msg"]) from error
    time = read_time(begin)
    if time is None:
        raise Unusable("constraints", f"'{begin}' is no time of day")
    friends = {row[0]: _friend(*row) for row in rows}
    if len(friends) < len(rows):
        raise Unusable("constraints", "A name stands there twice")
    places = {place, *(friend.place for friend in friends.values())}
    for start, goal in permutations(sorted(places), 2):
        if goal not in record.dist_matrix.get(start, {}):
            raise Unusable("dist_matrix", f"No way leads from {start} to {goal}")
    return Outing(place=place, time=time, travel=record.dist_matrix, friends=friends)


def _friend(name: str, place: str, hours: str, minutes: int) -> Friend:
    spans = read_spans(hours)
    if len(spans) != 1:
        raise Unusable("constraints", f"'{hours}' of {name} is no span of time")
    return Friend(
        place=place, first=spans[0].first, last=spans[0].last, minutes=minutes
    )


@register
class PublishedCalendar(Published):
    """Calendar scheduling, judged by the golden plan."""

    name: ClassVar[str] = "natural_plan_calendar"
    example: ClassVar[str] = "Sunday, 9:00 - 9:30"

    def problem(self, id: str, row: Any) -> Problem:
        """Return the problem of a record."""
        record = CalendarRecord.model_validate(row)
        slot = calendar.read(record.golden, DAYS)
        if slot is None:
            raise Unusable("golden_plan", "No day and time can be read")
        return Problem(
            id=id,
            question=self.asked(record),
            reference=calendar.write(slot),
            data={"people": record.num_people, "days": record.num_days},
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Grade a reply, in the published form or in one line."""
        slot = calendar.read(own_part(text), DAYS)
        if slot is None:
            return UNREADABLE
        answer = calendar.write(slot)
        right = answer == problem.reference
        differs = "The time is not that of the published plan."
        return Grade(correct=right, answer=answer, reasons=(differs,) * (not right))
