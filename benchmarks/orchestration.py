"""What ponder adds to the time of the calls that it makes.

A simulated remote model answers every call after 200 ms, so all calls of a fan-out
could end after 200 ms: the critical path. Whatever a run takes beyond it is overhead.
Run it from the root of the repository::

    python -m benchmarks.orchestration
"""

import argparse
import asyncio
import operator
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send
from pydantic import Field

from benchmarks._report import Recorder, StaleFile, judged, number, table
from ponder import Budget, Candidate, Journal, SimulatedModel, Strategy, Task, asolve
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.events import Event
from ponder.graphs.base import Graph, State
from ponder.messages import Completion, Request, user
from ponder.result import Outcome

LATENCY = 0.2
"""Seconds of one call."""
QUESTION = "What is six times seven?"
MEMORY = ":memory:"
LIMITS = Budget(calls=100_000, tokens=100_000_000, seconds=600)
"""Never met, but every call is reserved and settled against it."""


class FanOut(Strategy):
    """Calls side by side and nothing else: what one call costs."""

    name: ClassVar[str] = "benchmark_fan_out"
    source: ClassVar[str] = "docs/benchmarks.md"

    n: int = Field(default=1000, ge=1)
    """Calls."""

    def build(self) -> Graph:
        """START -> call -> END."""

        async def call(state: State, runtime: Runtime[RunContext]) -> State:
            context = runtime.context
            texts = await settle(
                [
                    context.at("call", i).generate(request(state["task"].question, i))
                    for i in range(self.n)
                ]
            )
            return {"outcome": Outcome(answer=str(answered(texts)))}

        graph = StateGraph(State, context_schema=RunContext)
        graph.add_node("call", call)
        graph.add_edge(START, "call")
        graph.add_edge("call", END)
        return graph


def request(question: str, i: int) -> Request:
    """Return the request of one branch."""
    return Request(messages=(user(question),), max_tokens=64, seed=i)


def answered(outcomes: Sequence[list[Completion] | Exception]) -> int:
    """Return how many calls gave a text; raise the first failure."""
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return len(outcomes)


def remote() -> SimulatedModel:
    """Return the model; a new one each time, so that nothing is remembered."""
    return SimulatedModel(latency=LATENCY)


def passes(task: Task, candidate: Candidate) -> bool:
    """Accept every candidate that has an answer (a verifier that costs nothing)."""
    return candidate.answer is not None


# Contestants.


async def with_ponder(
    strategy: str | Strategy, calls: int, journal: Path | str, verified: bool
) -> dict[str, Any]:
    """Run a strategy once, with a ledger, events and a journal."""
    events: list[Event] = []
    with Journal(journal) as opened:
        start = time.perf_counter()
        result = await asolve(
            QUESTION,
            strategy=strategy,
            parameters={"n": calls} if isinstance(strategy, str) else None,
            model=remote(),
            verifier=passes if verified else None,
            budget=LIMITS,
            journal=opened,
            on_event=events.append,
        )
        seconds = time.perf_counter() - start
    _check(result.usage.calls, calls)
    return {"seconds": seconds, "calls": calls, "events": len(events)}


async def with_asyncio(calls: int, *, streamed: bool = False) -> dict[str, Any]:
    """Make the same calls with a semaphore and nothing else.

    With ``streamed`` the model hands over every word, as it does for ponder's events:
    what that costs is the model's doing.
    """
    words: list[str] = []

    def on_delta(index: int, text: str, tokens: int) -> None:
        words.append(text)

    model, slots = remote(), asyncio.Semaphore(calls)

    async def one(i: int) -> list[Completion]:
        async with slots:
            asked = request(QUESTION, i)
            return await model.generate(asked, on_delta=on_delta if streamed else None)

    start = time.perf_counter()
    outcomes = await settle([one(i) for i in range(calls)])
    seconds = time.perf_counter() - start
    _check(answered(outcomes), calls)
    return {"seconds": seconds, "calls": calls}


class Fan(TypedDict):
    """The state of the LangGraph peer."""

    texts: Annotated[list[str], operator.add]


class Branch(TypedDict):
    """What one ``Send`` carries."""

    index: int


async def with_langgraph(calls: int) -> dict[str, Any]:
    """Make the same calls, one ``Send`` for each, without a checkpointer."""
    model = remote()

    async def one(state: Branch) -> dict[str, list[str]]:
        (completion,) = await model.generate(request(QUESTION, state["index"]))
        return {"texts": [completion.text]}

    def spread(state: Fan) -> list[Send]:
        return [Send("one", Branch(index=i)) for i in range(calls)]

    graph = StateGraph(Fan)
    graph.add_node("one", one, input_schema=Branch)
    graph.add_conditional_edges(START, spread, ["one"])
    graph.add_edge("one", END)
    compiled = graph.compile()
    start = time.perf_counter()
    state = await compiled.ainvoke(Fan(texts=[]))
    seconds = time.perf_counter() - start
    _check(len(state["texts"]), calls)
    return {"seconds": seconds, "calls": calls}


def _check(made: int, wanted: int) -> None:
    if made != wanted:
        raise RuntimeError(f"{made} calls were made instead of {wanted}.")


# Cases.


@dataclass(frozen=True)
class Contestant:
    """One way to make the calls of a case."""

    name: str
    run: Callable[[Path | str], Awaitable[dict[str, Any]]]
    """Takes the journal to use."""
    on_disk: bool = False
    at_most: float | None = None
    """Target, in the unit of the case."""


@dataclass(frozen=True)
class Case:
    """Contestants that make the same calls."""

    name: str
    contestants: tuple[Contestant, ...]
    measure: str
    """``overhead_ms`` of each call, or ``times_critical``."""


def fan_out(calls: int) -> Case:
    """Return the case of a fan-out of bare calls."""
    ours = partial(with_ponder, FanOut(n=calls), calls, verified=False)
    return Case(
        f"fan-out-{calls}",
        (
            Contestant("ponder, journal off", lambda j: ours(j), at_most=1.0),
            Contestant("ponder, journal on", lambda j: ours(j), True, at_most=2.0),
            Contestant("asyncio", lambda j: with_asyncio(calls)),
            Contestant(
                "asyncio, streamed", lambda j: with_asyncio(calls, streamed=True)
            ),
            Contestant("langgraph Send", lambda j: with_langgraph(calls)),
        ),
        "overhead_ms",
    )


def best_of(calls: int, measure: str, limit: float | None) -> Case:
    """Return the case of a whole strategy: draw, extract answers, verify, select."""
    ours = partial(with_ponder, "best_of_n", calls, verified=True)
    return Case(
        f"best-of-{calls}",
        (
            Contestant("ponder, journal off", lambda j: ours(j), at_most=limit),
            Contestant("ponder, journal on", lambda j: ours(j), True, at_most=limit),
            Contestant("asyncio", lambda j: with_asyncio(calls)),
            Contestant(
                "asyncio, streamed", lambda j: with_asyncio(calls, streamed=True)
            ),
        ),
        measure,
    )


def cases(calls: int) -> list[Case]:
    """Return all cases."""
    return [
        best_of(64, "times_critical", 1.15),
        fan_out(calls),
        best_of(calls, "overhead_ms", None),
    ]


@asynccontextmanager
async def _journal(on_disk: bool) -> AsyncIterator[Path | str]:
    if not on_disk:
        yield MEMORY
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "journal.sqlite"


async def measure(contestant: Contestant) -> dict[str, Any]:
    """Run a contestant once."""
    async with _journal(contestant.on_disk) as journal:
        sample = await contestant.run(journal)
    over = sample["seconds"] - LATENCY
    sample["overhead_ms"] = 1000 * over / sample["calls"]
    sample["times_critical"] = sample["seconds"] / LATENCY
    return sample


def run(recorder: Recorder, rounds: int, wanted: Sequence[Case]) -> None:
    """Measure what is not in the file yet, contestants taking turns."""
    for case in wanted:
        for contestant in case.contestants:
            # Imports, caches and the first compilation of a graph are not the point.
            asyncio.run(measure(contestant))
        for round_ in range(rounds):
            for contestant in case.contestants:
                if not recorder.has(case.name, round_, contestant.name):
                    sample = asyncio.run(measure(contestant))
                    recorder.add(case.name, round_, contestant.name, sample)
            at = f"{case.name}: round {round_ + 1} of {rounds}"
            print(at, file=sys.stderr, flush=True)


def report(recorder: Recorder, wanted: Sequence[Case]) -> tuple[str, bool]:
    """Return the table, and whether all targets are met."""
    rows, verdicts = [], []
    for case in wanted:
        for contestant in case.contestants:
            values = {
                measure: recorder.median(case.name, contestant.name, measure)
                for measure in ("seconds", "times_critical", "overhead_ms")
            }
            limit = contestant.at_most
            unit = "ms" if case.measure == "overhead_ms" else "x"
            verdict = judged(values[case.measure], at_least=None, at_most=limit)
            verdicts.append(verdict if limit else "")
            rows.append(
                [
                    f"{case.name}: {contestant.name}",
                    str(len(recorder.values(case.name, contestant.name, "seconds"))),
                    *(number(value, 3) for value in values.values()),
                    f"<= {limit} {unit}" if limit else "",
                    verdicts[-1],
                ]
            )
    head = "rounds,seconds,x critical path,ms per call,target,verdict".split(",")
    return table(["", *head], rows), not {"FAIL", "no data"} & set(verdicts)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orchestration")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=1000, help="of the wide fan-out")
    parser.add_argument("--only", action="append", metavar="CASE")
    parser.add_argument("--out", type=Path, default=Path("out/orchestration.json"))
    options = parser.parse_args(argv)
    known = cases(options.calls)
    wanted = [c for c in known if not options.only or c.name in options.only]
    if not wanted:
        names = ", ".join(case.name for case in known)
        print(f"No such case. Known: {names}", file=sys.stderr)
        return 2
    try:
        recorder = Recorder(
            options.out,
            "orchestration",
            {"latency": LATENCY, "calls": options.calls},
            packages="ponder langgraph pydantic",
            sources="ponder benchmarks",
        )
    except StaleFile as error:
        print(error, file=sys.stderr)
        return 2
    run(recorder, options.rounds, wanted)
    text, kept = report(recorder, wanted)
    recorder.save(table=text.splitlines())
    print(text)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
