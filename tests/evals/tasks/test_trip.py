import random
import time
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import Problem, benchmark
from ponder.evals.tasks._journey import Journey, solve
from ponder.evals.tasks._plan_text import Entry
from ponder.evals.tasks.trip import Trip, write

JOURNEY = Journey(
    days=9,
    stays={"Paris": 4, "Rome": 3, "Berlin": 4},
    flights=(("Paris", "Berlin"), ("Paris", "Rome")),
    events={"Rome": (8, 9)},
)
BENCHMARK = Trip(cities=3)
PROBLEM = Problem(
    id="t", question="?", reference="", data=JOURNEY.model_dump(mode="json")
)
RIGHT = "Berlin 1-4; Paris 4-7; Rome 7-9"


@st.composite
def trips(draw: st.DrawFn, most: int = 10) -> Trip:
    cities = draw(st.integers(3, most))
    return Trip(
        cities=cities,
        longest=draw(st.integers(2, 8)),
        flights=draw(st.sampled_from([0, 0.3, 1])),
        events=draw(st.integers(0, cities)),
    )


def solutions(journey: Journey) -> set[tuple[Entry, ...]]:
    """Try all orders, unlike the code that is tested."""
    found = set()
    pairs = {frozenset(pair) for pair in journey.flights}
    for order in permutations(journey.stays):
        day, plan = 1, []
        for city in order:
            plan.append(Entry(city, day, day + journey.stays[city] - 1))
            day += journey.stays[city] - 1
        legs = all(
            frozenset(leg) in pairs for leg in zip(order, order[1:], strict=False)
        )
        on_days = {stay.name: set(range(stay.first, stay.last + 1)) for stay in plan}
        events = all(
            on_days[c] >= set(range(a, b + 1)) for c, (a, b) in journey.events.items()
        )
        if legs and events and day == journey.days:
            found.add(tuple(plan))
    return found


def perturbed(plan: list[Entry], rng: random.Random) -> list[Entry]:
    plan = list(plan)
    i, j = rng.randrange(len(plan)), rng.randrange(len(plan))
    match rng.randrange(7):
        case 0:
            plan[i] = plan[i]._replace(last=plan[i].last + rng.choice([-1, 1]))
        case 1:
            plan[i] = plan[i]._replace(first=plan[i].first + rng.choice([-1, 1]))
        case 2:
            plan[i] = plan[i]._replace(name=plan[j].name)
        case 3:
            plan[i] = plan[i]._replace(name="Atlantis")
        case 4:
            del plan[i]
        case 5:
            plan.insert(i, plan[j])
        case _:
            names = [stay.name for stay in plan]
            rng.shuffle(names)
            days, day = {s.name: s.last - s.first for s in plan}, 1
            plan = []
            for name in names:
                plan.append(Entry(name, day, day + days[name]))
                day += days[name]
    return plan


@settings(max_examples=60)
@given(trips(), st.integers(0, 10**6))
def test_references_are_right_whatever_the_settings(made: Trip, seed: int) -> None:
    problem = made.problems(seed=seed, limit=1)[0]
    for reply in ("{}", "So\n\\boxed{{{}}}", "The answer is {}."):
        grade = made.grade(problem, reply.format(problem.reference))
        assert grade.correct and grade.answer == problem.reference


@settings(max_examples=40)
@given(trips(most=6), st.integers(0, 10**6))
def test_plans_are_judged_as_by_brute_force(made: Trip, seed: int) -> None:
    rng = random.Random(seed)
    problem = made.problems(seed=seed, limit=1)[0]
    journey = Journey.model_validate(problem.data)
    right = solutions(journey)
    plan = solve(journey)
    assert tuple(plan) in right and write(plan) == problem.reference
    for _ in range(15):
        other = perturbed(plan, rng)
        grade = made.grade(problem, f"\\boxed{{{write(other)}}}")
        assert grade.correct is (tuple(other) in right)
        assert bool(grade.reasons) is not grade.correct
    for other in map(list, right):
        assert made.grade(problem, write(other)).correct


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_the_solver_finds_a_plan_if_and_only_if_there_is_one(seed: int) -> None:
    rng = random.Random(seed)
    stays = {city: rng.randint(2, 4) for city in "ABCDE"}
    pairs = [(a, b) for a in "ABCDE" for b in "ABCDE" if a < b]
    days = sum(stays.values()) - 4
    begins = rng.randint(1, days - 1)
    journey = Journey(
        days=days,
        stays=stays,
        flights=tuple(rng.sample(pairs, rng.randint(2, 6))),
        events={"C": (begins, begins + 1)},
    )
    right = solutions(journey)
    assert bool(solve(journey)) is bool(right)
    assert not right or tuple(solve(journey)) in right


@pytest.mark.parametrize(
    "reply",
    [
        rf"\boxed{{{RIGHT}}}",
        r"\boxed{\text{Berlin 1–4; Paris 4–7; Rome 7–9}}",
        "\\boxed{berlin 1-4, paris 4-7, rome 7-9}",
        "\\boxed{Berlin (days 1-4) \\rightarrow Paris (days 4-7) \\to Rome (days 7-9)}",
        "\\boxed{Day 1-4: Berlin; Day 4-7: Paris; Day 7-9: Rome}",
        "**Berlin** 1 to 4; **Paris** 4 to 7; **Rome** 7 to 9",
        "My plan:\n\n- Berlin: days 1-4\n- Paris: days 4-7\n- Rome: days 7-9\n\nEnjoy!",
        "**Day 1-4:** Arriving in Berlin and visit Berlin for 4 days.\n"
        "**Day 4:** Fly from Berlin to Paris.\n**Day 4-7:** Visit Paris for 4 days.\n"
        "**Day 7:** Fly from Paris to Rome.\n**Day 7-9:** Visit Rome for 3 days.",
        "1. Day 1 to day 4 in Berlin\n2. Day 4 to day 7 in Paris\n"
        "3. Day 7 to day 9 in Rome",
        f"Rome is needed on days 8-9, so it comes last.\nAnswer: {RIGHT}",
        f"{RIGHT}\n\nThis puts you in Rome on days 7-9 for the event.",
        "| Berlin | 1-4 |\n| Paris | 4-7 |\n| Rome | 7-9 |",
    ],
)
def test_forms_of_an_answer_that_is_right(reply: str) -> None:
    grade = BENCHMARK.grade(PROBLEM, reply)
    assert grade.correct is True and grade.answer == RIGHT, grade


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "There is no such trip.",
        r"\boxed{}",
        r"\boxed{Berlin, Paris, Rome}",
        r"\boxed{Berlin 1-4; Rome; Paris 4-7; Rome 7-9}",
        r"\boxed{Rome, Berlin 1-4; Paris 4-7; Rome 7-9}",
        r"\boxed{Berlin 1-4; Paris 4-7; Rome 7-9; Berlin}",
        r"\boxed{1-4; 4-7; 7-9}",
        "Rome must be on days 8-9, so Paris could be days 4-7.",
        "Berlin 1-4; Paris 4-7; Rome 7-9?\nWait.\nRome has an event.\nSo let me see",
    ],
)
def test_replies_without_a_plan_are_unreadable(reply: str) -> None:
    grade = BENCHMARK.grade(PROBLEM, reply)
    assert grade.correct is None and grade.reasons and grade.answer is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            "Paris 1-4; Berlin 4-7; Rome 7-9",
            "There is no direct flight from Berlin to Rome.",
        ),
        ("Berlin 1-4; Paris 4-6; Rome 6-9", "Paris lasts 3 days, not 4."),
        (
            "Rome 1-3; Paris 3-6; Berlin 6-9",
            "The stay in Rome on days 1-3 misses the event on days 8-9.",
        ),
        ("Berlin 1-4; Paris 4-7", "Rome is missing."),
        ("Berlin 1-4; Paris 4-7", "The trip ends on day 7, not on day 9."),
        ("Berlin 1-4; Paris 4-7; Rome 7-9; Berlin 9-12", "Berlin is visited 2 times."),
        ("Berlin 1-4; Lyon 4-7; Rome 7-9", "Lyon is not one of the cities."),
        ("Berlin 2-5; Paris 5-8; Rome 8-10", "The trip begins on day 2, not on day 1."),
        (
            "Berlin 1-4; Paris 5-8; Rome 8-10",
            "Berlin is left on day 4, but Paris is reached on day 5.",
        ),
    ],
)
def test_broken_constraints_are_named(answer: str, reason: str) -> None:
    grade = BENCHMARK.grade(PROBLEM, f"\\boxed{{{answer}}}")
    assert grade.correct is False and grade.answer == answer
    assert reason in grade.reasons


def test_questions_tell_all_that_the_grader_knows() -> None:
    for problem in Trip(events=2).problems(limit=5):
        journey = Journey.model_validate(problem.data)
        lines = problem.question.splitlines()
        assert {f"- {city}: {days}" for city, days in journey.stays.items()} <= {*lines}
        assert {f"- {a} and {b}" for a, b in journey.flights} <= {*lines}
        for city, (first, last) in journey.events.items():
            wanted = f" in {city}, from day {first} to day {last}"
            assert any(line.endswith(wanted) for line in lines)
        assert f"{journey.days} days" in problem.question


def test_settings_without_a_trip() -> None:
    with pytest.raises(InvalidParameter, match=r"events=5 .* cities=4: raise cities"):
        Trip(cities=4, events=5).problems(limit=1)
    for wrong in ({"cities": 2}, {"cities": 11}, {"longest": 1}, {"flights": 1.1}):
        with pytest.raises(ValidationError):
            Trip.model_validate(wrong)


def test_flights_besides_the_route() -> None:
    def count(share: float) -> int:
        problem = Trip(cities=6, flights=share).problems(limit=1)[0]
        return len(Journey.model_validate(problem.data).flights)

    assert (count(0), count(1)) == (5, 15)


def test_it_is_registered() -> None:
    assert benchmark("trip:cities=7,events=2") == (Trip(cities=7, events=2), None)


def test_two_hundred_problems_take_less_than_two_seconds() -> None:
    start = time.process_time()
    problems = Trip().problems(limit=200)
    assert time.process_time() - start < 2
    assert len({problem.question for problem in problems}) == 200


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [
                "Berlin",
                "Rome",
                "Lyon",
                "1-4",
                "4",
                "-",
                "day",
                "Fly from",
                "; ",
                "\n",
                "\\boxed{",
                "}",
            ]
        )
        | st.text(max_size=3)
    )
)
def test_any_text_gets_a_grade(words: list[str]) -> None:
    grade = BENCHMARK.grade(PROBLEM, " ".join(words))
    assert (grade.correct is None) is (grade.answer is None)
    assert bool(grade.reasons) is not bool(grade.correct)
