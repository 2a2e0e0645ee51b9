import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import Budget, Capabilities, Completion, ScriptedModel
from ponder.agents.reranker import _ordered, rerank, reranker
from ponder.errors import InvalidParameter, ModelUnreachable
from ponder.passages import Passage
from tests.support.places import paths, place, token

QUESTION = "Where was Marie Curie born?"
PASSAGES = [
    Passage(id="a", title="Paris", text="Paris is a city.", score=9.0),
    Passage(id="b", text="Marie Curie was born in Warsaw.", score=5.0),
    Passage(id="c", text="Radium glows.", score=1.0),
]


def says(yes: float) -> Completion:
    return token(Yes=math.log(yes), No=math.log(1 - yes))


async def test_the_likeliest_to_help_comes_first() -> None:
    with ScriptedModel([says(0.2), says(0.9), says(0.4)]) as model:
        context = place(model)
        found = await rerank(QUESTION, PASSAGES, 2, context)
    assert [p.id for p in found] == ["b", "c"]
    assert [p.score for p in found] == pytest.approx([0.9, 0.4])
    assert paths(context) == ["here/0", "here/1", "here/2"]
    assert set(context.shared.roles) == {"reranker"}
    first = model.calls[0].messages[-1].content
    for part in (QUESTION, "Paris\nParis is a city."):
        assert part in first
    assert all(call.max_tokens == 1 for call in model.calls)


async def test_equals_stay_in_the_order_of_the_search() -> None:
    with ScriptedModel([says(0.5)] * 3) as model:
        found = await rerank(QUESTION, PASSAGES, 9, place(model))
    assert [p.id for p in found] == ["a", "b", "c"]


async def test_the_unreadable_stand_behind_a_score_of_0() -> None:
    maybe = token(Maybe=0.0)
    never = token(Yes=-1000.0, No=0.0)
    # Of each, once and then again with a reminder.
    rules = [("Paris", maybe), ("in Warsaw", maybe), ("Radium", never)]
    model = ScriptedModel(rules=rules)
    context = place(model)
    found = await rerank(QUESTION, PASSAGES, 3, context)
    assert [(p.id, p.score) for p in found] == [("c", 0.0), ("a", None), ("b", None)]
    (warning,) = context.shared.warnings
    assert "2 of 3 passages" in warning


async def test_a_failing_call_and_an_empty_budget_lose_nothing() -> None:
    with ScriptedModel([says(0.1), ModelUnreachable("gone"), says(0.3)]) as model:
        found = await rerank(QUESTION, PASSAGES, 3, place(model))
    assert [p.id for p in found] == ["c", "a", "b"]
    with ScriptedModel([]) as model:
        context = place(model, budget=Budget(calls=0))
        found = await rerank(QUESTION, PASSAGES, 2, context)
    assert [(p.id, p.score) for p in found] == [("a", None), ("b", None)]
    assert context.shared.warnings


async def test_without_probabilities_it_votes_and_says_so() -> None:
    replies = ["Yes", "No", "Yes", "Yes", "No", "No"]
    with ScriptedModel(replies, capabilities=Capabilities(seed=True)) as model:
        context = place(model)
        order = reranker(votes=3)
        found = await order(QUESTION, PASSAGES[:2], 2, context)
    assert sum(p.score or 0 for p in found) == pytest.approx(3 / 3)
    ((_, used),) = context.shared.substitutes
    assert used == "3 sampled votes of the reranker"


async def test_another_model_may_judge() -> None:
    with ScriptedModel([]) as answering, ScriptedModel([says(0.7)]) as judging:
        order = reranker(model=judging, prompt="{question}|{passage}")
        found = await order("q", PASSAGES[1:2], 1, place(answering))
    assert found[0].score == pytest.approx(0.7)
    assert judging.calls[0].messages[-1].content == f"q|{PASSAGES[1].text}"


async def test_nothing_to_order_and_nothing_to_keep() -> None:
    with ScriptedModel([]) as model:
        assert await rerank(QUESTION, [], 3, place(model)) == []
        with pytest.raises(InvalidParameter, match="k is 0"):
            await rerank(QUESTION, PASSAGES, 0, place(model))


@given(st.lists(st.none() | st.floats(0, 1), max_size=8))
def test_scored_ones_first_and_nothing_lost(scores: list[float | None]) -> None:
    passages = [Passage(id=str(i), text="x") for i in range(len(scores))]
    found = _ordered(passages, scores)
    assert sorted(p.id for p in found) == sorted(p.id for p in passages)
    got = [p.score for p in found]
    known = [s for s in got if s is not None]
    assert got == sorted(known, reverse=True) + [None] * (len(got) - len(known))
    unscored = [p.id for p in found if p.score is None]
    assert unscored == sorted(unscored, key=int)
