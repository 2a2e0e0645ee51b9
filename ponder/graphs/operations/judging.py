"""Operations that judge thoughts: score, keep the best, keep the valid, validate."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ponder.agents.answers import Equality, group
from ponder.agents.verifier import Check, verified, verifier
from ponder.concurrency import settle
from ponder.context import RunContext, Verifier
from ponder.errors import InvalidParameter
from ponder.graphs.operations.vertex import Thoughts, Vertex
from ponder.graphs.operations.writing import Improve
from ponder.result import StopReason


@dataclass(frozen=True, eq=False)
class Score:
    """Give every thought a score from 0 to 1: E(v, G, p), the paper's evaluator.

    The score of a thought that cannot be judged is ``None``, never 0.
    """

    by: Verifier | Check | str | None = None
    """A verifier, a function ``(task, candidate) -> bool, score, Verdict or None``, or
    ``"judge"``; by default the verifier of the run, or the model as a judge, which
    leave thoughts alone that have a verdict."""

    kind: ClassVar[str] = "score"

    async def __call__(self, thoughts: Thoughts, context: RunContext) -> Thoughts:
        """Return the same thoughts with verdicts."""
        if self.by is not None:
            context = replace(context, verifier=verifier(self.by))
        outcomes = await settle(
            [self._scored(v, context.at(i)) for i, v in enumerate(thoughts.items)]
        )
        items: list[Vertex] = []
        stop = thoughts.stop_reason
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
            vertex, refused = outcome
            items.append(vertex)
            stop = stop or refused
        return thoughts.model_copy(update={"items": tuple(items), "stop_reason": stop})

    async def _scored(
        self, vertex: Vertex, context: RunContext
    ) -> tuple[Vertex, StopReason | None]:
        known = self.by is None and vertex.candidate.verdict is not None
        if known or not vertex.text.strip():
            return vertex, None
        # A thought without a score is worth little: it may use what is kept back.
        place = context.wrap_up()
        candidate, stop = await verified(vertex.task, vertex.candidate, place)
        if candidate.verdict is not None:
            context.keep(candidate, ())
        return vertex.model_copy(update={"candidate": candidate}), stop


@dataclass(frozen=True, eq=False)
class KeepBest:
    """Keep the n thoughts of the highest score: R(G, p, h), the paper's ranking.

    Equal scores keep their order. Thoughts without a score take no part; if none has
    one, those whose answer is given most often are kept, and the result says so.
    """

    n: int = 1
    """h, how many are kept."""
    equality: Equality = "math"
    """How answers are compared where there are no scores."""

    kind: ClassVar[str] = "keep_best"

    def __post_init__(self) -> None:
        """Refuse to keep nothing."""
        if self.n < 1:
            raise InvalidParameter(f"n is {self.n}: keep 1 thought or more.")

    async def __call__(self, thoughts: Thoughts, context: RunContext) -> Thoughts:
        """Return those that are kept, the best first."""
        items = list(thoughts.items)
        scored = [v for v in items if v.score is not None]
        if scored:
            return thoughts.but(sorted(scored, key=lambda v: -(v.score or 0))[: self.n])
        if len(items) > self.n:
            context.substitute("verifier scores", "majority vote")
            items = _most_agreed(items, self.equality)[: self.n]
        return thoughts.but(items)


@dataclass(frozen=True, eq=False)
class KeepValid:
    """Keep the thoughts that no verdict has refused.

    Those that were never validated stay, as in the authors' program, with a warning.
    """

    kind: ClassVar[str] = "keep_valid"

    async def __call__(self, thoughts: Thoughts, context: RunContext) -> Thoughts:
        """Return those that are kept, in their order."""
        if any(_passed(v) is None for v in thoughts.items):
            context.warn("Thoughts that were not validated are kept as valid.")
        return thoughts.but(v for v in thoughts.items if _passed(v) is not False)


@dataclass(frozen=True, eq=False)
class ValidateAndImprove:
    """Validate every thought, and improve those that fail, until they pass."""

    by: Verifier | Check | str | None = None
    """Who validates; see ``Score``."""
    tries: int = 3
    """Most improvements of a thought; 3 is the default of the authors' program."""
    improve: Improve = field(default_factory=Improve)
    """How a thought is improved."""

    kind: ClassVar[str] = "validate_and_improve"

    def __post_init__(self) -> None:
        """Refuse fewer tries than none."""
        if self.tries < 0:
            raise InvalidParameter(f"tries is {self.tries}: give 0 or more.")

    async def __call__(self, thoughts: Thoughts, context: RunContext) -> Thoughts:
        """Return the last version of each thought, with its verdict."""
        score = Score(self.by)
        now = await score(thoughts, context.at("validate", 0))
        for tried in range(self.tries):
            failing = [v for v in now.items if _passed(v) is False]
            if not failing:
                break
            place = context.at("improve", tried)
            better = await self.improve(now.but(failing), place)
            new = dict(zip((v.id for v in failing), better.items, strict=True))
            items = [new.get(v.id, v) for v in now.items]
            place = context.at("validate", tried + 1)
            now = await score(better.but(items), place)
        return now


def _passed(vertex: Vertex) -> bool | None:
    return vertex.candidate.verdict.passed if vertex.candidate.verdict else None


def _most_agreed(items: Sequence[Vertex], equality: Equality) -> list[Vertex]:
    """Return the thoughts by the size of the group of their answer, largest first."""
    sizes: dict[int, int] = {}
    for found in group([v.answer for v in items], equality):
        sizes |= dict.fromkeys(found.indices, len(found.indices))
    order = sorted(range(len(items)), key=lambda i: -sizes.get(i, 0))
    return [items[i] for i in order]
