"""Runs that stand on an earlier one: what they may spend, and that they replay."""

import asyncio
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from ponder import Budget, Candidate, Journal, ScriptedModel, Task, asolve
from ponder.agents.constraint_verifier import ConstraintVerifier, constraint_verifier
from ponder.errors import InvalidParameter, ModelError, ModelUnreachable
from ponder.journal import RunRecord, RunStatus
from ponder.messages import Completion, OnDelta, Request, TokenLogprob, Usage, readable
from ponder.models.base import Capabilities, Model
from ponder.result import StopReason
from ponder.run import afork, areplay, aresume

ANSWER = "so \\boxed{1}"


class Meter(Model):
    """Writes as much as it may, and knows what was really spent."""

    name = "meter"
    capabilities = Capabilities(seed=True)

    def __init__(self, *outcomes: Exception | float) -> None:
        """Make a model whose first calls fail, or take seconds."""
        self.outcomes, self.spent = list(outcomes), 0

    def count_tokens(self, request: Request) -> int:
        return 10

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        outcome = self.outcomes.pop(0) if self.outcomes else 0.0
        if isinstance(outcome, Exception):
            raise outcome
        written = min(900, request.max_tokens)
        self.spent += 10 + written
        if on_delta is not None:
            on_delta(0, "so", written)
        await asyncio.sleep(outcome)
        usage = Usage(calls=1, input_tokens=10, output_tokens=written)
        return [Completion(text=ANSWER, usage=usage)]


async def stopped(model: Model, journal: Journal, **options: Any) -> str:
    """Begin a run, stop it soon, and return its id."""
    run = asyncio.create_task(asolve("q?", model=model, journal=journal, **options))
    await asyncio.sleep(0.2)
    run.cancel()
    await asyncio.wait([run])
    return journal.runs()[0].run_id


async def test_a_call_made_again_leaves_room_for_what_was_paid() -> None:
    journal, model = Journal(":memory:"), Meter(ModelError("boom"), 0.0, 100.0)
    strategy = 'self_consistency{"n": 3, "criterion": "none", "batch": 3}'
    run = await stopped(model, journal, strategy=strategy, budget=Budget(tokens=2000))

    model.outcomes.clear()
    result = await aresume(run, model=model, journal=journal)

    assert model.spent == result.usage.total_tokens <= 2000
    assert journal.read(run).spent.total_tokens == model.spent
    assert sum(u.total_tokens for u in result.roles.values()) == model.spent


async def test_what_a_call_cost_that_time_has_cut_counts_when_it_is_made_again() -> (
    None
):
    journal, model = Journal(":memory:"), Meter(10.0)
    first = await asolve(
        "q?",
        strategy="direct",
        model=model,
        budget=Budget(tokens=1000, seconds=0.2),
        journal=journal,
    )
    assert first.stop_reason is StopReason.SECONDS and model.spent == 910

    more = Budget(tokens=1000, seconds=100)
    result = await aresume(first.run_id, model=model, budget=more, journal=journal)

    assert model.spent == result.usage.total_tokens <= 1000
    assert journal.read(first.run_id).spent.total_tokens == model.spent


def low(task: Task, candidate: Candidate) -> float:
    return 0.2


def high(task: Task, candidate: Candidate) -> float:
    return 0.9


@pytest.mark.parametrize("before", [low, None])
async def test_a_run_with_another_verifier_replays_with_that(before: Any) -> None:
    journal, model = (
        Journal(":memory:"),
        ScriptedModel(rules=[(lambda r: True, ANSWER)]),
    )
    first = await asolve(
        "q?",
        strategy='best_of_n{"n": 2}',
        model=model,
        verifier=before,
        journal=journal,
    )
    forked = await afork(
        first.run_id, at=2, model=model, verifier=high, journal=journal
    )
    resumed = await aresume(first.run_id, model=model, verifier=high, journal=journal)

    for result in (forked, resumed):
        assert result.confidence == 0.9
        assert journal.run(result.run_id).record.verifier == "high"
        assert await areplay(result.run_id, journal=journal) == result


async def replayed(replies: Sequence[Completion], **options: Any) -> Any:
    journal = Journal(":memory:")
    result = await asolve(
        options.pop("question", "q?"),
        strategy="direct",
        model=ScriptedModel(list(replies)),
        journal=journal,
        **options,
    )
    assert journal.run(result.run_id).status is RunStatus.FINISHED
    assert await areplay(result.run_id, journal=journal) == result
    return result


async def test_half_an_emoji_ends_no_run() -> None:
    cut = Completion(text="emoji \ud83d \\boxed{3}")
    assert (await replayed([cut], question="Which \ud83d?")).answer == "3"
    assert readable("\ud83d\ude00 and \u00e4") == "\U0001f600 and \u00e4"


async def test_a_token_that_cannot_be_is_journaled() -> None:
    tokens = (TokenLogprob(token="a", logprob=-math.inf),)
    result = await replayed([Completion(text=ANSWER, logprobs=tokens)])
    assert result.answer == "1"


async def test_a_time_limit_of_the_models_own_is_its_failure() -> None:
    with pytest.raises(ModelUnreachable, match="own time limit: socket"):
        await asolve(
            "q?",
            strategy="direct",
            model=Meter(TimeoutError("socket timed out")),
            journal=Journal(":memory:"),
        )


async def test_a_fork_leaves_room_for_the_steps_that_it_shares() -> None:
    journal, model = Journal(":memory:"), Meter(0.2)
    strategy = 'self_consistency{"n": 3, "criterion": "none", "batch": 3}'
    first = await asolve("q?", strategy=strategy, model=model, journal=journal)
    paid = model.spent
    forked = await afork(
        first.run_id, at=2, model=model, budget=Budget(tokens=2000), journal=journal
    )

    assert forked.usage.total_tokens <= 2000
    assert journal.read(forked.run_id).spent.total_tokens == forked.usage.total_tokens
    assert model.spent - paid < 200


async def test_roles_divide_the_usage_of_a_run_that_went_on_otherwise() -> None:
    journal = Journal(":memory:")
    score = '{"feedback": "", "score": 50}'
    rules: Any = [("Check a proposed", score), (lambda request: True, ANSWER)]
    model = ScriptedModel(rules=rules)

    def checking(*constraints: str) -> ConstraintVerifier:
        return constraint_verifier(constraints=constraints)

    result = await asolve(
        "q?",
        strategy='best_of_n{"n": 2}',
        model=model,
        verifier=checking("one"),
        journal=journal,
    )
    for constraint in ("two", "two", "three"):
        result = await aresume(
            result.run_id, model=model, verifier=checking(constraint), journal=journal
        )
        assert {r: u.calls for r, u in result.roles.items()} == {
            "generator": 2,
            "verifier": result.usage.calls - 2,
        }
    assert result.usage.calls == 8


def test_only_one_of_two_processes_goes_on_with_a_run(tmp_path: Any) -> None:
    path = tmp_path / "journal.sqlite"
    record = RunRecord(run_id="r", question="q", strategy="direct", model="m")
    Journal(path).start(record)
    Journal(path).finish("r", RunStatus.CANCELLED)
    journals, start = [Journal(path) for _ in range(8)], Barrier(8)

    def reopen(journal: Journal) -> bool:
        start.wait()
        try:
            journal.reopen("r")
        except InvalidParameter:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(reopen, journals)) == 1
