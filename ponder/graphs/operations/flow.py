"""From operations to a graph of operations, and from that to a state machine."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Protocol, TypeAlias, TypeVar, Union

import networkx as nx
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from ponder.agents.answers import Equality
from ponder.concurrency import chain, chain_from
from ponder.context import RunContext
from ponder.errors import InvalidParameter
from ponder.graphs.base import Graph, State
from ponder.graphs.choosing import choose
from ponder.graphs.operations.vertex import (
    Operation,
    Thoughts,
    Vertex,
    initial,
    joined,
)
from ponder.graphs.pool import rescue
from ponder.result import Candidate, Outcome, StopReason, Task

V = TypeVar("V")

if TYPE_CHECKING:
    Operations: TypeAlias = nx.DiGraph[Operation]
else:
    Operations = nx.DiGraph
"""A graph of operations: an edge hands the thoughts of one to the next."""

Stage = Union[Operation, "Operations", Sequence["Stage"]]


def flow(*stages: Stage) -> Operations:
    """Return a graph of operations in which one stage follows the other.

        flow(Split(halves), [flow(Select(i), Generate()) for i in (0, 1)], Aggregate())

    Edges that it cannot say are added with ``add_edge``, as to any networkx graph.

    Args:
        stages: Operations, graphs of them, or lists of those, which run side by side.
            Each operation gets the thoughts of all ends of the stage before.

    Raises:
        InvalidParameter: An operation stands at two places.
    """
    whole: Operations = nx.DiGraph()
    ends: list[Operation] = []
    for stage in stages:
        part = _stage(stage)
        _add(whole, part)
        starts = [op for op in part if part.in_degree(op) == 0]
        whole.add_edges_from((end, start) for end in ends for start in starts)
        ends = [op for op in part if part.out_degree(op) == 0]
    return whole


def _stage(stage: Stage) -> Operations:
    if isinstance(stage, nx.DiGraph):
        return stage
    part: Operations = nx.DiGraph()
    if isinstance(stage, Sequence):
        for branch in stage:
            _add(part, _stage(branch))
    else:
        part.add_node(stage)
    return part


def _add(whole: Operations, part: Operations) -> None:
    for operation in part:
        if operation in whole:
            kind = getattr(operation, "kind", operation)
            raise InvalidParameter(
                f"The same operation '{kind}' stands at two places of the graph: make "
                "one for each place."
            )
    whole.add_nodes_from(part)
    whole.add_edges_from(part.edges)


def names(operations: Operations) -> dict[Operation, str]:
    """Return the operations with the name of each in a run: ``score``, ``score_2``.

    Raises:
        InvalidParameter: There is no operation, something is none, or they make a
            circle.
    """
    if not operations:
        raise InvalidParameter("The graph has no operations: give at least one.")
    for node in operations:
        if not isinstance(node, Operation):
            raise InvalidParameter(
                f"{node!r} is no operation: it needs a 'kind', and must be called with "
                "thoughts and a context."
            )
    if not nx.is_directed_acyclic_graph(operations):
        circle = " -> ".join(a.kind for a, _ in nx.find_cycle(operations))
        raise InvalidParameter(
            f"The operations make a circle ({circle}): unroll a loop into as many "
            "operations as it may have rounds."
        )
    found: dict[Operation, str] = {}
    # LangGraph gives no node the name of a field of the state.
    counts = dict.fromkeys(("finish", *OperationState.__annotations__), 1)
    for operation in nx.topological_sort(operations):
        counts[operation.kind] = count = counts.get(operation.kind, 0) + 1
        suffix = f"_{count}" if count > 1 else ""
        found[operation] = operation.kind + suffix
    return found


def _united(old: dict[str, V], new: dict[str, V]) -> dict[str, V]:
    return {**old, **new}


class OperationState(State, total=False):
    """The state, by the names of the operations."""

    thoughts: Annotated[dict[str, Thoughts], _united]
    chains: Annotated[dict[str, int], _united]
    """Output tokens of the longest chain of calls up to the end of each."""


def machine(operations: Operations, equality: Equality = "math") -> Graph:
    """Return the state machine of a graph of operations.

    Every operation is a node of it, and operations that do not wait for each other run
    side by side. The outcome is the best of the thoughts that leave the graph: that of
    the highest score or, where none has a score, of the answer given most often. If
    none of them answers the question, all thoughts of the run stand in.

    Args:
        operations: The graph; see ``flow``.
        equality: How answers are compared in a vote.
    """
    named = names(operations)
    ends = [name for op, name in named.items() if operations.out_degree(op) == 0]

    async def finish(state: OperationState, runtime: Runtime[RunContext]) -> State:
        chain().length = max(chain().length, *state["chains"].values())
        left = joined(state["thoughts"][name] for name in ends)
        seen = joined(state["thoughts"].values())
        outcome = await _outcome(state["task"], left, seen, runtime.context, equality)
        return {"outcome": outcome}

    graph = StateGraph(OperationState, context_schema=RunContext)
    graph.add_node("finish", finish)
    befores = {
        name: [named[op] for op in operations.predecessors(operation)]
        for operation, name in named.items()
    }
    for operation, name in named.items():
        graph.add_node(name, _node(operation, name, befores[name]))
    for name, before in befores.items():
        graph.add_edge(before if before else START, name)
    graph.add_edge(ends, "finish")
    graph.add_edge("finish", END)
    return graph


def longest(operations: Operations) -> int:
    """Return how many operations stand one behind the other, at most."""
    return int(nx.dag_longest_path_length(operations)) + 1


class _Node(Protocol):
    async def __call__(
        self, state: OperationState, *, runtime: Runtime[RunContext]
    ) -> OperationState: ...


def _node(operation: Operation, name: str, before: Sequence[str]) -> _Node:
    async def run(
        state: OperationState, runtime: Runtime[RunContext]
    ) -> OperationState:
        given = (
            joined(state["thoughts"][b] for b in before)
            if before
            else initial(state["task"])
        )
        # Nodes of one step share a chain unless each begins its own.
        start = max((state["chains"][b] for b in before), default=chain().length)
        with chain_from(start) as own:
            thoughts = await operation(given, runtime.context.at(name))
        return {"thoughts": {name: thoughts}, "chains": {name: own.length}}

    return run


async def _outcome(
    task: Task, left: Thoughts, seen: Thoughts, context: RunContext, equality: Equality
) -> Outcome:
    pool = _solutions(seen.items)
    if not pool and seen.errors:
        raise context.shared.failures[0]
    reason = seen.stop_reason or StopReason.FINISHED
    winners = _answered(_solutions(left.items)) or _answered(pool)
    if not winners:
        rescued = await rescue(task, pool, context)
        pool = [*pool, rescued] if rescued else pool
        # Solutions of parts are better than nothing.
        parts = [v.candidate for v in left.items if v.text]
        winners = [rescued] if rescued else pool or parts
    weights = {c.id: c.verdict.score for c in winners if c.verdict}
    scores = {id: score for id, score in weights.items() if score is not None}
    outcome = choose(winners, scores, "best" if scores else "vote", equality, reason)
    alone = len(_answered(winners)) == 1 and not scores
    return outcome.model_copy(
        # One voter agrees with itself: that says nothing.
        update={
            "candidates": tuple(pool),
            "confidence": None if alone else outcome.confidence,
        }
    )


def _solutions(items: Iterable[Vertex]) -> list[Candidate]:
    """Return the solutions of the whole question."""
    return [v.candidate for v in items if v.part is None and v.text]


def _answered(candidates: Iterable[Candidate]) -> list[Candidate]:
    return [c for c in candidates if c.answer is not None]
