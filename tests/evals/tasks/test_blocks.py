import random
from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import UNREADABLE, Grade, Problem, benchmark
from ponder.evals.tasks._blocks_world import Arrangement, draw, shortest_plan
from ponder.evals.tasks.blocks import Blocks

Towers = frozenset[tuple[str, ...]]


def neighbours(towers: Towers) -> dict[tuple[str, str], Towers]:
    """Return what each legal move makes of some towers."""
    found = {}
    for source in towers:
        *rest, block = source
        left = towers - {source} | ({tuple(rest)} if rest else set())
        found[block, "table"] = left | {(block,)}
        for target in towers - {source}:
            found[block, target[-1]] = left - {target} | {(*target, block)}
    return found


def distances(start: Towers) -> dict[Towers, int]:
    """Return the number of moves to every arrangement, by breadth-first search."""
    found, queue = {start: 0}, deque([start])
    while queue:
        now = queue.popleft()
        for after in neighbours(now).values():
            if after not in found:
                found[after] = found[now] + 1
                queue.append(after)
    return found


def supports(towers: Towers) -> Arrangement:
    return {b: t[i - 1] if i else "table" for t in towers for i, b in enumerate(t)}


def towers_of(now: Arrangement) -> Towers:
    above = {below: block for block, below in now.items() if below != "table"}
    towers = [[block] for block, below in now.items() if below == "table"]
    for tower in towers:
        while tower[-1] in above:
            tower.append(above[tower[-1]])
    return frozenset(map(tuple, towers))


@pytest.mark.parametrize(("blocks", "arrangements"), [("ABC", 13), ("ABCD", 73)])
def test_plans_are_as_short_as_they_can_be(blocks: str, arrangements: int) -> None:
    every = list(distances(frozenset([tuple(blocks)])))
    assert len(every) == arrangements
    longest = 0
    for start in random.Random(0).sample(every, 13):
        for goal, distance in distances(start).items():
            plan = shortest_plan(supports(start), supports(goal))
            assert len(plan) == distance
            now = start
            for move in plan:
                now = neighbours(now)[move]
            assert now == goal
            longest = max(longest, distance)
    assert longest == 2 * (len(blocks) - 1)


def test_every_arrangement_is_equally_likely() -> None:
    rng = random.Random(0)
    drawn = Counter(tuple(map(tuple, draw(rng, "ABC", None))) for _ in range(2600))
    assert len(drawn) == 13
    # Six standard deviations.
    assert all(abs(times - 200) < 82 for times in drawn.values())


def test_a_plan_needs_the_same_blocks() -> None:
    with pytest.raises(ValueError, match="same blocks"):
        shortest_plan({"A": "table"}, {"B": "table"})


@given(
    st.integers(0, 10**6),
    st.integers(3, 9),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 2, 3]),
    st.booleans(),
)
def test_references_are_right(
    seed: int, count: int, towers: int | None, moves: int | None, optimal: bool
) -> None:
    if count > 5 or towers is not None:
        moves = None
    world = Blocks(blocks=count, towers=towers, moves=moves, optimal=optimal)
    (problem,) = world.problems(seed=seed, limit=1)
    assert world.grade(problem, problem.reference).correct
    assert problem.data["start"] != problem.data["goal"]
    assert moves in (None, problem.data["shortest"])
    for arrangement in (problem.data["start"], problem.data["goal"]):
        assert len(arrangement) == count
        assert towers in (None, len(towers_of(arrangement)))
    assert ("as few" in problem.question) == optimal


@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_judges_any_plan_like_brute_force(seed: int, rng: random.Random) -> None:
    (problem,) = Blocks(blocks=3).problems(seed=seed, limit=1)
    now, goal = (towers_of(problem.data[key]) for key in ("start", "goal"))
    plan, legal = [], True
    for _ in range(rng.randint(1, 5)):
        options = neighbours(now)
        if rng.random() < 0.1:
            move = (rng.choice("ABC"), rng.choice(["A", "B", "C", "table"]))
        else:
            move = rng.choice(sorted(options))
        plan.append(move)
        # Putting a block where it is changes nothing.
        stays = {(t[-1], t[-2] if len(t) > 1 else "table"): now for t in now}
        legal = legal and move in options | stays
        now = (options | stays).get(move, now)
        if now == goal:
            break
    text = "; ".join(f"move {a} to {b}" for a, b in plan)
    grade = Blocks().grade(problem, rf"\boxed{{{text}}}")
    assert grade.correct == (legal and now == goal)
    if legal:
        missed = set(supports(goal).items()) - set(supports(now).items())
        assert len(grade.reasons) == len(missed)
    else:
        assert len(grade.reasons) == 1 and grade.reasons[0].startswith("Move ")
    strict = Blocks(optimal=True).grade(problem, rf"\boxed{{{text}}}")
    assert strict.correct == (grade.correct and len(plan) == problem.data["shortest"])


def world() -> Problem:
    """B stands on A and C on the table; A has to get onto B."""
    data = {
        "start": {"A": "table", "B": "A", "C": "table"},
        "goal": {"A": "B", "B": "table", "C": "table"},
        "shortest": 2,
    }
    return Problem(id="p", question="?", reference="!", data=data)


def grade(text: str, optimal: bool = False) -> Grade:
    return Blocks(optimal=optimal).grade(world(), text)


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{move B to table; move A to B}",
        r"\boxed{\text{Move B to the table; move A to B.}}",
        r"\boxed{\text{move B to table}; \text{move A to B}}",
        r"\boxed{move block B from A onto the table, then move block A on top of B}",
        "\\boxed{\n1. move B to table\n2. move A to B\n}",
        r"\boxed{move B to table \\ move A to B}",
        "Answer: move B to table. Move A to B.",
        "The answer is: 1. move B to the table, 2. move A onto B",
        "**Answer:**\n\n1. Move **B** to the table.\n2. Move **A** to **B**.\n\nDone!",
        "move b to table; move a to b",
        "- move B from A to table\n- move A from the table to B",
    ],
)
def test_reads_many_notations(text: str) -> None:
    assert grade(text).correct is True


@pytest.mark.parametrize(
    ("plan", "reasons"),
    [
        ("move A to B", ["Move 1, A to B: B stands on A."]),
        ("move C to A", ["Move 1, C to A: B stands on A."]),
        ("move B to table; move B to B", ["Move 2, B to B: B cannot stand on itself."]),
        ("move D to table", ["Move 1, D to the table: there is no block D."]),
        ("move B to Q; move A to B", ["Move 1, B to Q: there is no block Q."]),
        ("move B to table", ["In the end A is on the table and not on B."]),
        (
            "move B to C",
            [
                "In the end A is on the table and not on B.",
                "In the end B is on C and not on the table.",
            ],
        ),
    ],
)
def test_names_each_fault(plan: str, reasons: list[str]) -> None:
    found = grade(rf"\boxed{{{plan}}}")
    assert found.correct is False
    assert list(found.reasons) == reasons


def test_a_longer_plan_is_wrong_only_if_a_shortest_was_asked_for() -> None:
    plan = r"\boxed{move C to table; move B to table; move A to B}"
    assert grade(plan).correct
    assert grade(plan, optimal=True).reasons == ("3 moves; 2 are enough.",)
    assert grade(r"\boxed{move B to table; move A to B}", optimal=True).correct


@pytest.mark.parametrize(
    "text",
    [
        "",
        "First I move B to table, since A is below it.",
        r"\boxed{B}",
        r"\boxed{move B to table; move A to B; ...}",
        r"\boxed{move B to table; and so on}",
        r"\boxed{move B to table; move A",
        r"\boxed{move B to table; stack A on B}",
    ],
)
def test_what_cannot_be_read_is_not_wrong(text: str) -> None:
    found = grade(text)
    assert found.correct is None and found.reasons
    if found.answer is None:
        assert found == UNREADABLE


def test_settings_must_fit_each_other() -> None:
    with pytest.raises(ValidationError, match="give 3 or less"):
        Blocks(towers=4)
    with pytest.raises(ValidationError, match="give 6 or less, or raise blocks"):
        Blocks(moves=7)
    with pytest.raises(InvalidParameter, match="blocks='21'"):
        benchmark("blocks:blocks=21")


def test_impossible_settings_are_refused() -> None:
    # Two single towers of two blocks each other are never one move apart.
    with pytest.raises(InvalidParameter, match="moves=1 apart"):
        Blocks(blocks=2, towers=1, moves=1).problems(limit=1)
