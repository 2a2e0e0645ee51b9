"""What the computation allocation model is fitted to: observations of runs."""

from collections.abc import Iterable, Mapping
from itertools import product
from statistics import fmean
from typing import Any, Final, Literal

from pydantic import Field

from ponder.errors import InvalidInput, InvalidParameter
from ponder.evals.allocation import Informativeness, Observation, Theta
from ponder.evals.cells import strategy_name, usable
from ponder.evals.record import Cell, Record
from ponder.graphs.base import strategy
from ponder.messages import Value

Metric = Literal["correct", "score"]
"""Share of right answers, or mean partial credit such as F1."""

STRATEGIES: Final = frozenset({"rag", "drag", "iterdrag"})
NOTE: Final = "demonstrations: m = "
"""How a run says that it had fewer demonstrations than it was to show."""


def observe(cells: Iterable[Cell], metric: Metric = "correct") -> list[Observation]:
    """Return one observation for each cell of a study that has a theta.

    Cells of other strategies than ``rag``, ``drag`` and ``iterdrag`` are left out. The
    metric is that of the report: a run without a readable answer counts as not right.
    The effective context length is that of the longest run, without what verifiers
    read.

    Raises:
        InvalidParameter: The cells are of several models, to which different
            coefficients belong; or no cell has a theta and records.
        InvalidInput: A cell does not say its m.
    """
    found = [c for c in cells if strategy_name(c) in STRATEGIES and c.records]
    if not found:
        raise InvalidParameter(
            "There are no records of rag, drag or iterdrag: measure some with ponder "
            "eval."
        )
    if len(models := sorted({c.model for c in found})) > 1:
        raise InvalidParameter(
            f"The cells are of several models ({', '.join(models)}): fit one at a time."
        )
    return [_observation(cell, metric) for cell in found]


def theta_of(cell: Cell) -> Theta:
    """Return the configuration of a cell, with the m that its runs really had."""
    made: Any = strategy(cell.strategy)
    return Theta(k=made.k, m=_shown(cell, made), n=getattr(made, "n", 1))


def _shown(cell: Cell, made: Any) -> int:
    noted = {
        int(text.removeprefix(NOTE))
        for record in cell.records
        for text in record.substitutes
        if text.startswith(NOTE)
    }
    m = getattr(made, "m", 0)
    if len(noted) == 1:
        return noted.pop()
    if m is None or noted:
        raise InvalidInput(
            f"The cell '{cell.strategy}' does not say how many demonstrations it "
            'showed: measure it with a number that there are, as {"m": 2}.'
        )
    return int(m)


def _observation(cell: Cell, metric: Metric) -> Observation:
    measure = usable if metric == "correct" else _score
    return Observation(
        task=cell.task,
        theta=theta_of(cell),
        performance=fmean(measure(r) for r in cell.records),
        problems=len({r.problem for r in cell.records}),
        context=max(_context(r) for r in cell.records),
    )


def _score(record: Record) -> float:
    return record.grade.score or 0.0


def _context(record: Record) -> int:
    generator = record.roles.get("generator")
    return generator.input_tokens if generator else 0


def informativeness(observations: Iterable[Observation]) -> dict[str, Informativeness]:
    """Return i of every task, from three base configurations of the observations.

    Raises:
        InvalidParameter: A task lacks one of them.
    """
    tasks: dict[str, dict[Theta, float]] = {}
    for o in observations:
        tasks.setdefault(o.task, {})[o.theta] = o.performance
    return {task: _informativeness(task, found) for task, found in tasks.items()}


BASES = (Theta(), Theta(k=1), Theta(m=1))
"""Without anything; with one document; with one demonstration."""


def _informativeness(task: str, found: Mapping[Theta, float]) -> Informativeness:
    missing = [f"(k={t.k}, m={t.m}, n={t.n})" for t in BASES if t not in found]
    if missing:
        raise InvalidParameter(
            f"The informativeness of '{task}' needs {', '.join(missing)}: measure "
            f"{'it' if len(missing) == 1 else 'them'}, or fit without."
        )
    nothing, document, demonstration = (found[theta] for theta in BASES)
    return Informativeness(
        documents=document - nothing, demonstrations=demonstration - nothing
    )


class ContextLength(Value):
    """An upper estimate of the effective context length, in input tokens.

    IterDRAG makes 2 n + 1 calls: n sub-queries, n intermediate answers and the final
    one. All of them read the prompt; the j-th sub-query comes after j - 1 searches, its
    answer after j, the final answer after n, so that k n (n + 1) documents are read
    besides, and at most 2 n (n + 1) lines, each a sub-query or an intermediate answer.
    """

    document: float = Field(gt=0)
    """Mean tokens of a document."""
    question: float = Field(gt=0)
    """Tokens of a question."""
    instructions: float = Field(default=100, ge=0)
    """Tokens of the instructions, and of what a chat template adds."""
    line: float = Field(default=30, ge=0)
    """Tokens of an answer, a sub-query or an intermediate answer."""

    def drag(self, theta: Theta) -> float:
        """Return the estimate for one call with k documents and m demonstrations."""
        shown = self.question + theta.k * self.document
        return self.instructions + shown + theta.m * (shown + self.line)

    def iterdrag(self, theta: Theta, demonstration_steps: int = 2) -> float:
        """Return the estimate for n iterations, all of which are made.

        Args:
            theta: The configuration.
            demonstration_steps: Sub-queries of a demonstration; each has k documents.
        """
        shown = self.question + theta.k * self.document
        step = theta.k * self.document + 2 * self.line
        example = shown + demonstration_steps * step + self.line
        prompt = self.instructions + shown + theta.m * example
        further = theta.n * (theta.n + 1) * (theta.k * self.document + 2 * self.line)
        return (2 * theta.n + 1) * prompt + further


def grid(
    k: Iterable[int], m: Iterable[int] = (0,), n: Iterable[int] = (1,)
) -> list[Theta]:
    """Return all combinations."""
    return [Theta(k=x, m=y, n=z) for x, y, z in product(list(k), list(m), list(n))]
