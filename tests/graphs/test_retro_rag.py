"""Evidence that is collated, drawn conclusions from, checked and taken back."""

import json
from pathlib import Path
from typing import Any

import pytest

from ponder.agents.inference_writer import Inference
from ponder.agents.reader import SOURCES_PROMPT
from ponder.budget import Budget
from ponder.errors import ModelUnreachable
from ponder.graphs._evidence_pool import (
    as_passages,
    best_of,
    by_sources,
    collated,
    rooted,
)
from ponder.graphs.retro_rag import RetroRAG
from ponder.journal import Journal
from ponder.messages import Request
from ponder.models.scripted import Reply, ScriptedModel, When
from ponder.passages import Passage
from ponder.result import Candidate, Result, StopReason, Verdict
from ponder.retrieval.scripted import ScriptedRetriever
from ponder.run import areplay, asolve
from ponder.thoughts import ThoughtGraph
from tests.support.places import token

QUESTION = "Which sea does the river of Lyon flow into?"
LYON, OPERA = "Lyon lies on the Rhone.", "Lyon has an opera."
SEA = "The Rhone flows into the Mediterranean."
DOCS = {"mouth": [SEA], "Lyon": [LYON, OPERA]}
YES, NO = token(Yes=-0.1, No=-3.0), token(Yes=-3.0, No=-0.1)
RELEVANT, SUPPORTS, SHOWS = (
    "Does the evidence help", "Does the passage say", "Does the evidence show",
)  # fmt: skip
A, B, C, D = (Passage(id=x, text=x.upper()) for x in "abcd")


def drawn(*statements: tuple[str, list[int]]) -> str:
    listed = [{"about": "x", "statement": s, "passages": n} for s, n in statements]
    return json.dumps({"conclusions": listed})


def asks(*queries: str) -> str:
    return json.dumps({"queries": list(queries)})


def with_words(*words: str) -> When:
    def fits(request: Request) -> bool:
        return all(word in request.messages[-1].content for word in words)

    return fits


RULES: list[tuple[When, Reply]] = [
    (with_words(RELEVANT, "Evidence:\n" + OPERA), NO),
    (with_words(RELEVANT), YES),
    (with_words(SUPPORTS, "Claim:\nLyon lies on the Seine"), NO),
    (with_words(SUPPORTS), YES),
    (with_words(SHOWS, "Answer to judge: Atlantic"), NO),
    (with_words(SHOWS), YES),
    (SOURCES_PROMPT, "none"),
]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


async def solved(
    model: ScriptedModel,
    journal: Journal,
    budget: Budget | None = None,
    docs: Any = DOCS,
    **parameters: Any,
) -> Result:
    return await asolve(
        QUESTION,
        strategy=RetroRAG(**parameters),
        model=model,
        retriever=ScriptedRetriever(docs),
        budget=budget,
        journal=journal,
    )


def two_rounds() -> list[Reply]:
    return [
        drawn(("Lyon lies on the Rhone", [1]), ("Lyon lies on the Seine", [1])),
        "It ends there [2]. \\boxed{Atlantic}",
        asks("mouth of the Rhone", QUESTION.upper()),
        drawn(("The river of Lyon flows into the Mediterranean", [1, 2])),
        "So it does [3]. \\boxed{Mediterranean}",
    ]


async def test_a_second_round_mends_what_the_first_got_wrong(journal: Journal) -> None:
    model = ScriptedModel(two_rounds(), rules=RULES)
    result = await solved(model, journal)

    model.assert_consumed()
    assert result.answer == "Mediterranean"
    assert [c.answer for c in result.candidates] == ["Atlantic", "Mediterranean"]
    verdicts = [c.verdict.passed for c in result.candidates if c.verdict]
    assert verdicts == [False, True]
    assert result.confidence == pytest.approx(1 / (1 + 2.718281828 ** (-2.9)))
    # The conclusion that was cited rests on two passages, and so does the answer.
    assert {c.passage.text for c in result.citations} == {LYON, SEA}
    assert "[1, 2]" in result.text
    assert await areplay(result.run_id, journal=journal) == result


async def test_evidence_held_before_is_taken_back_and_the_graph_tells(
    journal: Journal,
) -> None:
    model = ScriptedModel(two_rounds(), rules=RULES)
    graph = ThoughtGraph.from_json((await solved(model, journal)).graph)
    assert graph.thought("collation/0").data["held"] == [LYON]
    assert graph.thought("collation/1").data["added"] == [SEA]
    first, second = (graph.thought(f"discovery/{i}").data for i in (0, 1))
    assert first["held"] == ["Lyon lies on the Rhone"]
    assert second["removed"] == ["Lyon lies on the Rhone"]
    assert len(second["added"]) == 1


async def test_the_sources_are_judged_again_in_the_light_of_conclusions(
    journal: Journal,
) -> None:
    model = ScriptedModel(two_rounds(), rules=RULES)
    await solved(model, journal)
    judged = [c.messages[-1].content for c in model.calls if with_words(RELEVANT)(c)]  # type: ignore[operator]
    again = [p for p in judged if "Known so far:\n- Lyon lies on the Rhone" in p]
    assert [SEA in p or LYON in p for p in again] == [True, True]


async def test_the_best_answer_ends_the_last_round(journal: Journal) -> None:
    rules = [(with_words(SHOWS), NO), *RULES]
    replies = [drawn(), "\\boxed{a}", asks("mouth"), drawn(), "\\boxed{b}"]
    result = await solved(ScriptedModel(replies, rules=rules), journal, R=2)
    assert result.answer == "b"
    assert result.stop_reason is StopReason.FINISHED


@pytest.mark.parametrize("reply", [[asks()], [asks(QUESTION)], ["hm", "hm"],
                                   [ModelUnreachable("down")]])  # fmt: skip
async def test_without_a_new_sub_question_the_best_answer_stands(
    journal: Journal, reply: list[Reply]
) -> None:
    rules = [(with_words(SHOWS), NO), *RULES]
    model = ScriptedModel([drawn(), "\\boxed{a}", *reply], rules=rules)
    result = await solved(model, journal)
    model.assert_consumed()
    assert result.answer == "a"
    failed = not str(reply[0]).startswith("{")
    assert any("No sub-questions" in w for w in result.warnings) is failed


async def test_unreadable_conclusions_are_told_and_sources_read(
    journal: Journal,
) -> None:
    model = ScriptedModel(["hm", "hm", "Yes [1]. \\boxed{x}"], rules=RULES)
    result = await solved(model, journal)
    assert result.answer == "x"
    assert [c.passage.text for c in result.citations] == [LYON]
    assert any("No conclusions could be had" in w for w in result.warnings)


async def test_an_answer_that_cites_nothing_is_asked_for_its_sources(
    journal: Journal,
) -> None:
    replies = [drawn(("The Rhone flows by", [1])), "\\boxed{x}"]
    rules = [(SOURCES_PROMPT, "1"), *RULES]
    model = ScriptedModel(replies, rules=rules)
    result = await solved(model, journal)
    (sources,) = (c for c in model.calls if with_words(SOURCES_PROMPT)(c))  # type: ignore[operator]
    # Only what was found is offered, not the conclusions that the model drew.
    assert sources.messages[0].content == f"[1] {LYON}\n\nQuestion: {QUESTION}"
    assert [(c.passage.text, c.supported) for c in result.citations] == [(LYON, True)]
    assert [s.missing for s in result.substitutes] == ["citations in the answer"]
    assert await areplay(result.run_id, journal=journal) == result


async def test_nothing_found_is_told(journal: Journal) -> None:
    model = ScriptedModel(["\\boxed{x}"], rules=RULES)
    result = await solved(model, journal, docs={})
    assert result.answer == "x"
    assert any("rests on none" in w for w in result.warnings)


async def test_a_small_budget_goes_to_the_answer(journal: Journal) -> None:
    model = ScriptedModel(rules=[*RULES, ("", "\\boxed{x}")])
    result = await solved(model, journal, Budget(calls=2))
    assert result.answer == "x"
    assert result.stop_reason is StopReason.CALLS


def test_the_pool_holds_the_k_most_relevant() -> None:
    chances = {"a": 0.6, "b": 0.2, "c": 0.9, "d": None}
    assert collated([A, B, C, D], chances, 5, 0.5) == [C, A, D]
    assert collated([A, B, C, D], chances, 1, 0.5) == [C]
    assert collated([A, B], chances, 5, 0.7) == [A]
    assert collated([], {}, 5, 0.5) == []


def test_conclusions_fall_with_their_passages() -> None:
    both = Inference(about="", statement="AB.", sources=(A, B))
    none = Inference(about="", statement="?", sources=())
    assert rooted([both, none], [A, B, C]) == [both]
    assert rooted([both, none], [A, C]) == []


def test_a_cited_conclusion_is_resolved_to_its_passages() -> None:
    both = Inference(about="", statement="BA.", sources=(B, A))
    shown = as_passages([both], [A, B])
    assert shown[0].title == "Conclusion from passage 2 and passage 1"
    text = by_sources("x [3]. y [1, 3]. z [7]. a[0]", [A, B], [both])
    assert text == "x [2, 1]. y [1, 2]. z [7]. a[0]"


def test_the_best_has_an_answer_then_the_highest_verdict_then_comes_last() -> None:
    def one(id: str, answer: str | None, score: float | None) -> Candidate:
        return Candidate(id=id, text="t", answer=answer, verdict=Verdict(score=score))

    no, low, same, high = (
        one("0", None, 1.0), one("1", "a", 0.2), one("2", "b", 0.2), one("3", "c", 0.4),
    )  # fmt: skip
    unknown = one("4", "d", None)
    assert best_of([no, low, same, unknown]) == same
    assert best_of([high, low, unknown]) == high
    assert best_of([no, unknown]) == unknown
    assert best_of([]) is None
