"""From operations to a graph, to a state machine, to an outcome."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from ponder.budget import Budget
from ponder.context import RunContext
from ponder.errors import InvalidParameter
from ponder.graphs.graph_of_thoughts import GraphOfOperations
from ponder.graphs.operations import (
    Aggregate,
    Generate,
    Improve,
    KeepBest,
    Operations,
    Score,
    Select,
    Split,
    Thoughts,
    Vertex,
    flow,
    machine,
)
from ponder.graphs.operations.flow import longest, names
from ponder.journal import Journal
from ponder.models.scripted import ScriptedModel
from ponder.result import Candidate, Result, StopReason, Task
from ponder.run import areplay, asolve


def right(task: Task, candidate: Candidate) -> bool:
    return candidate.answer == "42"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


async def run(
    graph: Operations, replies: list[Any], journal: Journal, **options: Any
) -> Result:
    return await asolve(
        "What is 6 x 7?",
        strategy=GraphOfOperations(operations=graph),
        model=ScriptedModel(replies),
        journal=journal,
        **options,
    )


def test_stages_follow_each_other() -> None:
    split, merge, last = Split(lambda v: ["a", "b"]), Aggregate(parts=True), KeepBest()
    one, two = Generate(), Score()
    other = Generate()
    graph = flow(split, [flow(one, two), other], merge, last)
    assert set(graph.edges) == {
        (split, one), (split, other), (one, two), (two, merge), (other, merge),
        (merge, last),
    }  # fmt: skip
    assert longest(graph) == 5
    assert list(names(graph).values()) == [
        "split", "generate", "generate_2", "score", "aggregate", "keep_best",
    ]  # fmt: skip


def test_an_operation_stands_at_one_place() -> None:
    same = Generate()
    with pytest.raises(InvalidParameter, match="'generate' stands at two places"):
        flow(same, KeepBest(), same)
    assert len(flow(Generate(), Generate())) == 2


def test_a_graph_that_cannot_run_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="no operations"):
        GraphOfOperations(operations=flow())
    with pytest.raises(InvalidParameter, match="'text' is no operation"):
        GraphOfOperations(operations=nx.DiGraph([(Generate(), "text")]))
    graph = flow(first := Generate(), last := Score())
    graph.add_edge(last, first)
    with pytest.raises(InvalidParameter, match="circle.*unroll"):
        GraphOfOperations(operations=graph)


async def test_the_outcome_is_the_best_that_leaves_the_graph(journal: Journal) -> None:
    replies = ["\\boxed{41}", "\\boxed{42}", "\\boxed{43}"]
    result = await run(flow(Generate(k=3), Score(right)), replies, journal)
    assert (result.answer, result.confidence) == ("42", 1.0)
    assert len(result.candidates) == 3


async def test_without_scores_the_answers_vote(journal: Journal) -> None:
    replies = ["\\boxed{41}", "\\boxed{42}", "\\boxed{42}"]
    result = await run(flow(Generate(k=3)), replies, journal)
    assert result.answer == "42"
    assert result.confidence == pytest.approx(2 / 3)
    alone = await run(flow(Generate()), ["\\boxed{42}"], journal)
    assert (alone.answer, alone.confidence) == ("42", None)


async def test_earlier_thoughts_stand_in_for_the_last_ones(journal: Journal) -> None:
    graph = flow(Generate(), Improve())
    result = await run(graph, ["\\boxed{42}", "I give up."], journal)
    assert (result.answer, result.text) == ("42", "\\boxed{42}")


async def test_a_budget_that_ends_gives_the_best_so_far(journal: Journal) -> None:
    graph = flow(Generate(k=2), Score(right), KeepBest(), Improve(), Score(right))
    replies = ["\\boxed{42}", "\\boxed{41}"]
    result = await run(graph, replies, journal, budget=Budget(calls=2, wrap_up=0.0))
    assert (result.answer, result.stop_reason) == ("42", StopReason.CALLS)


async def test_parts_without_a_whole_are_no_answer(journal: Journal) -> None:
    graph = flow(Split(lambda v: ["a", "b"]), Generate(), Aggregate(parts=True))
    replies = ["\\boxed{1}", "\\boxed{2}"]
    result = await run(graph, replies, journal, budget=Budget(calls=2, wrap_up=0.0))
    assert result.candidates == ()
    assert result.text == "\\boxed{1}"
    assert result.stop_reason is StopReason.CALLS


@dataclass(frozen=True, eq=False)
class Meet:
    """Pass thoughts on as soon as all who were expected are there."""

    barrier: asyncio.Barrier
    kind: str = "meet"

    async def __call__(self, thoughts: Thoughts, context: RunContext) -> Thoughts:
        async with asyncio.timeout(5):
            await self.barrier.wait()
        return thoughts


async def test_independent_operations_run_side_by_side(journal: Journal) -> None:
    barrier = asyncio.Barrier(3)
    graph = flow(Generate(), [Meet(barrier) for _ in range(3)], KeepBest())
    result = await run(graph, ["\\boxed{42}"], journal)
    assert result.answer == "42"


async def test_the_longest_chain_is_that_of_one_branch(journal: Journal) -> None:
    model = ScriptedModel(
        rules=[("Part 1", "one two three"), ("long", "a b c d e f"), ("", "x y")]
    )
    branches = [flow(Select(i), Generate(), Improve()) for i in range(2)]
    graph = flow(Split(lambda v: ["long", "short"]), branches, Aggregate(parts=True))
    result = await asolve(
        "Q",
        strategy=GraphOfOperations(operations=graph),
        model=model,
        journal=journal,
    )
    assert result.usage.output_tokens == 6 + 6 + 2 + 2 + 3
    assert result.critical_tokens == 6 + 6 + 3


async def test_a_run_is_replayed_with_its_graph(journal: Journal) -> None:
    def halves(vertex: Vertex) -> list[str]:
        return ["6 x 3?", "6 x 4?"]

    graph = flow(
        Split(halves),
        [flow(Select(i), Generate(k=2), Score(right), KeepBest()) for i in range(2)],
        Aggregate(parts=True),
    )
    strategy = GraphOfOperations(operations=graph)
    model = ScriptedModel(
        [*(f"\\boxed{{{n}}}" for n in (18, 19, 24, 25)), "\\boxed{42}"]
    )
    result = await asolve(
        "What is 6 x 7?", strategy=strategy, model=model, journal=journal
    )
    assert result.answer == "42"
    assert await areplay(result.run_id, strategy=strategy, journal=journal) == result
    nodes = {node["id"] for node in result.graph["nodes"]}
    assert {"split/part/0/0", "generate_2/thought/1", "aggregate/thought/0"} <= nodes


def test_a_node_may_have_any_kind() -> None:
    @dataclass(frozen=True, eq=False)
    class Odd:
        kind: str = "thoughts"

        async def __call__(self, thoughts: Thoughts, context: RunContext) -> Thoughts:
            return thoughts

    assert list(names(flow(Odd(), Odd("finish"))).values()) == [
        "thoughts_2",
        "finish_2",
    ]
    machine(flow(Odd(), Odd("finish"))).compile()
