"""Roles that judge candidates: a Python function, or a model that says yes or no."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from numbers import Real
from typing import Any

from ponder.agents.choice import choose, probabilities
from ponder.agents.choice import plain_model as plain_model  # where it is looked for
from ponder.context import RunContext, Verifier
from ponder.errors import (
    ControlFlow,
    InvalidInput,
    InvalidParameter,
    JournalError,
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
        known = str(name or getattr(check, "__name__", "function"))
        # "judge" names the model's own judge, which a replay makes by itself.
        self.name = "judge()" if known == "judge" else known

    async def verify(
        self, task: Task, candidate: Candidate, context: RunContext
    ) -> Verdict:
        """Run the function on a candidate.

        Raises:
            OutOfBudget: The seconds of the budget are over.
            VerifierError: It raised, or returned something that is no judgement.
        """

        async def compute() -> dict[str, Any]:
            value = await called(self.name, self.check, task, candidate)
            found = judgement(self.name, value).model_copy(
                update={"checked": value is not None}
            )
            return found.model_dump(mode="json")

        value = await remembered(self.name, task, candidate, context, compute)
        return Verdict.model_validate(value)


class ObjectVerifier:
    """A user's verifier object: what it says is checked and journaled, too.

    It may ask the model, at places below ``within``. Then it is asked again in a
    resumed run and in a replay, with its calls out of the journal.
    """

    journaled = True

    def __init__(self, judge: Verifier) -> None:
        """Wrap an object; see ``verifier``."""
        self.judge, self.name = judge, judge.name
        self.asks_model = bool(getattr(judge, "asks_model", False))

    async def verify(
        self, task: Task, candidate: Candidate, context: RunContext
    ) -> Verdict:
        """Ask the object about a candidate.

        Raises:
            OutOfBudget: The budget admits no verdict.
            ModelError: A call of it failed.
            VerifierError: It raised, or returned something that is no judgement.
        """
        within, found = context.at("within"), list[Verdict | Exception]()

        async def compute() -> dict[str, Any]:
            try:
                found.append(await self._ask(task, candidate, within))
            except (OutOfBudget, ModelError) as error:
                if not _asked(within):
                    raise
                found.append(error)
            said = None if _asked(within) else found[0]
            verdict = said.model_dump(mode="json") if isinstance(said, Verdict) else {}
            return {"asked": _asked(within), "verdict": verdict}

        value = await remembered(self.name, task, candidate, context, compute)
        if not found and not value["asked"]:
            return Verdict.model_validate(value["verdict"])
        said = found[0] if found else await self._ask(task, candidate, within)
        if isinstance(said, Exception):
            raise said
        return said

    async def _ask(
        self, task: Task, candidate: Candidate, within: RunContext
    ) -> Verdict:
        value = await called(self.name, self.judge.verify, task, candidate, within)
        found = judgement(self.name, value)
        # What it knows without a model it knows as a function does.
        checked = found.checked or not (value is None or _asked(within))
        return found.model_copy(update={"checked": checked})


def _asked(place: RunContext) -> bool:
    """Whether a call was made at a place, or below it."""
    known = place.shared.paths
    return any(p == place.id or p.startswith(f"{place.id}/") for p in known)


async def remembered(
    name: str,
    task: Task,
    candidate: Candidate,
    context: RunContext,
    compute: Callable[[], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """Return what the journal knows of a verdict, or what is computed now.

    Time that is kept back for the end may be used: verdicts are what it is kept for.
    """
    content = f"{name}\x00{task.question}\x00{candidate.text}"
    return await context.wrap_up().remember(content, compute, timed=True)


async def called(name: str, check: Callable[..., Any], *given: Any) -> object:
    """Return what a user's code says.

    Raises:
        VerifierError: It raised.
        OutOfBudget: A call that it made was refused.
        ModelError: A call that it made failed.
        ReplayDrift: A call that it made is not in the journal of a replay.
    """
    try:
        value = check(*given)
        return await value if inspect.isawaitable(value) else value
    except (ControlFlow, ModelError, JournalError):
        raise
    except Exception as error:
        raise VerifierError(
            f"Verifier '{name}' raised {type(error).__name__}: {error}"
        ) from error


def judgement(name: str, value: object) -> Verdict:
    """Return the verdict that a user's code has returned.

    Raises:
        VerifierError: It is no judgement.
    """
    if isinstance(value, Verdict):
        return _with_score(value)
    if value is None:
        return Verdict()
    # What numpy and others call a bool or a number is one.
    with suppress(Exception):
        value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        return Verdict(score=float(value), passed=value)
    if isinstance(value, Real) and 0 <= float(value) <= 1:
        return Verdict(score=float(value))
    raise VerifierError(
        f"Verifier '{name}' returned {value!r}. Return True or False, a score from 0 "
        "to 1, a Verdict, or None if it cannot tell."
    )


def _with_score(verdict: Verdict) -> Verdict:
    """Return a verdict that does not only pass or fail: strategies go by scores."""
    if verdict.score is not None or verdict.passed is None:
        return verdict
    return verdict.model_copy(update={"score": float(verdict.passed)})


class Judge:
    """A model asked whether a solution is correct.

    The score is P(yes) / (P(yes) + P(no)), read from the probabilities of the first
    token of the answer, which separates far better than a sampled word (generative
    verification, Zhang et al. 2024, https://arxiv.org/abs/2408.15240).
    """

    journaled = True
    asks_model = True

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
            before=task.history,
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
            calls it makes are all there is to them. With an attribute ``asks_model``
            that is true, a share of the budget is kept back for it.

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
    """Return a candidate with a verdict: what it has, or that of the run's verifier.

    Raises:
        OutOfBudget: The budget admits no verdict.
    """
    if candidate.verdict is not None:
        return candidate
    return await _judged_anew(task, candidate, context)


async def verified(
    task: Task, candidate: Candidate, context: RunContext
) -> tuple[Candidate, StopReason | None]:
    """Return a candidate as it is judged now, and the limit that refused, if one did.

    Where the budget admits no verdict, the candidate comes back as it was.
    """
    try:
        return await _judged_anew(task, candidate, context), None
    except OutOfBudget as stop:
        return candidate, StopReason(stop.dimension)


async def _judged_anew(
    task: Task, candidate: Candidate, context: RunContext
) -> Candidate:
    """Return a candidate with the verdict of the run's verifier, a judge by default.

    A verifier that fails leaves the candidate without a score.
    """
    if candidate.error is not None:
        return candidate
    try:
        role = context.verifier or Judge()
        verdict = await role.verify(task, candidate, context)
    except (VerifierError, ModelError) as error:
        context.warn(str(error))
        verdict = Verdict(feedback=str(error))
    context.judged(candidate, verdict)
    return candidate.model_copy(update={"verdict": verdict})
