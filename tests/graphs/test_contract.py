"""One suite over every registered strategy."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ponder.agents.answers import extract
from ponder.agents.answers import same as same_answer
from ponder.budget import DIMENSIONS, Budget
from ponder.errors import ModelError, ModelUnreachable
from ponder.events import Event
from ponder.graphs.base import Strategy, describe, strategies, strategy
from ponder.journal import Journal, RunStatus
from ponder.messages import Completion, OnDelta, Request
from ponder.models.base import Model
from ponder.models.simulated import SimulatedModel
from ponder.result import Candidate, Result, Task
from ponder.retrieval.scripted import ScriptedRetriever
from ponder.run import areplay, aresume, asolve, stream

QUESTION = "What is 17 + 25?"
SNAPSHOTS = Path(__file__).parent / "snapshots"


def model(**options: Any) -> SimulatedModel:
    return SimulatedModel(accuracy=0.7, seed=5, **options)


def check(task: Task, candidate: Candidate) -> bool:
    """Pass about half of the candidates, decided by their text."""
    return len(candidate.text) % 2 == 0


def docs(chosen: Strategy) -> dict[str, Any]:
    """Return documents for a strategy that needs some."""
    if not chosen.needs_retriever:
        return {}
    return {
        "retriever": ScriptedRetriever(
            ["17 and 25 make 42.", "Addition is commutative.", "42 is even."]
        )
    }


async def ask(chosen: Strategy, journal: Journal, **options: Any) -> Result:
    """Have a strategy answer the question, by the usual model unless told otherwise."""
    given = docs(chosen) | {"model": model(), "journal": journal} | options
    return await asolve(QUESTION, strategy=chosen, **given)


class Flaky(Model):
    """A model of which every third call fails."""

    def __init__(self, inner: Model, every: int = 3) -> None:
        self.inner, self.every, self.calls = inner, every, 0
        self.name, self.capabilities = f"flaky-{inner.name}", inner.capabilities

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        self.calls += 1
        if self.calls % self.every == 0:
            raise ModelUnreachable("The server is down.")
        return await self.inner.generate(
            request, on_delta=on_delta, max_seconds=max_seconds
        )

    def count_tokens(self, request: Request) -> int:
        return self.inner.count_tokens(request)


def assert_texts_tell(result: Result) -> None:
    """Check that whoever reads a text, such as a grader, finds its answer there."""
    told = [(c.text, c.answer) for c in result.candidates]
    for text, answer in [(result.text, result.answer), *told]:
        # A plain answer, of a poem say, is all of its text.
        if answer is not None and answer != text.strip():
            assert same_answer(extract(text) or "", answer), text


@pytest.fixture(params=sorted(strategies()))
def chosen(request: pytest.FixtureRequest) -> Strategy:
    return strategy(request.param)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


async def test_it_answers_and_accounts_for_it(
    chosen: Strategy, journal: Journal
) -> None:
    result = await ask(chosen, journal)
    assert result.answer
    assert_texts_tell(result)
    assert result.usage.calls >= 1
    assert result.usage.output_tokens > 0
    assert journal.run(result.run_id).status is RunStatus.FINISHED
    assert journal.read(result.run_id).spent.calls == result.usage.calls


@pytest.mark.parametrize(
    "budget",
    [
        Budget(tokens=400),
        Budget(calls=1),
        Budget(calls=3),
        Budget(output_tokens=90),
        Budget(input_tokens=200),
        Budget(tokens=60, wrap_up=0.3),
        Budget(tokens=0),
        Budget(calls=0),
    ],
    ids=lambda budget: budget.model_dump_json(exclude_none=True),
)
async def test_no_limit_is_ever_exceeded(
    chosen: Strategy, journal: Journal, budget: Budget
) -> None:
    result = await ask(chosen, journal, budget=budget)
    used = result.usage.model_dump() | {"tokens": result.usage.total_tokens}
    for dimension in DIMENSIONS:
        limit = getattr(budget, dimension)
        assert limit is None or (used[dimension] or 0) <= limit
    assert_texts_tell(result)
    if budget.calls != 0 and budget.tokens not in (0, 60):
        assert result.answer or result.text


async def test_a_text_that_was_cut_off_tells_its_answer(
    chosen: Strategy, journal: Journal
) -> None:
    result = await ask(
        chosen, journal, model=model(steps=8), budget=Budget(output_tokens=300)
    )
    assert result.answer
    assert_texts_tell(result)


async def test_the_same_seed_gives_the_same_result(
    chosen: Strategy, journal: Journal
) -> None:
    results = [await ask(chosen, journal, seed=3) for _ in range(2)]
    assert same(results[0], results[1])


async def test_replay_is_identical_and_calls_nothing(
    chosen: Strategy, journal: Journal
) -> None:
    result = await ask(chosen, journal, verifier=check)
    assert await areplay(result.run_id, journal=journal) == result


async def test_replay_of_a_run_that_met_its_budget_is_identical(
    chosen: Strategy, journal: Journal
) -> None:
    result = await ask(chosen, journal, budget=Budget(tokens=500))
    assert await areplay(result.run_id, journal=journal) == result


async def test_events_come_in_order(chosen: Strategy, journal: Journal) -> None:
    events: list[Event] = [
        event
        async for event in stream(
            QUESTION, strategy=chosen, **docs(chosen), model=model(), journal=journal
        )
    ]
    kinds = [event.kind for event in events]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"
    assert kinds.count("run_started") == kinds.count("run_finished") == 1
    open_calls: set[str] = set()
    for event in events:
        if event.kind == "call_started":
            assert event.path not in open_calls
            open_calls.add(event.path)
        elif event.kind in ("call_finished", "call_failed"):
            open_calls.remove(event.path)
        elif event.kind == "text_delta":
            assert event.path in open_calls


async def test_leaving_the_stream_cancels_the_calls(
    chosen: Strategy, journal: Journal
) -> None:
    slow = model(latency=30.0)
    events = stream(
        QUESTION, strategy=chosen, **docs(chosen), model=slow, journal=journal
    )
    async for event in events:
        if event.kind == "call_started":
            break
    async with asyncio.timeout(5):
        await events.aclose()
    (info,) = journal.runs()
    assert info.status is RunStatus.CANCELLED


async def test_a_cancelled_run_goes_on_to_the_same_result(
    chosen: Strategy, journal: Journal
) -> None:
    whole = await ask(chosen, journal, verifier=check)
    events = stream(
        QUESTION,
        strategy=chosen,
        **docs(chosen),
        model=model(),
        journal=journal,
        verifier=check,
    )
    async for event in events:
        if event.kind == "call_finished":
            break
    await events.aclose()
    cut = journal.runs()[0]
    assert cut.run_id != whole.run_id
    resumed = await aresume(
        cut.run_id, **docs(chosen), model=model(), journal=journal, verifier=check
    )
    assert same(whole, resumed, usage=False)


async def test_one_failing_branch_does_not_fail_the_run(
    chosen: Strategy, journal: Journal
) -> None:
    flaky = Flaky(model())
    result = await ask(chosen, journal, model=flaky)
    assert result.answer


async def test_a_dead_model_is_an_error_that_says_so(
    chosen: Strategy, journal: Journal
) -> None:
    with pytest.raises(ModelError, match="The server is down"):
        await ask(chosen, journal, model=Flaky(model(), every=1))
    assert journal.runs()[0].status is RunStatus.FAILED


async def test_what_failed_is_asked_again_on_resume(
    chosen: Strategy, journal: Journal
) -> None:
    with pytest.raises(ModelError):
        await ask(chosen, journal, model=Flaky(model(), every=1))
    (info,) = journal.runs()
    result = await aresume(info.run_id, **docs(chosen), model=model(), journal=journal)
    assert result.answer


async def test_it_stands_wherever_a_model_can(
    chosen: Strategy, journal: Journal
) -> None:
    outer = strategy("best_of_n", {"n": 3})
    budget = Budget(tokens=20_000)
    result = await asolve(
        QUESTION,
        strategy=outer,
        model=chosen.as_model(model()),
        **docs(chosen),
        verifier=check,
        budget=budget,
        journal=journal,
    )
    assert result.answer
    assert len(result.candidates) == 3
    assert result.usage.total_tokens <= 20_000
    assert await areplay(result.run_id, journal=journal) == result


async def test_it_can_use_a_strategy_for_a_model(
    chosen: Strategy, journal: Journal
) -> None:
    inner = strategy("chain_of_thought").as_model(model())
    result = await ask(chosen, journal, model=inner, verifier=check)
    assert result.answer


def test_it_says_what_it_is(chosen: Strategy) -> None:
    facts = describe(type(chosen))
    assert facts["summary"].endswith(".")
    assert facts["source"].startswith("https://") or facts["source"] == "baseline"
    assert all(p["description"] for p in facts["parameters"].values())
    assert strategy(chosen.spec()) == chosen


def test_its_graph_looks_as_it_did(chosen: Strategy) -> None:
    picture = chosen.build().compile().get_graph().draw_mermaid()
    snapshot = SNAPSHOTS / f"{chosen.name}.mmd"
    assert snapshot.exists(), f"Review and save:\n{picture}"
    assert picture == snapshot.read_text()


def same(a: Result, b: Result, *, usage: bool = True) -> bool:
    """Compare two results but for run id and wall time."""
    # What a cancelled call cost is in the usage, and in that of its role.
    apart = {"run_id", "usage", "graph"} | (set() if usage else {"roles"})
    left, right = (r.model_dump(exclude=apart) for r in (a, b))
    counted = a.usage.model_copy(update={"seconds": 0.0}) == b.usage.model_copy(
        update={"seconds": 0.0}
    )
    return left == right and (counted or not usage)
