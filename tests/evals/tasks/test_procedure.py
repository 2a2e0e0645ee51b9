import json
import re
from collections.abc import Callable
from string import ascii_uppercase as ALPHABET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import Problem, benchmark
from ponder.evals.tasks._procedures import TEMPLATES, State
from ponder.evals.tasks.procedure import (
    ProcedureFollowing,
    final_match,
    prefix_accuracy,
    prefix_match_length,
    read_state,
    sequential_match,
)

names = st.sampled_from(sorted(TEMPLATES))
seeds = st.integers(0, 10_000)
sequences = st.lists(st.integers(0, 2), max_size=6)


def one(template: str = "any", steps: int = 6, seed: int = 0) -> Problem:
    made = ProcedureFollowing(template=template, steps=steps)
    return made.problems(seed=seed, limit=1)[0]


@given(names, st.integers(2, 25), seeds)
def test_references_are_right(template: str, steps: int, seed: int) -> None:
    problem = one(template, steps, seed)
    grade = ProcedureFollowing().grade(problem, problem.reference)
    assert grade.correct is True
    assert grade.score == 1
    assert grade.reasons == ()
    assert len(problem.data["states"]) == steps
    assert Problem.model_validate_json(problem.model_dump_json()) == problem


def _words(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text)]


def _stack(state: list[int], step: str) -> list[int]:
    return [*state, *_words(step)] if step.startswith("Push") else state[:-1]


def _reverse(state: list[int], step: str) -> list[int]:
    a, b = _words(step)
    return state[: a - 1] + list(reversed(state[a - 1 : b])) + state[b:]


def _transfer(state: list[int], step: str) -> list[int]:
    count, giver, taker = _words(step)
    change = {giver: -count, taker: count}
    return [n + change.get(i, 0) for i, n in enumerate(state, 1)]


def _walk(state: list[int], step: str) -> list[int]:
    (far,), (x, y) = _words(step), state
    way = step.rstrip(".").split()[-1]
    return {
        "north": [x, y + far],
        "south": [x, y - far],
        "east": [x + far, y],
        "west": [x - far, y],
    }[way]


def _registers(state: list[int], step: str) -> list[int]:
    values = dict(zip("ABC", state, strict=True))
    target, right = step.split(" := ")
    total, sign = 0, 1
    for part in right.split():
        if part in "+-":
            sign = 1 if part == "+" else -1
        else:
            total += sign * (values[part] if part in values else int(part))
    return list((values | {target: total}).values())


def _arithmetic(state: int, step: str) -> int:
    (k,) = _words(step)
    if step.startswith("Divide"):
        assert state % k == 0
        return state // k
    words = {"Add": state + k, "Subtract": state - k, "Multiply": state * k}
    return words[step.split()[0]]


def _rotate(state: str, step: str) -> str:
    k = (_words(step) or [1])[0]
    if "first" in step:
        return state[k:] + state[:k]
    return state[len(state) - k :] + state[: len(state) - k]


def _substitute(state: str, step: str) -> str:
    match = re.fullmatch(r"Replace every (.) by (.)\.", step)
    assert match and match[1] in state
    return "".join(match[2] if c == match[1] else c for c in state)


def _encode(state: str, step: str) -> str:
    place, shift = _words(step)
    moved = (ALPHABET * 2)[ALPHABET.index(state[place - 1]) + shift]
    return state[: place - 1] + moved + state[place:]


def _edit(state: str, step: str) -> str:
    (place,), letters = _words(step), list(state)
    if step.startswith("Delete"):
        del letters[place - 1]
    else:
        letters.insert(place, step.split()[1])
    return "".join(letters)


FOLLOW: dict[str, Callable[..., State]] = {
    "stack": _stack,
    "reverse": _reverse,
    "transfer": _transfer,
    "walk": _walk,
    "registers": _registers,
    "arithmetic": _arithmetic,
    "rotate": _rotate,
    "substitute": _substitute,
    "encode": _encode,
    "edit": _edit,
}
"""How a reader of the question would do one step, found from its text alone."""


@pytest.mark.parametrize("template", sorted(FOLLOW))
@given(seeds)
def test_the_text_leads_to_the_states(template: str, seed: int) -> None:
    problem = one(template, 12, seed)
    state = read_state(
        re.findall(r"^State at the start: (.*)$", problem.question, re.M)[0],
        like=problem.data["states"][0],
    )
    for k, truth in enumerate(problem.data["states"], 1):
        (step,) = re.findall(rf"^{k}\. (.*)$", problem.question, re.M)
        state = FOLLOW[template](state, step)
        assert state == truth


@given(seeds)
def test_sorting_sorts(seed: int) -> None:
    data = one("sort", 5, seed).data
    assert data["states"][-1] == sorted(data["start"])
    for k, row in enumerate(data["states"], 1):
        assert row[:k] == sorted(data["start"])[:k]


@given(seeds)
def test_counting_counts(seed: int) -> None:
    problem = one("count", 5, seed)
    letter = re.findall(r"counts the letter (.)\.", problem.question)[0]
    words = re.findall(r"^\d\. (\w+)$", problem.question, re.M)
    counts = [sum(w.count(letter) for w in words[:k]) for k in range(1, 6)]
    assert counts == problem.data["states"]


@given(seeds)
def test_gathering_goes_round(seed: int) -> None:
    problem = one("gather", 5, seed)
    circle = re.findall(r"The letters (\w+) stand", problem.question)[0]
    place, row = circle.index(problem.data["start"]), problem.data["start"]
    for far in re.findall(r"Go on by (\d)\.", problem.question):
        place += int(far)
        row += (circle * 10)[place]
    assert row == problem.data["states"][-1]


def test_every_template_is_checked() -> None:
    assert FOLLOW.keys() | {"sort", "count", "gather"} == TEMPLATES.keys()


@given(sequences, sequences)
def test_metrics_agree_with_each_other(p: list[int], t: list[int]) -> None:
    length = prefix_match_length(p, t)
    assert p[:length] == t[:length]
    assert p[: length + 1] != t[: length + 1] or length == min(len(p), len(t))
    assert sequential_match(p, t) == (p == t)
    assert (prefix_accuracy(p, t) == 1) == (p == t)
    if p and sequential_match(p, t):
        assert final_match(p, t)


@pytest.mark.parametrize(
    ("p", "t", "pml", "pa", "sm", "fm"),
    [
        ("abcd", "abcd", 4, 1, True, True),
        ("abxd", "abcd", 2, 0.5, False, True),
        ("ab", "abcd", 2, 0.5, False, False),
        ("abcdefgh", "abcd", 4, 0.5, False, False),
        ("xbcd", "abcd", 0, 0, False, True),
        ("", "abcd", 0, 0, False, False),
    ],
)
def test_metrics(p: str, t: str, pml: int, pa: float, sm: bool, fm: bool) -> None:
    assert prefix_match_length(p, t) == pml
    assert prefix_accuracy(p, t) == pa
    assert sequential_match(p, t) is sm
    assert final_match(p, t) is fm


def made_up(states: list[State]) -> Problem:
    return Problem(id="x", question="?", reference="", data={"states": states})


LETTERS = made_up(["AB", "BA", "BAC", "CAB"])
LISTS = made_up([[1, 2], [2, 1]])
NUMBERS = made_up([7, 12])
GOOD = "Step 1: AB\nStep 2: BA\nStep 3: BAC\nStep 4: CAB\n"


@pytest.mark.parametrize(
    ("text", "correct", "score", "reason"),
    [
        (GOOD + r"\boxed{CAB}", True, 1, None),
        (GOOD + r"\boxed{BAC}", False, 1, "last state is wrong"),
        (GOOD.replace("BAC", "BBB") + r"\boxed{CAB}", True, 0.5, "Step 3 is wrong"),
        (GOOD.replace("Step 2: BA\n", "") + r"\boxed{CAB}", True, 0.25, "Step 2 is m"),
        ("Step 1: AB\n" + r"\boxed{CAB}", True, 0.25, "Step 2 is missing"),
        (GOOD + "Step 5: A\n" + r"\boxed{CAB}", True, 0.8, "5 steps instead of 4"),
        (r"\boxed{CAB}", True, None, "No step"),
        ("Step 1: <state>\n" + r"\boxed{CAB}", True, None, "No step"),
        ("Step 1: ZZ\n" + GOOD + r"\boxed{cab}", True, 1, None),
        (
            GOOD.replace(": ", ":** ").replace("Step", "**Step") + r"\boxed{CAB}",
            1,
            1,
            0,
        ),
        ("Step 1: swap -> AB (done)\n" + r"\boxed{C, A, B}", True, 0.25, "Step 2"),
    ],
)
def test_grades(
    text: str, correct: bool, score: float | None, reason: str | None
) -> None:
    grade = ProcedureFollowing().grade(LETTERS, text)
    assert grade.correct == correct
    assert grade.score == score
    assert len(grade.reasons) == bool(reason)
    assert (reason or "") in "".join(grade.reasons)
    if grade.score is not None and grade.score < 1:
        assert "BAC" not in "".join(grade.reasons)


@pytest.mark.parametrize(
    ("problem", "text", "correct"),
    [
        (LISTS, r"\boxed{[2, 1]}", True),
        (LISTS, r"\boxed{2,1}", True),
        (LISTS, r"The answer is (2, 1).", True),
        (LISTS, r"\boxed{[1, 2]}", False),
        (LISTS, r"\boxed{1, 2}", False),
        (LISTS, r"\boxed{[]}", False),
        (LISTS, r"\boxed{21}", None),
        (LISTS, r"\boxed{two, one}", None),
        (LISTS, GOOD, None),
        (NUMBERS, r"\boxed{12}", True),
        (NUMBERS, r"\boxed{12 letters}", True),
        (NUMBERS, r"\boxed{13 letters}", False),
        (NUMBERS, r"\boxed{many}", None),
        (NUMBERS, "Step 2: 12", None),
        (LETTERS, r"\boxed{12}", None),
        (LETTERS, r"\boxed{the row CAB}", None),
        (LETTERS, "", None),
    ],
)
def test_reads_answers(problem: Problem, text: str, correct: bool | None) -> None:
    assert ProcedureFollowing().grade(problem, text).correct is correct


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("7 + 5 = 12", 12),
        ("$12$", 12),
        ("\u22123", -3),
        (r"\boxed{12}", 12),
        ("add 5", None),
        ("the count is 4", None),
        ("1.5", None),
    ],
)
def test_reads_numbers_that_stand_alone(line: str, state: int | None) -> None:
    assert read_state(line, like=0) == state


def test_errors_do_not_give_the_truth_away() -> None:
    grade = ProcedureFollowing().grade(NUMBERS, "Step 1: 8\n" + r"\boxed{11}")
    assert "7" not in "".join(grade.reasons)
    assert "12" not in "".join(grade.reasons)


def test_problems_are_reproducible_and_json() -> None:
    made = ProcedureFollowing().problems(seed=3, limit=30)
    assert made == ProcedureFollowing().problems(seed=3, limit=30)
    assert len({p.data["template"] for p in made}) > 5
    json.dumps([p.data for p in made])


@pytest.mark.parametrize("steps", [0, 1, 26])
def test_refuses_impossible_numbers_of_steps(steps: int) -> None:
    with pytest.raises(ValidationError, match="steps"):
        ProcedureFollowing(steps=steps)


def test_refuses_unknown_templates() -> None:
    with pytest.raises(InvalidParameter, match="template='sorting'.*choose any, sort"):
        benchmark("procedure:template=sorting")
    found, seed = benchmark("procedure:template=sort,steps=3,seed=4")
    assert found == ProcedureFollowing(template="sort", steps=3)
    assert seed == 4
