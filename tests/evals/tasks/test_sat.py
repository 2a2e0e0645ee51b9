import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import UNREADABLE, Grade, Problem, benchmark
from ponder.evals.tasks._dpll import Clause, satisfy
from ponder.evals.tasks.sat import Sat


def holds(clause: Clause | list[int], values: tuple[bool, ...]) -> bool:
    return any(values[abs(v) - 1] == (v > 0) for v in clause)


def solutions(clauses: list[Clause], variables: int) -> list[tuple[bool, ...]]:
    """Return all assignments that satisfy the clauses, by trying every one."""
    every = product((False, True), repeat=variables)
    return [values for values in every if all(holds(c, values) for c in clauses)]


def boxed(values: tuple[bool, ...]) -> str:
    pairs = zip("ABCDEFGHIJ", values, strict=False)
    return rf"\boxed{{{', '.join(f'{n}={str(v).lower()}' for n, v in pairs)}}}"


literals = st.integers(1, 6).flatmap(lambda v: st.sampled_from([v, -v]))
clause = st.lists(literals, min_size=1, max_size=3, unique_by=abs).map(tuple)


@given(st.lists(clause, max_size=40))
def test_solver_agrees_with_trying_all(clauses: list[Clause]) -> None:
    found = satisfy(clauses)
    assert (found is not None) == bool(solutions(clauses, 6))
    if found is not None:
        assert not any(-literal in found for literal in found)
        assert all(found & set(c) for c in clauses)


@given(
    st.integers(0, 10**6),
    st.integers(4, 8),
    st.sampled_from([1.0, 3.0, 4.26]),
    st.sampled_from([True, None]),
    st.booleans(),
)
def test_references_are_right(
    seed: int, variables: int, ratio: float, satisfiable: bool | None, story: bool
) -> None:
    sat = Sat(variables=variables, ratio=ratio, satisfiable=satisfiable, story=story)
    (problem,) = sat.problems(seed=seed, limit=1)
    clauses = problem.data["clauses"]
    assert len({frozenset(c) for c in clauses}) == len(clauses)
    assert len(clauses) == round(ratio * variables)
    assert all(len({abs(v) for v in c}) == 3 for c in clauses)
    assert sat.grade(problem, problem.reference).correct
    right = solutions(clauses, variables)
    assert problem.data["satisfiable"] == bool(right)
    assert right or satisfiable is None


@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_judges_any_assignment_like_brute_force(seed: int, rng: random.Random) -> None:
    (problem,) = Sat(ratio=3).problems(seed=seed, limit=1)
    values = tuple(rng.random() < 0.5 for _ in range(5))
    grade = Sat().grade(problem, boxed(values))
    broken = [
        i
        for i, c in enumerate(problem.data["clauses"], start=1)
        if not holds(c, values)
    ]
    assert grade.correct == (not broken)
    assert [int(reason.split()[1]) for reason in grade.reasons] == broken


def test_unsatisfiable_formulas() -> None:
    sat = Sat(satisfiable=False)
    for problem in sat.problems(limit=5):
        assert not solutions(problem.data["clauses"], 5)
        assert "unsatisfiable" in problem.question
        assert sat.grade(problem, r"\boxed{unsatisfiable}").correct
        assert sat.grade(problem, r"\boxed{\text{Unsatisfiable}}").correct
        assert sat.grade(problem, boxed((True,) * 5)).correct is False


def test_satisfiability_is_open_only_if_asked_for() -> None:
    found = {p.data["satisfiable"] for p in Sat(satisfiable=None).problems()}
    assert found == {True, False}
    assert "unsatisfiable" not in Sat().problems(limit=1)[0].question


def formula() -> Problem:
    clauses = [[1, 2, 3], [-1, -2, 3]]
    data = {"variables": list("ABC"), "clauses": clauses, "satisfiable": True}
    return Problem(id="p", question="?", reference="!", data=data)


def grade(text: str) -> Grade:
    return Sat().grade(formula(), text)


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{A=true, B=false, C=false}",
        r"\boxed{A = True; B = False; C = False}",
        r"\boxed{\text{A=true, B=false, C=false}}",
        r"\boxed{A=\text{true},\; B=\text{false},\; C=\text{false}}",
        r"$$\boxed{(A=true, B=false, C=false)}$$",
        "\\boxed{A=true \\\\ B=false \\\\ C=false}",
        "The answer is A=true, B=false and C=false.",
        "Answer:\n- A = true\n- B = false\n- C = false\n",
        "**Final answer:**\n\n1. **A** = true\n2. B = false\n3. C = false\n\nDone.",
        "**Answer**: A: true, B: false, C: false",
        "A=true, B=false, C=false",
        "a is true; b is false; c is false",
    ],
)
def test_reads_many_notations(text: str) -> None:
    assert grade(text).correct is True


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        ("A=true, B=true, C=false", ["Clause 2 does not hold: not A or not B or C."]),
        ("C=true", ["A has no value.", "B has no value."]),
        ("A=true, B=false, C=true, C=false", ["C has both values."]),
        ("A=true, B=false, C=true, D=true", ["There is no variable D."]),
        (
            "A=false, B=false",
            ["C has no value.", "Clause 1 does not hold: A or B or C."],
        ),
        ("unsatisfiable", ["There are values that satisfy all clauses."]),
    ],
)
def test_names_each_fault(answer: str, reasons: list[str]) -> None:
    found = grade(rf"\boxed{{{answer}}}")
    assert found.correct is False
    assert list(found.reasons) == reasons


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I tried A=true first, then B=false.",
        r"\boxed{A=true, B=false, ...}",
        r"\boxed{A=true, B=false, C=maybe}",
        r"\boxed{A}",
        r"\boxed{A=true, B=false, C=fal",
    ],
)
def test_what_cannot_be_read_is_not_wrong(text: str) -> None:
    found = grade(text)
    assert found.correct is None and found.reasons
    if found.answer is None:
        assert found == UNREADABLE


def test_settings_must_fit_each_other() -> None:
    with pytest.raises(ValidationError, match="exclude each other"):
        Sat(clauses=9, ratio=3)
    with pytest.raises(ValidationError, match="1 and the 28 that there can be"):
        Sat(variables=4, clauses=29)
    with pytest.raises(ValidationError, match="0 clauses"):
        Sat(ratio=0.01)
    assert Sat(variables=4, clauses=32, satisfiable=False).problems(limit=1)
    with pytest.raises(InvalidParameter, match="variables='27'"):
        benchmark("sat:variables=27")


@pytest.mark.parametrize(
    ("sat", "remedy"),
    [
        (Sat(variables=6, clauses=130), "satisfiable=True: lower ratio or clauses"),
        (Sat(clauses=7, satisfiable=False), "satisfiable=False: raise ratio"),
    ],
)
def test_impossible_settings_are_refused(sat: Sat, remedy: str) -> None:
    with pytest.raises(InvalidParameter, match=remedy):
        sat.problems(limit=1)
