"""DRAG: the prompt of the paper, its limit, and what stands in for what is missing."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from ponder.agents.reader import SOURCES_PROMPT
from ponder.budget import Budget
from ponder.errors import InvalidInput, InvalidParameter, ModelUnreachable
from ponder.graphs._drag import truncated
from ponder.graphs.drag import DRAG
from ponder.journal import Journal
from ponder.messages import Request, assistant, user
from ponder.models.base import Capabilities
from ponder.models.scripted import Reply, ScriptedModel
from ponder.passages import Passage
from ponder.result import Result, StopReason
from ponder.retrieval.scripted import ScriptedRetriever
from ponder.run import areplay, asolve
from ponder.thoughts import ThoughtGraph
from tests.support.places import token

EXAMPLES = (
    user("What is old?"), assistant("Ruins are. \\boxed{ruins}"),
    user("What is new?"), assistant("news"),
)  # fmt: skip
DOCS = {
    "old": ["Ruins are old.", "Stones are old."],
    "new": ["News are new."],
    "river": ["best", "second", "third"],
}


def scripted(replies: Iterable[Reply], **more: Any) -> ScriptedModel:
    """Return a model that names no sources when it is asked for them."""
    return ScriptedModel(replies, rules=[(SOURCES_PROMPT, "none")], **more)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


async def run(model: ScriptedModel, chosen: DRAG, **more: Any) -> Result:
    return await asolve(
        "Which river?", strategy=chosen, model=model, **more,
        retriever=ScriptedRetriever(DOCS),
    )  # fmt: skip


def contents(request: Request) -> list[str]:
    return [m.content for m in request.messages]


def data(result: Result) -> dict[str, Any]:
    graph = ThoughtGraph.from_json(result.graph)
    found = [t for t in graph.graph if "effective_context" in graph.thought(t).data]
    (only,) = found
    return graph.thought(only).data


async def test_the_best_document_is_nearest_to_the_question(journal: Journal) -> None:
    with scripted(["\\boxed{Rhone}"]) as model:
        result = await run(
            model, DRAG(k=2), examples=EXAMPLES, journal=journal
        )  # fmt: skip
    call, sources = model.calls
    assert contents(call)[1:] == [
        "[1] Stones are old.\n\n[2] Ruins are old.\n\nQuestion: What is old?",
        "Ruins are. \\boxed{ruins}",
        "[1] News are new.\n\nQuestion: What is new?",
        "\\boxed{news}",
        "[1] second\n\n[2] best\n\nQuestion: Which river?",
    ]
    assert result.answer == "Rhone"
    assert result.substitutes == ()
    spent = data(result)
    assert (spent["k"], spent["m"]) == (2, 2)
    assert spent["effective_context"] == model.count_tokens(call)
    asked = model.count_tokens(sources)
    assert spent["effective_context"] + asked == result.usage.input_tokens
    assert await areplay(result.run_id, journal=journal) == result


async def test_a_citation_names_the_passage_that_the_model_saw() -> None:
    replies: list[Reply] = [
        "It is the Rhone [2]. \\boxed{Rhone}",
        token(Yes=-0.1, No=-3.0),
    ]
    with ScriptedModel(replies) as model:
        result = await run(model, DRAG(k=2))
    assert [(c.passage.text, c.supported) for c in result.citations] == [
        ("best", True)
    ]  # fmt: skip


async def test_an_answer_that_cites_nothing_is_asked_for_its_sources(
    journal: Journal,
) -> None:
    replies: list[Reply] = [
        "It is the Rhone. \\boxed{Rhone}",
        "2",
        token(Yes=-0.1, No=-3.0),
    ]
    with ScriptedModel(replies) as model:
        result = await run(model, DRAG(k=2, m=0), journal=journal)
    first, sources, _ = model.calls
    # The passages keep the numbers under which the answer was read from them.
    assert contents(sources)[0] == contents(first)[-1]
    assert contents(sources)[1:] == ["Rhone", SOURCES_PROMPT]
    (citation,) = result.citations
    assert (citation.passage.text, citation.supported) == ("best", True)
    assert citation.claim == "Which river? Rhone"
    assert [s.missing for s in result.substitutes] == ["citations in the answer"]
    assert data(result)["effective_context"] == model.count_tokens(first)
    assert await areplay(result.run_id, journal=journal) == result


async def test_but_not_with_a_limit_of_the_context() -> None:
    with ScriptedModel(["\\boxed{Rhone}"]) as model:
        result = await run(model, DRAG(k=2, m=0, context_limit=10_000))
    assert (result.citations, result.substitutes) == ((), ())
    assert result.usage.input_tokens == data(result)["effective_context"]


async def test_without_demonstrations_m_is_0_and_the_result_says_so() -> None:
    with scripted(["\\boxed{Rhone}"] * 3) as model:
        none = await run(model, DRAG())
        few = await run(model, DRAG(m=3), examples=EXAMPLES)
        unwanted = await run(model, DRAG(m=0), examples=EXAMPLES)
    assert [(s.missing, s.used) for s in none.substitutes] == [
        ("demonstrations", "m = 0")
    ]
    assert [s.used for s in few.substitutes] == ["m = 2"]
    assert unwanted.substitutes == ()
    assert [len(c.messages) for c in model.calls[::2]] == [2, 6, 2]


async def test_no_documents_is_closed_book() -> None:
    docs = ScriptedRetriever(DOCS)
    with ScriptedModel(["\\boxed{Rhone}"]) as model:
        result = await asolve("Which river?", strategy=DRAG(k=0), model=model,
                              retriever=docs, examples=EXAMPLES[:2])  # fmt: skip
    assert docs.queries == []
    assert result.warnings == ()
    assert data(result)["m"] == 1


async def test_demonstrations_of_a_file_keep_their_own_passages(
    tmp_path: Path, journal: Journal
) -> None:
    path = tmp_path / "shown.jsonl"
    row = {"question": "What is old?", "answer": "x", "passages": ["p q r", "s"]}
    path.write_text(json.dumps(row))
    chosen = DRAG(k=2, m=1, demonstrations=str(path), document_words=2)
    with scripted(["\\boxed{Rhone}"]) as model:
        result = await run(model, chosen, examples=EXAMPLES, journal=journal)
    assert contents(model.calls[0])[1] == "[1] s\n\n[2] p q\n\nQuestion: What is old?"
    # What the file held is in the journal.
    path.unlink()
    assert await areplay(result.run_id, journal=journal) == result
    with pytest.raises(InvalidInput, match="cannot be read"):
        await run(model, chosen)


@pytest.mark.parametrize("limit", range(61, 91, 3))
async def test_the_limit_of_the_context_is_kept(limit: int, journal: Journal) -> None:
    with ScriptedModel(["\\boxed{Rhone}"]) as model:
        result = await run(
            model, DRAG(k=2, context_limit=limit), examples=EXAMPLES, journal=journal
        )
    spent = data(result)
    assert result.usage.input_tokens == spent["effective_context"] <= limit
    (call,) = model.calls
    assert call.messages[-1].content.endswith("Question: Which river?")
    whole = spent["m"] == 2 and spent["k"] == 2
    assert whole != any("The prompt has room for" in w for w in result.warnings)
    if not whole and spent["k"] < 2:
        assert spent["m"] == 0, "demonstrations go first"
    if spent["k"] == 1:
        assert "best" in call.messages[-1].content
    assert await areplay(result.run_id, journal=journal) == result


async def test_as_much_is_kept_as_fits() -> None:
    with scripted(["\\boxed{Rhone}"] * 2) as model:
        whole = await run(model, DRAG(k=2), examples=EXAMPLES)
        exact = data(whole)["effective_context"]
        kept = await run(model, DRAG(k=2, context_limit=exact), examples=EXAMPLES)
    assert (data(kept)["m"], data(kept)["k"]) == (2, 2)
    with ScriptedModel(["\\boxed{Rhone}"]) as model:
        cut = await run(model, DRAG(k=2, context_limit=exact - 1), examples=EXAMPLES)
    assert (data(cut)["m"], data(cut)["k"]) == (1, 2)
    assert "What is new?" in contents(model.calls[0])[1]


async def test_a_limit_below_the_question_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="context_limit is 5 tokens"):
        await run(ScriptedModel([]), DRAG(context_limit=5))


async def test_the_context_of_the_model_is_kept_too() -> None:
    window = Capabilities(context_length=100)
    with scripted(["\\boxed{Rhone}"], capabilities=window) as model:
        result = await run(model, DRAG(k=2, max_tokens=30), examples=EXAMPLES)
    assert model.count_tokens(model.calls[0]) + 30 <= 100
    assert any("The prompt has room for" in w for w in result.warnings)


async def test_a_reply_without_an_answer_is_made_to_end_in_one(
    journal: Journal,
) -> None:
    with scripted(["It is big.", "Rhone"]) as model:
        result = await run(model, DRAG(m=0), journal=journal)
    assert result.answer == "Rhone"
    assert result.text.endswith("So the final answer is \\boxed{Rhone}")
    assert model.calls[1].prefill.startswith("It is big.")
    read = sum(map(model.count_tokens, model.calls[:2]))
    assert data(result)["effective_context"] == read
    assert await areplay(result.run_id, journal=journal) == result
    with scripted(["It is big.", "\\boxed{Po}"], capabilities=Capabilities()) as m:
        told = await run(m, DRAG(m=0))
    assert told.answer == "Po"
    assert m.calls[1].messages[-2] == assistant("It is big.")


async def test_but_not_beyond_the_limit() -> None:
    with ScriptedModel(["It is big."]) as model:
        result = await run(model, DRAG(m=0, context_limit=100))
    assert (result.answer, result.text) == (None, "It is big.")


async def test_a_prompt_that_cannot_be_paid_is_made_shorter() -> None:
    long = {"river": ["best", "word " * 300]}
    with ScriptedModel(["[1] says so. \\boxed{Rhone}", token(Yes=-0.1)]) as model:
        result = await asolve(
            "Which river?", strategy=DRAG(m=0), model=model,
            retriever=ScriptedRetriever(long), budget=Budget(tokens=300),
        )  # fmt: skip
    assert (result.answer, result.stop_reason) == ("Rhone", StopReason.TOKENS)
    assert contents(model.calls[0])[-1] == "[1] best\n\nQuestion: Which river?"
    assert result.usage.total_tokens <= 300


async def test_a_call_that_fails_is_made_once_more_with_less() -> None:
    with scripted([ModelUnreachable("down"), "\\boxed{Rhone}"]) as model:
        result = await run(model, DRAG(m=0))
    assert result.answer == "Rhone"
    assert data(result)["k"] == 1


def test_a_document_is_cut_behind_its_words() -> None:
    passage = Passage(id="p", text=" one  two\nthree four ", start=10, end=31)
    assert truncated(passage, 4) is passage
    cut = truncated(passage, 2)
    assert (cut.text, cut.end) == (" one  two", 19)
    assert truncated(passage.model_copy(update={"start": None}), 1).end is None


async def test_a_search_that_finds_nothing_is_told() -> None:
    with ScriptedModel(["\\boxed{?}"]) as model:
        result = await asolve(
            "What?", strategy=DRAG(m=0), model=model, retriever=ScriptedRetriever(DOCS)
        )
    assert result.warnings == ("No passage was found: the answer rests on none.",)
    assert "(no passages were found)" in contents(model.calls[0])[-1]


async def test_a_reply_stays_where_no_answer_can_be_forced() -> None:
    with ScriptedModel(["It is big.", ModelUnreachable("down")]) as model:
        result = await run(model, DRAG(m=0))
    assert (result.answer, result.text) == (None, "It is big.")
