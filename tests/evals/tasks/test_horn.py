import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import Problem, benchmark
from ponder.evals.tasks.horn import (
    Derived,
    HornChains,
    Rule,
    forward_chain,
    prove,
)

atoms = st.sampled_from("abcdefg")
rules = st.lists(
    st.builds(Rule, st.lists(atoms, max_size=2).map(tuple), atoms), max_size=8
)
settings = st.builds(
    HornChains,
    depth=st.integers(1, 12),
    distractors=st.integers(0, 24),
    facts=st.integers(1, 12),
    subversion=st.sampled_from(
        ["none", "irrelevant", "suppress", "amnesia", "coerce", "all"]
    ),
    remarks=st.integers(1, 6),
)


def least_model(facts: set[str], given: list[Rule]) -> set[str]:
    """Intersect all models: exponential, but true by definition."""
    models = [
        set(model)
        for size in range(8)
        for model in combinations("abcdefg", size)
        if facts <= set(model)
        and all(r.conclusion in model or not set(r.premises) <= {*model} for r in given)
    ]
    return set.intersection(*models)


@given(st.sets(atoms, max_size=3), rules)
def test_forward_chaining_finds_the_least_model(
    facts: set[str], given: list[Rule]
) -> None:
    known = forward_chain(facts, given)
    assert known.keys() == least_model(facts, given)
    for statement in known:
        proof = prove(statement, known)
        reached = set(facts)
        for rule in proof:
            assert set(rule.premises) <= reached
            reached.add(rule.conclusion)
        assert statement in reached


def test_rounds_count_the_depth() -> None:
    chain = [Rule(("b",), "c"), Rule(("a",), "b"), Rule(("c", "a"), "d")]
    known = forward_chain(["a"], chain)
    assert [known[s].round for s in "abcd"] == [0, 1, 2, 3]
    assert known["a"] == Derived(0)
    assert prove("d", known) == [chain[1], chain[0], chain[2]]
    assert prove("a", known) == []


def parse(question: str) -> tuple[set[str], list[Rule], str]:
    """Read facts, rules and the goal back from the text."""
    facts = question.partition("Rules:")[0]
    found = re.findall(r"^\d+\. If (.+), then (.+)\.$", question, re.M)
    read = [Rule(tuple(p.split(" and ")), c) for p, c in found]
    goal = re.findall(r"follow that (.+?)\?", question)[0]
    return set(re.findall(r"^- (.+)\.$", facts, re.M)), read, goal


@given(settings, st.integers(0, 1000))
def test_the_text_proves_the_label(made: HornChains, seed: int) -> None:
    (problem,) = made.problems(seed=seed, limit=1)
    facts, given, goal = parse(problem.question)
    known = forward_chain(facts, given)
    assert problem.reference == (r"\boxed{yes}" if goal in known else r"\boxed{no}")
    assert made.grade(problem, problem.reference).correct is True
    assert set(problem.data["known"]) == known.keys()
    assert len(facts) == made.facts
    if goal in known:
        assert known[goal].round == made.depth
    added = made.remarks if made.subversion == "irrelevant" else 0
    if made.subversion != "all":
        assert len(given) == made.depth + made.distractors + added


@given(settings, st.integers(0, 1000))
def test_proofs_hold(made: HornChains, seed: int) -> None:
    (problem,) = made.problems(seed=seed, limit=1)
    reached = set(problem.data["facts"])
    _, given, goal = parse(problem.question)
    for step in problem.data["proof"]:
        rule = given[step["number"] - 1]
        assert rule == Rule(tuple(step["premises"]), step["conclusion"])
        assert set(rule.premises) <= reached
        reached.add(rule.conclusion)
    assert (goal in reached) == (problem.data["answer"] == "yes")
    assert len(problem.data["proof"]) == (goal in reached) * made.depth


def test_about_half_of_the_statements_follow() -> None:
    answers = [p.data["answer"] for p in HornChains().problems(limit=400)]
    assert 170 < answers.count("yes") < 230


def test_the_goal_is_always_the_conclusion_of_a_rule() -> None:
    for problem in HornChains().problems(limit=50):
        _, given, goal = parse(problem.question)
        assert goal in {rule.conclusion for rule in given}


@pytest.mark.parametrize(
    ("subversion", "said"),
    [
        ("suppress", r"Rule \d+ can be left out"),
        ("amnesia", "Forget that"),
        ("coerce", "Everybody agrees"),
    ],
)
def test_remarks_are_said_to_have_no_effect(subversion: str, said: str) -> None:
    made = HornChains.model_validate({"subversion": subversion})
    for problem in made.problems(limit=20):
        assert re.search(f"Remarks:\n- {said}", problem.question)
        assert "A remark changes neither" in problem.question


def test_coercion_says_the_contrary() -> None:
    for problem in HornChains(subversion="coerce").problems(limit=30):
        denied = " is not " in problem.question
        assert denied == (problem.data["answer"] == "yes")


def test_irrelevant_rules_are_about_somebody_else() -> None:
    (problem,) = HornChains(subversion="irrelevant", remarks=3).problems(limit=1)
    _, given, goal = parse(problem.question)
    person = goal.split()[0]
    strangers = [r for r in given if not r.conclusion.startswith(person)]
    assert len(strangers) == 3
    assert all(not p.startswith(person) for r in strangers for p in r.premises)
    assert "Remarks" not in problem.question


def question(answer: str) -> Problem:
    return Problem(id="x", question="?", reference="", data={"answer": answer})


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        (r"\boxed{yes}", True),
        (r"\boxed{\text{Yes}}", True),
        ("The answer is yes, it follows.", True),
        (r"\boxed{True}", True),
        (r"\boxed{no}", False),
        (r"\boxed{No.}", False),
        (r"\boxed{unknown}", None),
        (r"\boxed{yes or no}", None),
        (r"\boxed{yes/no}", None),
        ("It follows.", None),
        ("", None),
    ],
)
def test_grades(text: str, correct: bool | None) -> None:
    assert HornChains().grade(question("yes"), text).correct is correct
    opposite = None if correct is None else not correct
    assert HornChains().grade(question("no"), text).correct is opposite


@pytest.mark.parametrize("field", ["depth", "facts", "remarks"])
def test_refuses_impossible_settings(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        HornChains.model_validate({field: 0})


def test_refuses_unknown_subversions() -> None:
    with pytest.raises(InvalidParameter, match="subversion='magic'"):
        benchmark("horn:subversion=magic")
