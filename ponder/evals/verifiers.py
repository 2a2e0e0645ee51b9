"""The verifiers that a study may give to a strategy, by name."""

import asyncio
import hashlib
from typing import Literal, get_args

from ponder.agents.verifier import FunctionVerifier, Judge
from ponder.context import Verifier
from ponder.errors import UnknownName
from ponder.evals.benchmark import Benchmark, Problem
from ponder.result import Candidate, Task, Verdict

VerifierName = Literal["judge", "exact", "random"]
"""``judge`` is the model itself, ``exact`` the benchmark's own grader (an upper bound
that a user of the benchmark does not have), ``random`` scores by chance (a control)."""


def named_verifier(
    name: str | None, benchmark: Benchmark, problem: Problem
) -> Verifier | None:
    """Return a verifier for one problem.

    Args:
        name: See ``VerifierName``; ``None`` gives none.
        benchmark: Whose grader ``exact`` asks.
        problem: The problem that is being answered.

    Raises:
        UnknownName: There is no such verifier.
    """
    if name is None:
        return None
    if name == "judge":
        return Judge()
    if name == "exact":
        return exact_verifier(benchmark, problem)
    if name == "random":
        return FunctionVerifier(_random_score, name="random")
    raise UnknownName("verifier", name, get_args(VerifierName))


def exact_verifier(benchmark: Benchmark, problem: Problem) -> FunctionVerifier:
    """Return the grader of a benchmark as a verifier of candidates.

    Its feedback names what is wrong. A candidate without a readable answer gets no
    score, and a benchmark with partial credit gives it as the score. An unfinished
    solution gets how far it has come, where the benchmark can tell: with that, the
    step scorer ``verifier`` is an exact process reward.
    """

    async def check(task: Task, candidate: Candidate) -> Verdict:
        if candidate.truncated and candidate.answer is None:
            share = benchmark.progress(problem, candidate.text)
            if share is not None:
                return Verdict(score=share)
        # Programs are run for seconds: the other branches must not wait for that.
        grade = await asyncio.to_thread(benchmark.grade, problem, candidate.text)
        feedback = "\n".join(grade.reasons)
        if grade.correct is None:
            return Verdict(feedback=feedback)
        partial = float(grade.correct) if grade.score is None else grade.score
        score = 1.0 if grade.correct else partial
        return Verdict(score=score, passed=grade.correct, feedback=feedback)

    return FunctionVerifier(check, name=f"exact:{benchmark.name}:{problem.id}")


def _random_score(task: Task, candidate: Candidate) -> float:
    """Score by a hash: as good as chance, and the same in every run."""
    place = f"{task.question}\x00{candidate.id}\x00{candidate.text}"
    digest = hashlib.blake2b(place.encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
