"""The port of a benchmark: problems in, grades out. No model is known here.

A benchmark is a frozen pydantic model whose fields are its settings, registered by
name; adding one touches its own file in ``ponder/evals/tasks`` and its test only.
"""

import hashlib
import random
from abc import ABC, abstractmethod
from collections.abc import Container, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from ponder.errors import InvalidInput, InvalidParameter
from ponder.messages import Message, Value, assistant, user
from ponder.passages import Passage
from ponder.registry import Registry

Split = Literal["tune", "test", "sealed"]
"""``tune`` for choosing prompts and temperatures, ``test`` for reporting, ``sealed``
for the very end: its reads are counted."""

SPLITS: dict[Split, range] = {
    "tune": range(20),
    "test": range(20, 70),
    "sealed": range(70, 100),
}
"""Percent of the problems of a file in each split."""


EXAMPLES_SEED = 1_000_003
"""Of the worked examples; no study is likely to choose it for its own problems."""
TRIES = 500
"""Draws for one problem until its question belongs to the split."""


class Problem(Value):
    """One problem, with what its grader needs."""

    id: str
    question: str
    """The whole text that a model is asked, the format of the answer included."""
    reference: str
    """A right answer in that format; of generated problems, proved by a solver."""
    data: dict[str, Any] = Field(default_factory=dict)
    """JSON data for the grader."""
    worked: str = ""
    """A right solution in steps that empty lines separate; empty if none is known."""


class Grade(Value):
    """What a grader says of a reply."""

    correct: bool | None
    """``None`` if no answer could be read from the reply: it is not a wrong answer."""
    answer: str | None = None
    """The answer that was read."""
    reasons: tuple[str, ...] = ()
    """What is wrong, one line for each broken constraint."""
    score: float | None = Field(default=None, ge=0, le=1)
    """Partial credit where the benchmark defines one (F1, share of right steps)."""


UNREADABLE = Grade(correct=None, reasons=("No answer could be read.",))


class Benchmark(BaseModel, ABC):
    """A family of problems with a checker."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    name: ClassVar[str]
    source: ClassVar[str]
    """Where the benchmark is published, or where its idea comes from."""

    shots: int = Field(default=0, ge=0, le=32)
    """Worked examples that stand before every question, as earlier turns."""

    @abstractmethod
    def problems(
        self, *, seed: int = 0, limit: int | None = None, split: Split = "test"
    ) -> list[Problem]:
        """Return problems, the same ones for the same arguments.

        Args:
            seed: Decides which problems, and their order.
            limit: At most so many; ``None`` is all that there are, or the default
                number of a generator.
            split: Problems of different splits never coincide.

        Raises:
            InvalidInput: A file is missing, damaged or of another layout.
            InvalidParameter: No problem can be made with these settings.
        """

    @abstractmethod
    def grade(self, problem: Problem, text: str) -> Grade:
        """Grade a reply; the answer is read from the whole text.

        May take seconds (programs are run); callers call it from a thread.
        """

    def progress(self, problem: Problem, text: str) -> float | None:
        """Return how far an unfinished solution has come, 0 to below 1.

        0 is for one that holds a mistake, or leads nowhere. ``None``, the default,
        where that cannot be told.
        """
        return None

    def documents(self) -> list[Passage]:
        """Return the corpus that strategies may search; by default there is none."""
        return []

    def support(self, problem: Problem, found: Sequence[Passage]) -> float | None:
        """Return the share of the passages needed that were found, 0 to 1.

        ``None``, the default, where it is not known which are needed.
        """
        return None

    def demonstrations(self, problem: Problem) -> tuple[Message, ...]:
        """Return worked examples of the tune split, as turns before a question.

        They are the same for every problem, but for one that is itself an example.

        Raises:
            InvalidParameter: ``shots`` asks for more than there are.
        """
        if not self.shots:
            return ()
        found = self.problems(seed=EXAMPLES_SEED, limit=self.shots + 1, split="tune")
        shown = [p for p in found if p.worked and p.question != problem.question]
        if len(shown) < self.shots:
            raise InvalidParameter(
                f"{self.name} has {len(shown)} worked examples, not shots={self.shots}"
                ": leave shots out, or choose fewer."
            )
        turns = [(user(p.question), assistant(p.worked)) for p in shown[: self.shots]]
        return tuple(message for turn in turns for message in turn)


class Generated(Benchmark):
    """A benchmark whose problems are made from a seed."""

    default_limit: ClassVar[int] = 50

    @abstractmethod
    def make(self, rng: random.Random, id: str) -> Problem:
        """Return one problem, proved to have a solution.

        Raises:
            InvalidParameter: The settings admit none.
        """

    def problems(
        self, *, seed: int = 0, limit: int | None = None, split: Split = "test"
    ) -> list[Problem]:
        """Make problems, all different; more of them begin with the same ones."""
        _check_limit(limit)
        count = self.default_limit if limit is None else limit
        found: dict[str, Problem] = {}
        for index in range(count):
            problem = self._nth(seed, split, index, found)
            found[problem.question] = problem
        return list(found.values())

    def _nth(
        self, seed: int, split: Split, index: int, known: Container[str]
    ) -> Problem:
        """Draw until the text of the question is new, and belongs to the split.

        With other seeds alone, two splits of a small family would coincide by chance.
        """
        settings = self.model_dump_json(exclude={"shots"})
        place = f"{self.name}:{settings}:{split}:{seed}:{index}"
        for attempt in range(TRIES):
            rng = random.Random(f"{place}:{attempt}")
            found = self.make(rng, f"{self.name}-{split}-{seed}-{index}")
            if found.question in known:
                continue
            if _percentile(found.question) in SPLITS[split]:
                return found
        raise InvalidParameter(
            f"Of {TRIES} problems made with the settings {self!r}, none is another one "
            f"than the {index} before it and belongs to the split '{split}': ask for "
            "fewer, or choose settings that allow more different problems."
        )


class Listed(Benchmark):
    """A benchmark whose problems exist already, in a file for example."""

    @abstractmethod
    def every(self) -> Sequence[Problem]:
        """Return all problems, whatever the split."""

    def problems(
        self, *, seed: int = 0, limit: int | None = None, split: Split = "test"
    ) -> list[Problem]:
        """Return the problems of a split in an order that the seed decides."""
        _check_limit(limit)
        found = list(self.every())
        _check_ids(self.name, found)
        chosen = [p for p in found if _percentile(p.id) in SPLITS[split]]
        random.Random(f"{self.name}:{seed}").shuffle(chosen)
        return chosen[:limit]


def _percentile(text: str) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return int.from_bytes(digest) % 100


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise InvalidParameter(f"The limit is {limit}: ask for 1 problem or more.")


def _check_ids(name: str, problems: Sequence[Problem]) -> None:
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise InvalidInput(
                f"Benchmark '{name}' has two problems with the id '{problem.id}'. "
                "Make the ids of its file unique."
            )
        seen.add(problem.id)


_REGISTRY: Registry[Benchmark] = Registry("benchmark", "ponder.evals.tasks")

register = _REGISTRY.register
"""Class decorator: make a benchmark known by its name."""


def benchmarks() -> dict[str, type[Benchmark]]:
    """Return all known benchmarks, by name.

    Modules of ``ponder.evals.tasks`` register themselves; other packages ship more
    through the entry-point group ``ponder.benchmarks``.
    """
    return _REGISTRY.classes()


def benchmark(spec: str) -> tuple[Benchmark, int | None]:
    """Return a benchmark from text such as ``calendar:seed=7,people=3``.

    Args:
        spec: A name, with settings after a colon; ``seed`` is not a setting of the
            benchmark but says which problems.

    Returns:
        The benchmark, and the seed if one was given.

    Raises:
        UnknownName: There is no such benchmark.
        InvalidParameter: A setting is unknown, outside its range, or no ``key=value``.
    """
    name, _, rest = spec.partition(":")
    settings: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidParameter(
                f"'{part}' in '{spec}' is no setting: write {name}:key=value,key=value."
            )
        settings[key.strip()] = value.strip()
    seed = settings.pop("seed", None)
    if seed is not None and not seed.lstrip("-").isdigit():
        raise InvalidParameter(f"seed={seed} in '{spec}' is no whole number.")
    made = _REGISTRY.make(name.strip(), settings)
    return made, None if seed is None else int(seed)


def problems_of(
    spec: str, *, seed: int = 0, limit: int | None = None, split: Split = "test"
) -> tuple[Benchmark, list[Problem]]:
    """Return a benchmark and its problems; a seed in the spec wins.

    Args:
        spec: See ``benchmark``.
        seed: See ``Benchmark.problems``, as for the rest.
        limit: At most so many.
        split: Which part.
    """
    made, own_seed = benchmark(spec)
    seed = seed if own_seed is None else own_seed
    return made, made.problems(seed=seed, limit=limit, split=split)
