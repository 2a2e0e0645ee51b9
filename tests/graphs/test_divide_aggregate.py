"""Divide-Then-Aggregate: side by side, joined, and no failure takes its siblings."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ponder import (
    Budget,
    Completion,
    Journal,
    Request,
    Result,
    ScriptedModel,
    areplay,
    asolve,
    solve,
    strategy,
)
from ponder.errors import InvalidParameter, ModelUnreachable
from ponder.messages import OnDelta
from ponder.models.scripted import Reply, When
from ponder.tools import functions as module
from ponder.tools.functions import register_function

QUESTION = "Tins hold 12 eggs, boxes 6. How many eggs are in 3 tins and 4 boxes?"


def plan(*items: tuple[str, str] | tuple[str, str, list[int]]) -> str:
    listed = [
        {"tool": i[0], "input": i[1], "needs": i[2] if len(i) > 2 else []}
        for i in items
    ]
    return json.dumps({"sub_tasks": listed})


def run(
    model: ScriptedModel, budget: Budget | None = None, **parameters: Any
) -> Result:
    return solve(
        QUESTION,
        strategy="divide_aggregate",
        parameters=parameters,
        model=model,
        budget=budget,
        journal=Journal(":memory:"),
    )


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_FUNCTIONS", dict(module._FUNCTIONS))
    yield


FIRST = plan(("calculator", "3 * 12"), ("model", "How many eggs are in 4 boxes?"))


def test_parts_are_joined_and_the_answer_sees_them() -> None:
    with ScriptedModel(
        [FIRST, "\\boxed{24}", plan(("calculator", "36 + 24")), plan(), "\\boxed{60}"]
    ) as model:
        result = run(model)
    assert result.answer == "60"
    assert result.warnings == ()
    again, last = (model.calls[i].messages[-1].content for i in (2, -1))
    for line in ("- calculator(3 * 12) -> 36", "- How many eggs are in 4 boxes? -> 24"):
        assert line in again
        assert line in last
    assert "- calculator(36 + 24) -> 60" in last
    assert result.roles["planner"].calls == 3
    assert result.roles["aggregator"].calls == 1


def test_the_graph_shows_rounds_and_parts() -> None:
    rules = [FIRST, "\\boxed{24}", plan(), "\\boxed{60}"]
    with ScriptedModel(rules) as model:
        result = run(model)
    edges = {(e["source"], e["target"]) for e in result.graph["edges"]}
    assert {
        ("question", "round/0"),
        ("round/0", "round/0/task/0"),
        ("round/0", "round/0/task/1"),
        ("round/0/task/0", "aggregate"),
        ("round/0/task/1", "aggregate"),
        ("aggregate", "answer"),
    } <= edges


class Together(ScriptedModel):
    """Counts how many sub-tasks are under way at once."""

    most = now = 0

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.02)
        try:
            return await super().generate(
                request, on_delta=on_delta, max_seconds=max_seconds
            )
        finally:
            self.now -= 1


def test_parts_run_side_by_side() -> None:
    parts = plan(*[("model", f"part {i}") for i in range(4)])
    model = Together(
        [parts, plan(), "\\boxed{60}"], rules=[("Do only this part", "\\boxed{1}")]
    )
    run(model)
    assert model.most == 4


def test_a_part_waits_for_what_it_needs() -> None:
    parts = plan(
        ("model", "Add them.", [2, 3]), ("calculator", "3*12"), ("model", "24?")
    )
    with ScriptedModel(
        [parts, "\\boxed{24}", "\\boxed{60}", plan(), "\\boxed{60}"]
    ) as m:
        result = run(m)
    assert "- calculator(3*12) -> 36\n- 24? -> 24" in m.calls[2].messages[-1].content
    edges = {(e["source"], e["target"]) for e in result.graph["edges"]}
    assert ("round/0/task/1", "round/0/task/0") in edges


def test_a_failing_tool_and_a_failing_part_leave_their_siblings() -> None:
    parts = plan(
        ("calculator", "1 / 0"), ("weather", "Paris"), ("model", "a"), ("model", "b")
    )
    rules: list[tuple[When, Reply]] = [
        ("Do only this part: a", ModelUnreachable("The server is down.")),
        ("Do only this part: b", "\\boxed{24}"),
    ]
    with ScriptedModel([parts, plan(), "\\boxed{60}"], rules=rules) as model:
        result = run(model)
    assert result.answer == "60"
    last = model.calls[-1].messages[-1].content
    for line in (
        "- calculator(1 / 0) -> failed: calculator failed: '1 / 0' divides by zero.",
        "- weather(Paris) -> failed: there is no tool 'weather', only calculator",
        "- a -> failed: The server is down.",
        "- b -> 24",
    ):
        assert line in last


def test_over_large_and_cyclic_plans_are_cut_with_a_warning() -> None:
    parts = plan(
        ("calculator", "1", [2]),
        ("calculator", "2", [1]),
        ("calculator", "3"),
        ("calculator", "4"),
        ("calculator", "5"),
    )
    with ScriptedModel([parts, plan(), "\\boxed{60}"]) as model:
        result = run(model, sub_tasks=2)
    assert result.warnings == (
        "Of 5 sub-tasks were left out: 2 that need each other in a circle and 1 "
        "beyond the limit of 2.",
    )
    last = model.calls[-1].messages[-1].content
    assert "calculator(3) -> 3\n- calculator(4) -> 4" in last
    assert "calculator(1)" not in last
    assert "calculator(5)" not in last


def test_a_plan_that_is_all_a_circle_leaves_the_task_whole() -> None:
    with ScriptedModel([plan(("model", "a", [1])), "\\boxed{60}"]) as model:
        result = run(model)
    assert result.answer == "60"
    assert model.calls[-1].messages[-1].content == QUESTION


def test_a_plan_that_repeats_itself_ends_the_rounds() -> None:
    same = plan(("calculator", "3 * 12"))
    with ScriptedModel([same, same, "\\boxed{60}"]) as model:
        assert run(model, rounds=50).answer == "60"


def test_rounds_are_limited() -> None:
    plans = [plan(("calculator", f"{i} + 1")) for i in range(2)]
    with ScriptedModel([*plans, "\\boxed{60}"]) as model:
        assert run(model, rounds=2).answer == "60"


def test_an_unreadable_plan_leaves_the_task_whole() -> None:
    with ScriptedModel(["Hm.", "Hm.", "\\boxed{60}"]) as model:
        result = run(model)
    assert result.answer == "60"
    assert "could not be read" in result.warnings[0]


def test_unknown_tools_are_refused_at_once() -> None:
    with pytest.raises(InvalidParameter, match="Did you mean calculator"):
        strategy("divide_aggregate", {"tools": ["calculater"]})


def test_out_of_budget_in_a_round_ends_with_what_there_is() -> None:
    parts = plan(*[("model", f"part {i}") for i in range(4)])
    rules = [("Do only this part", "\\boxed{1}"), ("Parts of the", "\\boxed{60}")]
    model = ScriptedModel([parts], rules=rules)
    result = run(model, Budget(calls=4))
    assert (result.answer, result.stop_reason) == ("60", "calls")
    assert result.usage.calls == 4


async def test_a_tool_is_called_once_for_run_and_replay() -> None:
    calls: list[str] = []

    @register_function("clock", "the time")
    def clock(text: str) -> str:
        calls.append(text)
        return "noon"

    with (
        Journal(":memory:") as journal,
        ScriptedModel([plan(("clock", "now")), plan(), "\\boxed{noon}"]) as model,
    ):
        result = await asolve(
            QUESTION,
            strategy="divide_aggregate",
            parameters={"tools": ["clock"]},
            model=model,
            journal=journal,
        )
        assert await areplay(result.run_id, journal=journal) == result
    assert calls == ["now"]
