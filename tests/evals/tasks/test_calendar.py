import random
import time
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import Problem, benchmark
from ponder.evals.tasks._clock import DAYS, read_spans, read_time, span
from ponder.evals.tasks._plan_text import Entry
from ponder.evals.tasks.calendar import Calendar, Calendars, write

CALENDARS = Calendars(
    days=("Monday", "Tuesday"),
    minutes=30,
    busy={
        "Anna": {"Monday": ((540, 630), (690, 1020)), "Tuesday": ((540, 1020),)},
        "Ben": {"Monday": ((540, 600),), "Tuesday": ()},
    },
)
"""On Monday everybody is free 10:30 - 11:30, and never else."""
BENCHMARK = Calendar(people=2, days=2)
PROBLEM = Problem(
    id="c", question="?", reference="", data=CALENDARS.model_dump(mode="json")
)


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    return Calendar(
        people=draw(st.integers(1, 8)),
        days=draw(st.integers(1, 5)),
        minutes=draw(st.sampled_from([15, 30, 45, 60, 90])),
        busy=draw(st.sampled_from([0, 0.2, 0.5, 0.75])),
        unique=draw(st.booleans()),
    )


def fits(data: Calendars, day: str, first: int, last: int) -> bool:
    """Minute by minute, unlike the code that is tested."""
    minutes = set(range(first, last))
    hours = set(range(9 * 60, 17 * 60))
    taken = {
        minute
        for by_day in data.busy.values()
        for span_ in by_day.get(day, ())
        for minute in range(*span_)
    }
    in_time = day in data.days and last - first == data.minutes and minutes <= hours
    return in_time and not minutes & taken


@settings(max_examples=60)
@given(calendars(), st.integers(0, 10**6))
def test_references_are_right_whatever_the_settings(made: Calendar, seed: int) -> None:
    for problem in made.problems(seed=seed, limit=2):
        assert made.grade(problem, problem.reference).correct
        assert made.grade(problem, f"So\n$\\boxed{{{problem.reference}}}$").correct
        grade = made.grade(problem, f"The answer is {problem.reference}.")
        assert grade.correct and grade.answer == problem.reference


@settings(max_examples=40)
@given(calendars(), st.integers(0, 10**6))
def test_times_are_judged_as_minute_by_minute(made: Calendar, seed: int) -> None:
    rng = random.Random(seed)
    problem = made.problems(seed=seed, limit=1)[0]
    data = Calendars.model_validate(problem.data)
    for _ in range(30):
        day = rng.choice(DAYS[: made.days + 1])
        first = rng.randrange(8 * 60, 17 * 60, 5)
        last = first + rng.choice([made.minutes] * 4 + [made.minutes + 5, 10, -15])
        grade = made.grade(problem, f"\\boxed{{{write(Entry(day, first, last))}}}")
        assert grade.correct is fits(data, day, first, last)
        assert bool(grade.reasons) is not grade.correct


@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([15, 30, 45, 60]))
def test_unique_leaves_one_time(people: int, days: int, minutes: int) -> None:
    made = Calendar(people=people, days=days, minutes=minutes, busy=0.2, unique=True)
    problem = made.problems(limit=1)[0]
    data = Calendars.model_validate(problem.data)
    found = [
        write(Entry(day, first, first + minutes))
        for day, first in product(data.days, range(9 * 60, 17 * 60))
        if fits(data, day, first, first + minutes)
    ]
    assert found == [problem.reference]


def test_all_free_gaps_are_found() -> None:
    assert CALENDARS.free() == [Entry("Monday", 630, 690)]


@pytest.mark.parametrize(
    "reply",
    [
        r"\boxed{Monday, 10:30 - 11:00}",
        r"\boxed{\text{Monday, } 10{:}45 \text{ - } 11{:}15}",
        r"\boxed{Monday 11:00–11:30}",
        "First thoughts: \\boxed{Friday, 9:00 - 9:30}. No: \\boxed{mon 10:30-11:00}",
        "**Monday, 10:30 AM - 11:00 AM**",
        "Anna is busy Monday 11:30 - 17:00.\nHere it is: Monday, 10:30 to 11 a.m.",
        "**Answer:** Monday from 10.30 until 11.00\n\nNobody has to move anything.",
        "The answer is 10:30—11:00 on Monday.",
        "\\boxed{\nMonday,\n10:30 - 11:00\n}",
        "All can come on MONDAY, 10:30 − 11:00!",
        "All can come on Monday: \\boxed{10:30 - 11:00}",
    ],
)
def test_forms_of_an_answer_that_is_right(reply: str) -> None:
    assert BENCHMARK.grade(PROBLEM, reply).correct is True


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I cannot find any.",
        r"\boxed{}",
        r"\boxed{none}",
        r"\boxed{Monday or Tuesday, 10:30 - 11:00}",
        "Monday, 10:30 - 11:00 would be too short.\n\\boxed{none}",
        r"\boxed{Monday}",
        r"\boxed{10:30 - 11:00}",
        "Anna is busy Monday 9:00 - 10:30.",
        "It could be Monday, 9:00 - 9:30 or\nTuesday, 9:00 - 9:30",
        "Monday, 25:00 - 26:00",
        "Monday, 10:30 - 11:00?\nLet me see.\nAnna has time.\nBen, however",
        "Let me think about what 3-5 people could do on Monday.",
    ],
)
def test_replies_without_a_time_are_unreadable(reply: str) -> None:
    grade = BENCHMARK.grade(PROBLEM, reply)
    assert grade.correct is None and grade.reasons and grade.answer is None


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        ("Monday, 10:00 - 10:30", ["Anna is busy Monday 9:00 - 10:30."]),
        (
            "Monday, 9:45 - 10:15",
            ["Anna is busy Monday 9:00 - 10:30.", "Ben is busy Monday 9:00 - 10:00."],
        ),
        ("Monday, 10:30 - 11:15", ["10:30 - 11:15 lasts 45 minutes, not 30."]),
        ("Friday, 9:00 - 9:30", ["Friday is not asked for, only Monday and Tuesday."]),
        ("Monday, 8:00 - 8:30", ["8:00 - 8:30 is not inside 9:00 - 17:00."]),
        ("Monday, 11:00 - 10:30", ["11:00 - 10:30 lasts -30 minutes, not 30."]),
    ],
)
def test_broken_constraints_are_named(answer: str, reasons: list[str]) -> None:
    grade = BENCHMARK.grade(PROBLEM, f"\\boxed{{{answer}}}")
    assert grade.correct is False and grade.answer == answer
    assert list(grade.reasons) == reasons


def test_a_single_day_need_not_be_named() -> None:
    made = Calendar(busy=0)
    problem = made.problems(limit=1)[0]
    assert made.grade(problem, r"\boxed{2:00 - 2:30 PM}").correct
    assert not made.grade(problem, r"\boxed{2:00 - 2:30}").correct


def test_problems_depend_on_seed_split_and_number_only() -> None:
    made = Calendar()
    assert made.problems(seed=3, limit=5) == made.problems(seed=3, limit=9)[:5]
    texts = {
        problem.question
        for seed in (0, 1)
        for problem in [
            *made.problems(seed=seed, limit=20),
            *made.problems(seed=seed, limit=20, split="tune"),
        ]
    }
    assert len(texts) == 80


def test_questions_tell_all_that_the_grader_knows() -> None:
    problem = Calendar(people=2, days=2).problems(limit=1)[0]
    data = Calendars.model_validate(problem.data)
    for person, days in data.busy.items():
        line = next(
            row
            for row in problem.question.splitlines()
            if row.startswith(f"- {person}")
        )
        for spans in days.values():
            assert all(span(*taken) in line for taken in spans)
    assert "30" in problem.question and r"\boxed{Sunday" in problem.question


def test_more_of_busy_leaves_fewer_times() -> None:
    def free(busy: float) -> int:
        problems = Calendar(busy=busy, days=2).problems(limit=20)
        found = (Calendars.model_validate(p.data).free() for p in problems)
        return sum(gap.last - gap.first for gaps in found for gap in gaps)

    assert free(0.0) > free(0.3) > free(0.7)


def test_settings_that_admit_no_time() -> None:
    with pytest.raises(InvalidParameter, match=r"busy=0.95 .* lower busy or minutes"):
        Calendar(busy=0.95, minutes=60).problems(limit=1)
    for wrong in ({"people": 0}, {"people": 21}, {"days": 6}, {"minutes": 20}):
        with pytest.raises(ValidationError):
            Calendar.model_validate(wrong)
    with pytest.raises(InvalidParameter, match="people='0'"):
        benchmark("calendar:people=0")


def test_it_is_registered() -> None:
    assert benchmark("calendar:seed=7,people=4") == (Calendar(people=4), 7)


def test_two_hundred_problems_take_less_than_two_seconds() -> None:
    start = time.process_time()
    assert len(Calendar().problems(limit=200)) == 200
    assert time.process_time() - start < 2


@given(st.integers(0, 24 * 60 - 2), st.data())
def test_spans_are_read_in_all_forms(first: int, data: st.DataObject) -> None:
    last = data.draw(st.integers(first + 1, 24 * 60 - 1))

    def half(minutes: int, mark: str) -> str:
        hour = minutes // 60 % 12 or 12
        return f"{hour}:{minutes % 60:02d}{mark.format('ap'[minutes >= 720])}"

    texts = [
        span(first, last),
        f"{first // 60:02d}:{first % 60:02d}-{span(last, 0)[:5]}",
    ]
    texts += [
        f"from {half(first, mark)} to {half(last, mark)}"
        for mark in ("{}m", " {}.m.", " {}M")
    ]
    for text in texts:
        assert [(s.first, s.last) for s in read_spans(text)] == [(first, last)], text


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("11:30 - 1:00 PM", 690, 780),
        ("11:30 AM - 12:15", 690, 735),
        ("1 - 2 pm", 780, 840),
        ("13:00 - 2:00 PM", 780, 840),
        ("11 - noon", 660, 720),
        ("12 noon to 1 pm", 720, 780),
        ("9:00AM to 5:15PM", 540, 1035),
    ],
)
def test_an_end_without_am_or_pm(text: str, first: int, last: int) -> None:
    assert [(s.first, s.last) for s in read_spans(text)] == [(first, last)]


def test_what_is_no_time() -> None:
    assert (
        read_spans("3-5 people, 9:75 - 10:80, 10:30:00 - 11:00:00, 1.5-2 hours") == []
    )
    assert read_time("9:00AM") == 540 and read_time("noon") == 720
    assert read_time("soon") is None and read_time("25:00") is None


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [
                "Monday",
                "Tue",
                ",",
                "9:00",
                "-",
                "10:30",
                "to",
                "pm",
                "is busy",
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
