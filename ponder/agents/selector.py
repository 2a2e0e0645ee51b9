"""The role that chooses among algorithms, and the bandit rule it uses."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ponder.agents._structured import ask, first_json, last_json
from ponder.agents.constraint_verifier import listed
from ponder.context import RunContext
from ponder.errors import InvalidParameter
from ponder.models.base import Model
from ponder.result import Task

PRIORS_PROMPT = """\
Several algorithms can be used to solve the problem below. Do not solve it. Rate how \
suitable each algorithm is for exactly this problem, by how hard it is and how many \
constraints act together, with a whole number from 0 (useless) to 100 (ideal).

Problem:
{question}

Constraints:
{constraints}

Algorithms:
{algorithms}
{feedback}
Reply in JSON, with a rating for each algorithm: {form}"""

FEEDBACK = """
An earlier solution was not good enough. What was said of it:
{feedback}
"""

PRIORS_REMINDER = """\
That could not be read. Reply in JSON alone, with a whole number from 0 to 100 for \
each algorithm: {form}"""

UNIFORM = 0.5
"""The prior of every algorithm where the model gives none."""


class Selector(Protocol):
    """Rates algorithms for one problem. See ``selector``."""

    async def __call__(
        self,
        task: Task,
        constraints: Sequence[str],
        algorithms: Mapping[str, str],
        context: RunContext,
        feedback: str = "",
    ) -> dict[str, float]:
        """Return the suitability of each algorithm, 0 to 1.

        Args:
            task: The problem.
            constraints: Those of the problem.
            algorithms: A one-line description of each by its name.
            context: The place of the call; a single algorithm is rated 1 without one.
            feedback: What the verifier said of the plan before.

        Returns:
            All alike, as a substitute, if two replies were unreadable.

        Raises:
            InvalidParameter: There is no algorithm.
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def selector(
    *,
    model: Model | None = None,
    max_tokens: int = 256,
    prompt: str = PRIORS_PROMPT,
) -> Selector:
    """Return the selection agent of PlanGEN, as far as a model speaks for it.

    Parmar et al. 2025, https://arxiv.org/abs/2502.16111: the model's ratings are the
    priors of ``ucb``.

    Args:
        model: Who rates; by default the model of the run.
        max_tokens: Limit of the reply.
        prompt: With places for ``{question}``, ``{constraints}``, ``{algorithms}``,
            ``{feedback}`` and ``{form}``.
    """

    async def priors(
        task: Task,
        constraints: Sequence[str],
        algorithms: Mapping[str, str],
        context: RunContext,
        feedback: str = "",
    ) -> dict[str, float]:
        if not algorithms:
            raise InvalidParameter("There is no algorithm to select: name at least 1.")
        if len(algorithms) == 1:
            return dict.fromkeys(algorithms, 1.0)
        context = context.acting("selector")
        # A number in the form is what a small model copies.
        form = ", ".join(f"{json.dumps(name)}: <number>" for name in algorithms)
        found = await ask(
            task,
            prompt.format(
                question=task.question,
                constraints=listed(constraints),
                algorithms="\n".join(f"- {n}: {d}" for n, d in algorithms.items()),
                feedback=FEEDBACK.format(feedback=feedback) if feedback else "",
                form=f"{{{form}}}",
            ),
            lambda completion: ratings(
                completion.text,
                tuple(algorithms),
                cut=completion.finish_reason != "stop",
            ),
            context,
            reminder=PRIORS_REMINDER.format(form=f"{{{form}}}"),
            max_tokens=max_tokens,
            schema=_schema(algorithms),
            model=model,
        )
        if found is None:
            context.substitute("the model's priors", "the same prior for all")
        return found or dict.fromkeys(algorithms, UNIFORM)

    return priors


priors = selector()
"""The selection agent's priors with its defaults."""


def ratings(
    text: str, names: Sequence[str], *, cut: bool = False
) -> dict[str, float] | None:
    """Return the ratings from 0 to 100 that a reply states, divided by 100.

    Args:
        text: The reply.
        names: What is rated.
        cut: Whether it was cut off: then only JSON that begins and ends in it counts,
            for the last number may lack its last digit.

    Returns:
        ``None`` unless every name has one.
    """
    value = first_json(text) if cut else last_json(text)
    if not isinstance(value, dict):
        value = {} if cut else _in_words(text, names)
    by_name = {str(key).strip().casefold(): rating for key, rating in value.items()}
    found = {name: by_name.get(name.casefold()) for name in names}
    whole = {n: r for n, r in found.items() if type(r) is int and 0 <= r <= 100}
    return {n: r / 100 for n, r in whole.items()} if len(whole) == len(names) else None


def _in_words(text: str, names: Sequence[str]) -> dict[str, int]:
    found = {}
    for name in names:
        pattern = rf"(?<!\w){re.escape(name)}\W{{1,6}}?(\d{{1,3}})(?![\w%]|\.\d)"
        if matches := re.findall(pattern, text, re.IGNORECASE):
            found[name] = int(matches[-1])
    return found


def _schema(algorithms: Mapping[str, str]) -> dict[str, Any]:
    rating = {"type": "integer", "minimum": 0, "maximum": 100}
    return {
        "type": "object",
        "properties": dict.fromkeys(algorithms, rating),
        "required": list(algorithms),
        "additionalProperties": False,
    }


# -- the bandit ------------------------------------------------------------------------


@dataclass(frozen=True)
class Arm:
    """What a run knows of one algorithm."""

    reward: float = 0.0
    """R(a), sum of the rewards, each from 0 to 1."""
    plays: int = 0
    """N(a), how often it was selected."""
    recoveries: int = 0
    """How often it scored above the plan that it was to improve."""

    @property
    def recovery(self) -> float:
        """S_recovery(a), the share of its plays that improved on the plan before.

        The paper asks that recovering from failures be rewarded; no formula of it
        could be found, so this one is ours.
        """
        return self.recoveries / self.plays if self.plays else 0.0

    def played(self, reward: float | None, before: float | None = None) -> "Arm":
        """Return the arm after one more play.

        Args:
            reward: Score of the plan it made, 0 to 1. A plan without a score counts
                as the mean of the others, or 1/2: it says nothing.
            before: Score of the plan that it was to improve.
        """
        recovered = reward is not None and before is not None and reward > before
        if reward is None:
            reward = self.reward / self.plays if self.plays else 0.5
        return Arm(
            self.reward + reward, self.plays + 1, self.recoveries + int(recovered)
        )


@dataclass(frozen=True)
class UCB:
    """The weights of ``ucb``, at neutral values: the paper's could not be found."""

    lambda_prior: float = 1.0
    """lambda_0 of the weight of the priors, lambda_prior = lambda_0 / (1 + T)."""
    alpha_diversity: float = 1.0
    """Weight of having been selected little."""
    alpha_recovery: float = 1.0
    """Weight of having recovered from failures."""


def ucb(arm: Arm, trials: int, prior: float, weights: UCB | None = None) -> float:
    """Return PlanGEN's modified upper confidence bound of an algorithm.

    UCB(a) = R(a)/N(a) + sqrt(2 ln(T + 1) / N(a)) + lambda_prior Prior(a)
    + alpha_diversity / (N(a) + 1) + alpha_recovery S_recovery(a), where lambda_prior
    falls with T (Parmar et al. 2025, https://arxiv.org/abs/2502.16111).

    Args:
        arm: R(a), N(a) and S_recovery(a).
        trials: T, selections so far of all algorithms together.
        prior: Prior(a), 0 to 1.
        weights: Of the last three terms.

    Returns:
        Infinite for an algorithm never selected, as in UCB1 (Auer et al. 2002).
    """
    if arm.plays == 0:
        return math.inf
    explored = math.sqrt(2 * math.log(trials + 1) / arm.plays)
    return arm.reward / arm.plays + explored + bonus(arm, trials, prior, weights)


def bonus(arm: Arm, trials: int, prior: float, weights: UCB | None = None) -> float:
    """Return the last three terms of ``ucb``, which an unplayed arm has too."""
    weights = weights or UCB()
    return (
        weights.lambda_prior / (1 + trials) * prior
        + weights.alpha_diversity / (arm.plays + 1)
        + weights.alpha_recovery * arm.recovery
    )


def select(
    arms: Mapping[str, Arm], priors: Mapping[str, float], weights: UCB | None = None
) -> str:
    """Return the algorithm of the largest ``ucb``.

    Among those never selected the last three terms decide, so that the model's priors
    say where to begin; what is still equal goes to the first.

    Args:
        arms: What is known of each algorithm.
        priors: Prior(a) of each, 0 to 1.
        weights: Of the last three terms.

    Raises:
        InvalidParameter: There is no algorithm, or one has no prior.
    """
    missing = [name for name in arms if name not in priors]
    if missing or not arms:
        raise InvalidParameter(
            f"Algorithms {list(arms)} have priors {dict(priors)}: give at least one "
            "algorithm, and a prior for each."
        )
    trials = sum(arm.plays for arm in arms.values())

    def rank(name: str) -> tuple[float, float]:
        arm, prior = arms[name], priors[name]
        bound = ucb(arm, trials, prior, weights)
        return bound, bonus(arm, trials, prior, weights)

    return max(arms, key=rank)
