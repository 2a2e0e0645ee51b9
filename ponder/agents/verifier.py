"""Roles that judge candidates: a Python function, or a model that says yes or no."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from numbers import Real
from typing import Any

from ponder.agents.choice import choose, probabilities
from ponder.agents.choice import plain_model as plain_model  # where it is looked for
from ponder.context import RunContext, Verifier
from ponder.errors import (
    ControlFlow,
    InvalidInput,
    InvalidParameter,
    ModelError,
    OutOfBudget,
    UnknownName,
    VerifierError,
)
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

    journaled = True

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
            found = await self._run(task, candidate, context)
            return found.model_dump(mode="json")

        content = f"{self.name}\x00{task.question}\x00{candidate.text}"
        value = await context.remember(content, compute, timed=True)
        return Verdict.model_validate(value)

    def ask(
        self, task: Task, candidate: Candidate, context: RunContext
    ) -> Judgement | Awaitable[Judgement]:
        """Call the function."""
        return self.check(task, candidate)

    async def _run(
        self, task: Task, candidate: Candidate, context: RunContext
    ) -> Verdict:
        try:
            value = self.ask(task, candidate, context)
            if inspect.isawaitable(value):
                value = await value
        except (ControlFlow, ModelError):
            raise
        except Exception as error:
            raise VerifierError(
                f"Verifier '{self.name}' raised {type(error).__name__}: {error}"
            ) from error
        verdict = self._verdict(value)
        return verdict.model_copy(update={"checked": value is not None})

    def _verdict(self, value: Judgement) -> Verdict:
        if isinstance(value, Verdict):
            return _with_score(value)
        if value is None:
            return Verdict()
        # What numpy and others call a bool or a number is one.
        value = value.item() if hasattr(value, "item") else value
        if isinstance(value, bool):
            return Verdict(score=float(value), passed=value)
        if isinstance(value, Real) and 0 <= float(value) <= 1:
            return Verdict(score=float(value))
        raise VerifierError(
            f"Verifier '{self.name}' returned {value!r}. Return True or False, a score "
            "from 0 to 1, a Verdict, or None if it cannot tell."
        )


def _with_score(verdict: Verdict) -> Verdict:
    """Return a verdict that does not only pass or fail: strategies go by scores."""
    if verdict.score is not None or verdict.passed is None:
        return verdict
    return verdict.model_copy(update={"score": float(verdict.passed)})


class ObjectVerifier(FunctionVerifier):
    """A user's verifier object: its verdicts are checked and journaled, too.

    What it asks a model for, it asks at the place ``within`` below that of the verdict.
    """

    def __init__(self, judge: Verifier) -> None:
        """Wrap an object; see ``verifier``."""
        super().__init__(lambda task, candidate: None, judge.name)
        self.judge = judge

    def ask(
        self, task: Task, candidate: Candidate, context: RunContext
    ) -> Judgement | Awaitable[Judgement]:
        """Call the object."""
        return self.judge.verify(task, candidate, context.at("within"))


class Judge:
    """A model asked whether a solution is correct.

    The score is P(yes) / (P(yes) + P(no)), read from the probabilities of the first
    token of the answer, which separates far better than a sampled word (generative
    verification, Zhang et al. 2024, https://arxiv.org/abs/2408.15240).
    """

    journaled = True

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

        Raises:
            InvalidParameter: A number is out of range, or the prompt has other places.
        """
        if not 0 <= threshold <= 1:
            raise InvalidParameter(f"threshold is {threshold}: give a score, 0 to 1.")
        if votes < 1:
            raise InvalidParameter(f"votes is {votes}: give 1 or more.")
        _check_places(prompt)
        self.model, self.threshold = model, threshold
        self.votes, self.prompt = votes, prompt
        changed = (threshold, votes, prompt) != (0.5, 5, JUDGE_PROMPT)
        own = f":{model.name}" if model else ":" if changed else ""
        self.name = f"judge{own}"

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


def _check_places(prompt: str) -> None:
    try:
        prompt.format(question="", solution="")
    except (KeyError, IndexError, ValueError) as error:
        raise InvalidParameter(
            f"The judge's prompt cannot be filled in ({type(error).__name__}: {error}):"
            " give places for {question} and {solution} alone, and write other braces "
            "twice."
        ) from error


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
        value: A function ``(task, candidate) -> bool, score from 0 to 1, Verdict or
            None``, sync or async; the name ``"judge"``; or a ``Verifier``, whose
            verdicts are journaled, unless an attribute ``journaled`` says that the
            calls it makes are all there is to them.

    Raises:
        InvalidInput: It is none of these.
    """
    if isinstance(value, str):
        if value != "judge":
            raise UnknownName("verifier", value, ["judge"])
        return Judge()
    if isinstance(value, Verifier):
        return value if getattr(value, "journaled", False) else ObjectVerifier(value)
    if not callable(value):
        raise InvalidInput(
            f"{value!r} is no verifier: give a function (task, candidate) -> bool, "
            "score from 0 to 1, Verdict or None; an object with a name and an async "
            "verify; or 'judge'."
        )
    return FunctionVerifier(value)


async def judged(task: Task, candidate: Candidate, context: RunContext) -> Candidate:
    """Return a candidate with a verdict: what it has, or what ``verified`` gives it.

    Raises:
        OutOfBudget: The budget admits no verdict.
    """
    if candidate.verdict is not None:
        return candidate
    found, stop = await verified(task, candidate, context)
    if stop is not None:
        raise OutOfBudget(stop.value)
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
