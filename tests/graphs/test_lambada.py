"""LAMBADA: as good as its modules, and never better than the theory."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder import (
    Budget,
    Completion,
    Journal,
    Request,
    Result,
    ScriptedModel,
    areplay,
    aresume,
    asolve,
    solve,
    stream,
)
from ponder.budget import DIMENSIONS
from ponder.errors import ModelError, ModelUnreachable
from ponder.evals.tasks.folio import FORMAT
from ponder.evals.tasks.horn import HornChains, Rule, forward_chain
from ponder.graphs.lambada import Lambada
from tests.support.logician import ABLE, logician, reply


def folio(end: str) -> str:
    return f"""\
Premises:
- Anna is tired.
- If Anna is tired, then Anna is not quick.
- If Anna is calm, then Anna is kind.

Conclusion: Anna is {end}.

{FORMAT}"""


def ask(question: str, model: Any = None, **options: Any) -> Result:
    parameters = options.pop("parameters", None)
    return solve(
        question,
        strategy="lambada",
        parameters=parameters,
        model=model or logician(),
        journal=options.pop("journal", None) or Journal(":memory:"),
        **options,
    )


def text_of(rule: Rule) -> str:
    return f"If {' and '.join(rule.premises)}, then {rule.conclusion}."


@pytest.mark.parametrize(
    ("end", "answer"),
    [("not quick", "True"), ("quick", "False"), ("kind", "Unknown")],
)
def test_a_statement_is_proved_disproved_or_neither(end: str, answer: str) -> None:
    assert ask(folio(end)).answer == answer


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_forward_chaining_on_horn_problems(seed: int) -> None:
    problem = HornChains(depth=3).make(random.Random(seed), str(seed))
    result = ask(problem.question)
    assert result.answer == problem.data["answer"]
    assert HornChains().grade(problem, result.text).correct


NAMES = [f"Bo is {word}" for word in ("able", "bold", "calm", "dry", "fit")]
STATEMENTS = st.sampled_from(NAMES)
RULES = st.builds(
    Rule,
    st.lists(STATEMENTS, min_size=1, max_size=2, unique=True).map(tuple),
    STATEMENTS,
)


@settings(max_examples=25)
@given(
    st.lists(STATEMENTS, min_size=1, max_size=3, unique=True),
    st.lists(RULES, min_size=1, max_size=6),
    STATEMENTS,
)
def test_with_right_modules_it_proves_what_follows(
    facts: list[str], rules: list[Rule], goal: str
) -> None:
    # Cycles, repeated rules and goals among the facts included.
    result = ask(
        goal,
        parameters={
            "facts": facts,
            "rules": [text_of(rule) for rule in rules],
            "D": 6,
            "max_goals": 500,
        },
    )
    follows = goal in forward_chain(facts, rules)
    assert result.answer == ("True" if follows else "Unknown")
    assert result.warnings == ()


@pytest.mark.parametrize(("depth", "answer"), [(2, "Unknown"), (3, "True")])
def test_depth_counts_rules_one_below_the_other(depth: int, answer: str) -> None:
    chain = [f"If Bo is {a}, then Bo is {b}." for a, b in ("ab", "bc", "cd")]
    given = {"facts": ["Bo is a."], "rules": chain, "D": depth}
    assert ask("Bo is d", parameters=given).answer == answer


def test_an_unknown_for_want_of_depth_is_not_remembered() -> None:
    # The shorter rule needs "Bo is c" too deep down; the other one needs it higher up.
    rules = [
        "If Bo is x, then Bo is d.",
        "If Bo is y, then Bo is x.",
        "If Bo is c, then Bo is y.",
        "If Bo is c and Bo is a, then Bo is d.",
        "If Bo is b, then Bo is c.",
        "If Bo is a, then Bo is b.",
    ]
    given = {"facts": ["Bo is a."], "rules": rules, "D": 3}
    assert ask("Bo is d", parameters=given).answer == "True"


def test_goals_are_decided_once() -> None:
    rules = [
        "If Bo is b and Bo is c, then Bo is d.",
        "If Bo is e, then Bo is b.",
        "If Bo is e, then Bo is c.",
        "If Bo is a, then Bo is e.",
    ]
    model = logician()
    result = ask("Bo is d", model, parameters={"facts": ["Bo is a."], "rules": rules})
    assert result.answer == "True"
    asked = [r.messages[-1].content for r in model.calls]
    about = [p for p in asked if p.startswith("Rule: If Bo is a, then Bo is e.")]
    # One decomposition and one check of the sign.
    assert len(about) == 2


def test_a_circle_ends() -> None:
    rules = ["If Bo is a, then Bo is b.", "If Bo is b, then Bo is a."]
    result = ask("Bo is a", parameters={"facts": ["Bo is c."], "rules": rules})
    assert result.answer == "Unknown"


def test_too_many_goals_end_the_proof_with_a_warning() -> None:
    chain = [f"If Bo is {a}, then Bo is {b}." for a, b in ("ab", "bc", "cd")]
    given = {"facts": ["Bo is a."], "rules": chain, "max_goals": 2}
    result = ask("Bo is d", parameters=given)
    assert result.answer == "Unknown"
    assert result.warnings == ("The proof was given up after 2 goals (max_goals).",)


def test_shorter_rules_are_tried_first() -> None:
    rules = ["If Bo is x and Bo is y, then Bo is d.", "If Bo is a, then Bo is d."]
    model = logician()
    ask("Bo is d", model, parameters={"facts": ["Bo is a."], "rules": rules})
    asked = [r.messages[-1].content for r in model.calls]
    assert not any(p.startswith("Rule: If Bo is x") for p in asked)


def test_the_graph_draws_the_proof() -> None:
    result = ask(folio("quick"))
    edges = {(e["source"], e["target"]) for e in result.graph["edges"]}
    labels = {n["id"]: n["label"] for n in result.graph["nodes"]}
    assert {
        ("question", "goal/0"),
        ("goal/0", "goal/0/rule/0"),
        ("goal/0/rule/0", "goal/1"),
        ("goal/1", "goal/1/evidence"),
        ("goal/0", "conclusion"),
        ("conclusion", "answer"),
    } <= edges
    assert labels["goal/0"] == "Anna is quick. (disproved)"
    assert labels["goal/1/evidence"] == "Anna is tired."
    assert result.text.splitlines()[-2:] == [
        "'Anna is quick.' is disproved by: If Anna is tired, then Anna is not quick.",
        "\\boxed{False}",
    ]


def test_a_question_without_a_theory_is_answered_directly() -> None:
    with ScriptedModel(["It is \\boxed{4}."]) as model:
        result = ask("What is 2 + 2?", model)
    assert result.answer == "4"
    assert "no facts and rules" in result.warnings[0]


def test_a_text_without_a_statement_is_answered_directly() -> None:
    with ScriptedModel(['{"goal": ""}', "It is \\boxed{5}."]) as model:
        result = ask("Ann has 2 eggs. Bo has 3. How many eggs are there?", model)
    assert result.answer == "5"


@pytest.mark.parametrize(
    "budget",
    [Budget(calls=n) for n in range(9)]
    + [Budget(tokens=n) for n in (0, 60, 300, 700, 1500)]
    + [Budget(output_tokens=200), Budget(input_tokens=400)],
    ids=lambda budget: budget.model_dump_json(exclude_none=True),
)
def test_no_limit_is_exceeded_and_replay_is_identical(
    budget: Budget, tmp_path: Path
) -> None:
    problem = HornChains(depth=3).make(random.Random(3), "3")
    journal = Journal(tmp_path / "j")
    result = ask(problem.question, budget=budget, journal=journal)
    used = result.usage.model_dump() | {"tokens": result.usage.total_tokens}
    for dimension in DIMENSIONS:
        limit = getattr(budget, dimension)
        assert limit is None or (used[dimension] or 0) <= limit
    assert budget.calls == 0 or budget.tokens in (0, 60) or result.answer


async def test_replay_calls_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        question = folio("quick")
        options: dict[str, Any] = {"strategy": "lambada", "journal": journal}
        result = await asolve(question, model=logician(), **options)
        assert await areplay(result.run_id, journal=journal) == result


async def test_a_run_that_was_stopped_goes_on_to_the_same_proof(tmp_path: Path) -> None:
    question = folio("quick")
    with Journal(tmp_path / "j") as journal:
        options: dict[str, Any] = {"strategy": "lambada", "journal": journal}
        whole = await asolve(question, model=logician(), **options)
        events = stream(question, model=logician(), **options)
        finished = 0
        async for event in events:
            finished += event.kind == "call_finished"
            if finished == 4:
                break
        await events.aclose()
        model = logician()
        resumed = await aresume(journal.runs()[0].run_id, model=model, journal=journal)
    assert (resumed.text, resumed.graph) == (whole.text, whole.graph)
    assert len(model.calls) == whole.usage.calls - 4


class Failing:
    """The logician, with calls that fail."""

    def __init__(self, every: int) -> None:
        self.every, self.calls = every, 0

    def __call__(self, request: Request) -> str | Completion:
        self.calls += 1
        if self.calls % self.every == 0:
            raise ModelUnreachable("The server is down.")
        return reply(request)


@pytest.mark.parametrize("every", [2, 3, 5])
def test_failing_calls_leave_marks_and_an_answer(every: int) -> None:
    model = ScriptedModel(
        rules=[(lambda r: True, Failing(every))], capabilities=ABLE, name="flaky"
    )
    problem = HornChains(depth=3).make(random.Random(3), "3")
    result = ask(problem.question, model)
    assert result.answer in ("yes", "no")
    assert any("The server is down" in warning for warning in result.warnings)
    # Nothing is called undecided for want of a call: a proof, or a direct answer.
    assert result.text.count("proved") or result.substitutes[-1].missing == "a proof"


def test_a_dead_model_is_an_error() -> None:
    model = ScriptedModel(
        rules=[(lambda r: True, Failing(1))], capabilities=ABLE, name="dead"
    )
    with pytest.raises(ModelError, match="The server is down"):
        ask(folio("quick"), model)


def test_unreadable_replies_are_marked_and_the_run_ends() -> None:
    model = ScriptedModel(rules=[("", "Hm.")], name="mumbler")
    result = ask(folio("quick"), model)
    assert any("told apart by their form" in w for w in result.warnings)
    assert any("no fact is taken" in w for w in result.warnings)
    assert result.answer == "Unknown"


def test_its_limits_are_checked() -> None:
    with pytest.raises(ValueError):
        Lambada(D=-1)
