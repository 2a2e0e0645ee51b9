"""Kill runs with SIGKILL in the middle of a call, resume them, compare.

Run as a program: ``killed_runs.py FOLDER TRIALS``. Prints one JSON line for each
trial. It forks, so that Python and ponder are imported once.
"""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from ponder import Journal, Result, SimulatedModel, aresume, asolve, strategy
from ponder.messages import Completion, OnDelta, Request

QUESTION = "What is 17 + 25?"
PLANS = [
    strategy("self_consistency", {"n": 12, "batch": 4, "criterion": "none"}),
    strategy("best_of_n", {"n": 8}),
    strategy("repeated_sampling", {"k": 12, "batch": 4}),
]


class Mortal(SimulatedModel):
    """Writes down every call that was paid, and kills its process at one of them."""

    def __init__(self, paid: Path, dies_at: int | None) -> None:
        super().__init__(accuracy=0.4, seed=2, latency=0.0)
        self.paid, self.dies_at, self.made = paid, dies_at, 0

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        # Some calls take longer than others, so a kill finds others half-way.
        await asyncio.sleep(random.Random(request.seed).random() * 0.02)
        self.made += 1
        if self.made == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        with self.paid.open("a") as file:
            file.write(f"{request.seed}\n")
        return await super().generate(
            request, on_delta=on_delta, max_seconds=max_seconds
        )


def forked(action: Coroutine[Any, Any, Result]) -> int:
    """Run in a child process; return its exit status."""
    pid = os.fork()
    if pid == 0:
        asyncio.run(action)
        os._exit(0)
    action.close()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def essence(journal: Journal, run_id: str) -> dict[str, object]:
    result = dict(journal.run(run_id).result or {})
    for volatile in ("run_id", "usage", "roles"):
        result.pop(volatile, None)
    return result


def trial(folder: Path, number: int) -> dict[str, object]:
    rng = random.Random(number)
    plan = PLANS[number % len(PLANS)]
    whole, again = (folder / f"{number}-{name}" for name in ("w", "a"))
    place = folder / f"{number}.sqlite"

    def run(model: Mortal) -> int:
        journal = Journal(place)
        return forked(asolve(QUESTION, strategy=plan, model=model, journal=journal))

    run(Mortal(whole, None))
    dies_at = rng.randint(1, len(lines(whole)))
    status = run(Mortal(folder / f"{number}-c", dies_at))
    while status == 0 and dies_at > 1:
        # A strategy that stops early made fewer calls this time: die sooner.
        dies_at -= 1
        status = run(Mortal(folder / f"{number}-c", dies_at))
    with Journal(place) as journal:
        (killed, *_, full) = journal.runs()
        kept = len(journal.read(killed.run_id).entries)
        before = killed.status
    forked(aresume(killed.run_id, model=Mortal(again, None), journal=Journal(place)))
    with Journal(place) as journal:
        stored = {e.path for e in journal.read(killed.run_id).entries}
        same = essence(journal, killed.run_id) == essence(journal, full.run_id)
        spent = journal.read(killed.run_id).spent.calls
    return {
        "early": plan.name == "repeated_sampling",
        "killed": status == -signal.SIGKILL,
        "status": before,
        "same": same,
        "kept": kept,
        "paid_again": len(lines(again)),
        "whole": len(lines(whole)),
        "most": 24,
        "stored": len(stored),
        "spent": spent,
    }


if __name__ == "__main__":
    for number in range(int(sys.argv[2])):
        sys.stdout.write(json.dumps(trial(Path(sys.argv[1]), number)) + "\n")
        sys.stdout.flush()
