import random
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import Problem, Split, benchmark
from ponder.evals.tasks._stories import TEMPLATES, Cast, Template, Working
from ponder.evals.tasks.variants import Variants, functional_accuracy, reasoning_gap

names = st.sampled_from(sorted(TEMPLATES))
seeds = st.integers(0, 10_000)

CONSTANTS = {1, 2, 100, 1000}
"""Numbers that a solver knows: halves, percent, litres, one pause fewer."""
PARTS = {"half": 2, "third": 3, "quarter": 4, "fifth": 5, "sixth": 6}


def told(question: str) -> set[Fraction]:
    parts = {n for word, n in PARTS.items() if word in question}
    numbers = {Fraction(n) for n in re.findall(r"\d+", question)}
    return numbers | {Fraction(n) for n in CONSTANTS | parts}


@given(names, seeds)
def test_the_working_leads_from_the_text_to_the_answer(name: str, seed: int) -> None:
    (problem,) = Variants(template=name).problems(seed=seed, limit=1)
    known, result = told(problem.question), ""
    for line in problem.data["working"]:
        left, sign, right, _, result = line.split()
        a, b = Fraction(left), Fraction(right)
        assert {a, b} <= known, f"{line}: a number comes from nowhere"
        exact = {"+": a + b, "-": a - b, "*": a * b}
        assert Fraction(result) == (a / b if sign == "/" else exact[sign])
        assert Fraction(result).denominator == 1, "realistic numbers are whole"
        known.add(Fraction(result))
    assert Fraction(result) == problem.data["answer"]
    assert len(problem.data["working"]) == TEMPLATES[name].steps


@given(names, seeds, st.integers(0, 5))
def test_references_are_right(name: str, seed: int, snapshot: int) -> None:
    made = Variants(template=name, snapshot=snapshot)
    (problem,) = made.problems(seed=seed, limit=1)
    assert made.grade(problem, problem.reference).correct is True
    wrong = rf"\boxed{{{problem.data['answer'] + 1}}}"
    assert made.grade(problem, wrong).correct is False
    assert 0 <= problem.data["answer"] < 100_000


def test_there_are_enough_templates_of_every_length() -> None:
    assert len(TEMPLATES) >= 15
    assert {template.steps for template in TEMPLATES.values()} == set(range(2, 9))


@given(seeds)
def test_snapshots_differ_in_numbers_and_names_only(seed: int) -> None:
    first = Variants().problems(seed=seed, limit=5)
    second = Variants(snapshot=1).problems(seed=seed, limit=5)
    for a, b in zip(first, second, strict=True):
        assert a.id == b.id
        assert a.data["template"] == b.data["template"]
        assert a.question != b.question


@given(st.integers(2, 8), st.integers(2, 8))
def test_keeps_to_the_steps(least: int, most: int) -> None:
    if least > most:
        with pytest.raises(ValidationError, match="lower the one or raise the other"):
            Variants(least_steps=least, most_steps=most)
        return
    made = Variants(least_steps=least, most_steps=most)
    for problem in made.problems(limit=5):
        assert least <= len(problem.data["working"]) <= most


def test_splits_share_no_question() -> None:
    made = Variants(template="change")
    splits: list[Split] = ["tune", "test"]
    tune, test = ({p.question for p in made.problems(split=s)} for s in splits)
    assert not tune & test


def test_refuses_a_template_outside_the_steps() -> None:
    with pytest.raises(InvalidParameter, match="template=change takes 2 steps.*widen"):
        benchmark("variants:template=change,least_steps=3")
    with pytest.raises(InvalidParameter, match="template='x'.*choose any"):
        benchmark("variants:template=x")
    with pytest.raises(ValidationError, match="snapshot"):
        Variants(snapshot=-1)


def test_refuses_answers_that_are_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
        return "Halve a loaf.", work(1, "/", 2)

    monkeypatch.setitem(TEMPLATES, "half", Template(1, half))
    monkeypatch.setitem(TEMPLATES, "change", Template(2, half))
    with pytest.raises(InvalidParameter, match="'change' came out at 1/2"):
        Variants(template="change").problems(limit=1)


def test_working_is_exact() -> None:
    work = Working()
    assert work(work(1, "/", 3), "*", 3) == 1
    assert work.lines == ["1 / 3 = 1/3", "1/3 * 3 = 1"]
    with pytest.raises(ZeroDivisionError, match="1 / 0"):
        work(1, "/", 0)


@given(seeds)
def test_people_of_a_story_have_different_names(seed: int) -> None:
    cast = Cast.draw(random.Random(seed))
    assert cast.first != cast.second


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        (r"\boxed{1250}", True),
        (r"\boxed{\$1,250}", True),
        (r"\boxed{1250 \text{ dollars}}", True),
        ("#### 1250", True),
        (r"\boxed{1250.5}", False),
        (r"\boxed{x}", None),
        ("1250", None),
    ],
)
def test_grades(text: str, correct: bool | None) -> None:
    problem = Problem(id="x", question="?", reference="", data={"answer": 1250})
    assert Variants().grade(problem, text).correct is correct


def test_functional_accuracy_needs_every_snapshot() -> None:
    first, second = [True, True, False, True], [True, False, False, True]
    assert functional_accuracy([first]) == 0.75
    assert functional_accuracy([first, second]) == 0.5


@pytest.mark.parametrize("snapshots", [[], [[]], [[True], [True, False]]])
def test_functional_accuracy_needs_the_same_problems(
    snapshots: list[list[bool]],
) -> None:
    with pytest.raises(InvalidParameter, match="same problems"):
        functional_accuracy(snapshots)


@pytest.mark.parametrize(
    ("static", "functional", "gap"),
    [(0.8, 0.8, 0), (0.8, 0.2, 0.75), (0.5, 0, 1), (0.5, 0.6, -0.2), (0, 0.5, None)],
)
def test_reasoning_gap(static: float, functional: float, gap: float | None) -> None:
    assert reasoning_gap(static, functional) == pytest.approx(gap)


@pytest.mark.parametrize(("static", "functional"), [(1.1, 0), (0.5, -0.1), (58, 20)])
def test_reasoning_gap_refuses_percentages(static: float, functional: float) -> None:
    with pytest.raises(InvalidParameter, match="give 0 to 1"):
        reasoning_gap(static, functional)
