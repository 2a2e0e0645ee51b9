r"""Which theta = (k, m, n) of a retrieval strategy is best for a budget of context.

The computation allocation model of Yue et al. 2024 (https://arxiv.org/abs/2410.04343,
equation 2), fitted to what configurations were measured to achieve:

    sigma^-1(P(theta)) ~ (a + b * i)^T log(theta + epsilon) + c

with P the mean metric, k documents, m demonstrations, n iterations, and the
informativeness i = (i_doc, i_shot, 0) of a task, * being element by element. a, b and c
belong to a model, i to a task. See docs/design/allocation.md.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import exp, inf, log

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ponder.errors import InvalidParameter
from ponder.evals.statistics.interval import t_quantile
from ponder.messages import Value

EPSILON = 0.01
"""Shift of theta before its logarithm, as in the paper."""
NAMES = ("k", "m", "n")
Vector = tuple[float, float, float]
Array = NDArray[np.float64]


class Theta(Value):
    """A configuration."""

    k: int = Field(default=0, ge=0)
    """Documents of the question, and of each demonstration."""
    m: int = Field(default=0, ge=0)
    """Demonstrations."""
    n: int = Field(default=1, ge=1)
    """Iterations; 1 for one call without sub-queries."""


class Informativeness(Value):
    """What one document, or one demonstration, is worth for a task."""

    documents: float
    """i_doc = P(1, 0, 1) - P(0, 0, 1)."""
    demonstrations: float
    """i_shot = P(0, 1, 1) - P(0, 0, 1)."""


class Observation(Value):
    """What a configuration achieved on a task."""

    task: str
    theta: Theta
    performance: float = Field(ge=0, le=1)
    """P, the mean of the metric over the problems."""
    problems: int = Field(ge=1)
    """How many: 0 and 1 are taken for half a problem more, or less."""
    context: int = Field(default=0, ge=0)
    """Effective context length of the longest run, in input tokens."""


class Coefficient(Value):
    """An estimate with its confidence interval."""

    value: float
    low: float | None = None
    high: float | None = None
    """``None`` where there are no more observations than coefficients."""


class AllocationModel(Value):
    """A fitted model; what was never varied has no coefficient."""

    a: dict[str, Coefficient]
    """By ``k``, ``m`` and ``n``."""
    b: dict[str, Coefficient]
    """By ``k`` and ``m``; empty where i is the same for all observations."""
    c: Coefficient
    constant: dict[str, int]
    """What was never varied, and its value: other values cannot be predicted."""
    epsilon: float
    r2: float
    """Share of the variance of sigma^-1(P) that is explained."""
    mse: float
    """Mean squared error of sigma^-1(P)."""
    observations: int

    def predict(
        self, theta: Theta, informativeness: Informativeness | None = None
    ) -> float:
        """Return the predicted P of a configuration, 0 to 1.

        Args:
            theta: The configuration.
            informativeness: i of the task; needed if the model has a b.

        Raises:
            InvalidParameter: The model cannot tell, since a parameter was never
                varied, or i is missing.
        """
        for name, value in self.constant.items():
            if getattr(theta, name) != value:
                raise InvalidParameter(
                    f"The model knows {name} = {value} only: it cannot predict {name} "
                    f"= {getattr(theta, name)}. Fit it to runs in which {name} varies."
                )
        if self.b and informativeness is None:
            raise InvalidParameter(
                "The model was fitted to several tasks: give the informativeness of "
                "the task to predict for."
            )
        i = _vector(informativeness)
        logit = self.c.value
        for name, worth in zip(NAMES, i, strict=True):
            slope = self.a[name].value if name in self.a else 0.0
            slope += self.b[name].value * worth if name in self.b else 0.0
            logit += slope * log(getattr(theta, name) + self.epsilon)
        return sigmoid(logit)

    def best(
        self,
        budget: float,
        candidates: Iterable[Theta],
        cost: Callable[[Theta], float],
        informativeness: Informativeness | None = None,
    ) -> Theta:
        """Return the configuration with the highest predicted P within a budget.

        Args:
            budget: L_max, the most effective context length, in input tokens.
            candidates: Among which to choose.
            cost: Effective context length of a configuration; see
                ``ponder.evals.observations.ContextLength``.
            informativeness: i of the task; needed if the model has a b.

        Returns:
            The best one, of equally good ones the cheapest, then the first.

        Raises:
            InvalidParameter: No candidate is within the budget.
        """
        costs = [(theta, cost(theta)) for theta in candidates]
        within = [(theta, spent) for theta, spent in costs if spent <= budget]
        if not within:
            least = min((spent for _, spent in costs), default=inf)
            raise InvalidParameter(
                f"No configuration is within {budget:g} tokens of context; the "
                f"cheapest of {len(costs)} takes {least:g}."
            )
        best = max(
            within, key=lambda pair: (self.predict(pair[0], informativeness), -pair[1])
        )
        return best[0]


def fit(
    observations: Sequence[Observation],
    informativeness: Mapping[str, Informativeness] | None = None,
    *,
    epsilon: float = EPSILON,
    level: float = 0.95,
) -> AllocationModel:
    """Fit the model by ordinary least squares.

    b_n is 0, as in the paper. What the observations cannot tell has no coefficient: a
    parameter that is the same in all of them, and b if i_doc or i_shot is.

    Args:
        observations: Of one model, on one task or several.
        informativeness: i by task; without it b is left out.
        epsilon: Shift of theta, above 0.
        level: Probability of covering the true coefficients. The intervals take the
            errors to be independent and normal.

    Raises:
        InvalidParameter: There are too few observations, a task has no
            informativeness, all performances are the same, or two parameters were
            always varied together.
    """
    if epsilon <= 0:
        raise InvalidParameter(f"epsilon is {epsilon}: give a number above 0.")
    logs = {
        name: np.array([log(getattr(o.theta, name) + epsilon) for o in observations])
        for name in NAMES
    }
    columns = {f"a_{name}": column for name, column in logs.items() if _varies(column)}
    worth = _worth(observations, informativeness)
    for j, name in enumerate(("k", "m")):
        if f"a_{name}" in columns and worth is not None and _varies(worth[:, j]):
            columns[f"b_{name}"] = worth[:, j] * logs[name]
    columns["c"] = np.ones(len(observations))
    target = np.array([_logit(o) for o in observations])
    _check(columns, target)
    found = _least_squares(columns, target, level)
    first = observations[0].theta
    return AllocationModel(
        a={n: found.coefficients[f"a_{n}"] for n in NAMES if f"a_{n}" in columns},
        b={n: found.coefficients[f"b_{n}"] for n in NAMES if f"b_{n}" in columns},
        c=found.coefficients["c"],
        constant={n: getattr(first, n) for n in NAMES if f"a_{n}" not in columns},
        epsilon=epsilon,
        r2=found.r2,
        mse=found.mse,
        observations=len(observations),
    )


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


class _Fit(Value):
    coefficients: dict[str, Coefficient]
    r2: float
    mse: float


def _logit(o: Observation) -> float:
    half = 0.5 / o.problems
    p = min(max(o.performance, half), 1 - half)
    return log(p / (1 - p))


def _varies(column: Array) -> bool:
    return bool(column.size) and float(np.ptp(column)) > 1e-12


def _vector(i: Informativeness | None) -> Vector:
    return (i.documents, i.demonstrations, 0.0) if i is not None else (0.0, 0.0, 0.0)


def _worth(
    observations: Sequence[Observation], known: Mapping[str, Informativeness] | None
) -> Array | None:
    """Return i of each observation as a row, ``[observations, 3]``."""
    if known is None:
        return None
    if missing := sorted({o.task for o in observations} - set(known)):
        raise InvalidParameter(
            f"No informativeness is given for {', '.join(missing)}: give one for every "
            "task, or none at all."
        )
    return np.array([_vector(known[o.task]) for o in observations]).reshape(-1, 3)


def _check(columns: Mapping[str, Array], target: Array) -> None:
    names = ", ".join(columns)
    if len(columns) == 1:
        raise InvalidParameter(
            "The observations are of one configuration, or there are none: measure "
            "several values of k, m or n."
        )
    if len(target) < len(columns):
        raise InvalidParameter(
            f"{len(target)} observations cannot tell {len(columns)} coefficients "
            f"({names}): measure {len(columns)} configurations or more."
        )
    if not _varies(target):
        raise InvalidParameter(
            "All configurations achieve the same: there is nothing to fit."
        )
    matrix = np.column_stack(list(columns.values()))
    if np.linalg.matrix_rank(matrix) < len(columns):
        raise InvalidParameter(
            f"The coefficients {names} cannot be told apart: some of the parameters "
            "were always varied together. Measure configurations in which only one of "
            "them differs."
        )


def _least_squares(columns: Mapping[str, Array], target: Array, level: float) -> _Fit:
    matrix = np.column_stack(list(columns.values()))
    values, *_ = np.linalg.lstsq(matrix, target)
    residuals = target - matrix @ values
    squares = float(residuals @ residuals)
    freedom = len(target) - len(columns)
    spread = np.full(len(values), inf)
    if freedom:
        variances = squares / freedom * np.diag(np.linalg.inv(matrix.T @ matrix))
        spread = t_quantile(level, freedom) * np.sqrt(variances)
    deviations = target - target.mean()
    estimates = zip(columns, values.tolist(), spread.tolist(), strict=True)
    return _Fit(
        coefficients={name: _coefficient(v, half) for name, v, half in estimates},
        r2=1 - squares / float(deviations @ deviations),
        mse=squares / len(target),
    )


def _coefficient(value: float, half: float) -> Coefficient:
    if half == inf:
        return Coefficient(value=value)
    return Coefficient(value=value, low=value - half, high=value + half)
