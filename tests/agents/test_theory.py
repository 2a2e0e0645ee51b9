"""Reading theories: only sentences of the question, sorted by the model."""

import random

import pytest

from ponder import ScriptedModel, Task
from ponder.agents.theory import (
    Theory,
    answer_words,
    by_form,
    premises,
    read_theory,
    sentences,
    stated,
)
from ponder.evals.tasks.folio import FORMAT
from ponder.evals.tasks.horn import HornChains
from tests.support.places import paths, place

TEXT = """\
Facts:
- Anna is tired. Bo is calm.
Rules:
2. If Anna is tired, then Anna sleeps.

Is it true that Anna sleeps? Answer in \\boxed{...}."""

TASK = Task(question=TEXT)


def test_sentences_have_no_marks_and_headings() -> None:
    assert sentences(TEXT) == [
        "Anna is tired.",
        "Bo is calm.",
        "If Anna is tired, then Anna sleeps.",
        "Is it true that Anna sleeps?",
        "Answer in \\boxed{...}.",
    ]


def test_questions_and_formats_are_not_stated() -> None:
    assert stated(TEXT) == sentences(TEXT)[:3]
    assert stated("What is 17 + 25?") == []


async def test_under_headings_nothing_is_asked() -> None:
    with ScriptedModel() as model:
        theory = await read_theory(TASK, place(model))
    assert theory == Theory(
        facts=("Anna is tired.", "Bo is calm."),
        rules=("If Anna is tired, then Anna sleeps.",),
        goal="Anna sleeps",
    )


OPEN = Task(
    question="Premises:\n- All cats sleep.\n- Swimmers are fit.\n- Tom swims.\n\n"
    "Conclusion: Tom is fit."
)


async def test_the_model_tells_facts_from_rules_where_the_form_does_not() -> None:
    with ScriptedModel(['{"1": "rule", "2": "fact"}']) as model:
        context = place(model)
        theory = await read_theory(OPEN, context)
    assert theory == Theory(
        facts=("Tom swims.",),
        rules=("All cats sleep.", "Swimmers are fit."),
        goal="Tom is fit.",
    )
    assert set(context.shared.roles) == {"reader"}
    asked = model.calls[0].messages[-1].content
    assert asked.startswith("1. Swimmers are fit.\n2. Tom swims.\n\n")
    schema = model.calls[0].output_schema
    assert schema and schema["required"] == ["1", "2"]


async def test_what_is_unreadable_twice_is_told_by_its_form_and_marked() -> None:
    with ScriptedModel(["Hm.", '{"1": "maybe"}']) as model:
        context = place(model)
        theory = await read_theory(OPEN, context)
    assert theory.rules == ("All cats sleep.",)
    assert paths(context) == ["here/kinds", "here/kinds/again"]
    assert "told apart by their form" in context.shared.warnings[0]


@pytest.mark.parametrize(
    ("said", "goal"),
    [
        ('{"goal": "Tom is fit."}', "Tom is fit."),
        ('{"goal": "Does it follow that Tom is fit?"}', "Tom is fit"),
        ('{"goal": ""}', ""),
    ],
)
async def test_the_model_names_a_goal_of_another_form(said: str, goal: str) -> None:
    task = Task(question="Facts:\n- Tom swims.\n\nAnd so, is Tom fit?")
    with ScriptedModel([said]) as model:
        theory = await read_theory(task, place(model))
    assert theory == Theory(facts=("Tom swims.",), goal=goal)


async def test_an_unreadable_goal_is_none_and_marked() -> None:
    task = Task(question="Facts:\n- Tom swims.\n\nAnd so, is Tom fit?")
    with ScriptedModel(["Hm.", '{"goal": 3}']) as model:
        context = place(model)
        assert (await read_theory(task, context)).goal == ""
    assert context.shared.warnings == ["The statement to be judged could not be read."]


@pytest.mark.parametrize("seed", range(5))
def test_the_form_of_horn_problems_is_read(seed: int) -> None:
    problem = HornChains().make(random.Random(seed), str(seed))
    theory = by_form(problem.question)
    assert theory.goal == problem.data["goal"]
    assert [f.rstrip(".") for f in theory.facts] == problem.data["facts"]
    assert len(theory.rules) == len(problem.data["rules"])


def test_the_form_of_folio_problems_is_read() -> None:
    question = (
        "Premises:\n- All cats sleep.\n- Tom is a cat.\n- No dog sleeps.\n\n"
        f"Conclusion: Tom sleeps.\n\n{FORMAT}"
    )
    assert by_form(question) == Theory(
        facts=("Tom is a cat.",),
        rules=("All cats sleep.", "No dog sleeps."),
        goal="Tom sleeps.",
    )


def test_a_statement_to_be_judged_is_no_premise() -> None:
    question = f"Premises:\n- Tom is a cat.\n\nConclusion: Tom sleeps.\n\n{FORMAT}"
    assert premises(question) == ["Tom is a cat."]
    assert premises(TEXT) == stated(TEXT)
    assert premises("Ann has 2. Bo has 3. How many?") == ["Ann has 2.", "Bo has 3."]


def test_without_a_statement_there_is_no_goal() -> None:
    assert by_form("Ann has 2 eggs. How many eggs are there?").goal == ""


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (FORMAT, ("True", "False", "Unknown")),
        ("The unknown man left.\n\nIs it so? Yes or no.", ("yes", "no", "no")),
        ("True, False or Uncertain?", ("True", "False", "Uncertain")),
        ("Is the argument valid or invalid?", ("valid", "invalid", "invalid")),
        ("Anna sleeps", ("True", "False", "Unknown")),
    ],
)
def test_answers_are_in_the_words_that_are_wanted(
    question: str, words: tuple[str, str, str]
) -> None:
    assert answer_words(question) == words
