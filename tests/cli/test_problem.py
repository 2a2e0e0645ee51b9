"""``ponder ask --task``: one problem, its thoughts and its validator."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ponder.evals.benchmark import problems_of
from ponder.models.base import Model
from ponder.models.scripted import ScriptedModel

SPEC = "calendar:seed=7,people=3"
Cli = Callable[..., Any]
Use = Callable[[Model], None]


def planner(answer: str) -> ScriptedModel:
    constraints = {"constraints": ["It lasts 30 minutes.", "Nobody is taken."]}
    priors = {"best_of_n": 80, "tree_of_thoughts": 40, "rebase": 10}
    return ScriptedModel(
        rules=[
            ("Write down every constraint", json.dumps(constraints)),
            ("Rate how suitable", json.dumps(priors)),
            ("Check a proposed solution", '{"feedback": "Right.", "score": 98}'),
            ("Find a time", answer),
        ]
    )


def reference() -> str:
    return problems_of(SPEC, limit=1)[1][0].reference


def test_it_shows_constraints_algorithms_scores_and_the_validators_verdict(
    cli: Cli, use_model: Use
) -> None:
    use_model(planner(f"\\boxed{{{reference()}}}"))
    done = cli("ask", "--task", SPEC, "--strategy", "plangen")
    assert done.code == 0
    assert done.out.strip() == reference()
    shown = done.err.splitlines()
    for line in (
        "│  ├─ 1: It lasts 30 minutes.",
        "└─ try/0 (0.99): best_of_n",
        "   ├─ UCB: best_of_n inf+1.80, tree_of_thoughts inf+1.40, rebase inf+1.10",
        "Verdict: 0.99 passed",
        "Validator: right",
    ):
        assert line in shown
    assert problems_of(SPEC, limit=1)[1][0].question in done.err
    start = next(i for i, line in enumerate(shown) if line.startswith("question: "))
    tree = shown[start : shown.index("", start)]
    assert len(tree) > 8
    assert max(map(len, tree)) <= 80


def test_the_validator_says_what_is_wrong(cli: Cli, use_model: Use) -> None:
    use_model(planner(r"\boxed{Monday, 16:45 - 17:15}"))
    done = cli("ask", "--task", SPEC, "--strategy", "best_of_n", "-v", "exact")
    assert done.code == 0
    assert "Validator: wrong: 16:45 - 17:15 is not inside 9:00 - 17:00." in done.err
    assert "judged 0.00 not passed" in done.err


def test_an_answer_that_cannot_be_read_is_not_wrong(cli: Cli, use_model: Use) -> None:
    use_model(planner("I cannot tell."))
    done = cli("ask", "--task", SPEC, "--strategy", "direct")
    assert "Validator: unreadable: No answer could be read." in done.err


def test_json_has_the_problem_and_its_grade(cli: Cli, use_model: Use) -> None:
    use_model(planner(reference()))
    done = cli("ask", "--task", SPEC, "-s", "plangen", "--json")
    assert len(done.out.splitlines()) == 1
    data = json.loads(done.out)
    assert data["grade"]["correct"] is True
    assert data["problem"]["reference"] == reference()
    assert data["stop_reason"] == "verified"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Why?", "--task", SPEC], "Give a question or --task, not both"),
        (["--task", "calender"], "Did you mean calendar"),
        (["--task", "calendar:people=0"], "people='0' of benchmark 'calendar'"),
        (["--task", SPEC, "-v", "exct"], "Did you mean exact"),
    ],
)
def test_what_cannot_be_used_is_named(
    cli: Cli, arguments: list[str], message: str
) -> None:
    done = cli("ask", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_exact_needs_a_task(cli: Cli) -> None:
    done = cli("ask", "Why?", "--verifier", "exact")
    assert done.code == 2
    assert "Unknown verifier 'exact'" in done.err
