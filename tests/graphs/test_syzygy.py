"""Conditions, solutions that use them, exactness, minimality."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ponder.agents.verifier import Judge
from ponder.budget import Budget
from ponder.errors import ModelUnreachable
from ponder.graphs.syzygy import SyzygyOfThoughts
from ponder.journal import Journal
from ponder.messages import Completion, Request
from ponder.models.base import Capabilities
from ponder.models.scripted import Reply, ScriptedModel
from ponder.result import Candidate, StopReason, Task, Verdict
from ponder.run import areplay, asolve
from ponder.thoughts import ThoughtGraph
from tests.support.places import place, token

LOGPROBS = Capabilities(n=True, seed=True, logprobs=True, output_schema=True)
CONDITIONS = ("Half of 48 is 24.", "May is half of April.", "The total {T} is a sum.")
LISTED = json.dumps({"conditions": CONDITIONS})
SOLUTIONS = (
    "By [1] and [2] and [3], \\boxed{72}",
    "By [2], \\boxed{71}",
    "By [1] and [3], \\boxed{72}",
)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def judges(says: dict[str, float]) -> Callable[[Request], Completion]:
    """Return a judge that finds a solution exact if ``says`` has a small number."""

    def judge(request: Request) -> Completion:
        prompt = request.messages[-1].content
        no = next(value for text, value in says.items() if text in prompt)
        return token(Yes=-1.0, No=no)

    return judge


def model(
    says: dict[str, float], solutions: tuple[str, ...] = SOLUTIONS
) -> ScriptedModel:
    drafts = iter(solutions)
    return ScriptedModel(
        rules=[
            ("Someone else will solve", LISTED),
            ("Check whether a solution", judges(says)),
            ("", lambda request: next(drafts)),
        ],
        capabilities=LOGPROBS,
    )


EXACT = {"By [1] and": -5.0, "By [2],": -0.1}
"""The judge says yes to the solutions that begin with [1]."""


async def test_the_minimal_exact_solution_is_chosen(journal: Journal) -> None:
    used = model(EXACT)
    result = await asolve(
        "How many clips?", strategy=SyzygyOfThoughts(s=3), model=used, journal=journal
    )
    assert (result.answer, result.text) == ("72", SOLUTIONS[2])
    assert result.confidence == pytest.approx(1 / (1 + 2.718281828**-4))
    assert len(used.calls) == 1 + 3 + 3
    assert await areplay(result.run_id, journal=journal) == result

    graph = ThoughtGraph.from_json(result.graph).graph
    assert set(graph.predecessors("map/thought/1")) == {"conditions", "conditions/2"}
    assert set(graph.successors("conditions/3")) == {"map/thought/0", "map/thought/2"}


async def test_conditions_reach_solver_and_judge(journal: Journal) -> None:
    used = model(EXACT)
    await asolve(
        "How many clips?", strategy=SyzygyOfThoughts(s=3), model=used, journal=journal
    )
    _, *rest = (r.messages[-1].content for r in used.calls)
    assert all("[3] The total {T} is a sum." in prompt for prompt in rest)
    assert all("How many clips?" in prompt for prompt in rest)


async def test_the_verifier_of_the_run_checks_exactness(journal: Journal) -> None:
    def right(task: Task, candidate: Candidate) -> bool:
        return candidate.answer == "71"

    used = model({})
    result = await asolve(
        "How many clips?",
        strategy=SyzygyOfThoughts(s=3),
        model=used,
        verifier=right,
        journal=journal,
    )
    assert result.answer == "71"
    assert len(used.calls) == 1 + 3


async def test_a_judge_of_the_run_names_the_model(journal: Journal) -> None:
    rules = [("Check whether a solution", judges(EXACT))]
    judge = ScriptedModel(rules=rules, capabilities=LOGPROBS)
    result = await asolve(
        "How many clips?",
        strategy=SyzygyOfThoughts(s=3),
        model=model({}),
        verifier=Judge(judge),
        journal=journal,
    )
    assert result.text == SOLUTIONS[2]
    assert len(judge.calls) == 3


async def test_without_a_call_to_spare_there_are_no_conditions(
    journal: Journal,
) -> None:
    used = model({})
    result = await asolve(
        "How many clips?",
        strategy=SyzygyOfThoughts(),
        model=used,
        budget=Budget(calls=1),
        journal=journal,
    )
    assert result.answer == "72"
    assert result.stop_reason is StopReason.CALLS
    assert used.calls[0].messages[-1].content == "How many clips?"
    assert any("no call for conditions" in w for w in result.warnings)


def solution(id: str, text: str, score: float | None, tokens: int = 5) -> Candidate:
    return Candidate(
        id=id,
        text=text,
        answer=id,
        output_tokens=tokens,
        verdict=None if score is None else Verdict(score=score, passed=score >= 0.5),
    )


@pytest.mark.parametrize(
    ("pool", "answer"),
    [
        ([("a", "[1] [2]", 0.9), ("b", "[3] [3]", 0.6)], "b"),
        ([("a", "[1]", 0.6), ("b", "[3]", 0.9)], "b"),
        ([("a", "unmarked", 0.9), ("b", "[1] [2]", 0.6)], "b"),
        ([("a", "unmarked", 0.9), ("b", "[1] [2] [3]", 0.8)], "a"),
        ([("a", "[1]", 0.3), ("b", "[1] [2]", 0.4)], "b"),
        ([("a", "[1]", 0.3), ("b", "[1] [2]", None)], "a"),
    ],
    ids=["fewest", "more exact", "unmarked uses all", "tie", "none exact", "unread"],
)
def test_minimality(pool: list[tuple[str, str, float | None]], answer: str) -> None:
    here = place(ScriptedModel())
    candidates = [solution(*entry) for entry in pool]
    outcome = SyzygyOfThoughts().select(
        candidates, CONDITIONS, StopReason.FINISHED, here
    )
    assert outcome.answer == answer
    assert not here.shared.substitutes


def test_the_shorter_of_equals_is_chosen() -> None:
    pool = [solution("a", "[1]", 0.9, tokens=9), solution("b", "[2]", 0.9, tokens=8)]
    chosen = SyzygyOfThoughts().select(
        pool, CONDITIONS, StopReason.FINISHED, place(ScriptedModel())
    )
    assert (chosen.answer, chosen.confidence) == ("b", 0.9)


def test_without_scores_the_answers_vote() -> None:
    here = place(ScriptedModel())
    pool = [solution(id, "[1]", None) for id in ("a", "b", "b2")]
    pool[2] = pool[2].model_copy(update={"answer": "b"})
    outcome = SyzygyOfThoughts().select(pool, CONDITIONS, StopReason.FINISHED, here)
    assert outcome.answer == "b"
    assert outcome.confidence == pytest.approx(2 / 3)
    assert ("verifier scores", "majority vote") in here.shared.substitutes


async def test_conditions_that_cannot_be_had_are_done_without(
    journal: Journal,
) -> None:
    replies: list[Reply] = [ModelUnreachable("down"), "\\boxed{72}"]
    result = await asolve(
        "How many clips?",
        strategy=SyzygyOfThoughts(s=1),
        model=ScriptedModel(replies),
        verifier=lambda task, candidate: True,
        journal=journal,
    )
    assert result.answer == "72"
    assert "There are no conditions: down" in result.warnings

    result = await asolve(
        "How many clips?",
        strategy=SyzygyOfThoughts(s=1),
        model=ScriptedModel(["\\boxed{72}"]),
        budget=Budget(input_tokens=60),
        journal=journal,
    )
    assert result.answer == "72"
    assert "The budget leaves no room for conditions." in result.warnings


async def test_if_all_solutions_fail_one_more_is_written(journal: Journal) -> None:
    down = ModelUnreachable("down")
    result = await asolve(
        "How many clips?",
        strategy=SyzygyOfThoughts(s=2),
        model=ScriptedModel([LISTED, down, down, SOLUTIONS[0]]),
        verifier=lambda task, candidate: True,
        journal=journal,
    )
    assert result.answer == "72"
    assert result.candidates[0].id == "map/last/thought/0"

    with pytest.raises(ModelUnreachable):
        await asolve(
            "How many clips?",
            strategy=SyzygyOfThoughts(s=2),
            model=ScriptedModel([LISTED, down, down, down]),
            journal=journal,
        )


async def test_a_solution_that_was_cut_off_is_made_to_answer(
    journal: Journal,
) -> None:
    cut = Completion(text="By [1] we get", finish_reason="length")
    result = await asolve(
        "How many clips?",
        strategy=SyzygyOfThoughts(s=1),
        model=ScriptedModel([LISTED, cut, "72}"]),
        verifier=lambda task, candidate: None,
        journal=journal,
    )
    assert result.answer == "72"
