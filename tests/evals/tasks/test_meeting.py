import random
import time
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import Problem, benchmark
from ponder.evals.tasks._outing import Friend, Outing, solve
from ponder.evals.tasks._plan_text import Entry
from ponder.evals.tasks.meeting import Meeting, write

OUTING = Outing(
    place="Zoo",
    time=540,
    travel={
        "Zoo": {"Castle": 10, "Opera": 20},
        "Castle": {"Zoo": 10, "Opera": 15},
        "Opera": {"Zoo": 20, "Castle": 15},
    },
    friends={
        "Anna": Friend(place="Castle", first=600, last=720, minutes=45),
        "Ben": Friend(place="Opera", first=780, last=840, minutes=45),
    },
    optimum=2,
)
BENCHMARK = Meeting(people=2)
PROBLEM = Problem(
    id="m", question="?", reference="", data=OUTING.model_dump(mode="json")
)
RIGHT = "Anna 10:15 - 11:00; Ben 13:00 - 13:45"


@st.composite
def meetings(draw: st.DrawFn, most: int = 7) -> Meeting:
    return Meeting(
        people=draw(st.integers(1, most)),
        hours=draw(st.integers(3, 12)),
        longest=draw(st.sampled_from([15, 60, 120])),
        slack=draw(st.sampled_from([0, 60, 240])),
        spread=draw(st.integers(10, 60)),
    )


def valid(outing: Outing, plan: list[Entry]) -> bool:
    """Walk through the day, unlike the code that is tested."""
    place, now = outing.place, outing.time
    if len({entry.name for entry in plan}) < len(plan):
        return False
    for entry in sorted(plan, key=lambda e: e.first):
        friend = outing.friends.get(entry.name)
        if friend is None:
            return False
        now += outing.travel[place].get(friend.place, 0)
        in_hours = set(range(entry.first, entry.last)) <= {
            *range(friend.first, friend.last)
        }
        if (
            now > entry.first
            or not in_hours
            or entry.last < entry.first + friend.minutes
        ):
            return False
        place, now = friend.place, entry.last
    return True


def most(outing: Outing) -> int:
    """Try all orders of all friends, each met as early as possible or skipped."""
    best = 0
    for order in permutations(outing.friends.values()):
        place, now, count = outing.place, outing.time, 0
        for friend in order:
            first = max(now + outing.travel[place].get(friend.place, 0), friend.first)
            if first + friend.minutes <= friend.last:
                place, now, count = friend.place, first + friend.minutes, count + 1
        best = max(best, count)
    return best


def perturbed(plan: list[Entry], rng: random.Random) -> list[Entry]:
    plan = list(plan)
    i, j = rng.randrange(len(plan)), rng.randrange(len(plan))
    shift = rng.choice([-60, -15, -1, 1, 15, 60])
    match rng.randrange(6):
        case 0:
            plan[i] = plan[i]._replace(last=plan[i].last + shift)
        case 1:
            plan[i] = plan[i]._replace(first=max(plan[i].first + shift, 1))
        case 2:
            name, first, last = plan[i]
            plan[i] = Entry(name, first + shift, last + shift)
        case 3:
            plan[i] = plan[i]._replace(name=plan[j].name)
        case 4:
            plan[i] = plan[i]._replace(name="Xaver")
        case _:
            del plan[i]
    return plan


@settings(max_examples=60)
@given(meetings(most=10), st.integers(0, 10**6))
def test_references_are_right_whatever_the_settings(made: Meeting, seed: int) -> None:
    problem = made.problems(seed=seed, limit=1)[0]
    for reply in ("{}", "So\n\\boxed{{{}}}", "The answer is {}."):
        grade = made.grade(problem, reply.format(problem.reference))
        assert grade.correct and grade.score == 1
        assert grade.answer == problem.reference


@settings(max_examples=40)
@given(meetings(most=5), st.integers(0, 10**6))
def test_plans_are_judged_as_by_brute_force(made: Meeting, seed: int) -> None:
    rng = random.Random(seed)
    problem = made.problems(seed=seed, limit=1)[0]
    outing = Outing.model_validate(problem.data)
    plan = solve(outing)
    assert len(plan) == outing.optimum == most(outing) > 0
    assert valid(outing, plan) and write(plan) == problem.reference
    for _ in range(15):
        if not (other := perturbed(plan, rng)):
            continue
        grade = made.grade(problem, f"\\boxed{{{write(other)}}}")
        right = valid(outing, other)
        assert grade.correct is (right and len(other) == outing.optimum)
        assert grade.score == (len(other) / outing.optimum if right else 0)
        assert bool(grade.reasons) is not grade.correct


@settings(max_examples=20)
@given(meetings(most=5), st.integers(0, 10**6))
def test_no_way_around_is_shorter(made: Meeting, seed: int) -> None:
    outing = Outing.model_validate(made.problems(seed=seed, limit=1)[0].data)
    for a, b, c in permutations(outing.travel, 3):
        assert outing.minutes(a, c) <= outing.minutes(a, b) + outing.minutes(b, c)
        assert 1 <= outing.minutes(a, b) <= made.spread


@pytest.mark.parametrize(
    "reply",
    [
        rf"\boxed{{{RIGHT}}}",
        r"\boxed{\text{Anna 10:15–11:00; Ben 13:00–13:45}}",
        "\\boxed{Ben 1:00-1:45 PM, Anna 10:15 AM - 11:00 AM}",
        "\\boxed{10:15-11:00: Anna; 13:00-13:45: Ben}",
        "\\boxed{Anna (Castle) 10:15 - 11:00 \\\\ Ben (Opera) 13:00 - 13:45}",
        "\\boxed{9:00-9:10 travel to Anna; Anna 10:15-11:00; Ben 13:00-13:45}",
        "\\boxed{Castle 10:05-10:15; Anna 10:15-11:00; Ben 13:00-13:45}",
        f"Answer: {RIGHT}",
        "My schedule:\n1. **Anna**: 10:15 - 11:00\n2. **Ben**: 13:00 - 13:45\n\nEnjoy!",
        "- Meet Anna at the Castle from 10:15 to 11:00\n- Walk to the Opera\n"
        "- Meet Ben at the Opera from 1:00 PM to 1:45 PM\n\nSo you meet 2 friends.",
        "You start at Zoo at 9:00AM.\nYou travel to Castle in 10 minutes.\n"
        "You wait until 10:15AM.\n"
        "You meet Anna for 45 minutes from 10:15AM to 11:00AM.\n"
        "You travel to Opera in 15 minutes and arrive at 11:15AM.\n"
        "You wait until 1:00PM.\nYou meet Ben for 45 minutes from 1:00PM to 1:45PM.",
    ],
)
def test_forms_of_an_answer_that_is_right(reply: str) -> None:
    grade = BENCHMARK.grade(PROBLEM, reply)
    assert grade.correct is True and grade.answer == RIGHT, grade


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "Nobody can be met.",
        r"\boxed{}",
        r"\boxed{2}",
        r"\boxed{Anna; Ben}",
        "Anna is available from 10:00 to 12:00.\nBen is free 13:00 - 14:00.",
        f"{RIGHT}\nWait.\nThat could be wrong.\nLet me think again",
    ],
)
def test_replies_without_a_plan_are_unreadable(reply: str) -> None:
    grade = BENCHMARK.grade(PROBLEM, reply)
    assert grade.correct is None and grade.score is None and grade.reasons


@pytest.mark.parametrize(
    ("answer", "reason", "score"),
    [
        ("Anna 10:15 - 11:00", "1 of the friends are met, but 2 can be.", 0.5),
        ("Anna 10:15 - 10:45", "Anna is met for 30 minutes, not for 45.", 0),
        (
            "Anna 9:30 - 10:30",
            "Anna is there 10:00 - 12:00, which does not hold 9:30 - 10:30.",
            0,
        ),
        (
            "Ben 13:00 - 13:45; Anna 13:50 - 14:40",
            "Anna is reached at 14:00, not at 13:50.",
            0,
        ),
        ("Anna 9:05 - 11:00", "Anna is reached at 9:10, not at 9:05.", 0),
        ("Anna 10:00 - 10:45; Anna 11:00 - 11:45", "Anna is met 2 times.", 0),
        ("Anna 10:15 - 11:00; Zoe 13:00 - 13:45", "Zoe is none of the friends.", 0),
    ],
)
def test_broken_constraints_are_named(answer: str, reason: str, score: float) -> None:
    grade = BENCHMARK.grade(PROBLEM, f"\\boxed{{{answer}}}")
    assert grade.correct is False and grade.answer == answer
    assert reason in grade.reasons and grade.score == score


def test_questions_tell_all_that_the_grader_knows() -> None:
    for problem in Meeting().problems(limit=5):
        outing = Outing.model_validate(problem.data)
        for name, friend in outing.friends.items():
            assert f"- {name} is at {friend.place} " in problem.question
            assert f"takes {friend.minutes} minutes" in problem.question
        for start, goals in outing.travel.items():
            ways = ", ".join(f"{goal} {minutes}" for goal, minutes in goals.items())
            assert f"- from {start} to {ways}" in problem.question
        assert outing.place in problem.question and "9:00" in problem.question


def test_shorter_days_are_harder() -> None:
    def share(hours: int) -> float:
        problems = Meeting(people=5, hours=hours).problems(limit=30)
        return sum(Outing.model_validate(p.data).optimum for p in problems) / 150

    assert share(2) < share(4) < share(12)


def test_settings_without_a_plan() -> None:
    with pytest.raises(InvalidParameter, match=r"hours=1 is too short .* raise hours"):
        Meeting(hours=1, longest=60).problems(limit=1)
    for wrong in ({"people": 0}, {"people": 11}, {"hours": 0}, {"longest": 50}):
        with pytest.raises(ValidationError):
            Meeting.model_validate(wrong)


def test_it_is_registered() -> None:
    assert benchmark("meeting:people=5,seed=2") == (Meeting(people=5), 2)


def test_two_hundred_problems_take_less_than_two_seconds() -> None:
    start = time.process_time()
    problems = Meeting().problems(limit=200)
    assert time.process_time() - start < 2
    assert len({problem.question for problem in problems}) == 200


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [
                "Anna",
                "Ben",
                "Zoe",
                "9:00",
                "-",
                "10:15 - 11:00",
                "meet",
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
