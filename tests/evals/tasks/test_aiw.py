import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import Problem, Split, benchmark
from ponder.evals.tasks._relations import VARIATIONS, People, Scene
from ponder.evals.tasks.aiw import AliceInWonderland, count

names = st.sampled_from(sorted(VARIATIONS))
seeds = st.integers(0, 10_000)


def family() -> People:
    """Grandparents with Ann and Bob; Ann's Cid and Dora, Bob's Eva."""
    people = People()
    old = people.couple()
    for name, female in (("Ann", True), ("Bob", False)):
        people.add(female, name, old)
    ann = ("Ann", people.add(False))
    bob = ("Bob", people.add(True))
    people.add(False, "Cid", ann)
    people.add(True, "Dora", ann)
    people.add(True, "Eva", bob)
    return people


def test_relations_on_a_known_family() -> None:
    people = family()
    assert people.siblings("Cid") == {"Dora"}
    assert people.siblings("Eva") == set()
    assert people.offspring("Ann") == {"Cid", "Dora"}
    assert people.cousins("Eva") == {"Cid", "Dora"}
    assert people.cousins("Dora") == {"Eva"}
    assert people.nieces_and_nephews("Bob") == {"Cid", "Dora"}
    assert people.aunts_and_uncles("Eva") == {"Ann"}
    assert people.of_sex(people.cousins("Eva"), female=True) == {"Dora"}
    assert people.siblings("#0") == set(), "unknown parents make no siblings"


def number(text: str, what: str) -> int:
    return int(re.findall(rf"(\d+) {what}", text)[0])


@given(seeds)
def test_the_classic_has_its_known_answer(seed: int) -> None:
    made = AliceInWonderland(variation="sisters_of_brother")
    (problem,) = made.problems(seed=seed, limit=1)
    own = problem.question.startswith("A girl")
    sisters = number(problem.question, "sister")
    assert problem.data["answer"] == sisters + own


@given(seeds)
def test_other_siblings(seed: int) -> None:
    rng = random.Random(seed)
    for name, counted, asked in (
        ("brothers_of_sister", "brother", "sister"),
        ("sisters_of_sister", "sister", "sister"),
        ("brothers_of_brother", "brother", "brother"),
    ):
        scene = VARIATIONS[name](rng, 7)
        hero = "sister" if scene.text.startswith("A girl") else "brother"
        expected = number(scene.text, counted) + (hero == counted)
        assert count(scene) == expected - (asked == counted)


@given(seeds)
def test_children_of_the_same_parents(seed: int) -> None:
    scene = VARIATIONS["children_of_parents"](random.Random(seed), 7)
    text = scene.text
    sisters = "How many sisters" in text
    own = sisters == ("a girl" in text)
    assert count(scene) == number(text, "daughter" if sisters else "son") - own


@given(seeds)
def test_nieces_and_nephews(seed: int) -> None:
    scene = VARIATIONS["nieces"](random.Random(seed), 7)
    own, each = re.findall(r"(\d+) (?:daughter|son)", scene.text)
    sisters = number(scene.text, "sister")
    assert count(scene) == sisters * int(each) + int(own)


@given(seeds)
def test_cousins_on_both_sides(seed: int) -> None:
    scene = VARIATIONS["cousins"](random.Random(seed), 7)
    female = "many female" in scene.text
    if "does a child of" in scene.text:
        own = female == ("a girl" in scene.text)
        siblings = number(scene.text, "sister" if female else "brother")
        assert count(scene) == siblings + own
    else:
        assert count(scene) == number(scene.text, "daughter" if female else "son")


@given(seeds)
def test_aunts_of_both_parents(seed: int) -> None:
    scene = VARIATIONS["aunts"](random.Random(seed), 7)
    kin = "sister" if "many aunts" in scene.text else "brother"
    parents = scene.text.partition("Their mother")[2]
    assert count(scene) == sum(map(int, re.findall(rf"(\d+) {kin}", parents)))


@given(st.sampled_from(["colleagues", "friends"]), seeds)
def test_circles(name: str, seed: int) -> None:
    scene = VARIATIONS[name](random.Random(seed), 7)
    counted = re.findall(r"How many (\w+)", scene.text)[0]
    asked = re.findall(r"does a (\w+)", scene.text)[0]
    hero = "female" if "a woman" in scene.text else "male"
    expected = number(scene.text, counted) + (hero == counted) - (asked == counted)
    assert count(scene) == expected


@given(names, st.integers(1, 7), seeds)
def test_references_are_right(name: str, largest: int, seed: int) -> None:
    made = AliceInWonderland(variation=name, largest=largest)
    (problem,) = made.problems(seed=seed, limit=1)
    assert made.grade(problem, problem.reference).correct is True
    numbers = [int(n) for n in re.findall(r"\d+", problem.question)]
    assert all(1 <= n <= largest for n in numbers)
    assert "#" not in problem.question, "nobody without a name is told of"


def test_mixes_all_variations_by_default() -> None:
    made = AliceInWonderland().problems(limit=150)
    assert {p.data["variation"] for p in made} == VARIATIONS.keys()
    assert made == AliceInWonderland().problems(limit=150)


def test_splits_share_no_question() -> None:
    made = AliceInWonderland(variation="sisters_of_brother")
    splits: list[Split] = ["tune", "test", "sealed"]
    asked = [{p.question for p in made.problems(split=s, limit=150)} for s in splits]
    assert not asked[0] & asked[1] | asked[1] & asked[2] | asked[0] & asked[2]


def test_says_so_if_no_question_belongs_to_a_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = VARIATIONS["friends"](random.Random(0), 3)
    monkeypatch.setitem(VARIATIONS, "friends", lambda rng, largest: scene)
    made = AliceInWonderland(variation="friends")
    splits: list[Split] = ["tune", "test", "sealed"]
    failed = []
    for split in splits:
        try:
            made.problems(split=split, limit=1)
        except InvalidParameter as error:
            failed.append(str(error))
    assert len(failed) == 2
    assert all("variation='friends'" in message for message in failed)


def test_refuses_questions_with_two_answers() -> None:
    people = family()
    cases = [frozenset({"Cid", "Eva"}), frozenset[str]()]
    for asked, number in zip(cases, (2, 0), strict=True):
        scene = Scene("Who?", people, asked, people.siblings)
        with pytest.raises(InvalidParameter, match=f"has {number} answers"):
            count(scene)


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        (r"\boxed{4}", True),
        (r"\boxed{4 sisters}", True),
        (r"\boxed{four}", True),
        ("The answer is Four sisters.", True),
        (r"\boxed{3}", False),
        (r"\boxed{three}", False),
        (r"\boxed{M + 1}", False),
        (r"\boxed{many}", None),
        ("He has 4 sisters.", None),
        ("", None),
    ],
)
def test_grades(text: str, correct: bool | None) -> None:
    problem = Problem(id="x", question="?", reference="", data={"answer": 4})
    assert AliceInWonderland().grade(problem, text).correct is correct


@pytest.mark.parametrize("largest", [0, 8])
def test_refuses_impossible_numbers(largest: int) -> None:
    with pytest.raises(ValidationError, match="largest"):
        AliceInWonderland(largest=largest)


def test_refuses_unknown_variations() -> None:
    with pytest.raises(InvalidParameter, match="variation='x'.*choose any, sisters_of"):
        benchmark("aiw:variation=x")
