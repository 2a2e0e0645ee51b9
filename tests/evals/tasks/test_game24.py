import csv
import random
import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations_with_replacement, permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.errors import InvalidInput, InvalidParameter
from ponder.evals.benchmark import SPLITS, UNREADABLE, Grade, Problem, benchmark
from ponder.evals.tasks._arithmetic import count_solutions, solve
from ponder.evals.tasks.game24 import Game24

PUZZLES = Path(__file__).parents[4] / "shared" / "data" / "game24.csv"


def puzzle(*numbers: int, target: int = 24) -> Problem:
    data = {"numbers": numbers, "target": target}
    return Problem(id="p", question="?", reference="!", data=data)


def grade(answer: str, *numbers: int, target: int = 24) -> Grade:
    return Game24().grade(puzzle(*numbers, target=target), answer)


def reachable(numbers: list[Fraction]) -> Iterator[Fraction]:
    """Yield every value, by combining any two numbers again and again."""
    if len(numbers) == 1:
        yield numbers[0]
        return
    for a, b, *rest in permutations(numbers):
        for value in (a + b, a - b, a * b, *([a / b] if b else [])):
            yield from reachable([value, *rest])


@given(
    st.integers(0, 10**6),
    st.integers(3, 5),
    st.integers(9, 13),
    st.integers(1, 40),
    st.sampled_from([None, None, 2, 5]),
)
def test_references_are_right(
    seed: int, numbers: int, largest: int, target: int, solutions: int | None
) -> None:
    if solutions:
        # Of more numbers hardly any have so few solutions.
        numbers, largest, target = 4, 13, 24
    game = Game24(numbers=numbers, largest=largest, target=target, solutions=solutions)
    (problem,) = game.problems(seed=seed, limit=1)
    assert game.grade(problem, problem.reference).correct
    assert len(problem.data["numbers"]) == numbers
    assert all(1 <= n <= largest for n in problem.data["numbers"])
    assert all(str(n) in problem.question for n in problem.data["numbers"])
    if solutions:
        assert count_solutions(problem.data["numbers"], target) <= solutions
    # The example of the format must not give the answer away.
    shown = problem.question.splitlines()[-1]
    assert not game.grade(problem, shown).correct


@given(st.lists(st.integers(1, 13), min_size=2, max_size=3), st.integers(1, 40))
def test_solves_what_brute_force_solves(numbers: list[int], target: int) -> None:
    found = Fraction(target) in set(reachable([Fraction(n) for n in numbers]))
    assert (solve(numbers, target) is not None) == found
    assert (count_solutions(numbers, target) > 0) == found


@pytest.mark.parametrize("numbers", [(3, 3, 8, 8), (1, 1, 1, 1), (2, 7, 9, 13)])
def test_solves_four_numbers_like_brute_force(numbers: tuple[int, ...]) -> None:
    found = Fraction(24) in set(reachable([Fraction(n) for n in numbers]))
    assert (solve(numbers, 24) is not None) == found


@pytest.mark.skipif(
    not PUZZLES.exists(), reason="the published puzzles are not on this machine"
)
def test_solves_exactly_the_published_puzzles() -> None:
    with PUZZLES.open(newline="") as file:
        rows = [row["Puzzles"].split() for row in csv.DictReader(file)]
    published = {tuple(sorted(map(int, row))) for row in rows}
    drawn = combinations_with_replacement(range(1, 14), 4)
    assert {numbers for numbers in drawn if solve(numbers, 24)} == published


def test_counts_formulas_that_differ() -> None:
    assert count_solutions([3, 3, 8, 8], 24) == 1
    assert count_solutions([11, 13], 24) == 1
    # 1 * 24, and 24 / 1.
    assert count_solutions([1, 24], 24) == 2
    assert count_solutions([1, 1, 1, 1], 24) == 0
    assert count_solutions([4, 6, 7, 10], 24) > count_solutions([4, 6, 7, 10], 24, 1)
    counts = {count_solutions(order, 24) for order in permutations([4, 6, 7, 10])}
    assert len(counts) == 1


@given(st.randoms(use_true_random=False), st.integers(2, 5), st.booleans())
def test_judges_any_expression_exactly(
    rng: random.Random, count: int, changed: bool
) -> None:
    numbers = [rng.randint(1, 13) for _ in range(count)]
    used = rng.sample(numbers, count)
    if changed:
        used[0] += 1
    parts = [(str(n), Fraction(n)) for n in used]
    while len(parts) > 1:
        (a, v), (b, w) = (parts.pop(rng.randrange(len(parts))) for _ in range(2))
        options = {"+": v + w, "-": v - w, "*": v * w} | ({"/": v / w} if w else {})
        sign = rng.choice(sorted(options))
        parts.append((f"({a} {sign} {b})", options[sign]))
    text, value = parts[0]
    wrong = grade(rf"\boxed{{{text}}}", *numbers, target=1000)
    assert wrong.correct is (value == 1000 and not changed)
    assert any("gives" in r for r in wrong.reasons) == (value != 1000)
    if value.denominator == 1 and value >= 1:
        right = grade(rf"\boxed{{{text}}}", *numbers, target=int(value))
        assert right.correct is not changed


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{(4 + 8) * (6 - 4)}",
        r"So \boxed{(4 + 8) * (6 - 4) = 24}.",
        r"\boxed{24 = (4 + 8) * (6 - 4)}",
        r"\boxed{(4+8)×(6−4)}",
        r"$\boxed{\left(4 + 8\right) \times (6 - 4)}$",
        r"\boxed{(4 + 8) \cdot (6 - 4)}",
        r"\boxed{[4 + 8] x [6 - 4]}",
        r"\boxed{+(4 + 8) * -(4 - 6)}",
        r"\boxed{(4 + 8)(6 - 4) = 12 * 2 = 24}",
        r"\boxed{\frac{4 + 8}{\frac{4}{4 \cdot 2}} \div 1}",
        "Answer: (4 + 8) * (6 - 4) = 24",
        "**Answer:** (4 + 8) * (6 - 4)",
        "(4 + 8) * (6 - 4)",
    ],
)
def test_reads_many_notations(text: str) -> None:
    numbers = (1, 2, 4, 4, 4, 8) if "frac" in text else (4, 4, 6, 8)
    assert grade(text, *numbers).correct


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        ("(4 + 8) * 2", ["2 is given never", "4 is given twice and used once", "6 is"]),
        ("4 + 4 + 6 + 8", ["It gives 22 and not 24."]),
        ("4 / 6 + 4 + 8", ["It gives 38/3 and not 24."]),
        ("(6 + 8) / (4 - 4)", ["It divides by zero."]),
        ("(4 + 8) * (6 - 4) ^ 1", ["Operator ^ is not among + - * /."]),
        ("4 ** 4 // 6 - 8", ["Operator **", "Operator //"]),
        (r"\sqrt{4} + 4! + 6 - 8", [r"Operator \sqrt", "Operator !"]),
        ("44 - 6 - 8", ["4 is given twice and used never", "44 is given never", "30"]),
        ("(4 + 8) * (6 - 4) * 1.0", ["Number 1 is given never and used once."]),
        ("No solution", ["there is one"]),
    ],
)
def test_names_each_broken_rule(answer: str, reasons: list[str]) -> None:
    found = grade(rf"\boxed{{{answer}}}", 4, 4, 6, 8)
    assert found.correct is False
    assert len(found.reasons) == len(reasons)
    for reason, part in zip(found.reasons, reasons, strict=True):
        assert part in reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I combine 4 and 8 to 12, and 12 * 2 is 24.",
        "4 + 8 = 12 (left: 4 6 12)",
        r"\boxed{24}",
        r"\boxed{__import__('os')}",
        r"\boxed{4 + + }",
        r"\boxed{4 + 6 + 4 * 8 ()}",
        r"\boxed{()}",
        r"\boxed{4 + 8 = 12, 12 * 2 = 24}",
        r"\boxed{" + "(" * 150 + "4" + ")" * 150 + "}",
        r"\boxed{(4 + 8) * (6",
    ],
)
def test_what_cannot_be_read_is_not_wrong(text: str) -> None:
    found = grade(text, 4, 4, 6, 8)
    assert found.correct is None and found.reasons
    if found.answer is None:
        assert found == UNREADABLE


def write(path: Path, *rows: str, head: str = "Rank,Puzzles,Solved rate") -> Path:
    path.write_text("\n".join((head, *rows)) + "\n")
    return path


def test_a_file_gives_its_ranks(tmp_path: Path) -> None:
    rows = [f"{rank},4 {rank % 2 + 5} 8 4,50%" for rank in range(1, 101)]
    path = write(tmp_path / "ranked.csv", *rows)
    game, _ = benchmark(f"game24:path={path},first_rank=11,last_rank=90")
    assert isinstance(game, Game24)
    parts = [game.problems(split=split) for split in SPLITS]
    ids = [problem.id for part in parts for problem in part]
    assert sorted(ids) == sorted(f"game24-rank-{r}" for r in range(11, 91))
    assert all(part for part in parts)
    for problem in game.every():
        assert game.grade(problem, problem.reference).correct
    assert len(game.problems(limit=3)) == 3


@pytest.mark.parametrize(
    ("rows", "head", "message"),
    [
        (["901,4 4 6 8"], "Rank,Numbers", "no column 'Puzzles'"),
        (["first,4 4 6 8"], "Rank,Puzzles", "line 2: Rank is 'first'"),
        (["901,4 4 6 8", "902,4 x"], "Rank,Puzzles", "line 3: Puzzles is '4 x'"),
        (["901,4 4 6 0"], "Rank,Puzzles", "above 0"),
        (["901"], "Rank,Puzzles", "Puzzles is None"),
        (["901,1 1 1 1"], "Rank,Puzzles", "rank 901 cannot give 24"),
        (["1,4 4 6 8"], "Rank,Puzzles", "no puzzle of rank 901 to 1000"),
        (["901,4 4 6 8", "901,4 4 6 8"], "Rank,Puzzles", "two problems with the id"),
    ],
)
def test_a_damaged_file_is_refused(
    tmp_path: Path, rows: list[str], head: str, message: str
) -> None:
    path = write(tmp_path / "damaged.csv", *rows, head=head)
    with pytest.raises(InvalidInput, match=message):
        Game24(path=path).problems()


def test_a_file_must_exist_and_be_text(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Cannot read .*absent.csv"):
        Game24(path=tmp_path / "absent.csv").problems()
    (tmp_path / "binary.csv").write_bytes(b"Rank,Puzzles\n\xff\xfe\n")
    with pytest.raises(InvalidInput, match="Cannot read"):
        Game24(path=tmp_path / "binary.csv").problems()
    with pytest.raises(InvalidInput, match="give its path"):
        Game24().every()


def test_every_line_of_a_worked_solution_is_right_as_it_is_written() -> None:
    for problem in Game24().problems(seed=4, limit=60):
        *steps, last = problem.worked.split("\n\n")
        for step in steps:
            left, _, right = step.partition(". ")[0].partition(" = ")
            assert eval_exactly(left) == Fraction(right), problem.worked
        assert last.startswith("The expression: ")


def eval_exactly(text: str) -> Fraction:
    """Return the value that arithmetic has by its usual rules."""
    return Fraction(eval(re.sub(r"\d+", r"Fraction(\g<0>)", text)))


def test_settings_must_fit_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="path and numbers exclude each other"):
        Game24(path=tmp_path, numbers=4)
    with pytest.raises(ValidationError, match="first_rank needs path"):
        Game24(first_rank=1)
    with pytest.raises(ValidationError, match="must not be greater"):
        Game24(path=tmp_path, first_rank=1001)
    with pytest.raises(InvalidParameter, match="numbers='6'"):
        benchmark("game24:numbers=6")


@pytest.mark.parametrize(
    ("game", "message"),
    [
        (Game24(largest=1), "largest=1 .*target=24. Raise largest,"),
        (Game24(numbers=2, target=500), "target=500"),
        (Game24(largest=1, target=1, solutions=1), "solutions=1 ways"),
    ],
)
def test_impossible_settings_are_refused(game: Game24, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        game.problems(limit=1)
