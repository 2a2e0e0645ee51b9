"""How far a step-by-step solution of the Game of 24 has come."""

import pytest

from ponder.evals.benchmark import benchmark
from ponder.evals.tasks._countdown import progress
from ponder.evals.tasks.game24 import Game24
from ponder.evals.verifiers import exact_verifier
from ponder.models.scripted import ScriptedModel
from ponder.result import Candidate, Task
from tests.support.places import place

NUMBERS = [3, 5, 7, 10]


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0 / 4),
        ("3 + 5 = 8. Left: 7, 10, 8.", 1 / 4),
        ("3 + 5 = 8", 1 / 4),
        ("3 + 5 = 8. Left: 10, 8, 7.\n\n10 - 7 = 3. Left: 8, 3.\n\n", 2 / 4),
        ("3 + 5 = 8.\n10 - 7 = 3.\n8 × 3 = 24. Left: 24.\n\nThe expr", 3 / 4),
        ("(3 + 5) * (10 - 7) = 24", 3 / 4),
        ("3 + 5 = 9. Left: 7, 10, 9.", 0.0),
        ("3 + 5 = 8. Left: 7, 10.", 0.0),
        ("3 + 4 = 7. Left: 5, 10, 7.", 0.0),
        ("3 + 5 = 8.\n3 + 7 = 10.", 0.0),
        ("3 * 5 = 15. Left: 7, 10, 15.\n15 + 7 = 22. Left: 10, 22.", 0.0),
        ("Let me see.", None),
        ("3 + 5 = eight", None),
        ("3 + 5 = 8. Left: many.", None),
        ("3 + 5 = 8. Left: 7, 10", None),
        ("3 + 5 = 8. Left: 7, 11", 0.0),
    ],
)
def test_the_share_of_the_way(text: str, share: float | None) -> None:
    assert progress(text, NUMBERS, 24) == share


@pytest.mark.parametrize(
    ("last", "share"),
    [
        ("5 * 24/5 = 24. Left: 24.", 3 / 4),
        ("24/5 * 5 = 24. Left: 24.", 3 / 4),
        ("5 * (24/5) = 24. Left: 24.", 3 / 4),
        ("5 / 24/5 = 25/24. Left: 25/24.", 0.0),
    ],
)
def test_a_fraction_that_is_left_needs_no_brackets(last: str, share: float) -> None:
    text = f"1 / 5 = 1/5. Left: 5, 5, 1/5.\n5 - 1/5 = 24/5. Left: 5, 24/5.\n{last}"
    assert progress(text, [5, 5, 5, 1], 24) == share


@pytest.mark.parametrize(
    ("step", "share"),
    [
        ("4(6) = 24. Left: 1, 1, 24.", 1 / 4),
        ("4(6 - 1) = 20. Left: 1, 20.", 0.0),
        ("1 - 4 = -3. Left: 6, 1, -3.", 1 / 4),
        ("1 - 4 = -3.\n1 - -3 = 4. Left: 6, 4.", 2 / 4),
        ("-(4 - 6) = 2. Left: 1, 1, 2.", None),
    ],
)
def test_signs_that_are_not_written_or_that_are_signs_of_numbers(
    step: str, share: float | None
) -> None:
    assert progress(step, [4, 6, 1, 1], 24) == share


def test_every_beginning_of_a_worked_solution_is_on_the_way() -> None:
    game = Game24()
    for problem in game.problems(seed=5, limit=40):
        steps = problem.worked.split("\n\n")
        shares = [
            game.progress(problem, "\n\n".join(steps[:i]))
            for i in range(len(steps) + 1)
        ]
        assert shares == [0.0, 0.25, 0.5, 0.75, 0.75]


async def test_the_exact_verifier_scores_beginnings_and_accepts_none() -> None:
    made, _ = benchmark("game24")
    (problem,) = made.problems(limit=1)
    first = problem.worked.split("\n\n")[0]
    verifier, context = exact_verifier(made, problem), place(ScriptedModel([]))

    async def verdict(text: str, **more: object) -> tuple[float | None, bool | None]:
        candidate = Candidate.model_validate({"id": "c", "text": text, **more})
        found = await verifier.verify(Task(question="?"), candidate, context.at(text))
        return found.score, found.passed

    assert await verdict(first, finish_reason="length") == (0.25, None)
    assert await verdict("1 + 1 = 3", finish_reason="length") == (0.0, None)
    whole = problem.worked
    assert await verdict(whole, answer=problem.reference) == (1.0, True)
