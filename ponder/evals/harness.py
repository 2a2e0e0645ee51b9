"""ponder's benchmarks as inspect-ai tasks, its strategies as an inspect-ai solver.

With ponder installed, ``inspect eval ponder/gsm8k -T path=gsm8k.jsonl`` works, with
inspect's limits, retries and viewer. Beside this module only ``study``, which starts
evaluations, and ``logs``, which reads theirs, know inspect-ai.
"""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from inspect_ai import Task as InspectTask
from inspect_ai import task as inspect_task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage
from inspect_ai.scorer import (
    CORRECT,
    INCORRECT,
    NOANSWER,
    Score,
    Scorer,
    Target,
    accuracy,
    scorer,
    stderr,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver

from ponder.budget import Budget
from ponder.errors import VerifierError
from ponder.evals.benchmark import (
    UNREADABLE,
    Benchmark,
    Grade,
    Problem,
    Split,
    benchmark,
    benchmarks,
    problems_of,
)
from ponder.evals.record import RECORD_VERSION, Attempt, Record
from ponder.evals.verifiers import named_verifier
from ponder.journal import Journal
from ponder.models.base import Model
from ponder.passages import Passage, Retriever
from ponder.plan import open_model
from ponder.result import Candidate, Result
from ponder.retrieval.memory import MemoryRetriever
from ponder.run import asolve
from ponder.settings import Settings, load_settings

_RESULT = "ponder:result"
_SUPPORT = "ponder:support"


@dataclass(frozen=True)
class Workbench:
    """What all runs of a study share; a task run by inspect alone has the default."""

    models: dict[str, Model] = field(default_factory=dict)
    """Opened already, by name."""
    journal: Journal | None = None
    settings: Settings | None = None
    in_flight: asyncio.Semaphore | None = None
    """Bounds the problems in flight over all tasks that run together."""
    on_done: Callable[[], None] = lambda: None
    """Told after every problem."""


WORKBENCH: ContextVar[Workbench | None] = ContextVar("workbench", default=None)


def _workbench() -> Workbench:
    return WORKBENCH.get() or Workbench()


@inspect_task(name="benchmark")
def benchmark_task(
    spec: str, limit: int | None = None, seed: int = 0, split: Split = "test"
) -> InspectTask:
    """Return a benchmark as a task.

    Args:
        spec: Such as ``calendar:people=3``.
        limit: At most so many problems.
        seed: Which problems; one in ``spec`` wins.
        split: ``tune``, ``test`` or ``sealed``.
    """
    _, problems = problems_of(spec, seed=seed, limit=limit, split=split)
    samples = [
        Sample(
            id=p.id,
            input=p.question,
            target=p.reference,
            metadata={"benchmark": spec, "problem": p.model_dump(mode="json")},
        )
        for p in problems
    ]
    return InspectTask(
        dataset=MemoryDataset(samples, name=spec),
        solver=ponder_solver(),
        scorer=graded(),
        name=spec,
    )


def _task_named(name: str) -> Callable[..., InspectTask]:
    @inspect_task(name=name)
    def made(
        limit: int | None = None,
        seed: int = 0,
        split: Split = "test",
        **settings: Any,
    ) -> InspectTask:
        given = ",".join(f"{key}={value}" for key, value in settings.items())
        return benchmark_task(f"{name}:{given}" if given else name, limit, seed, split)

    return made


NAMED_TASKS = {name: _task_named(name) for name in benchmarks()}
"""One inspect task for each benchmark: its settings are the task's arguments."""


@solver
def ponder_solver(
    strategy: str = "self_consistency",
    model: str = "local",
    verifier: str | None = None,
    budget_tokens: int | None = None,
    budget_output_tokens: int | None = None,
    budget_seconds: float | None = None,
    seed: int = 0,
) -> Solver:
    """Answer every sample by a strategy.

    Args:
        strategy: Name, or name with JSON parameters.
        model: As ``ponder ask --model``; inspect's own model is not used.
        verifier: ``judge``, ``exact``, ``random`` or none.
        budget_tokens: Limit of each run, input and output.
        budget_output_tokens: Limit of each run, output alone.
        budget_seconds: Limit of each run.
        seed: Decides all randomness, together with the epoch.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        bench = _workbench()
        made, problem = _subject(state)
        async with bench.in_flight or nullcontext():
            result = await asolve(
                state.input_text,
                strategy=strategy,
                model=_opened(bench, model),
                verifier=named_verifier(verifier, made, problem),
                retriever=await asyncio.to_thread(_corpus, state.metadata["benchmark"]),
                budget=Budget(
                    tokens=budget_tokens,
                    output_tokens=budget_output_tokens,
                    seconds=budget_seconds,
                ),
                seed=seed + 1_000_003 * (state.epoch - 1),
                examples=await asyncio.to_thread(made.demonstrations, problem),
                journal=bench.journal,
                settings=bench.settings,
            )
        # The graph is the largest part, and what it found is all that is needed of it.
        state.store.set(_RESULT, result.model_dump(mode="json", exclude={"graph"}))
        state.store.set(_SUPPORT, made.support(problem, _found(result)))
        state.output = _output(result, model)
        return state

    return solve


def _opened(bench: Workbench, name: str) -> Model:
    if name in bench.models:
        return bench.models[name]
    return open_model(name, bench.settings or load_settings())


def _output(result: Result, model: str) -> ModelOutput:
    output = ModelOutput.from_content(model, result.text or (result.answer or ""))
    output.usage = ModelUsage(
        input_tokens=result.usage.input_tokens,
        output_tokens=result.usage.output_tokens,
        total_tokens=result.usage.total_tokens,
        input_tokens_cache_read=result.usage.cached_tokens,
    )
    return output


@lru_cache(maxsize=64)
def _benchmark(spec: str) -> Benchmark:
    return benchmark(spec)[0]


@lru_cache(maxsize=8)
def _corpus(spec: str) -> Retriever | None:
    documents = _benchmark(spec).documents()
    return MemoryRetriever(documents, name=spec) if documents else None


def _subject(state: TaskState) -> tuple[Benchmark, Problem]:
    problem = Problem.model_validate(state.metadata["problem"])
    return _benchmark(state.metadata["benchmark"]), problem


@scorer(metrics=[accuracy(), stderr()])
def graded() -> Scorer:
    """Grade the answer, and every attempt behind it, by the benchmark."""

    async def score(state: TaskState, target: Target) -> Score:
        made, problem = _subject(state)
        stored = state.store.get(_RESULT)
        if stored is None:  # another solver than ponder's
            grade = await _grade(made, problem, state.output.completion)
            return _score(grade, None)
        result = Result.model_validate(stored)
        support = state.store.get(_SUPPORT)
        record = await _record(made, problem, result, state.epoch - 1, support)
        _workbench().on_done()
        return _score(record.grade, record)

    return score


def _score(grade: Grade, record: Record | None) -> Score:
    value = {True: CORRECT, False: INCORRECT, None: NOANSWER}[grade.correct]
    metadata: dict[str, Any] = {"partial": grade.score}
    if record is not None:
        metadata["record"] = record.model_dump(mode="json")
        metadata["record_version"] = RECORD_VERSION
    return Score(
        value=value,
        answer=grade.answer,
        explanation="\n".join(grade.reasons) or None,
        metadata=metadata,
    )


async def _grade(made: Benchmark, problem: Problem, text: str) -> Grade:
    if not text.strip():
        return UNREADABLE
    try:
        return await asyncio.to_thread(made.grade, problem, text)
    except VerifierError as error:
        # The grader could not do its work: that says nothing of the answer.
        return Grade(correct=None, reasons=(str(error),))


async def _record(
    made: Benchmark,
    problem: Problem,
    result: Result,
    epoch: int,
    support: float | None,
) -> Record:
    texts = {c.text for c in result.candidates} | {result.text}
    grades = {text: await _grade(made, problem, text) for text in sorted(texts)}
    return Record(
        problem=problem.id,
        epoch=epoch,
        grade=grades[result.text],
        attempts=tuple(_attempt(c, grades[c.text]) for c in result.candidates),
        usage=result.usage,
        roles=result.roles,
        critical_tokens=result.critical_tokens,
        support=support,
        confidence=result.confidence,
        stop_reason=result.stop_reason.value,
        substitutes=tuple(f"{s.missing}: {s.used}" for s in result.substitutes),
        run_id=result.run_id,
    )


def _found(result: Result) -> list[Passage]:
    """Return all passages that the run has read, from its thought graph."""
    return [
        Passage.model_validate(passage)
        for node in result.graph.get("nodes", ())
        if node["kind"] == "evidence"
        for passage in node["data"].get("passages", ())
    ]


def _attempt(candidate: Candidate, grade: Grade) -> Attempt:
    verdict = candidate.verdict
    return Attempt(
        answer=candidate.answer,
        correct=grade.correct,
        score=verdict.score if verdict else None,
        passed=verdict.passed if verdict else None,
        output_tokens=candidate.output_tokens,
        truncated=candidate.truncated,
        failed=candidate.error is not None,
        rescued=candidate.id.rpartition("/")[2] == "rescue",
    )
