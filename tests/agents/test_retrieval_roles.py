"""The roles of the retrieval loops: what they read, and what is unreadable."""

import json
from typing import Any

import pytest

from ponder.agents.document_writer import own_knowledge, write_document
from ponder.agents.evidence_judge import relevance, sufficiency
from ponder.agents.inference_writer import inference_writer
from ponder.agents.query_writer import query_writer
from ponder.agents.retrieval_planner import plan_retrieval
from ponder.budget import Budget
from ponder.errors import ModelUnreachable
from ponder.models.scripted import ScriptedModel
from ponder.passages import Passage
from ponder.result import Candidate, Task
from tests.support.places import place, token

TASK = Task(question="Which sea?")
PASSAGES = [Passage(id="a", text="A."), Passage(id="b", text="B.")]


@pytest.mark.parametrize(
    ("reply", "query"),
    [
        ({"enough": False, "query": " the  Rhone "}, "the Rhone"),
        ({"enough": True, "query": "ignored"}, None),
    ],
)
async def test_a_plan_searches_or_ends(reply: dict[str, Any], query: str) -> None:
    model = ScriptedModel([json.dumps(reply | {"found": "f", "needed": "n"})])
    plan = await plan_retrieval(TASK, PASSAGES, ["q"], place(model))
    assert plan is not None and plan.query == query
    assert model.calls[0].output_schema is not None


@pytest.mark.parametrize(
    "reply", ["no", "[1]", '{"enough": "no"}', '{"enough": false, "query": " "}']
)
async def test_an_unreadable_plan_is_asked_for_twice(reply: str) -> None:
    model = ScriptedModel([reply, reply])
    assert await plan_retrieval(TASK, PASSAGES, [], place(model)) is None
    model.assert_consumed()


async def test_a_document_is_marked_as_not_found() -> None:
    model = ScriptedModel([" ", "The Rhone is long."])
    written = await write_document(TASK, "Rhone", place(model))
    assert written is not None and own_knowledge(written)
    assert not own_knowledge(PASSAGES[0])
    assert await write_document(TASK, "x", place(ScriptedModel(["", ""]))) is None


async def test_conclusions_name_passages_that_there_are() -> None:
    listed = [
        {"about": "x", "statement": "One.", "passages": [2, 9, 2]},
        {"about": "x", "statement": "one", "passages": [1]},
        {"statement": "Two.", "passages": "1"},
        {"statement": " "}, 7,
    ]  # fmt: skip
    model = ScriptedModel([json.dumps({"conclusions": listed})])
    drawn = await inference_writer(most=3)(TASK, PASSAGES, [], place(model))
    assert drawn is not None
    assert [(x.statement, [p.id for p in x.sources]) for x in drawn] == [
        ("one", ["a"]),
        ("Two.", []),
    ]


@pytest.mark.parametrize("reply", ["none", '{"conclusions": [1]}', '{"x": []}'])
async def test_unreadable_conclusions_are_none(reply: str) -> None:
    model = ScriptedModel([reply, reply])
    assert await inference_writer()(TASK, PASSAGES, [], place(model)) is None


async def test_no_conclusion_is_an_answer_too() -> None:
    model = ScriptedModel(['{"conclusions": []}'])
    assert await inference_writer()(TASK, PASSAGES, [], place(model)) == []


@pytest.mark.parametrize(
    ("reply", "queries"),
    [
        ('{"queries": ["a  b", "a b", "c", "d"]}', ["a b", "c"]),
        ('{"queries": []}', []),
        ("hm", None),
        ('{"queries": [1]}', None),
    ],
)
async def test_queries_are_read(reply: str, queries: list[str] | None) -> None:
    model = ScriptedModel([reply, reply])
    write = query_writer(most=2)
    assert await write(TASK, PASSAGES, "x", ["q"], place(model)) == queries


async def test_relevance_is_not_known_where_it_cannot_be_asked() -> None:
    yes, odd = token(Yes=-0.1, No=-2.4), token(Perhaps=-0.1)
    model = ScriptedModel([yes, odd, ModelUnreachable("down"), odd])
    chances = await relevance(TASK, ["A.", "B.", "C."], place(model))
    assert chances == [pytest.approx(0.909, abs=0.001), None, None]
    poor = place(ScriptedModel([]), budget=Budget(calls=0))
    assert await relevance(TASK, ["A."], poor) == [None]


async def test_an_answer_is_judged_by_the_evidence() -> None:
    model = ScriptedModel([token(Yes=-0.1, No=-2.4), token(Yes=-0.1, No=-2.4)])
    context = place(model)
    boxed = Candidate(id="c", text="long", answer="short")
    chance = await sufficiency(TASK, boxed, PASSAGES, context.at(0))
    assert chance == pytest.approx(0.909, abs=0.001)
    assert "Answer to judge: short" in model.calls[0].messages[-1].content
    await sufficiency(
        TASK, boxed.model_copy(update={"answer": None}), [], context.at(1)
    )
    assert "Answer to judge: long" in model.calls[1].messages[-1].content
