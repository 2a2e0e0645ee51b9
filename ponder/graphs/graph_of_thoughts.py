"""Graph of Thoughts: generate, score, keep the best, aggregate, improve."""

from functools import cached_property
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, field_validator

from ponder.agents.answers import Equality
from ponder.graphs.base import Graph, Strategy, register
from ponder.graphs.operations import (
    Aggregate,
    Generate,
    Improve,
    KeepBest,
    Operations,
    Score,
    flow,
    machine,
)
from ponder.graphs.operations.flow import longest, names


class GraphOfOperations(Strategy):
    """Any graph of operations on thoughts, as its user put it together.

        best = flow(Generate(k=5), Score(), KeepBest(3), Aggregate())
        solve(question, strategy=GraphOfOperations(operations=best), model="local")

    Besta et al. 2023: a graph of operations says which transformations thoughts go
    through; running it makes the graph of thoughts. Since operations may hold functions
    it has no name on the command line, and ``replay`` and ``resume`` must be given the
    strategy again.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: ClassVar[str] = "graph_of_operations"
    source: ClassVar[str] = "https://arxiv.org/abs/2308.09687"
    wrap_up_share: ClassVar[float] = 0.1

    operations: Operations = Field(exclude=True)
    """The graph; see ``ponder.graphs.operations.flow``."""
    equality: Equality = "math"
    """How answers are compared where there are no scores: ``math`` or ``exact``."""

    @field_validator("operations")
    @classmethod
    def _usable(cls, operations: Any) -> Any:
        names(operations)
        return operations

    def build(self) -> Graph:
        """Every operation is a node; the last one is ``finish``."""
        return machine(self.operations, self.equality)

    def max_steps(self) -> int:
        """The longest way through the graph, and what is around it."""
        return longest(self.operations) + 3


@register
class GraphOfThoughts(Strategy):
    """Generate k solutions, aggregate the best n into new ones, improve those.

    Besta et al. 2023. A thought is a solution; operations make new thoughts of old
    ones, so that thoughts can not only branch, as in a tree, but be combined. Every
    thought stands in the graph of the run below those it was made of.

    The paper's graphs belong to tasks: each splits a problem, generates k solutions of
    every part, scores them, keeps the best, and merges. For questions of any kind it
    gives none, so this graph of operations, and its numbers, are ours: generate, score,
    keep the best, aggregate, improve, score, keep the best of all. The refinement loop
    is unrolled. Scores are those of the run's verifier, or of the model as a judge. A
    graph for a task is made with ``GraphOfOperations``.
    """

    name: ClassVar[str] = "graph_of_thoughts"
    source: ClassVar[str] = "https://arxiv.org/abs/2308.09687"
    wrap_up_share: ClassVar[float] = 0.1
    judge_share: ClassVar[float] = 0.2
    needs_verifier: ClassVar[bool] = True

    k: int = Field(default=5, ge=1)
    """k, solutions generated; 5 as the authors' programs for sorting use for a part."""
    n: int = Field(default=3, ge=1)
    """h, solutions that are kept for the aggregation."""
    aggregations: int = Field(default=1, ge=0)
    """Solutions made by aggregation; 0 leaves it out."""
    improvements: int = Field(default=1, ge=0)
    """Rounds of improvement."""
    temperature: float = Field(default=1.0, ge=0)
    """T; 1.0 as in the authors' configuration."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of each thought."""
    equality: Equality = "math"
    """How answers are compared where there are no scores: ``math`` or ``exact``."""

    @cached_property
    def operations(self) -> Operations:
        """The graph of operations."""
        limits: dict[str, Any] = {
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        keep, best = KeepBest(self.n, self.equality), KeepBest(1, self.equality)
        graph = flow(Generate(k=self.k, **limits), Score(), keep)
        score = Score()
        last: Any = keep
        if self.aggregations:
            last = Aggregate(k=self.aggregations, **limits)
            graph.add_edge(keep, last)
            graph.add_edge(last, score)
        for _ in range(self.improvements):
            better = Improve(**limits)
            graph.add_edge(last, better)
            graph.add_edge(better, score)
            last = better
        graph.add_edge(keep, best)
        if last is not keep:
            graph.add_edge(score, best)
        return graph

    def build(self) -> Graph:
        """Generate, score, keep, aggregate, improve, score, keep, finish."""
        return machine(self.operations, self.equality)

    def max_steps(self) -> int:
        """The longest way through the graph, and what is around it."""
        return longest(self.operations) + 3
