"""One search, one answer, and citations that were checked."""

import asyncio
from pathlib import Path

import pytest

from ponder.budget import Budget
from ponder.errors import InvalidInput
from ponder.events import Event
from ponder.graphs.evidence import content
from ponder.graphs.rag import RAG
from ponder.journal import Journal
from ponder.models.scripted import ScriptedModel
from ponder.passages import Passage, Retriever
from ponder.retrieval.scripted import ScriptedRetriever
from ponder.run import areplay, aresume, asolve
from ponder.thoughts import ThoughtGraph
from tests.support.places import token

TEXT = "Lyon lies on the Rhone [1]. It lies on the Seine [2]. \\boxed{Rhone}"
DOCS = ["Lyon lies on the Rhone.", "Paris lies on the Seine."]


def model() -> ScriptedModel:
    return ScriptedModel([TEXT, token(Yes=-0.1, No=-3.0), token(Yes=-3.0, No=-0.1)])


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


async def test_the_answer_carries_checked_citations(journal: Journal) -> None:
    events: list[Event] = []
    docs = ScriptedRetriever(DOCS)
    result = await asolve(
        "Which river?", strategy=RAG(), model=model(), retriever=docs,
        journal=journal, on_event=events.append,
    )  # fmt: skip

    assert result.answer == "Rhone"
    assert docs.queries == ["Which river?"]
    assert [(c.passage.text, c.supported) for c in result.citations] == [
        (DOCS[0], True),
        (DOCS[1], False),
    ]
    assert any("does not support the claim" in w for w in result.warnings)
    assert [e.passages for e in events if e.kind == "retrieved"] == [
        ("scripted", "scripted")
    ]
    search = ThoughtGraph.from_json(result.graph).thought("search")
    assert search.kind == "evidence" and "2 passages" in search.label
    assert await areplay(result.run_id, journal=journal) == result
    assert len(docs.queries) == 1


async def test_a_search_that_fails_is_told_and_the_run_goes_on(
    journal: Journal,
) -> None:
    result = await asolve(
        "fail", strategy=RAG(), model=ScriptedModel(["\\boxed{?}"]),
        retriever=ScriptedRetriever(DOCS), journal=journal,
    )  # fmt: skip
    assert result.answer == "?"
    assert result.citations == ()
    assert any("cannot be searched" in w for w in result.warnings)
    assert any("rests on none" in w for w in result.warnings)


async def test_without_documents_the_remedy_is_named(journal: Journal) -> None:
    with pytest.raises(InvalidInput, match="--docs FOLDER"):
        await asolve("Which river?", strategy="rag", model=model(), journal=journal)


async def test_a_resumed_run_wants_its_documents_again(journal: Journal) -> None:
    docs = ScriptedRetriever(DOCS)
    result = await asolve(
        "Which river?", strategy=RAG(), model=model(), retriever=docs,
        budget=Budget(calls=1), journal=journal,
    )  # fmt: skip
    assert [c.supported for c in result.citations] == [None, None]
    with pytest.raises(InvalidInput, match="searched 'scripted'"):
        await aresume(result.run_id, model=model(), journal=journal)


def test_how_to_write_the_answer_is_not_searched_for() -> None:
    question = "Who sings?\n\nGive the final answer in \\boxed{...}."
    assert content(question) == "Who sings?"
    assert content("\\boxed{?}") == "\\boxed{?}"


async def test_an_answer_that_cites_nothing_is_asked_for_its_sources(
    journal: Journal,
) -> None:
    model = ScriptedModel(["\\boxed{Rhone}", "1, 7", token(Yes=-0.1, No=-3.0)])
    result = await asolve(
        "Which river?\nReply in \\boxed{...}.", strategy=RAG(), model=model,
        retriever=ScriptedRetriever(DOCS), journal=journal,
    )  # fmt: skip
    (citation,) = result.citations
    assert citation.claim == "Which river? Rhone"
    assert (citation.passage.text, citation.supported) == (DOCS[0], True)
    assert [s.missing for s in result.substitutes] == ["citations in the answer"]
    assert await areplay(result.run_id, journal=journal) == result


class Slow(Retriever):
    """Searches for longer than anybody waits."""

    name = "slow"

    async def search(self, query: str, k: int) -> list[Passage]:
        await asyncio.sleep(60)
        return []


async def test_a_search_ends_with_the_time_of_the_run(journal: Journal) -> None:
    result = await asolve(
        "Which river?",
        strategy=RAG(),
        model=ScriptedModel(["\\boxed{Rhone}"]),
        retriever=Slow(),
        journal=journal,
        budget=Budget(seconds=0.5),
    )

    assert result.usage.seconds < 10
    assert any("seconds" in warning for warning in result.warnings)
    assert await areplay(result.run_id, journal=journal) == result
