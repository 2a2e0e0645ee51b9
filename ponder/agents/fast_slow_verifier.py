"""The roles that verify fast, by votes of one word, and slowly, by reasons."""

import re
from typing import Protocol

from ponder.agents._structured import ask
from ponder.agents.choice import plain_model
from ponder.agents.verifier import Judge, verified
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.messages import Completion, Request, Sampling, user
from ponder.result import Candidate, StopReason, Task, Verdict

SLOW_PROMPT = """\
Check a proposed solution.

Question:
{question}

Proposed solution:
{solution}

Go through the proposed solution one step at a time, and work out every result anew. \
If a step is wrong, name the first one that is, say why, and what should stand there. \
Then finish with a line of its own: "Verdict: Yes" if the proposed solution is \
correct, "Verdict: No" if it is not."""

SLOW_REMINDER = 'Finish with one line: "Verdict: Yes" or "Verdict: No".'

FAST_TOKENS = 4
"""Limit of a fast verdict: one word, and what may stand around it."""

_FAST = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_SLOW = re.compile(r"^\W*verdict\W+(yes|no)\W*$", re.IGNORECASE | re.MULTILINE)
_SLOW_WORD = re.compile(r"^\W*(yes|no)\W*\Z", re.IGNORECASE | re.MULTILINE)
"""One word as the last line: before others, it may say that one step is right."""

Votes = tuple[int, int]
"""How many fast verdicts say yes, and no."""


class FastVerifier(Protocol):
    """Samples verdicts of one word. See ``fast_verifier``."""

    async def __call__(
        self, task: Task, solution: Candidate, context: RunContext
    ) -> tuple[Votes, StopReason | None]:
        """Return the votes on a solution, and the limit that refused one, if one did.

        A verdict that fails, or cannot be read, counts for neither side.

        Args:
            task: The task.
            solution: The solution.
            context: The place below which the verdicts are given.
        """
        ...


class SlowVerifier(Protocol):
    """Reasons about a solution, then gives a verdict. See ``slow_verifier``."""

    async def __call__(
        self, task: Task, solution: Candidate, votes: Votes, context: RunContext
    ) -> Verdict | None:
        """Return the slow verdict on a solution, which overrules the fast ones.

        Args:
            task: The task.
            solution: The solution.
            votes: The fast verdicts.
            context: The place of the call.

        Returns:
            A verdict whose feedback are the reasons, and whose score is the share of
            all verdicts, this one included, that say yes. ``None``, with a warning, if
            two replies came to no verdict.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def fast_verifier(*, k: int, temperature: float) -> FastVerifier:
    """Return a fast verifier, which asks as the judge of the run does.

    Args:
        k: How many verdicts.
        temperature: T of the verdicts, which would all be the same at 0.
    """

    async def verify(
        task: Task, solution: Candidate, context: RunContext
    ) -> tuple[Votes, StopReason | None]:
        places = [context.at("fast", i) for i in range(k)]
        outcomes = await settle([_vote(task, solution, temperature, p) for p in places])
        stop: StopReason | None = None
        for outcome in outcomes:
            if isinstance(outcome, OutOfBudget):
                stop = StopReason(outcome.dimension)
            elif isinstance(outcome, ModelError):
                context.warn(str(outcome))
            elif isinstance(outcome, Exception):
                raise outcome
        return (outcomes.count("yes"), outcomes.count("no")), stop

    return verify


def slow_verifier(*, max_tokens: int, prompt: str = SLOW_PROMPT) -> SlowVerifier:
    """Return a slow verifier, which asks the model of the run's judge.

    Args:
        max_tokens: Limit of the reasons with the verdict.
        prompt: With places for ``{question}`` and ``{solution}``.
    """

    async def verify(
        task: Task, solution: Candidate, votes: Votes, context: RunContext
    ) -> Verdict | None:
        found = await ask(
            task,
            prompt.format(question=task.question, solution=solution.text),
            read_slow_verdict,
            context.acting("verifier"),
            reminder=SLOW_REMINDER,
            max_tokens=max_tokens,
            model=_judge(context).model,
        )
        if found is None:
            context.warn("The slow verification came to no verdict, twice.")
            return None
        (right, reasons), (yes, no) = found, votes
        share = (yes + right) / (yes + no + 1)
        return Verdict(score=share, passed=right, feedback=reasons)

    return verify


def consensus(votes: Votes, *, k: int, tau: float) -> Verdict:
    """Return the verdict of the fast verification.

    Args:
        votes: How many of the k fast verdicts say that the solution is right, and how
            many that it is wrong; the rest could not be read, and agree with nobody.
        k: How many were asked for.
        tau: Share of the k that must agree, above 0.5.

    Returns:
        ``passed`` is what max(yes, no) / k >= tau of them say, ``None`` if they do
        not agree; the score is yes / (yes + no).
    """
    yes, no = votes
    readable = yes + no
    agreed = max(yes, no) / k >= tau
    return Verdict(
        score=yes / readable if readable else None,
        passed=yes > no if agreed else None,
    )


def read_slow_verdict(completion: Completion) -> tuple[bool, str] | None:
    """Return the verdict of the last line that gives one, and the reasons before it."""
    text = completion.text
    said = list(_SLOW.finditer(text))
    if not said and completion.finish_reason == "stop":
        said = list(_SLOW_WORD.finditer(text))
    if not said:
        return None
    return said[-1][1].lower() == "yes", text[: said[-1].start()].strip()


def brings_verifier(context: RunContext) -> bool:
    """Whether the run has a verifier that is more than a model to be asked."""
    return not isinstance(context.verifier or Judge(), Judge)


async def by_run_verifier(
    task: Task, solution: Candidate, context: RunContext, *, stop_at: float
) -> tuple[Candidate, StopReason | None]:
    """Return a solution as the run's verifier judges it, in place of fast and slow.

    Args:
        task: The task.
        solution: The solution.
        context: The place of the verdict.
        stop_at: The score from which it is accepted, where there is a score alone.

    Returns:
        The solution with its verdict, and the limit that refused one, if one did.
    """
    solution, stop = await verified(task, solution, context)
    verdict = solution.verdict
    if verdict is None or verdict.score is None or verdict.passed is not None:
        return solution, stop
    passed = verdict.score >= stop_at
    verdict = verdict.model_copy(update={"passed": passed})
    return solution.model_copy(update={"verdict": verdict}), stop


def _judge(context: RunContext) -> Judge:
    return context.verifier if isinstance(context.verifier, Judge) else Judge()


async def _vote(
    task: Task, solution: Candidate, temperature: float, context: RunContext
) -> str | None:
    judge = _judge(context)
    prompt = judge.prompt.format(question=task.question, solution=solution.text)
    request = Request(
        messages=(*task.history, user(prompt)),
        sampling=Sampling(temperature=temperature),
        max_tokens=FAST_TOKENS,
    )
    model = judge.model or plain_model(context.model)
    (completion,) = await context.acting("verifier").generate(request, model)
    said = _FAST.match(completion.text)
    return said[1].lower() if said else None
