"""The role that checks a solution against the constraints of its problem."""

import asyncio
import hashlib
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ponder.agents._scores import HIGHEST, LOWEST, normalised, scored
from ponder.agents._structured import ask
from ponder.agents.constraints import ConstraintExtractor, extract, extracted
from ponder.context import RunContext
from ponder.errors import InvalidParameter
from ponder.messages import Completion, Sampling
from ponder.models.base import Model
from ponder.result import Candidate, Task, Verdict

VERIFY_PROMPT = """\
Check a proposed solution of a problem against the constraints that a solution has to \
satisfy.

Problem:
{question}

Constraints:
{constraints}

Proposed solution:
{solution}

Go through the constraints one by one. First give feedback, in at most three short \
sentences: whether all constraints are satisfied, or else which one is not, where, and \
what has to be changed. Then give a score, a whole number from -100 (every constraint \
is violated) to 100 (every constraint is satisfied and the solution is right). Be \
strict: a solution with any mistake is below {threshold}.

Reply in JSON: {{"feedback": "<sentences>", "score": <number>}}"""

VERIFY_REMINDER = """\
That could not be read. Reply in JSON alone, with short feedback and a score from -100 \
to 100: {"feedback": "<sentences>", "score": <number>}"""

NO_CONSTRAINTS = "(none are listed: take them from the problem)"

LONGEST = 400
"""Characters of the feedback."""


def constraint_verifier(
    *,
    constraints: Sequence[str] | None = None,
    threshold: float = 95,
    temperature: float = 0.0,
    model: Model | None = None,
    extractor: ConstraintExtractor = extract,
    max_tokens: int = 512,
    prompt: str = VERIFY_PROMPT,
) -> "ConstraintVerifier":
    """Return the verification agent of PlanGEN.

    Args:
        constraints: What is checked; by default they are extracted once for each run,
            before the first solution is verified. Where that fails, solutions are
            checked against the question alone, and the run warns of it.
        threshold: A score from here on counts as passed, -100 to 100.
        temperature: T of the agent; the paper's is 0.
        model: Who verifies; by default the model of the run.
        extractor: Who extracts constraints that are not given.
        max_tokens: Limit of the reply.
        prompt: With places for ``{question}``, ``{constraints}``, ``{solution}`` and
            ``{threshold}``.

    Raises:
        InvalidParameter: The threshold is not on the scale.
    """
    if not LOWEST <= threshold <= HIGHEST:
        raise InvalidParameter(
            f"threshold is {threshold}: give a score from {LOWEST} to {HIGHEST}."
        )
    given = None if constraints is None else tuple(constraints)
    return ConstraintVerifier(
        given, threshold, temperature, model, extractor, max_tokens, prompt
    )


@dataclass
class _Extraction:
    """What is known of the constraints of one problem in one run."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    constraints: tuple[str, ...] | None = None


@dataclass(eq=False)
class ConstraintVerifier:
    """A model that checks solutions against constraints. See ``constraint_verifier``.

    Parmar et al. 2025 (PlanGEN), https://arxiv.org/abs/2502.16111: it returns feedback
    in words and a score s from -100 to 100; from 95 on a plan is good enough. The
    score of the verdict is (s + 100) / 200.
    """

    constraints: tuple[str, ...] | None
    threshold: float
    temperature: float
    model: Model | None
    extractor: ConstraintExtractor
    max_tokens: int
    prompt: str
    name: str = field(init=False)
    journaled: ClassVar[bool] = True
    asks_model: ClassVar[bool] = True
    runs: dict[tuple[int, str], _Extraction] = field(default_factory=dict, repr=False)
    """Constraints by run and question, for as long as the run goes on."""

    def __post_init__(self) -> None:
        """Name the model where it is not the run's own."""
        self.name = "constraints" + (f":{self.model.name}" if self.model else "")

    async def verify(
        self, task: Task, candidate: Candidate, context: RunContext
    ) -> Verdict:
        """Check one candidate; ``score`` is ``None`` if two replies were unreadable.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        constraints = await self._constraints(task, context)
        verdict = await ask(
            task,
            self.prompt.format(
                question=task.question,
                constraints=listed(constraints),
                solution=candidate.text,
                threshold=f"{self.threshold:g}",
            ),
            self._read,
            context.acting("verifier"),
            reminder=VERIFY_REMINDER,
            max_tokens=self.max_tokens,
            schema=_SCHEMA,
            sampling=Sampling(temperature=self.temperature),
            model=self.model,
        )
        return verdict or Verdict(feedback="The verifier's replies were unreadable.")

    def _read(self, completion: Completion) -> Verdict | None:
        read = scored(completion.text, cut=completion.finish_reason != "stop")
        if read is None:
            return None
        feedback, score = read
        return Verdict(
            score=normalised(score), passed=score >= self.threshold, feedback=feedback
        )

    async def _constraints(self, task: Task, context: RunContext) -> tuple[str, ...]:
        if self.constraints is not None:
            return self.constraints
        extraction = self._extraction(task, context)
        async with extraction.lock:
            if extraction.constraints is None:
                # Once for all, also if in vain: who came first makes no difference.
                place = _place(task, context)
                extraction.constraints = await extracted(self.extractor, task, place)
            return extraction.constraints

    def _extraction(self, task: Task, context: RunContext) -> _Extraction:
        key = id(context.shared), task.question
        if key not in self.runs:
            self.runs[key] = _Extraction()
            weakref.finalize(context.shared, self.runs.pop, key, None)
        return self.runs[key]


def _place(task: Task, context: RunContext) -> RunContext:
    """Return a place that does not depend on which candidate is verified first.

    It is taken where an extraction was cancelled before, and where the run has another
    verifier that extracts.
    """
    digest = hashlib.blake2b(task.question.encode(), digest_size=4).hexdigest()
    first = place = replace(context, path=("constraints", digest))
    tries = 0
    while place.id in context.shared.paths:
        tries += 1
        place = first.at("try", tries)
    return place


def listed(constraints: Sequence[str]) -> str:
    """Return constraints as numbered lines, for a prompt."""
    lines = (f"{i}. {text}" for i, text in enumerate(constraints, 1))
    return "\n".join(lines) or NO_CONSTRAINTS


_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        # In this order: a score that comes after its reasons can follow from them.
        "feedback": {"type": "string", "maxLength": LONGEST},
        "score": {"type": "integer", "minimum": LOWEST, "maximum": HIGHEST},
    },
    "required": ["feedback", "score"],
    "additionalProperties": False,
}
