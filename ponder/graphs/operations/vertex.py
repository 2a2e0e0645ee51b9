"""What operations work on: thoughts, the problems that they solve, and their graph."""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import networkx as nx

from ponder.context import RunContext
from ponder.messages import Value
from ponder.result import Candidate, StopReason, Task
from ponder.thoughts import ThoughtGraph


class Part(Value):
    """The place of a problem among those that a larger one was split into."""

    whole: Task
    """The larger problem."""
    index: int
    """From 0."""
    of: int
    """How many parts there are."""
    outer: "Part | None" = None
    """Where the larger problem is a part itself."""


class Vertex(Value):
    """A thought: a solution of a problem, be it initial, intermediate or final."""

    task: Task
    """The problem."""
    candidate: Candidate
    """The solution; its text is empty where nobody has worked on the problem yet."""
    part: Part | None = None
    """``None`` if the problem is the whole question of the run."""

    @property
    def id(self) -> str:
        """Its place in the run."""
        return self.candidate.id

    @property
    def text(self) -> str:
        """The solution as it was written."""
        return self.candidate.text

    @property
    def answer(self) -> str | None:
        """What was read out of the text; ``None`` if nothing could be."""
        return self.candidate.answer

    @property
    def score(self) -> float | None:
        """From 0 to 1; ``None`` if it has none."""
        return self.candidate.verdict.score if self.candidate.verdict else None


class Thoughts(Value):
    """What goes along an edge of a graph of operations."""

    items: tuple[Vertex, ...] = ()
    stop_reason: StopReason | None = None
    """The limit at which a call was refused, if one was."""
    errors: tuple[str, ...] = ()
    """Of calls that failed."""

    def but(self, items: Iterable[Vertex]) -> "Thoughts":
        """Return the same with other thoughts."""
        return self.model_copy(update={"items": tuple(items)})


@runtime_checkable
class Operation(Protocol):
    """A node of a graph of operations: thoughts in, thoughts out.

    It may be any object that is called like this and has a ``kind``. What it cannot
    pay for it leaves, and passes on what it has.
    """

    @property
    def kind(self) -> str:
        """What it does, in one word."""
        ...

    async def __call__(self, thoughts: Thoughts, context: RunContext) -> Thoughts:
        """Return new thoughts.

        Args:
            thoughts: Those of all operations before it.
            context: The place of the operation; every call below it needs a place of
                its own.
        """
        ...


def initial(task: Task) -> Thoughts:
    """Return what the first operations get: the question, not worked on yet."""
    return Thoughts(
        items=(Vertex(task=task, candidate=Candidate(id="question", text="")),)
    )


def joined(several: Iterable[Thoughts]) -> Thoughts:
    """Return the thoughts of several operations, each once, in their order.

    Of a thought that comes along two ways, the copy that has a verdict counts.
    """
    several = list(several)
    items: dict[str, Vertex] = {}
    for vertex in (v for thoughts in several for v in thoughts.items):
        if vertex.id not in items or vertex.candidate.verdict is not None:
            items[vertex.id] = vertex
    stops = (t.stop_reason for t in several if t.stop_reason is not None)
    errors = dict.fromkeys(e for t in several for e in t.errors)
    return Thoughts(
        items=tuple(items.values()),
        stop_reason=next(stops, None),
        errors=tuple(errors),
    )


def volume(thoughts: ThoughtGraph | dict[str, Any], id: str) -> int:
    """Return how many thoughts a thought could draw on.

    Besta et al. 2023, https://arxiv.org/abs/2308.09687: the number of thoughts from
    which a path leads to it. Among schemes of N thoughts a chain reaches a volume of
    N in N steps and a k-ary tree log_k N in log_k N; splitting and merging reaches N
    in about 2 log_k N.

    Args:
        thoughts: The graph of a run, or ``Result.graph``.
        id: The thought.
    """
    if isinstance(thoughts, dict):
        thoughts = ThoughtGraph.from_json(thoughts)
    above = nx.ancestors(thoughts.graph, id)
    return sum(thoughts.thought(i).kind in ("question", "thought") for i in above)
