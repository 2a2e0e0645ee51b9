"""Trees of questions: what is asked, what wins, and what is done without."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ponder.agents.explainer import FORM
from ponder.budget import Budget
from ponder.errors import ModelUnreachable
from ponder.graphs._probtree import aggregated
from ponder.graphs.probtree import ProbTree
from ponder.journal import Journal
from ponder.messages import Completion, Request, TokenLogprob
from ponder.models.base import Capabilities
from ponder.models.scripted import Reply, ScriptedModel, When
from ponder.result import Result, StopReason
from ponder.retrieval.scripted import ScriptedRetriever
from ponder.run import areplay, asolve
from ponder.thoughts import ThoughtGraph
from tests.support.places import token

QUESTION = "Who founded the club that Ada Moe coaches?"
CLUB, FOUNDER = "Which club does Ada Moe coach?", "Who founded #1?"
DOCS = {
    "Ada Moe": ["Ada Moe coaches Roma."],
    "Who founded Roma": ["Italo Foschi founded Roma."],
}


def tree(**splits: list[str]) -> str:
    listed = [{"question": q, "subquestions": subs} for q, subs in splits.items()]
    return json.dumps({"decompositions": listed})


def said(text: str, answer: str, logprob: float) -> Completion:
    """Return an explanation of one token with an answer behind it."""
    end = f" \\boxed{{{answer}}}"
    return Completion(
        text=text + end,
        logprobs=(
            TokenLogprob(token=text, logprob=logprob),
            TokenLogprob(token=end, logprob=-9.0),
        ),
    )


def listed(text: str, logprob: float) -> Completion:
    token = TokenLogprob(token=text, logprob=logprob)
    return Completion(text=text, logprobs=(token,))


def asks(kind: str, question: str) -> When:
    """Fit a request for one way to an answer, by a word of its instructions."""

    def fits(request: Request) -> bool:
        head, last = request.messages[0].content, request.messages[-1].content
        return (
            head.startswith("Answer")
            and kind in head
            and last.endswith(f"Question: {question}\n\n{FORM}")
        )

    return fits


TREE = ("Break the question", listed(tree(**{QUESTION: [CLUB, FOUNDER]}), -0.3))
CHECK = ("Does the passage say", token(Yes=-0.1, No=-3.0))
RULES: list[tuple[When, Reply]] = [
    TREE,
    (asks("you know", CLUB), said("I guess.", "Lazio", -2.0)),
    (asks("passages", CLUB), said("She coaches Roma [1].", "Roma", -0.2)),
    (asks("you know", "Who founded Roma?"), said("Surely.", "Foschi", -0.1)),
    (asks("passages", "Who founded Roma?"), said("He did [1].", "Italo", -0.6)),
    (asks("you know", QUESTION), said("Hm.", "Nobody", -3.0)),
    (asks("passages", QUESTION), said("It says [1].", "Ada", -1.0)),
    (asks("parts", QUESTION), said("Foschi did so.", "Foschi", -0.4)),
    CHECK,
]


async def run(rules: Sequence[tuple[When, Reply]], **options: Any) -> Result:
    model = options.pop("model", None) or ScriptedModel(rules=rules)
    docs: dict[str, Any] = {"retriever": ScriptedRetriever(DOCS)}
    parameters = options.pop("parameters", {})
    return await asolve(
        QUESTION, strategy=ProbTree(**parameters), model=model, **(docs | options)
    )


def swapped(at: int, rule: tuple[When, Reply]) -> list[tuple[When, Reply]]:
    return [*RULES[:at], rule, *RULES[at + 1 :]]


async def test_the_most_certain_way_wins_at_every_node() -> None:
    docs = ScriptedRetriever(DOCS)
    result = await run(RULES, retriever=docs)

    # Roma by the open book (-0.2 > -2), Foschi by the closed one (-0.1 > -0.6); then
    # l, d and the two scores, over n + 2 = 4, against -3 and -1.
    score = (-0.4 - 0.3 + (-0.2 - 0.1)) / 4
    assert result.answer == "Foschi"
    assert result.confidence == pytest.approx(math.exp(score))
    assert {c.answer for c in result.candidates} == {"Nobody", "Ada", "Foschi"}
    assert sorted(docs.queries) == sorted([CLUB, "Who founded Roma?", "Roma", QUESTION])


async def test_what_the_parts_rest_on_is_cited_and_checked() -> None:
    result = await run(RULES)

    (citation,) = result.citations
    assert citation.claim == "Which club does Ada Moe coach: Roma"
    assert citation.passage.text == "Ada Moe coaches Roma."
    assert citation.supported is True


async def test_the_graph_shows_questions_evidence_and_answers() -> None:
    graph = ThoughtGraph.from_json((await run(RULES)).graph)

    assert graph.thought("node/1").label == CLUB
    assert graph.thought("node/2").data["depth"] == 1
    assert graph.thought("node/1/search/0").kind == "evidence"
    edges = set(graph.graph.edges)
    assert {("question", "node/1"), ("node/1", "node/1/search/0")} <= edges
    assert ("node/1/search/0", "node/1/open") in edges
    assert {
        ("node/1/open", "node/0/parts"),
        ("node/2/closed", "node/0/parts"),
    } <= edges


async def test_parts_that_wait_for_nothing_are_answered_together() -> None:
    begun: list[str] = []
    rules = swapped(0, (TREE[0], listed(tree(Q=["Where is A?", "Where is B?"]), -0.3)))
    rules += [(asks("", f"Where is {x}?"), said("Here.", x, -0.1)) for x in "AB"]
    model = ScriptedModel(rules=rules, delay=0.01)
    result = await run(
        rules, model=model, retriever=None,
        on_event=lambda e: begun.append(f"{e.kind} {getattr(e, 'path', '')}"),
    )  # fmt: skip

    calls = [b for b in begun if "node/" in b and b.startswith("call_")]
    assert calls[:2] == ["call_started node/1/closed", "call_started node/2/closed"]
    assert result.answer == "Foschi"


async def test_without_documents_it_is_closed_book_and_says_so() -> None:
    rules = [*RULES, (asks("you know", "Who founded Lazio?"), said("So.", "X", -0.1))]
    result = await run(rules, retriever=None)

    assert ("documents", "closed-book answers alone") in [
        (s.missing, s.used) for s in result.substitutes
    ]
    assert {c.id for c in result.candidates} == {"node/0/closed", "node/0/parts"}
    assert result.citations == ()


async def test_a_part_without_evidence_is_marked_and_answered_closed_book() -> None:
    docs = ScriptedRetriever({"Ada Moe": DOCS["Ada Moe"]})
    result = await run(RULES, retriever=docs)

    assert any("'Who founded Roma?': closed book only" in w for w in result.warnings)
    assert result.answer == "Foschi"


async def test_an_unknown_part_is_named_by_its_question() -> None:
    unknown = said("Hm.", "unknown", -0.1)
    rules: list[tuple[When, Reply]] = [
        TREE,
        (asks("", CLUB), unknown),
        (asks("", f"Who founded the answer to '{CLUB}'?"), unknown),
        (asks("parts", QUESTION), unknown),
        (asks("", QUESTION), said("Hm.", "Nobody", -3.0)),
    ]
    result = await run(rules, retriever=None)

    assert result.answer == "Nobody"
    assert result.confidence == pytest.approx(math.exp(-3.0))


async def test_a_cyclic_decomposition_is_pruned_with_a_warning() -> None:
    cyclic = listed(tree(**{QUESTION: ["Who is #2?", "Who is #1?"]}), -0.3)
    result = await run(swapped(0, (TREE[0], cyclic)))

    assert any("wait for the answers of each other" in w for w in result.warnings)
    assert result.answer == "Ada"


async def test_a_part_that_fails_does_not_fail_the_others() -> None:
    down = ModelUnreachable("It is down.")
    result = await run(swapped(6, (asks("passages", QUESTION), down)))

    assert result.answer == "Foschi"
    assert [c.error for c in result.candidates if c.error] == ["It is down."]


async def test_without_logprobs_the_model_judges_itself() -> None:
    poor = Capabilities(n=True, seed=True, output_schema=True)
    rules: list[tuple[When, Reply]] = [
        (TREE[0], tree(**{QUESTION: [CLUB, FOUNDER]})),
        ("Proposed solution:\nI guess", "No"),
        ("Proposed solution:", "Yes"),
        *((when, _plain(reply)) for when, reply in RULES[1:-1]),
        ("Does the passage say", "Yes"),
    ]
    model = ScriptedModel(rules=rules, capabilities=poor)
    result = await run(rules, model=model)

    used = [s.used for s in result.substitutes if s.missing == "logprobs"]
    assert "log P(right) by the model's own judgement" in used
    assert result.answer == "Nobody"  # all are sure, and the closed book comes first
    assert result.confidence == 1.0


async def test_when_the_budget_ends_the_parts_still_give_an_answer(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    rules = [*RULES, (asks("you know", "Who founded Lazio?"), RULES[3][1])]
    cut = await run(
        rules, budget=Budget(calls=4, wrap_up=0.25), journal=journal, retriever=None
    )

    assert cut.stop_reason is StopReason.CALLS
    assert cut.answer == "Foschi"
    assert cut.candidates[-1].id == "rescue"
    assert await areplay(cut.run_id, journal=journal) == cut


def test_the_score_of_an_answer_from_parts() -> None:
    assert aggregated(-1.0, -0.5, [-0.2, -0.3]) == pytest.approx(-2.0 / 4)
    assert aggregated(-1.0, None, [-0.2, -0.3]) == pytest.approx(-1.5 / 3)
    assert aggregated(-1.0, -0.5, [None, -0.3]) == pytest.approx(-1.8 / 3)


def _plain(reply: Reply) -> Reply:
    assert isinstance(reply, Completion)
    return reply.text
