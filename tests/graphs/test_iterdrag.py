"""IterDRAG: its iterations, their limit, and what the answer rests on."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ponder.agents.reader import SOURCES_PROMPT
from ponder.budget import Budget
from ponder.errors import InvalidParameter, ModelUnreachable
from ponder.graphs.iterdrag import NO_ANSWER, IterDRAG
from ponder.journal import Journal
from ponder.messages import Completion, assistant, user
from ponder.models.base import Capabilities
from ponder.models.scripted import Reply, ScriptedModel
from ponder.result import Result, StopReason
from ponder.retrieval.scripted import ScriptedRetriever
from ponder.run import areplay, asolve
from ponder.thoughts import ThoughtGraph
from tests.support.places import token

DOCS = {
    "born": ["Scott was born in South Shields.", "Cameron was born in Kapuskasing."],
    "directed": ["Alien was directed by Scott."],
    "town": ["South Shields is a town.", "Alien is a film."],
}
QUESTION = "In which town did the director of Alien grow up?"
WHO, WHERE = "Who directed Alien?", "Where was Scott born?"
EXAMPLE = (
    user("Who directed the best film?"),
    assistant(
        "Follow up: Which film is best?\nIntermediate answer: Alien. [1]\n"
        "So the final answer is: Scott"
    ),
)
PLAIN = (user("Who?"), assistant("\\boxed{Ann}"))
YES = token(Yes=-0.1, No=-3.0)
FULL: list[Reply] = [
    f"Follow up: {WHO}",
    " Alien was directed by Scott. [3]",
    f"Follow up: {WHERE}",
    " Scott was born in South Shields. [5]",
    "So the final answer is: \\boxed{South Shields} [5]",
]


def scripted(replies: Iterable[Reply], **more: Any) -> ScriptedModel:
    """Return a model that names no sources when it is asked for them."""
    return ScriptedModel(replies, rules=[(SOURCES_PROMPT, "none")], **more)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


async def run(model: ScriptedModel, chosen: IterDRAG, **more: Any) -> Result:
    docs = more.pop("retriever", None) or ScriptedRetriever(DOCS)
    return await asolve(
        QUESTION, strategy=chosen, model=model, retriever=docs, **more
    )  # fmt: skip


def final(result: Result) -> dict[str, Any]:
    return ThoughtGraph.from_json(result.graph).thought("final").data


def said(model: ScriptedModel) -> list[str]:
    return [c.messages[-1].content for c in model.calls]


async def test_sub_queries_are_searched_and_answered(journal: Journal) -> None:
    docs = ScriptedRetriever(DOCS)
    with ScriptedModel([*FULL, YES, YES, YES]) as model:
        result = await run(
            model, IterDRAG(k=2, m=0), retriever=docs, journal=journal
        )  # fmt: skip
    assert result.answer == "South Shields"
    assert result.stop_reason is StopReason.FINISHED
    assert docs.queries == [QUESTION, WHO, WHERE]
    ask, answer, again, second, last = model.calls[:5]
    assert said(model)[0] == (
        f"[1] Alien is a film.\n\n[2] South Shields is a town.\n\nQuestion: {QUESTION}"
    )
    # The documents of a sub-query come behind the others, and keep their numbers.
    assert "[3] Alien was directed by Scott.\n\nQuestion" in said(model)[1]
    assert "[3] Alien was directed by Scott.\n\n[4] Cameron" in said(model)[3]
    assert "[5] Scott was born in South Shields.\n\nQuestion" in said(model)[4]
    assert answer.prefill == f"Follow up: {WHO}\nIntermediate answer:"
    assert again.prefill.endswith("Alien was directed by Scott. [3]\n")
    assert (ask.prefill, second.messages[-1]) == ("", last.messages[-1])
    assert result.text == (
        f"Follow up: {WHO}\nIntermediate answer: Alien was directed by Scott. [3]\n"
        f"Follow up: {WHERE}\nIntermediate answer: Scott was born in South Shields. "
        "[5]\nSo the final answer is: \\boxed{South Shields} [5]"
    )
    assert [(c.passage.text, c.supported) for c in result.citations] == [
        (DOCS["directed"][0], True),
        (DOCS["born"][0], True),
        (DOCS["born"][0], True),
    ]
    assert result.citations[0].claim == (
        "Who directed Alien: Alien was directed by Scott."
    )
    assert await areplay(result.run_id, journal=journal) == result


BARE: list[Reply] = [
    f"Follow up: {WHO}",
    " Alien was directed by Scott.",
    f"Follow up: {WHERE}",
    " Scott was born in South Shields.",
    "So the final answer is: \\boxed{South Shields}",
]


async def test_an_answer_that_cites_nothing_is_asked_for_its_sources(
    journal: Journal,
) -> None:
    with ScriptedModel([*BARE, "3, 5", YES, token(Yes=-3.0, No=-0.1)]) as model:
        result = await run(model, IterDRAG(k=2, m=0), journal=journal)
    sources = model.calls[5]
    # All that was found, under the numbers that the last line was written with.
    assert sources.messages[0].content == said(model)[4]
    assert [m.content for m in sources.messages[1:]] == [
        "South Shields", SOURCES_PROMPT
    ]  # fmt: skip
    assert [(c.passage.text, c.supported) for c in result.citations] == [
        (DOCS["directed"][0], True),
        (DOCS["born"][0], False),
    ]
    assert {c.claim for c in result.citations} == {f"{QUESTION} South Shields"}
    assert [s.missing for s in result.substitutes] == ["citations in the answer"]
    read = sum(map(model.count_tokens, model.calls[:5]))
    assert final(result)["effective_context"] == read
    assert await areplay(result.run_id, journal=journal) == result


async def test_but_not_with_a_limit_of_the_context() -> None:
    with ScriptedModel(BARE) as model:
        result = await run(model, IterDRAG(k=2, m=0, context_limit=10_000))
    assert (result.citations, result.substitutes) == ((), ())
    assert final(result)["effective_context"] == result.usage.input_tokens


async def test_the_effective_context_is_the_input_of_all_calls() -> None:
    with ScriptedModel([*FULL, YES, YES, YES]) as model:
        result = await run(model, IterDRAG(k=2, m=0))
    spent = final(result)
    assert spent["effective_context"] == sum(map(model.count_tokens, model.calls[:5]))
    assert spent["effective_context"] == result.roles["generator"].input_tokens
    assert (spent["k"], spent["m"], spent["n"]) == (2, 0, 2)
    graph = ThoughtGraph.from_json(result.graph).graph
    for edge in (
        ("question", "search"),
        ("search", "iteration/0/search"),
        ("iteration/0/search", "iteration/0"),
        ("iteration/0", "iteration/1/search"),
        ("iteration/1", "final"),
        ("final", "answer"),
    ):
        assert graph.has_edge(*edge)


async def test_after_n_sub_queries_the_answer_is_forced() -> None:
    with ScriptedModel([*FULL[:2], "South Shields}", YES]) as model:
        result = await run(model, IterDRAG(k=2, m=0, n=1))
    assert result.answer == "South Shields"
    assert model.calls[2].prefill.endswith("So the final answer is: \\boxed{")


async def test_a_demonstration_shows_its_steps_and_their_documents() -> None:
    with scripted(["So the final answer is: Scott"] * 2) as model:
        result = await run(model, IterDRAG(k=1), examples=(*PLAIN, *EXAMPLE))
        none = await run(model, IterDRAG(k=1), examples=PLAIN)
    shown = [m.content for m in model.calls[0].messages[1:3]]
    assert shown == [
        f"[1] {DOCS['directed'][0]}\n\nQuestion: Who directed the best film?",
        "Follow up: Which film is best?\nIntermediate answer: Alien. [1]\n"
        "So the final answer is: \\boxed{Scott}",
    ]
    assert result.warnings == ("1 demonstrations without steps were left out.",)
    assert result.substitutes == ()
    assert [s.used for s in none.substitutes] == ["m = 0"]


async def test_a_sub_query_without_passages_or_answer_is_marked() -> None:
    replies = ["Follow up: What?", "", "So the final answer is: \\boxed{x}"]
    with scripted(replies) as model:
        result = await run(model, IterDRAG(m=0))
    assert result.warnings == (
        "No passage was found for the sub-query 'What?'.",
        "The sub-query 'What?' got no answer.",
    )
    assert f"Intermediate answer: {NO_ANSWER}" in result.text


async def test_a_sub_query_that_comes_twice_ends_the_decomposition() -> None:
    with ScriptedModel([*FULL[:2], f"Follow up: {WHO.upper()}", "x}", YES]) as model:
        result = await run(model, IterDRAG(m=0))
    assert result.answer == "x"
    assert any("came twice" in w for w in result.warnings)


async def test_what_is_of_no_form_is_asked_again_and_then_given_up() -> None:
    with scripted(["Hm.", "Hm.", "x}"]) as model:
        result = await run(model, IterDRAG(m=0))
    assert result.answer == "x"
    assert result.warnings == (
        "A reply was no line of the form: the final answer is forced.",
    )


async def test_an_answer_that_cannot_be_read_is_none() -> None:
    replies = [*FULL[:2], "I do not know", "Nor now"]
    with ScriptedModel([*replies, YES], capabilities=Capabilities(logprobs=True)) as m:
        result = await run(m, IterDRAG(m=0, n=1))
    assert result.answer is None
    assert result.text.endswith("[3]\nNor now")
    assert "No final answer could be read." in result.warnings


@pytest.mark.parametrize("limit", [*range(95, 900, 45), 10_000])
async def test_the_limit_of_the_context_is_kept(limit: int, journal: Journal) -> None:
    replies: Sequence[Reply] = [
        lambda r: "x} [1]" if r.prefill.endswith("{") else "Who directed it? [1]"
    ] * 30
    rules: list[tuple[Any, Reply]] = [
        ("Does the passage say", YES),
        (lambda r: r.grammar and not r.prefill.endswith("{"), _next),
    ]
    model = ScriptedModel(replies, rules=rules)
    result = await run(
        model,
        IterDRAG(k=2, n=3, max_tokens=20, context_limit=limit),
        examples=EXAMPLE,
        journal=journal,
    )
    spent = final(result)
    assert result.answer == "x"
    assert spent["effective_context"] == result.roles["generator"].input_tokens <= limit
    assert (spent["n"] == 3) == (limit > 860)
    assert await areplay(result.run_id, journal=journal) == result


def _next(request: Any) -> str:
    return f"Follow up: Who was born {request.prefill.count('Follow')}?"


async def test_a_limit_below_the_question_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="context_limit is 5 tokens"):
        await run(ScriptedModel([]), IterDRAG(context_limit=5))


async def test_a_spent_budget_ends_with_the_final_answer() -> None:
    with ScriptedModel([*FULL[:2], "South Shields}"]) as model:
        result = await run(model, IterDRAG(k=2, m=0), budget=Budget(calls=3))
    assert (result.answer, result.stop_reason) == ("South Shields", StopReason.CALLS)


async def test_and_with_the_steps_where_not_even_that_can_be_paid() -> None:
    long: list[Reply] = [
        *FULL[:1],
        Completion(text="word " * 90 + "[3]"),
    ]
    with ScriptedModel(long) as model:
        result = await run(
            model, IterDRAG(k=2, m=0), budget=Budget(tokens=330, wrap_up=0.05)
        )
    assert (result.answer, result.stop_reason) == (None, StopReason.TOKENS)
    assert result.text.startswith(f"Follow up: {WHO}\nIntermediate answer: word")


async def test_a_call_that_fails_leaves_the_steps_to_answer_from() -> None:
    down = ModelUnreachable("The server is down.")
    with ScriptedModel([*FULL[:2], down, down, "South Shields} [1]", YES]) as model:
        result = await run(model, IterDRAG(k=2, m=0))
    assert result.answer == "South Shields"
    assert "The server is down." in result.warnings
    assert "(no passages were found)" in said(model)[4]
    # It saw no passage, so that its number names none.
    assert result.text.endswith("\\boxed{South Shields}")


async def test_a_sub_query_whose_answer_fails_is_left_out() -> None:
    with scripted([*FULL[:1], ModelUnreachable("down"), "x}"]) as model:
        result = await run(model, IterDRAG(m=0))
    assert (result.answer, result.warnings) == ("x", ("down",))
    assert result.text == "So the final answer is: \\boxed{x}"
    assert final(result)["n"] == 0


async def test_a_model_that_is_dead_is_an_error() -> None:
    down: list[Reply] = [*FULL[:2], *[ModelUnreachable("down")] * 3]
    with ScriptedModel(down) as model, pytest.raises(ModelUnreachable, match="down"):
        await run(model, IterDRAG(m=0))
