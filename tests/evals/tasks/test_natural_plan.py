import json
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ponder.errors import InvalidInput
from ponder.evals.benchmark import Problem, benchmark
from ponder.evals.tasks._published import Published
from ponder.evals.tasks.natural_plan import (
    PublishedCalendar,
    PublishedMeeting,
    PublishedTrip,
)

PROMPTS = {"prompt_0shot": "Solve this.", "prompt_5shot": "Like these, solve this."}
FLIGHTS = """Here is the plan for 3 cities and 9 days:

**Day 1-4:** Arriving in Oslo and visit Oslo for 4 days.
**Day 4:** Fly from Oslo to Riga.
**Day 4-7:** Visit Riga for 4 days.
**Day 7:** Fly from Riga to Rome.
**Day 7-9:** Visit Rome for 3 days."""
STEPS = [
    "You start at Pier at 9:00AM.",
    "You travel to Dam in 10 minutes and arrive at 9:10AM.",
    "You wait until 10:30AM.",
    "You meet Jo for 60 minutes from 10:30AM to 11:30AM.",
    "You travel to Fort in 20 minutes and arrive at 11:50AM.",
    "You wait until 1:00PM.",
    "You meet Max for 45 minutes from 1:00PM to 1:45PM.",
]
TRIP = {
    **PROMPTS,
    "num_cities": "3",
    "cities": "Oslo**Riga**Rome",
    "durations": "4**4**3",
    "golden_plan": FLIGHTS,
    "pred_5shot_pro": "ignored",
}
MEETING = {
    **PROMPTS,
    "num_people": 3,
    "constraints": [
        ["Pier", "9:00AM"],
        ["Jo", "Dam", "10:30AM to 12:30PM", 60],
        ["Max", "Fort", "1:00PM to 2:00PM", 45],
        ["Lea", "Pier", "1:00PM to 2:00PM", 45],
    ],
    "dist_matrix": {
        "Pier": {"Dam": 10, "Fort": 25},
        "Dam": {"Pier": 11, "Fort": 20},
        "Fort": {"Pier": 25, "Dam": 21},
    },
    "golden_plan": STEPS,
}
CALENDAR = {
    **PROMPTS,
    "num_people": "2",
    "num_days": "1",
    "duration": "0.5",
    "golden_plan": "Here is the proposed time: Monday, 14:30 - 15:00 ",
}
RECORDS: dict[type[Published], dict[str, Any]] = {
    PublishedTrip: TRIP,
    PublishedMeeting: MEETING,
    PublishedCalendar: CALENDAR,
}
KINDS = list(RECORDS)


def written(path: Path, rows: object) -> Path:
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return path


def loaded(kind: type[Published], path: Path) -> tuple[Published, Problem]:
    made = kind(path=written(path / "rows.json", {"row_0": RECORDS[kind]}))
    return made, made.every()[0]


@pytest.mark.parametrize("kind", KINDS)
def test_published_files_are_read(kind: type[Published], tmp_path: Path) -> None:
    rows = {f"row_{i}": RECORDS[kind] for i in range(60)}
    path = written(tmp_path / "rows.json", rows)
    made, seed = benchmark(f"{kind.name}:path={path},seed=4")
    assert isinstance(made, kind) and seed == 4
    problems = [p for s in ("tune", "test", "sealed") for p in made.problems(split=s)]
    assert sorted(p.id for p in problems) == sorted(rows)
    assert made.problems(seed=1, limit=3) == made.problems(seed=1)[:3]
    assert {p.question for p in problems} == {PROMPTS["prompt_5shot"]}
    asked = kind(path=path, examples=False).every()[0].question
    assert asked.startswith(PROMPTS["prompt_0shot"]) and r"\boxed{" in asked


@pytest.mark.parametrize("kind", KINDS)
def test_golden_plans_are_right(kind: type[Published], tmp_path: Path) -> None:
    made, problem = loaded(kind, tmp_path)
    golden = RECORDS[kind]["golden_plan"]
    text = "\n".join(golden) if isinstance(golden, list) else str(golden)
    for reply in (
        text,
        f"SOLUTION: {text}\n\nTASK: You have another task.\nSOLUTION: Something else.",
        problem.reference,
        f"\\boxed{{{problem.reference}}}",
        f"The answer is {problem.reference}.",
    ):
        grade = made.grade(problem, reply)
        assert grade.correct is True and grade.answer == problem.reference, reply
        assert not grade.reasons


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reply", ["", "I do not know.", r"\boxed{}", "SOLUTION:"])
def test_replies_without_a_plan_are_unreadable(
    kind: type[Published], reply: str, tmp_path: Path
) -> None:
    made, problem = loaded(kind, tmp_path)
    assert made.grade(problem, reply).correct is None


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (
            r"\boxed{Riga 1-4; Oslo 4-7; Rome 7-9}",
            "Stay 1 of the published plan is not",
        ),
        (r"\boxed{Oslo 1-4; Riga 4-7}", "There are 2 stays, not 3."),
        (r"\boxed{Oslo 1-3; Riga 3-7; Rome 7-9}", "Oslo is not visited on days 1-3 in"),
        (r"\boxed{Oslo 1-4; Riga 5-8; Rome 7-9}", "Riga is not visited on days 5-8 in"),
        (FLIGHTS.replace("Day 7:", "Day 6:"), "Riga is not visited on days 4-6 in"),
        (FLIGHTS.replace("Rome", "Bern"), "Stay 3 of the published plan is not Bern"),
        (FLIGHTS.split("**Day 7:**")[0], "There are 2 stays, not 3."),
    ],
)
def test_trips_that_differ(reply: str, reason: str, tmp_path: Path) -> None:
    made, problem = loaded(PublishedTrip, tmp_path)
    grade = made.grade(problem, reply)
    assert grade.correct is False
    assert any(line.startswith(reason) for line in grade.reasons), grade
    assert problem.reference not in " ".join(grade.reasons)


def test_plans_after_the_last_day_are_others(tmp_path: Path) -> None:
    made, problem = loaded(PublishedTrip, tmp_path)
    other = "\nOr:\n**Day 1-3:** Visit Rome.\n**Day 3:** Fly from Rome to Oslo."
    assert made.grade(problem, FLIGHTS + other).correct is True


def steps(*changes: tuple[str, str]) -> str:
    text = "\n".join(STEPS)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("reply", "reason", "score"),
    [
        (r"\boxed{Jo 10:30 - 11:30}", "1 of the friends are met, but 2 can be.", 0.5),
        ("\n".join(STEPS[:4]), "1 of the friends are met, but 2 can be.", 0.5),
        (r"\boxed{Jo 10:00 - 11:30}", "Jo is there 10:30 - 12:30, which does not", 0),
        (
            r"\boxed{Jo 11:30 - 12:30; Max 12:45 - 13:30}",
            "Max is reached at 12:50, not at 12:45.",
            0,
        ),
        (steps(("You wait until 10:30AM.\n", "")), "Jo is there 10:30 - 12:30,", 0),
        (steps(("10:30AM.", "8:30AM.")), "It is 9:10: nobody can wait until 8:30.", 0),
        (steps(("10:30AM.", "later.")), "'later' is no time to wait for.", 0),
        (steps(("to Dam", "to Fort")), "Jo is at Dam, not at Fort.", 0),
        (steps(("to Dam", "to Moon")), "There is no way from Pier to Moon.", 0),
        (steps(("meet Max", "meet Eve")), "Eve is none of the friends.", 0),
        (steps(("meet Max", "meet Jo")), "Jo is met already.", 0),
    ],
)
def test_meetings_that_break_constraints(
    reply: str, reason: str, score: float, tmp_path: Path
) -> None:
    made, problem = loaded(PublishedMeeting, tmp_path)
    grade = made.grade(problem, reply)
    assert grade.correct is False and grade.score == score
    assert any(line.startswith(reason) for line in grade.reasons), grade


def test_other_plans_with_as_many_meetings_are_right(tmp_path: Path) -> None:
    made, problem = loaded(PublishedMeeting, tmp_path)
    other = r"\boxed{Jo 10:45 - 11:45; Lea 1:00 - 1:45 PM}"
    assert made.grade(problem, other).correct is True
    late = steps(("10:30AM.", "10:45AM."), ("to Fort", "to Pier"), ("Max", "Lea"))
    grade = made.grade(problem, late)
    assert grade.correct is True
    assert grade.answer == "Jo 10:45 - 11:45; Lea 13:00 - 13:45"


def test_of_several_plans_the_first_counts(tmp_path: Path) -> None:
    made, problem = loaded(PublishedMeeting, tmp_path)
    text = "\n".join(STEPS)
    assert made.grade(problem, f"{text}\n{text}").correct is True


@pytest.mark.parametrize(
    "reply",
    ["Tuesday, 14:30 - 15:00", "Monday, 14:00 - 14:30", "Monday, 14:30 - 15:30"],
)
def test_times_that_differ(reply: str, tmp_path: Path) -> None:
    made, problem = loaded(PublishedCalendar, tmp_path)
    grade = made.grade(problem, f"Here is the proposed time: {reply}")
    assert grade.correct is False and grade.answer == reply
    assert grade.reasons == ("The time is not that of the published plan.",)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (kind, field)
        for kind, record in RECORDS.items()
        for field in record
        if field not in ("pred_5shot_pro", "prompt_0shot", "duration")
    ],
)
def test_missing_fields_are_named(
    kind: type[Published], field: str, tmp_path: Path
) -> None:
    record = {k: v for k, v in RECORDS[kind].items() if k != field}
    path = written(tmp_path / "rows.json", {"a": RECORDS[kind], "b": record})
    with pytest.raises(InvalidInput, match=rf"record 'b', field '{field}'"):
        kind(path=path).problems()


def test_the_prompt_that_is_asked_has_to_be_there(tmp_path: Path) -> None:
    record = {k: v for k, v in TRIP.items() if k != "prompt_0shot"}
    path = written(tmp_path / "rows.json", {"a": record})
    assert PublishedTrip(path=path).every()
    with pytest.raises(InvalidInput, match="record 'a', field 'prompt_0shot'"):
        PublishedTrip(path=path, examples=False).every()


@pytest.mark.parametrize(
    ("kind", "field", "value", "message"),
    [
        (PublishedTrip, "durations", "4**4", "no 3 whole numbers"),
        (PublishedTrip, "durations", "4**4**x", "no 3 whole numbers"),
        (PublishedTrip, "cities", "**", "There is none"),
        (PublishedTrip, "num_cities", "many", "valid integer"),
        (PublishedMeeting, "constraints", [], "valid tuple"),
        (PublishedMeeting, "constraints", [["Pier", "soon"]], "'soon' is no time"),
        (
            PublishedMeeting,
            "constraints",
            [["Pier", "9:00AM"], ["Jo", "Dam", "all day", 60]],
            "'all day' of Jo is no span",
        ),
        (
            PublishedMeeting,
            "constraints",
            [["Pier", "9:00AM"], ["Jo", "Dam", "9:00AM to 5:00PM"]],
            "Field required",
        ),
        (
            PublishedMeeting,
            "constraints",
            [["Pier", "9:00AM"], *[["Jo", "Dam", "9:00AM to 5:00PM", 60]] * 2],
            "A name stands there twice",
        ),
        (
            PublishedMeeting,
            "dist_matrix",
            {"Pier": {}},
            "No way leads from Dam to Fort",
        ),
        (PublishedMeeting, "golden_plan", ["You stay."], "It meets nobody."),
        (
            PublishedMeeting,
            "golden_plan",
            ["You meet Jo for 60 minutes."],
            "It meets nobody. Jo is there",
        ),
        (PublishedCalendar, "golden_plan", "Never", "No day and time can be read"),
    ],
)
def test_damaged_fields_are_named(
    kind: type[Published], field: str, value: Any, message: str, tmp_path: Path
) -> None:
    rows = {"row_7": {**RECORDS[kind], field: value}}
    made = kind(path=written(tmp_path / "rows.json", rows))
    with pytest.raises(InvalidInput) as caught:
        made.every()
    assert f"record 'row_7', field '{field}'" in str(caught.value)
    assert message in str(caught.value) and "rows.json" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": {', "is damaged"),
        ("[]", "holds no records"),
        ("{}", "holds no records"),
        ('{"a": {}, "a": {}}', "'a' stands there twice"),
        ('{"a": 3}', "record 'a': Input should be a valid dictionary"),
    ],
)
def test_damaged_files(content: str, message: str, tmp_path: Path) -> None:
    made = PublishedTrip(path=written(tmp_path / "rows.json", content))
    with pytest.raises(InvalidInput, match=message):
        made.problems()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b'{"a": "\xe9"}')
    for name in ("absent.json", ".", "latin"):
        with pytest.raises(InvalidInput, match="cannot be read"):
            PublishedTrip(path=tmp_path / name).every()
    with pytest.raises(ValidationError):
        PublishedTrip.model_validate({})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "phrase",
    [
        "Day 4 from Oslo ",
        "You meet Jo ",
        "You travel to ",
        "Monday, 14:30 - ",
        "\\boxed{",
        "1-",
        "Day 1-4: Oslo ",
        " ",
    ],
)
def test_replies_that_repeat_themselves_are_graded_in_no_time(
    kind: type[Published], phrase: str, tmp_path: Path
) -> None:
    made, problem = loaded(kind, tmp_path)
    start = time.process_time()
    assert made.grade(problem, phrase * 2000).correct is not True
    assert time.process_time() - start < 2
