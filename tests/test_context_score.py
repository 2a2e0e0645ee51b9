"""Scoring given texts: charged, journaled and served again like any call."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ponder.budget import Budget, Ledger
from ponder.context import RunContext
from ponder.errors import (
    ModelUnreachable,
    OutOfBudget,
    ReplayDrift,
    UnsupportedCapability,
)
from ponder.events import Event
from ponder.journal import Journal, RunRecord
from ponder.messages import Usage, user
from ponder.models.base import Model
from ponder.models.scripted import ScriptedModel
from ponder.telling import Shared
from ponder.thoughts import ThoughtGraph
from tests.support.places import place
from tests.support.scoring_model import ScoringModel

PROMPT = (user("one two three"),)


def by_length(prompt: str, text: str) -> float:
    return -float(len(text))


def again(context: RunContext, model: Model, *, replaying: bool = False) -> RunContext:
    """Return the place of a run that goes on with the same journal."""
    shared = Shared(
        "r", context.shared.log, lambda event: None, ThoughtGraph(), replaying=replaying
    )
    return replace(context, model=model, shared=shared, ledger=Ledger(Budget()))


async def test_the_prompt_is_charged_once_and_every_text() -> None:
    context = place(ScoringModel(by_length))
    events: list[Event] = []
    context.shared.emit = events.append

    scores = await context.acting("judge").score(PROMPT, ["yes", "no it is"])

    assert scores == [-3.0, -8.0]
    assert context.ledger.spent.model_copy(update={"seconds": 0.0}) == Usage(
        calls=1, input_tokens=3 + 1 + 3
    )
    assert context.shared.roles["judge"].input_tokens == 7
    assert [event.kind for event in events] == ["call_started", "call_finished"]


async def test_it_is_served_from_the_journal_and_charged_there_too() -> None:
    first = place(ScoringModel(by_length))
    scores = await first.score(PROMPT, ["yes"])
    other = ScoringModel(by_length)

    resumed = again(first, other, replaying=True)
    assert await resumed.score(PROMPT, ["yes"]) == scores
    assert other.scored == []
    assert resumed.ledger.spent.input_tokens == 4

    with pytest.raises(ReplayDrift):
        await again(first, other, replaying=True).score(PROMPT, ["no"])


@pytest.mark.parametrize(
    ("budget", "dimension"),
    [
        (Budget(calls=0), "calls"),
        (Budget(tokens=3), "tokens"),
        (Budget(input_tokens=3), "input_tokens"),
    ],
)
async def test_a_budget_that_admits_no_scoring_refuses_it(
    budget: Budget, dimension: str
) -> None:
    model = ScoringModel(by_length)
    context = place(model, budget=budget)
    with pytest.raises(OutOfBudget) as refused:
        await context.score(PROMPT, ["yes"])
    assert refused.value.dimension == dimension
    assert model.scored == []
    with pytest.raises(OutOfBudget):
        await again(context, model).score(PROMPT, ["yes"])


async def test_a_failure_is_journaled_and_tried_again_on_resume() -> None:
    context = place(ScoringModel(lambda p, t: ModelUnreachable("down")))
    with pytest.raises(ModelUnreachable):
        await context.score(PROMPT, ["yes"])
    assert context.ledger.spent.calls == 1
    assert len(context.shared.failures) == 1
    resumed = again(context, ScoringModel(by_length))
    assert await resumed.score(PROMPT, ["yes"]) == [-3.0]


async def test_a_model_that_cannot_score_says_so() -> None:
    context = place(ScriptedModel())
    with pytest.raises(UnsupportedCapability, match="score"):
        await context.score(PROMPT, ["yes"])
    assert context.ledger.spent.calls == 0


async def test_the_clock_and_a_cancellation_end_it() -> None:
    slow = ScoringModel(by_length, delay=30.0)
    context = place(slow, budget=Budget(seconds=0.05))
    with pytest.raises(OutOfBudget) as refused:
        await context.score(PROMPT, ["yes"])
    assert refused.value.dimension == "seconds"

    context = place(slow)
    asked = asyncio.ensure_future(context.score(PROMPT, ["yes"]))
    await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert context.ledger.spent.calls == 1
    assert [entry.kind for entry in context.shared.log.entries] == ["lost"]


async def test_scores_survive_on_disk_to_the_last_digit(tmp_path: Path) -> None:
    exact = -1.2345678901234567
    record = RunRecord(run_id="r", question="q", strategy="s", model="scripted")
    with Journal(tmp_path / "j.sqlite") as journal:
        context = place(ScoringModel(lambda p, t: exact))
        context.shared.log = journal.start(record)
        await context.score(PROMPT, ["yes"])
    with Journal(tmp_path / "j.sqlite") as journal:
        (entry,) = journal.read("r").entries
    assert entry.body["scores"] == [exact]
    assert entry.usage.input_tokens == 4
