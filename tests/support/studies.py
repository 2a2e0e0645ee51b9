"""Cells of studies built by hand, and of one simulated with known probabilities."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from ponder.evals.benchmark import Grade
from ponder.evals.record import Attempt, Cell, Record
from ponder.messages import Usage

TASK = "arithmetic"
MODEL = "simulated"


def attempt(answer: str | None, right: bool | None, **fields: object) -> Attempt:
    """Return an attempt of 80 output tokens, unless other fields are given."""
    given = {"output_tokens": 80, **fields}
    return Attempt.model_validate({"answer": answer, "correct": right, **given})


def record(
    problem: str,
    correct: bool | None,
    attempts: Sequence[Attempt] = (),
    *,
    prompt: int = 20,
    roles: Mapping[str, Usage] | None = None,
    **fields: object,
) -> Record:
    """Return a record whose usage is that of its attempts, ``prompt`` tokens each."""
    usage = Usage(
        calls=len(attempts),
        input_tokens=prompt * len(attempts),
        output_tokens=sum(a.output_tokens for a in attempts),
        seconds=2.0,
    )
    given: dict[str, object] = {
        "problem": problem,
        "grade": Grade(correct=correct),
        "attempts": tuple(attempts),
        "usage": usage,
        "roles": {"generator": usage} if roles is None else roles,
        "critical_tokens": max((a.output_tokens for a in attempts), default=0),
    }
    return Record.model_validate({**given, **fields})


def cell(strategy: str, records: Sequence[Record], **fields: object) -> Cell:
    """Return a cell on one task by one model."""
    given = {"task": TASK, "model": MODEL, "strategy": strategy}
    return Cell.model_validate({**given, "records": tuple(records), **fields})


def bank(samples: int = 8, problems: int = 6) -> Cell:
    """Return self-consistency whose first samples are wrong, the others right.

    Each sample takes 100 tokens. On even problems the first sample is wrong, so that
    three samples and more vote rightly; on odd ones all are wrong.
    """
    records = []
    for i in range(problems):
        right = [i % 2 == 0 and k > 0 for k in range(samples)]
        tried = [attempt("right" if r else "wrong", r) for r in right]
        records.append(record(f"p{i}", sum(right) > samples / 2, tried))
    return cell(f'self_consistency{{"n": {samples}}}', records)


def simulated_study(
    tasks: Sequence[str] = ("game24", "calendar:people=3"), problems: int = 40
) -> list[Cell]:
    """Return what strategies of known quality would leave behind, as in a real study.

    Every problem has a difficulty; a sample is right with that probability. Judges
    score right samples a little higher.
    """
    cells = []
    for task in tasks:
        cells += _Simulation(task, problems).cells()
    return cells


class _Simulation:
    def __init__(self, task: str, problems: int) -> None:
        self.task, self.rng = task, random.Random(task)
        self.chance = {
            f"{task}-{i}": self.rng.betavariate(0.9, 1.3) for i in range(problems)
        }

    def cells(self) -> list[Cell]:
        cells = [
            self.cell("direct", None, None, 1, length=20, loss=0.7),
            self.cell("chain_of_thought", None, None, 1),
        ]
        for n, limit in ((3, 1000), (7, 2000), (15, 4000), (30, None)):
            spec = f'self_consistency{{"n": {n}}}'
            cells.append(self.cell(spec, None, limit, n))
        cells.append(self.cell('rpc{"n": 7}', None, 2000, 7))
        for verifier in ("judge", "exact", "random"):
            for n, limit in ((3, 1000), (7, 2000), (14, 4000)):
                cells.append(self.cell(f'best_of_n{{"n": {n}}}', verifier, limit, n))
        return cells

    def cell(
        self,
        strategy: str,
        verifier: str | None,
        limit: int | None,
        n: int,
        *,
        length: int = 130,
        loss: float = 1.0,
    ) -> Cell:
        records = [
            self.record(problem, verifier, n, length, loss * chance)
            for problem, chance in self.chance.items()
        ]
        given = {"task": self.task, "verifier": verifier, "budget_tokens": limit}
        return cell(strategy, records, **given)

    def record(
        self, problem: str, verifier: str | None, n: int, length: int, chance: float
    ) -> Record:
        tried = [self.attempt(verifier, length, chance) for _ in range(n)]
        chosen = self.choose(verifier, tried)
        generator = Usage(
            calls=n,
            input_tokens=60 * n,
            cached_tokens=60 * (n - 1),
            output_tokens=sum(a.output_tokens for a in tried),
        )
        roles = {"generator": generator}
        if verifier == "judge":
            roles["verifier"] = Usage(calls=n, input_tokens=190 * n, output_tokens=n)
        total = sum(roles.values(), Usage()).model_copy(update={"seconds": n * 0.8})
        stops = ["finished"] * 4 + (["tokens"] if n > 6 else [])
        fields: dict[str, Any] = {
            "usage": total,
            "stop_reason": self.rng.choice(stops),
            "substitutes": ("votes for probabilities",) if n == 7 else (),
        }
        if self.rng.random() < 0.01:
            fields["error"] = "The model did not answer."
            chosen, tried = None, []
        right = None if chosen is None else chosen.correct
        return record(problem, right, tried, roles=roles, **fields)

    def attempt(self, verifier: str | None, length: int, chance: float) -> Attempt:
        tokens = max(5, round(self.rng.gauss(length, length / 5)))
        cut = self.rng.random() < 0.04
        if cut:
            return attempt(None, None, output_tokens=2 * length, truncated=True)
        right = self.rng.random() < chance
        answer = "72" if right else str(self.rng.randrange(10, 16))
        score = {
            None: None,
            "exact": float(right),
            "random": self.rng.random(),
            "judge": min(max(self.rng.gauss(0.6 + 0.2 * right, 0.2), 0), 1),
        }[verifier]
        passed = None if score is None or verifier == "random" else score > 0.5
        return attempt(answer, right, score=score, passed=passed, output_tokens=tokens)

    def choose(self, verifier: str | None, tried: Sequence[Attempt]) -> Attempt | None:
        readable = [a for a in tried if a.answer is not None]
        if verifier is not None:
            return max(readable, key=lambda a: a.score or 0.0, default=None)
        answers = [a.answer for a in readable]
        return max(readable, key=lambda a: answers.count(a.answer), default=None)
