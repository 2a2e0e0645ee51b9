"""Roles that judge candidates: a Python function, or a model that says yes or no."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ponder.agents.choice import choose, probabilities
from ponder.agents.choice import plain_model as plain_model  # where it is looked for
from ponder.context import RunContext, Verifier
from ponder.errors import ModelError, OutOfBudget, UnknownName, VerifierError
from ponder.models.base import Model
from ponder.result import Candidate, StopReason, Task, Verdict

Judgement = Verdict | bool | float | None
Check = Callable[[Task, Candidate], Judgement | Awaitable[Judgement]]

JUDGE_PROMPT = """\
Decide whether a proposed solution is correct.

Question:
{question}

Proposed solution:
{solution}

Is the proposed solution correct? Answer with one word: Yes or No."""


class FunctionVerifier:
    """A Python function as a verifier; its verdicts are journaled like calls."""

    def __init__(self, check: Check, name: str | None = None) -> None:
        """Wrap a function; see ``verifier``."""
        self.check = check
        self.name = str(name or getattr(check, "__name__", "function"))

    async def verify(
        self, task: Task, candidate: Candidate, context: RunContext
    ) -> Verdict:
        """Run the function on a candidate.

        Raises:
            VerifierError: It raised, or returned something that is no judgement.
        """

        async def compute() -> dict[str, Any]:
            return (await self._run(task, candidate)).model_dump(mode="json")

        content = f"{self.name}\x00{task.question}\x00{candidate.text}"
        return Verdict.model_validate(await context.remember(content, compute))

    async def _run(self, task: Task, candidate: Candidate) -> Verdict:
        try:
            value = self.check(task, candidate)
            if inspect.isawaitable(value):
                value = await value
        except Exception as error:
            raise VerifierError(
                f"Verifier '{self.name}' raised {type(error).__name__}: {error}"
            ) from error
        verdict = self._verdict(value)
        return verdict.model_copy(update={"checked": value is not None})

    def _verdict(self, value: Judgement) -> Verdict:
        if isinstance(value, Verdict):
            return value
        if value is None:
            return Verdict()
        if isinstance(value, bool):
            return Verdict(score=float(value), passed=value)
        if _is_score(value):
            return Verdict(score=float(value))
        raise VerifierError(
            f"Verifier '{self.name}' returned {value!r}. Return True or False, a score "
            "from 0 to 1, a Verdict, or None if it cannot tell."
        )


def _is_score(value: object) -> bool:
    # A user's function may return anything, whatever its annotation says.
    return isinstance(value, int | float) and 0 <= value <= 1


class Judge:
    """A model asked whether a solution is correct.

    The score is P(yes) / (P(yes) + P(no)), read from the probabilities of the first
    token of the answer, which separates far better than a sampled word (generative
    verification, Zhang et al. 2024, https://arxiv.org/abs/2408.15240).
    """

    def __init__(
        self,
        model: Model | None = None,
        *,
        threshold: float = 0.5,
        votes: int = 5,
        prompt: str = JUDGE_PROMPT,
    ) -> None:
        """Make a judge.

        Args:
            model: Who judges; the model of the run by default.
            threshold: A score from here on counts as passed, 0 to 1.
            votes: How many sampled answers stand for the probabilities where the
                model gives none; the result then names the substitute.
            prompt: With places for ``{question}`` and ``{solution}``.
        """
        self.model, self.threshold = model, threshold
        self.votes, self.prompt = votes, prompt
        self.name = "judge" if model is None else f"judge:{model.name}"

    async def verify(
        self, task: Task, candidate: Candidate, context: RunContext
    ) -> Verdict:
        """Judge one candidate; ``score`` is ``None`` if it says neither, twice."""
        chances = await choose(
            self.prompt.format(question=task.question, solution=candidate.text),
            ("Yes", "No"),
            context.acting("verifier"),
            model=self.model,
            votes=self.votes,
            voter="judge",
        )
        if chances is None:
            return Verdict(feedback="The judge answered neither yes nor no.")
        score = chances["Yes"]
        return Verdict(score=score, passed=score >= self.threshold)


def yes_probability(top: Mapping[str, float]) -> float | None:
    """Return P(yes) / (P(yes) + P(no)) from the likeliest tokens.

    Args:
        top: Log-probability (nats) of each token.

    Returns:
        ``None`` if neither word is among the tokens.
    """
    chances = probabilities(top, ("yes", "no"))
    return chances["yes"] if chances else None


def verifier(value: Verifier | Check | str) -> Verifier:
    """Return a verifier from what a user gave.

    Args:
        value: A ``Verifier``, a function ``(task, candidate) -> bool, score from 0
            to 1, Verdict or None``, sync or async, or the name ``"judge"``.
    """
    if isinstance(value, str):
        if value != "judge":
            raise UnknownName("verifier", value, ["judge"])
        return Judge()
    if isinstance(value, Verifier):
        return value
    return FunctionVerifier(value)


async def judged(task: Task, candidate: Candidate, context: RunContext) -> Candidate:
    """Return a candidate with a verdict: what it has, or what ``verified`` gives it."""
    if candidate.verdict is not None:
        return candidate
    found, _ = await verified(task, candidate, context)
    return found


async def verified(
    task: Task, candidate: Candidate, context: RunContext
) -> tuple[Candidate, StopReason | None]:
    """Return a candidate with the verdict of the run's verifier, a judge by default.

    A verifier that fails leaves the candidate without a score. Where the budget admits
    no verdict, the candidate comes back as it was, with the limit that was met.
    """
    if candidate.error is not None:
        return candidate, None
    try:
        role = context.verifier or Judge()
        verdict = await role.verify(task, candidate, context)
    except OutOfBudget as stop:
        return candidate, StopReason(stop.dimension)
    except (VerifierError, ModelError) as error:
        context.warn(str(error))
        verdict = Verdict(feedback=str(error))
    context.judged(candidate, verdict)
    return candidate.model_copy(update={"verdict": verdict}), None
