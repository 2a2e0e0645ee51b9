"""The port, and one contract over every benchmark that can be made from a seed."""

from collections.abc import Sequence

import pytest

from ponder.errors import InvalidInput, InvalidParameter, UnknownName
from ponder.evals.benchmark import (
    Generated,
    Grade,
    Listed,
    Problem,
    Split,
    benchmark,
    benchmarks,
)

GENERATED = sorted(n for n, b in benchmarks().items() if issubclass(b, Generated))
SPLITS: tuple[Split, ...] = ("tune", "test", "sealed")


class Numbers(Listed):
    name = "numbers"
    source = "this test"
    ids: tuple[int, ...] = tuple(range(200))

    def every(self) -> Sequence[Problem]:
        return [Problem(id=f"n{i}", question="?", reference=str(i)) for i in self.ids]

    def grade(self, problem: Problem, text: str) -> Grade:
        return Grade(correct=text == problem.reference)


def test_all_that_the_system_names_is_there() -> None:
    assert set(GENERATED) >= {
        "aiw", "blocks", "calendar", "game24", "horn", "meeting", "procedure", "sat",
        "trip", "variants",
    }  # fmt: skip
    assert set(benchmarks()) >= {
        "2wiki", "bbh", "folio", "gpqa", "gsm8k", "hotpotqa", "humaneval", "math",
        "musique", "natural_plan_calendar", "natural_plan_meeting",
        "natural_plan_trip",
    }  # fmt: skip


@pytest.mark.parametrize("name", GENERATED)
def test_generated_problems_are_right_repeatable_and_apart(name: str) -> None:
    made, _ = benchmark(name)
    by_split = {s: made.problems(seed=3, limit=8, split=s) for s in SPLITS}

    assert made.problems(seed=3, limit=8) == by_split["test"]
    assert made.problems(seed=3, limit=3) == by_split["test"][:3]
    assert made.problems(seed=4, limit=8) != by_split["test"]
    for problem in by_split["test"]:
        text = f"So it is \\boxed{{{problem.reference}}}."
        assert made.grade(problem, text).correct, problem
        assert made.grade(problem, "I do not know what to say.").correct is None
    questions = [p.question for found in by_split.values() for p in found]
    apart = [{p.question for p in found} for found in by_split.values()]
    assert sum(map(len, apart)) == len(set(questions))


def test_no_problem_is_made_twice() -> None:
    made, _ = benchmark("game24")
    questions = [problem.question for problem in made.problems(limit=100)]
    assert len(set(questions)) == 100


def test_splits_of_a_list_are_a_partition_and_the_seed_orders_them() -> None:
    numbers = Numbers()
    found = {s: {p.id for p in numbers.problems(split=s)} for s in SPLITS}
    assert sum(map(len, found.values())) == 200 == len(set.union(*found.values()))
    assert 20 < len(found["tune"]) < 60 < len(found["test"]) < 140
    one, two = (numbers.problems(seed=s) for s in (1, 2))
    assert one != two and {p.id for p in one} == {p.id for p in two}
    assert [p.id for p in numbers.problems(seed=1, limit=5)] == [p.id for p in one[:5]]


def test_two_problems_of_one_id_are_refused() -> None:
    with pytest.raises(InvalidInput, match="two problems with the id 'n1'"):
        Numbers(ids=(1, 2, 1)).problems()


def test_a_spec_has_settings_and_a_seed() -> None:
    made, seed = benchmark("calendar:seed=7,people=2")
    assert seed == 7
    assert made.model_dump()["people"] == 2
    assert benchmark("calendar")[1] is None


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("calender", UnknownName, "Did you mean calendar"),
        ("calendar:peple=3", InvalidParameter, "Did you mean people"),
        ("calendar:people", InvalidParameter, "write calendar:key=value"),
        ("calendar:people=0", InvalidParameter, "people='0' of benchmark 'calendar'"),
        ("calendar:seed=x", InvalidParameter, "no whole number"),
    ],
)
def test_what_cannot_be_meant_is_named(
    spec: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        benchmark(spec)


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="The limit is 0"):
        benchmark("calendar")[0].problems(limit=0)


WORKED = ("calendar", "game24", "trip")


@pytest.mark.parametrize("name", WORKED)
def test_worked_solutions_are_right_and_the_problems_stay_the_same(name: str) -> None:
    plain, _ = benchmark(name)
    shown, _ = benchmark(f"{name}:shots=2")
    for problem in plain.problems(seed=3, limit=20):
        assert plain.grade(problem, problem.worked).correct, problem.worked
        assert problem.worked.count("\n\n") >= 2
    assert shown.problems(seed=3, limit=5) == plain.problems(seed=3, limit=5)


def test_examples_come_from_the_tune_split_and_never_are_the_question() -> None:
    made, _ = benchmark("calendar:shots=3")
    test, tune = made.problems(limit=1)[0], made.problems(split="tune", limit=1)[0]
    turns = made.demonstrations(test)
    assert [m.role for m in turns] == ["user", "assistant"] * 3
    itself = tune.model_copy(update={"question": turns[0].content})
    assert turns[0] not in made.demonstrations(itself)
    assert len(made.demonstrations(itself)) == 6
    assert benchmark("calendar")[0].demonstrations(test) == ()


def test_more_examples_than_there_are_is_an_error() -> None:
    with pytest.raises(InvalidParameter, match="0 worked examples, not shots=2"):
        made, _ = benchmark("horn:shots=2")
        made.demonstrations(made.problems(limit=1)[0])
