"""Selection-Inference: each step rests on its selection, and on nothing else."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from ponder import Budget, Journal, Result, ScriptedModel, areplay, asolve, solve
from ponder.budget import DIMENSIONS
from ponder.errors import ModelUnreachable
from ponder.evals.tasks.horn import HornChains
from tests.support.logician import logician

QUESTION = """\
Facts:
- Bo is a.

Rules:
1. If Bo is a, then Bo is b.
2. If Bo is b, then Bo is c.
3. If Bo is x, then Bo is y.

Does it follow that Bo is {end}? Write \\boxed{{yes}} or \\boxed{{no}}."""


def ask(question: str, model: Any = None, **parameters: Any) -> Result:
    return solve(
        question,
        strategy="selection_inference",
        parameters=parameters,
        model=model or logician(),
        journal=Journal(":memory:"),
    )


@pytest.mark.parametrize(("end", "answer"), [("c", "yes"), ("y", "no")])
def test_it_chains_forward(end: str, answer: str) -> None:
    assert ask(QUESTION.format(end=end)).answer == answer


@pytest.mark.parametrize("seed", range(4))
def test_it_decides_horn_problems_that_its_steps_reach(seed: int) -> None:
    problem = HornChains(depth=3).make(random.Random(seed), str(seed))
    result = ask(problem.question, H=20)
    assert HornChains().grade(problem, result.text).correct


def test_too_few_steps_do_not_reach_the_goal() -> None:
    assert ask(QUESTION.format(end="c"), H=1).answer == "no"


def test_inference_sees_the_selection_alone() -> None:
    model = logician()
    ask(QUESTION.format(end="c"), model)
    inferences = [
        r.messages[-1].content
        for r in model.calls
        if "What follows from these" in r.messages[-1].content
    ]
    first, second = inferences[:2]
    assert first.split("\n\n")[0] == "Bo is a.\nIf Bo is a, then Bo is b."
    assert second.split("\n\n")[0] == "If Bo is b, then Bo is c.\nBo is b."
    assert all(len(r.messages) == 1 for r in model.calls[:-1])


def test_what_was_inferred_can_be_selected_and_draws_the_proof() -> None:
    result = ask(QUESTION.format(end="c"))
    edges = {(e["source"], e["target"]) for e in result.graph["edges"]}
    assert {
        ("given/0", "step/0"),
        ("given/1", "step/0"),
        ("given/2", "step/1"),
        ("step/0", "step/1"),
        ("step/1", "answer"),  # the attempt at the place "answer"
    } <= edges
    assert ("given/3", "step/0") not in edges
    labels = {n["id"]: n["label"] for n in result.graph["nodes"]}
    assert (labels["step/0"], labels["step/1"]) == ("Bo is b.", "Bo is c.")


def test_nothing_new_twice_ends_it() -> None:
    model = logician()
    ask(QUESTION.format(end="c"), model, H=50)
    kinds = [r.messages[-1].content for r in model.calls]
    steps = sum("What follows from these" in k for k in kinds)
    # Two that derive b and c, and two that find nothing.
    assert steps == 4


def test_the_selection_after_a_stale_step_is_drawn_warm() -> None:
    model = logician()
    ask(QUESTION.format(end="c"), model, H=50)
    warm = [
        r.sampling.temperature
        for r in model.calls
        if "Which of the numbered" in r.messages[-1].content
    ]
    assert warm == [0.0, 0.0, 0.0, 0.7]


def test_the_halter_ends_it_as_soon_as_the_answer_is_there() -> None:
    model = logician()
    result = ask(QUESTION.format(end="b"), model, H=50, halt="halter")
    assert result.answer == "yes"
    assert result.roles["reasoner"].calls == result.roles["halter"].calls == 1


def test_numbers_of_no_statement_are_no_selection() -> None:
    replies = [
        json.dumps({"selection": [99, "x"]}), "nonsense",
        json.dumps({"selection": [2, 1]}), "Bo is b.", "\\boxed{yes}",
    ]  # fmt: skip
    with ScriptedModel(replies) as model:
        result = ask(QUESTION.format(end="b"), model, H=2)
    assert result.answer == "yes"
    assert result.warnings == ("A selection could not be read: the step is left out.",)


def test_given_statements_take_the_place_of_the_sentences() -> None:
    model = logician()
    result = ask(
        "Does it follow that Bo is b?",
        model,
        statements=["Bo is a.", "If Bo is a, then Bo is b."],
    )
    assert result.answer == "yes"
    assert model.calls[0].messages[-1].content.startswith("1. Bo is a.\n2. If Bo")


def test_a_question_without_statements_is_answered_directly() -> None:
    with ScriptedModel(["\\boxed{4}"]) as model:
        result = ask("What is 2 + 2?", model)
    assert result.answer == "4"
    assert "holds no statements" in result.warnings[0]


def test_a_failing_step_does_not_fail_the_run() -> None:
    replies: list[str | Exception] = [
        ModelUnreachable("down"),
        json.dumps({"selection": [1, 2]}), "Bo is b.",
        ModelUnreachable("down"), "\\boxed{yes}",
    ]  # fmt: skip
    with ScriptedModel(replies) as model:
        result = ask(QUESTION.format(end="b"), model, H=2)
    assert result.answer == "yes"
    assert [w.split(":")[0] for w in result.warnings] == [
        "A selection failed",
        "The answer is asked for once more",
    ]


@pytest.mark.parametrize(
    "budget",
    [Budget(calls=n) for n in range(7)]
    + [Budget(tokens=n) for n in (0, 60, 250, 400, 900)],
    ids=lambda budget: budget.model_dump_json(exclude_none=True),
)
async def test_no_limit_is_exceeded_and_replay_is_identical(
    budget: Budget, tmp_path: Path
) -> None:
    with Journal(tmp_path / "j") as journal:
        result = await asolve(
            QUESTION.format(end="c"),
            strategy="selection_inference",
            model=logician(),
            budget=budget,
            journal=journal,
        )
        assert await areplay(result.run_id, journal=journal) == result
    used = result.usage.model_dump() | {"tokens": result.usage.total_tokens}
    for dimension in DIMENSIONS:
        limit = getattr(budget, dimension)
        assert limit is None or (used[dimension] or 0) <= limit
    assert budget.calls == 0 or budget.tokens in (0, 60) or result.answer
