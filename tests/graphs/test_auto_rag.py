"""Planning, searching, judging, stopping; and what is done if nothing is found."""

import json
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ponder.agents.reader import SOURCES_PROMPT
from ponder.budget import Budget
from ponder.errors import ModelUnreachable
from ponder.graphs.auto_rag import AutoRAG
from ponder.journal import Journal
from ponder.messages import Request
from ponder.models.scripted import Reply, ScriptedModel, When
from ponder.result import Result, StopReason
from ponder.retrieval.scripted import ScriptedRetriever
from ponder.run import areplay, asolve
from ponder.thoughts import ThoughtGraph
from tests.support.places import token

QUESTION = "Which sea does the river of Lyon flow into?"
DOCS = {
    "Lyon": ["Lyon lies on the Rhone.", "Lyon has an opera."],
    "Rhone": ["The Rhone flows into the Mediterranean."],
}
PLANS = "Decide what to do next"
WRITES = "Write the passage of an encyclopedia"


def plan(query: str = "", **fields: Any) -> str:
    found = {"found": "f", "needed": "n", "enough": not query, "query": query}
    return json.dumps(found | fields)


def is_reading(request: Request) -> bool:
    return request.messages[0].role == "system"


def scripted(
    replies: Iterable[Reply] = (), rules: Iterable[tuple[When, Reply]] = (), **more: Any
) -> ScriptedModel:
    """Return a model that names no sources when it is asked for them."""
    asked = (lambda r: r.messages[-1].content == SOURCES_PROMPT, "none")
    return ScriptedModel(replies, rules=[*rules, asked], **more)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


async def solved(
    model: ScriptedModel,
    journal: Journal,
    *,
    docs: ScriptedRetriever | None = None,
    budget: Budget | None = None,
    **parameters: Any,
) -> Result:
    return await asolve(
        QUESTION,
        strategy=AutoRAG(**parameters),
        model=model,
        retriever=docs or ScriptedRetriever(DOCS),
        budget=budget,
        journal=journal,
    )


async def test_it_searches_until_it_has_enough_and_cites(journal: Journal) -> None:
    docs = ScriptedRetriever(DOCS)
    model = scripted(
        [
            plan("river of Lyon"),
            plan("mouth of the Rhone"),
            plan(),
            "Into the Mediterranean [3]. \\boxed{Mediterranean}",
            token(Yes=-0.1, No=-3.0),
        ]
    )
    result = await solved(model, journal, docs=docs)

    model.assert_consumed()
    assert result.answer == "Mediterranean"
    assert result.stop_reason is StopReason.FINISHED
    assert docs.queries == ["river of Lyon", "mouth of the Rhone"]
    assert [(c.passage.text, c.supported) for c in result.citations] == [
        (DOCS["Rhone"][0], True)
    ]
    assert "Queries made so far: river of Lyon\n" in model.calls[1].messages[-1].content
    assert "[2] Lyon has an opera." in model.calls[1].messages[-1].content
    assert result.substitutes == ()
    assert set(result.roles) == {"planner", "generator", "verifier"}
    assert await areplay(result.run_id, journal=journal) == result


async def test_the_run_can_be_told_from_its_thoughts(journal: Journal) -> None:
    model = scripted([plan("Lyon", needed="the river"), plan(), "\\boxed{x}"])
    result = await solved(model, journal)
    graph = ThoughtGraph.from_json(result.graph)
    assert graph.thought("plan/0").label == "the river"
    assert graph.thought("search/0").kind == "evidence"
    assert graph.thought("plan/1").label.startswith("enough")
    assert list(graph.graph.successors("plan/0")) == ["search/0"]
    assert list(graph.graph.successors("plan/1")) == ["answer/0"]


async def test_a_search_brings_passages_that_were_not_read_before(
    journal: Journal,
) -> None:
    docs = ScriptedRetriever(["one", "two", "three", "four"])
    model = scripted([plan("a"), plan("b"), plan(), "\\boxed{x}"])
    await solved(model, journal, docs=docs, k=1)
    last = model.calls[-2].messages[-1].content
    assert "[1] one" in last and "[2] two" in last and "three" not in last


async def test_after_T_searches_it_draws_on_its_own_knowledge_and_says_so(
    journal: Journal,
) -> None:
    docs = ScriptedRetriever(DOCS)
    model = scripted(
        [plan("Lyon"), plan("mouth"), "It flows south.", plan(),
         "South [3]. On the Rhone [1]. \\boxed{south}", token(Yes=-0.1, No=-3.0)]
    )  # fmt: skip
    result = await solved(model, journal, docs=docs, T=1)

    model.assert_consumed()
    assert docs.queries == ["Lyon"]
    assert WRITES in model.calls[2].messages[-1].content
    assert "[3] It flows south." in model.calls[4].messages[-1].content
    assert [s.used for s in result.substitutes] == ["what the model knows by itself"]
    # What the model wrote itself is no source.
    assert [c.passage.text for c in result.citations] == [DOCS["Lyon"][0]]
    assert await areplay(result.run_id, journal=journal) == result


@pytest.mark.parametrize("query", ["nowhere", "Nowhere.", "other"])
async def test_searches_that_bring_nothing_new_end_before_T(
    journal: Journal, query: str
) -> None:
    docs = ScriptedRetriever({})
    model = scripted([plan("nowhere"), plan(query), plan("again"), "\\boxed{?}"])
    result = await solved(model, journal, docs=docs, T_pk=0, patience=2)
    model.assert_consumed()
    assert docs.queries == ["nowhere", query]
    assert any("rests on none" in w for w in result.warnings)


async def test_a_query_asked_again_is_no_progress_even_if_it_finds_more(
    journal: Journal,
) -> None:
    docs = ScriptedRetriever(["one", "two", "three", "four"])
    replies = [plan("a"), plan("A"), plan("a."), plan("b"), "\\boxed{?}"]
    model = scripted(replies)
    await solved(model, journal, docs=docs, k=1, patience=2, T_pk=0)
    model.assert_consumed()
    assert docs.queries == ["a", "A", "a."]


async def test_own_knowledge_ends_at_T_pk_and_where_a_query_repeats(
    journal: Journal,
) -> None:
    rules: list[tuple[When, Reply]] = [
        (WRITES, "Something."),
        (is_reading, "\\boxed{x}"),
    ]
    queries = [plan(f"q{i}") for i in range(9)]
    model = scripted(queries, rules=rules)
    await solved(model, journal, docs=ScriptedRetriever({}), T=1, T_pk=3)
    # The first search, three documents, and a last plan that has no way left.
    assert len(model.unconsumed) == 9 - 5
    model = scripted([plan("a"), plan("b"), plan("B")], rules=rules)
    await solved(model, journal, docs=ScriptedRetriever({}), T=1, T_pk=3)
    assert not model.unconsumed


async def test_an_unreadable_first_plan_searches_with_the_question(
    journal: Journal,
) -> None:
    docs = ScriptedRetriever(DOCS)
    model = scripted(["hm", "hm", plan(), "\\boxed{x}"])
    result = await solved(model, journal, docs=docs)
    assert docs.queries == [QUESTION]
    assert [s.used for s in result.substitutes] == ["the question as its query"]


async def test_a_later_plan_that_cannot_be_had_ends_the_search(
    journal: Journal,
) -> None:
    for bad in (["hm", "hm"], [ModelUnreachable("down")]):
        model = scripted([plan("Lyon"), *bad, "\\boxed{x}"])
        result = await solved(model, journal)
        assert result.answer == "x"
        assert any("could not be had" in w for w in result.warnings)


async def test_a_failing_search_finds_nothing_and_the_run_goes_on(
    journal: Journal,
) -> None:
    model = scripted([plan("fail"), plan("Lyon"), plan(), "\\boxed{x}"])
    result = await solved(model, journal)
    assert any("cannot be searched" in w for w in result.warnings)
    assert result.answer == "x"


async def test_the_loop_leaves_room_for_the_answer(journal: Journal) -> None:
    numbers = count()
    rules: list[tuple[When, Reply]] = [
        (PLANS, lambda request: plan(f"Lyon {next(numbers)}")),
        (is_reading, "\\boxed{x}"),
    ]
    model = scripted(rules=rules)
    result = await solved(
        model, journal, budget=Budget(tokens=3000), T=50, patience=50, max_tokens=64
    )
    assert result.answer == "x"
    assert result.stop_reason is StopReason.TOKENS
    assert result.usage.total_tokens <= 3000
    assert len(model.calls) > 3


async def test_an_answer_that_was_cut_off_is_brought_to_an_end(
    journal: Journal,
) -> None:
    model = scripted([plan("Lyon"), plan(), "Well I think that", "Rhone}"])
    result = await solved(model, journal, max_tokens=3)
    assert result.answer == "Rhone"
