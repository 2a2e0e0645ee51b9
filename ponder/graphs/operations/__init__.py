"""Operations on thoughts, to be put together into graphs; see ``flow``."""

from ponder.graphs.operations.flow import Operations, flow, machine
from ponder.graphs.operations.judging import (
    KeepBest,
    KeepValid,
    Score,
    ValidateAndImprove,
)
from ponder.graphs.operations.parts import Select, Split
from ponder.graphs.operations.vertex import Operation, Part, Thoughts, Vertex, volume
from ponder.graphs.operations.writing import Aggregate, Generate, Improve

__all__ = [
    "Aggregate",
    "Generate",
    "Improve",
    "KeepBest",
    "KeepValid",
    "Operation",
    "Operations",
    "Part",
    "Score",
    "Select",
    "Split",
    "Thoughts",
    "ValidateAndImprove",
    "Vertex",
    "flow",
    "machine",
    "volume",
]
