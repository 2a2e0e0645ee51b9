"""One answer from each paragraph, and scores against an independent computation."""

import math
from pathlib import Path
from typing import Any

import pytest

from ponder.agents.likelihood import PROMPTS
from ponder.budget import Budget
from ponder.errors import ModelUnreachable
from ponder.graphs.internet_augmented import InternetAugmented
from ponder.journal import Journal
from ponder.messages import Completion, TokenLogprob
from ponder.models.base import Capabilities
from ponder.models.scripted import ScriptedModel
from ponder.result import Result, StopReason
from ponder.retrieval.paragraphs import cosines
from ponder.retrieval.scripted import ScriptedRetriever
from ponder.run import areplay, asolve
from tests.support.scoring_model import ScoringModel

QUESTION = "Which river crosses Lyon?"
DOCS = [
    "Lyon lies on the river Rhone.",
    "The Seine crosses Paris.",
    "The river Rhone crosses Lyon and Geneva.",
]
ANSWERS = ["Rhone", "Seine", "Rhone"]
P = {  # the probabilities of each paragraph: p(a|q,e), p(q|a,e), p(a|e), p(q|e)
    0: (0.20, 1e-4, 0.30, 2e-4),
    1: (0.90, 1e-6, 0.60, 1e-6),
    2: (0.25, 3e-4, 0.10, 4e-4),
}


def reads(i: int) -> tuple[Any, str]:
    return lambda r: f"[1] {DOCS[i]}" in r.messages[-1].content, (
        f"It says so [1]. \\boxed{{{ANSWERS[i]}}}"
    )


def likelihood(prompt: str, text: str) -> float:
    """Tell the four prompts apart by what they hold, and look the probability up."""
    (i,) = (i for i, doc in enumerate(DOCS) if doc in prompt)
    asked = text == QUESTION
    given = f"Answer: {ANSWERS[i]}" in prompt if asked else QUESTION in prompt
    return math.log(P[i][{True: 1, False: 0}[asked] if given else 2 + asked])


def scoring(**options: Any) -> ScoringModel:
    rules = [*(reads(i) for i in range(3)), ("", "No")]
    return ScoringModel(likelihood, rules=rules, **options)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


async def solved(
    model: ScriptedModel,
    journal: Journal,
    docs: Any = DOCS,
    budget: Budget | None = None,
    **parameters: Any,
) -> Result:
    return await asolve(
        QUESTION,
        strategy=InternetAugmented(**parameters),
        model=model,
        retriever=ScriptedRetriever(docs),
        budget=budget,
        journal=journal,
    )


def expected(rerank: str, weigh: bool) -> dict[str, float]:
    near = cosines(QUESTION, [f" {doc}" for doc in DOCS])
    sums = {"Rhone": 0.0, "Seine": 0.0}
    for i, (a_qe, q_ae, a_e, q_e) in P.items():
        score = {
            "answer": a_qe,
            "question": q_ae,
            "noisy_channel": q_ae * a_e / q_e,
            "product": a_qe * q_ae,
        }[rerank]
        sums[ANSWERS[i]] += score * (near[i] / sum(near) if weigh else 1.0)
    return sums


@pytest.mark.parametrize("weigh", [True, False])
@pytest.mark.parametrize("rerank", ["answer", "question", "noisy_channel", "product"])
async def test_scores_are_those_of_the_formula(
    journal: Journal, rerank: str, weigh: bool
) -> None:
    model = scoring()
    result = await solved(model, journal, rerank=rerank, weigh=weigh)
    sums = expected(rerank, weigh)
    best = max(sums, key=lambda answer: sums[answer])
    assert result.answer == best
    assert result.confidence == pytest.approx(sums[best] / sum(sums.values()))
    data = next(n for n in result.graph["nodes"] if n["id"] == "rerank")["data"]
    assert {a: math.exp(v) for a, v in data["answers"].items()} == pytest.approx(sums)
    assert [s.missing for s in result.substitutes] == ["logprobs"]
    assert {c.passage.text for c in result.citations} <= set(DOCS)
    assert await areplay(result.run_id, journal=journal) == result


async def test_each_answer_is_read_from_one_paragraph_and_cites_it(
    journal: Journal,
) -> None:
    result = await solved(scoring(), journal, rerank="question")
    assert [c.answer for c in result.candidates].count("Rhone") == 2
    assert [c.passage.text for c in result.citations] == [DOCS[2]]


async def test_documents_are_cut_and_the_nearest_paragraphs_read(
    journal: Journal,
) -> None:
    model = scoring()
    result = await solved(model, journal, [" ".join(DOCS)], n=2, sentences=1)
    assert len(result.candidates) == 2
    assert not any(DOCS[1] in call.messages[-1].content for call in model.calls[:2])


async def test_samples_of_one_paragraph_are_no_further_evidence(
    journal: Journal,
) -> None:
    once = await solved(scoring(), journal, rerank="answer")
    twice = await solved(scoring(), journal, rerank="answer", samples=2)
    assert len(twice.candidates) == 6
    assert twice.confidence == pytest.approx(once.confidence)


def written(answer: str, *logprobs: float) -> Completion:
    tokens = tuple(TokenLogprob(token="t", logprob=value) for value in logprobs)
    return Completion(text=f"\\boxed{{{answer}}}", logprobs=tokens)


async def test_without_scoring_the_generated_tokens_stand_in(journal: Journal) -> None:
    model = ScriptedModel(
        [written("a", -0.1, -0.3), written("b", -2.0), written("b", -3.0)]
    )
    result = await solved(model, journal, weigh=False)
    assert result.answer == "a"
    share = math.exp(-0.2) / (math.exp(-0.2) + math.exp(-2) + math.exp(-3))
    assert result.confidence == pytest.approx(share)
    assert any("mean log-probability" in s.used for s in result.substitutes)


async def test_without_any_probabilities_the_evidence_votes(journal: Journal) -> None:
    model = ScriptedModel(["\\boxed{a}", "\\boxed{b}", "\\boxed{b}"])
    result = await solved(model, journal, weigh=False)
    assert result.answer == "b"
    assert result.confidence == pytest.approx(2 / 3)
    assert any(s.used == "a vote by p(e|q)" for s in result.substitutes)


async def test_an_answer_that_cannot_be_scored_has_no_say(journal: Journal) -> None:
    def some(prompt: str, text: str) -> float | Exception:
        return likelihood(prompt, text) if DOCS[0] in prompt else ModelUnreachable("x")

    rules = [*(reads(i) for i in range(3)), ("", "No")]
    result = await solved(ScoringModel(some, rules=rules), journal)
    assert result.answer == "Rhone"
    assert result.confidence == 1.0
    assert any("2 of 3 answers could not be scored" in w for w in result.warnings)


async def test_nothing_found_is_told_and_answered(journal: Journal) -> None:
    model = ScriptedModel(["I know it. \\boxed{Rhone}"])
    result = await solved(model, journal, {})
    assert result.answer == "Rhone"
    assert result.citations == ()
    assert any("rests on none" in w for w in result.warnings)


async def test_the_budget_ends_the_reading_and_an_answer_is_left(
    journal: Journal,
) -> None:
    result = await solved(scoring(), journal, budget=Budget(calls=2))
    assert result.answer
    assert result.stop_reason is StopReason.CALLS
    assert result.usage.calls <= 2


async def test_scoring_is_charged_to_the_verifier(journal: Journal) -> None:
    capabilities = Capabilities(seed=True, logprobs=True, score=True)
    result = await solved(
        scoring(capabilities=capabilities), journal, rerank="question", n=1
    )
    scored = PROMPTS["q|a,e"].format(
        evidence=DOCS[2], question=QUESTION, answer="Rhone"
    )
    assert result.roles["verifier"].input_tokens >= len(scored.split())
    assert result.roles["generator"].calls == 1
