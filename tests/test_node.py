"""A strategy as a node: streaming, checkpoints and interrupts of the outer graph."""

import asyncio
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy, interrupt

from ponder import (
    Budget,
    Journal,
    Result,
    ScriptedModel,
    SimulatedModel,
    asolve,
    replay,
)
from ponder.errors import InvalidInput, ModelUnreachable, UnknownName
from ponder.events import EVENTS
from ponder.graphs.base import strategies, strategy
from ponder.journal import RunStatus
from ponder.messages import user
from ponder.node import ONGOING, Node, _begun, as_node
from ponder.settings import load_settings

EXAMPLE = Path(__file__).parents[1] / "examples" / "inside_langgraph.py"
THREAD: Any = {"configurable": {"thread_id": "1"}}


class Ticket(TypedDict, total=False):
    question: str
    answer: str | None
    whole: dict[str, Any]
    approved: str


def review(state: Ticket) -> Ticket:
    return {"approved": interrupt(state["answer"])}


def app(node: Node, checkpointer: Any = None, **options: Any) -> Any:
    graph = StateGraph(Ticket)
    graph.add_node("solve", node, **options)
    graph.add_node("review", review)
    graph.add_edge(START, "solve")
    graph.add_edge("solve", "review")
    graph.add_edge("review", END)
    return graph.compile(checkpointer=checkpointer or InMemorySaver())


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as opened:
        yield opened


def simulated() -> SimulatedModel:
    return SimulatedModel(accuracy=0.7, seed=5)


QUESTION: Ticket = {"question": "What is 17 + 25?"}


@pytest.mark.parametrize("name", ["self_consistency", "lambada", "divide_aggregate"])
async def test_the_outer_graph_is_interrupted_and_goes_on(
    name: str, journal: Journal
) -> None:
    saver = InMemorySaver()
    graph = app(as_node(name, model=simulated(), journal=journal), saver)
    waiting = await graph.ainvoke(QUESTION, THREAD)
    assert waiting["__interrupt__"][0].value == waiting["answer"]
    done = await graph.ainvoke(Command(resume="fine"), THREAD)
    assert done["answer"] and done["approved"] == "fine"
    # The node was not run again, and the run's own state is in no checkpoint.
    assert len(journal.runs()) == 1
    places = {c.config["configurable"]["checkpoint_ns"] for c in saver.list(None)}
    assert places == {""}


async def test_events_come_through_the_stream(journal: Journal) -> None:
    graph = app(as_node("self_consistency", model=simulated(), journal=journal))
    parts = [
        part
        async for part in graph.astream(
            QUESTION, THREAD, stream_mode=["custom", "updates"]
        )
    ]
    events = [EVENTS.validate_python(data) for mode, data in parts if mode == "custom"]
    assert events[0].kind == "run_started"
    assert events[-1].kind == "run_finished"
    assert {"call_started", "text_delta", "candidate_found"} <= {e.kind for e in events}
    modes = [mode for mode, _ in parts]
    assert modes.index("updates") == len(events)


async def test_the_result_can_be_kept(journal: Journal) -> None:
    node = as_node("direct", model=simulated(), journal=journal, result="whole")
    state = await app(node).ainvoke(QUESTION, THREAD)
    result = Result.model_validate(state["whole"])
    assert result.answer == state["answer"]
    assert replay(result.run_id, journal=journal) == result


async def test_the_budget_holds_for_each_run(journal: Journal) -> None:
    budget = Budget(calls=2)
    node = as_node(
        "self_consistency", model=simulated(), budget=budget, journal=journal,
        result="whole",
    )  # fmt: skip
    state = await app(node).ainvoke(QUESTION, THREAD)
    assert 1 <= state["whole"]["usage"]["calls"] <= 2
    assert state["whole"]["stop_reason"] == "calls"


async def test_a_run_that_was_cut_off_goes_on_where_it_was(journal: Journal) -> None:
    node = as_node(
        "iad", model=simulated(), journal=journal, verifier=lambda task, tried: 0.5
    )
    graph = app(node)
    events = graph.astream(QUESTION, THREAD, stream_mode="custom")
    async with asyncio.timeout(20):
        async for event in events:
            if event["kind"] == "call_finished":
                break
        await events.aclose()
    assert journal.runs()[0].status is RunStatus.CANCELLED
    cut = journal.runs()[0].run_id
    paid = len(journal.read(cut).entries)
    # The application starts again from its last checkpoint.
    state = await graph.ainvoke(None, THREAD)
    assert state["answer"]
    assert [r.run_id for r in journal.runs()] == [cut]
    assert len(journal.read(cut).entries) > paid


async def test_a_run_of_another_model_or_conversation_is_not_gone_on_with(
    journal: Journal,
) -> None:
    dear = ScriptedModel([ModelUnreachable("down")] * 9, name="openai/dear")
    with pytest.raises(ModelUnreachable):
        await asolve("Q?", strategy="direct", model=dear, journal=journal)
    begun = journal.runs()[0]

    def found(model: str | None, **options: Any) -> str | None:
        settings = load_settings().model_copy(update={"model": "local"})
        chosen = strategy("direct")
        return _begun(journal, "Q?", chosen, model, {"settings": settings, **options})

    assert begun.status in ONGOING
    assert found(None) is None
    assert found("openai/dear") == begun.run_id
    assert found("openai/dear", history=[user("Before.")]) is None


async def test_a_retry_of_the_node_pays_nothing_twice(journal: Journal) -> None:
    down = ModelUnreachable("down")
    plan = '{"sub_tasks": [{"tool": "calculator", "input": "17+25", "needs": []}]}'
    stop = '{"sub_tasks": []}'
    with ScriptedModel([plan, stop, down, down, "\\boxed{42}"]) as model:
        node = as_node("divide_aggregate", model=model, journal=journal)
        policy = RetryPolicy(retry_on=ModelUnreachable, initial_interval=0.01)
        state = await app(node, retry_policy=policy).ainvoke(QUESTION, THREAD)
    assert state["answer"] == "42"
    assert len(journal.runs()) == 1


async def test_a_finished_run_is_no_reason_not_to_ask_again(journal: Journal) -> None:
    graph = app(as_node("direct", model=simulated(), journal=journal))
    for thread in "12":
        await graph.ainvoke(QUESTION, {"configurable": {"thread_id": thread}})
    assert len(journal.runs()) == 2


async def test_without_resuming_each_try_is_a_new_run(journal: Journal) -> None:
    with ScriptedModel([ModelUnreachable("down"), "\\boxed{42}"]) as model:
        node = as_node("direct", model=model, journal=journal, resume=False)
        graph = app(node)
        with pytest.raises(ModelUnreachable):
            await graph.ainvoke(QUESTION, THREAD)
        await graph.ainvoke(None, THREAD)
    assert len(journal.runs()) == 2


async def test_a_state_without_the_question_says_what_is_missing() -> None:
    graph = app(as_node("direct", model=simulated(), question="text"))
    with pytest.raises(InvalidInput, match="no text under 'text'"):
        await graph.ainvoke(QUESTION, THREAD)


def test_an_unknown_strategy_is_refused_when_the_graph_is_made() -> None:
    with pytest.raises(UnknownName, match="Did you mean lambada"):
        as_node("lamda")


@pytest.mark.parametrize("name", ["direct", "best_of_n", "tree_of_thoughts"])
async def test_any_strategy_is_a_node(name: str, journal: Journal) -> None:
    assert name in strategies()
    node = as_node(name, model=simulated(), journal=journal)
    assert node.__name__ == name  # type: ignore[attr-defined]
    assert (await app(node).ainvoke(QUESTION, THREAD))["answer"]


async def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("inside_langgraph", EXAMPLE)
    assert spec and spec.loader
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    done = await example.main(simulated())
    assert done["sent"] == f"Dear customer, it is {done['answer']}."
    said = capsys.readouterr().out
    assert "attempt:" in said
    assert "waits for a person:" in said
