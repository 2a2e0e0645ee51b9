"""The four modules of LAMBADA: what they read, and what they do with nonsense."""

import pytest

from ponder import Budget, ScriptedModel
from ponder.agents.backward import (
    check_fact,
    consequents,
    decompose,
    select_fact,
    select_rules,
    sign_agrees,
)
from ponder.errors import OutOfBudget
from tests.support.places import place, token

FACTS = ("Bo is a.", "Bo is b.")
RULES = ("If Bo is a, then Bo is c.", "If Bo is b, then Bo is d.")


@pytest.mark.parametrize(("said", "index"), [(2, 1), (0, None)])
async def test_a_fact_is_named_by_its_number(said: int, index: int | None) -> None:
    with ScriptedModel([f'{{"fact": {said}}}']) as model:
        context = place(model)
        assert await select_fact("Bo is b", FACTS, context) == index
    assert context.shared.warnings == []
    assert "1. Bo is a.\n2. Bo is b." in model.calls[0].messages[-1].content


@pytest.mark.parametrize("bad", ['{"fact": 3}', '{"fact": true}', "[1]", "two"])
async def test_no_other_fact_can_be_named(bad: str) -> None:
    with ScriptedModel([bad, bad]) as model:
        context = place(model)
        assert await select_fact("Bo is b", FACTS, context) is None
    assert "could not be read" in context.shared.warnings[0]


@pytest.mark.parametrize(
    ("word", "verdict"),
    [("True", "proved"), ("False", "disproved"), ("Neither", "unknown")],
)
async def test_a_fact_proves_disproves_or_neither(word: str, verdict: str) -> None:
    others = {"True": -3.0, "False": -3.0, "Neither": -3.0}
    with ScriptedModel([token(**{**others, word: -0.1})]) as model:
        assert await check_fact("Bo is b", FACTS[0], place(model)) == verdict


async def test_an_unreadable_check_decides_nothing_and_is_marked() -> None:
    with ScriptedModel([token(Hm=-0.1), token(Hm=-0.1)]) as model:
        context = place(model)
        assert await check_fact("Bo is b", FACTS[0], context) == "unknown"
    assert "decides nothing" in context.shared.warnings[0]


async def test_what_an_if_then_concludes_is_not_asked() -> None:
    with ScriptedModel() as model:
        assert await consequents(RULES, place(model)) == ("Bo is c", "Bo is d")


OTHERS = ("All cats sleep.", RULES[0], "Swimmers are fit.")


async def test_consequents_are_read_in_the_order_of_the_rules() -> None:
    with ScriptedModel(['{"2": " they are fit ", "1": "cats sleep"}']) as model:
        found = await consequents(OTHERS, place(model))
    assert found == ("cats sleep", "Bo is c", "they are fit")
    assert "1. All cats sleep.\n2. Swim" in model.calls[0].messages[-1].content


async def test_a_consequent_that_is_missing_is_the_rule_itself() -> None:
    with ScriptedModel(['{"1": "cats sleep"}']) as model:
        found = await consequents(OTHERS, place(model))
    assert found == ("cats sleep", "Bo is c", OTHERS[2])
    with ScriptedModel(["Hm.", "Hm."]) as model:
        context = place(model)
        assert await consequents(OTHERS, context) == (OTHERS[0], "Bo is c", OTHERS[2])
    assert "stand whole" in context.shared.warnings[0]


@pytest.mark.parametrize(
    ("said", "found"),
    [("[2, 1, 2]", (0, 1)), ("[]", ()), ("[2, 7]", (1,))],
)
async def test_rules_are_named_by_their_numbers(
    said: str, found: tuple[int, ...]
) -> None:
    with ScriptedModel([f'{{"rules": {said}}}']) as model:
        assert await select_rules("Bo is d", RULES, place(model)) == found


async def test_an_unreadable_choice_of_rules_tries_them_all() -> None:
    with ScriptedModel(['{"rules": [9]}', "Hm."]) as model:
        context = place(model)
        assert await select_rules("Bo is d", RULES, context) == (0, 1)
    assert "all of them are tried" in context.shared.warnings[0]


async def test_conditions_become_sub_goals() -> None:
    with ScriptedModel(['{"conditions": ["Bo is  a", "Bo is a", " "]}']) as model:
        assert await decompose("Bo is c", RULES[0], place(model)) == ("Bo is a",)
    with ScriptedModel(['{"conditions": []}', "Hm."]) as model:
        context = place(model)
        assert await decompose("Bo is c", RULES[0], context) == ()
    assert RULES[0] in context.shared.warnings[0]


async def test_the_sign_is_read_from_probabilities() -> None:
    with ScriptedModel([token(Yes=-0.2, No=-1.8)]) as model:
        assert await sign_agrees("Bo is c", RULES[0], place(model)) is True
    with ScriptedModel([token(Yes=-1.8, No=-0.2)]) as model:
        assert await sign_agrees("Bo is not c", RULES[0], place(model)) is False
    with ScriptedModel([token(Hm=-0.1), token(Hm=-0.1)]) as model:
        assert await sign_agrees("Bo is c", RULES[0], place(model)) is None


async def test_out_of_budget_passes_through() -> None:
    with ScriptedModel() as model, pytest.raises(OutOfBudget):
        await decompose("Bo is c", RULES[0], place(model, budget=Budget(calls=0)))
