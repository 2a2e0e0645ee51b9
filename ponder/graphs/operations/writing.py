"""Operations that write thoughts: generate, aggregate, improve."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter
from typing import ClassVar

from ponder.agents.answers import extract
from ponder.agents.solver import STEP_BY_STEP
from ponder.agents.synthesizer import SYNTHESIS_PROMPT
from ponder.agents.thinker import Read, thinker
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import InvalidParameter, ModelError, OutOfBudget
from ponder.graphs.operations.vertex import Part, Thoughts, Vertex
from ponder.messages import Sampling
from ponder.result import Candidate, StopReason, Task

GENERATE_PROMPT = "{question}"

IMPROVE_PROMPT = """\
Improve a solution.

Question:
{question}

Solution so far:
{solution}
{feedback}
Check each step of it, keep what is right and put right what is not. Write the whole \
solution anew, and finish with one line that gives only the final answer, in the form \
\\boxed{{answer}}."""

FEEDBACK = """
What was said of it: {said}
"""

PARTS_PROMPT = """\
A question was split into parts, and each part was solved.

Question:
{question}

{solutions}

Put the results together, and write the solution of the whole question. Finish with \
one line that gives only the final answer, in the form \\boxed{{answer}}."""

PLACES = ("question", "solution", "answer", "feedback", "solutions", "answers")
"""What a prompt may have places for."""


@dataclass(frozen=True)
class Job:
    """A thought to be written."""

    task: Task
    prompt: str
    parents: tuple[str, ...]
    part: Part | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Writing:
    """What operations that write have in common."""

    prompt: str = GENERATE_PROMPT
    """With places, in braces, for any of ``question``, ``solution``, ``answer`` and
    ``feedback`` of the thought, and ``solutions`` and ``answers`` of all thoughts."""
    instructions: str = ""
    """System prompt."""
    temperature: float = 1.0
    """T; 1.0 as in the authors' configuration."""
    max_tokens: int = 1024
    """Limit of each thought."""
    read: Read = extract
    """Reads the answer out of a thought; by default what is marked as one."""

    kind: ClassVar[str] = "write"
    role: ClassVar[str] = "generator"

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            InvalidParameter: The prompt has a place that nothing can fill, or k is
                below 1.
        """
        _check(self.prompt)
        if getattr(self, "k", 1) < 1:
            raise InvalidParameter(f"k of '{self.kind}' is below 1: write 1 or more.")

    async def write(
        self, jobs: Sequence[Job], context: RunContext
    ) -> tuple[list[Vertex | None], Thoughts]:
        """Write thoughts side by side, and put them into the graph of the run.

        Args:
            jobs: One for each thought.
            context: The place of the operation.

        Returns:
            The thought of each job, ``None`` where the call was refused or failed;
            and, without thoughts, why that was.
        """
        think = thinker(
            instructions=self.instructions,
            sampling=Sampling(temperature=self.temperature),
            max_tokens=self.max_tokens,
            read=self.read,
        )
        acting = context.acting(self.role)
        with acting.branches("thought", range(len(jobs))) as places:
            pairs = list(zip(jobs, places, strict=True))
            outcomes = await settle([think(j.task, j.prompt, p) for j, p in pairs])
        written: list[Vertex | None] = []
        notes = Thoughts()
        for (job, place), outcome in zip(pairs, outcomes, strict=True):
            if isinstance(outcome, Candidate):
                context.keep(outcome, job.parents)
                vertex = Vertex(task=job.task, candidate=outcome, part=job.part)
                written.append(vertex)
            else:
                notes = _noted(notes, outcome, place, job.parents)
                written.append(None)
        return written, notes


@dataclass(frozen=True, eq=False, kw_only=True)
class Generate(Writing):
    """Write k new thoughts from each thought (generation).

    Besta et al. 2023, section 3.2: V+ = {v1 ... vk}, E+ = {(v, v1) ... (v, vk)}. Where
    nobody has worked on the problem yet, a new thought is a solution of it.
    """

    k: int = 1
    """k, new thoughts from each."""
    instructions: str = STEP_BY_STEP
    """System prompt."""

    kind: ClassVar[str] = "generate"

    async def __call__(self, thoughts: Thoughts, context: RunContext) -> Thoughts:
        """Return the new thoughts; the old ones if there are none."""
        jobs = [
            Job(v.task, filled(self.prompt, [v]), (v.id,), v.part)
            for v in thoughts.items
            for _ in range(self.k)
        ]
        written, notes = await self.write(jobs, context)
        return _followed(thoughts, [v for v in written if v is not None], notes)


@dataclass(frozen=True, eq=False, kw_only=True)
class Aggregate(Writing):
    """Write k thoughts, each from all thoughts together (aggregation).

    Besta et al. 2023, section 3.2: V+ = {v+}, E+ = {(v1, v+) ... (vk, v+)}. A lone
    solution of the whole is passed on: there is nothing to combine it with.
    """

    k: int = 1
    """New thoughts."""
    parts: bool = False
    """The thoughts solve the parts of a problem that was split, the new ones solve the
    whole. Parts that are missing are warned of."""
    prompt: str = ""
    """As in the other operations; by default one for solutions, or for parts."""

    kind: ClassVar[str] = "aggregate"
    role: ClassVar[str] = "synthesizer"

    async def __call__(self, thoughts: Thoughts, context: RunContext) -> Thoughts:
        """Return the new thoughts; the old ones if there are none."""
        items = [v for v in thoughts.items if v.text.strip()]
        if not items or (len(items) == 1 and not self.parts):
            return thoughts
        task, part = items[0].task, items[0].part
        if self.parts and part is not None:
            _missing(items, part, context)
            task, part = part.whole, part.outer
        prompt = self.prompt or (PARTS_PROMPT if self.parts else SYNTHESIS_PROMPT)
        job = Job(task, filled(prompt, items, task), tuple(v.id for v in items), part)
        written, notes = await self.write([job] * self.k, context)
        return _followed(thoughts, [v for v in written if v is not None], notes)


@dataclass(frozen=True, eq=False, kw_only=True)
class Improve(Writing):
    """Write each thought anew, in view of itself (refinement).

    Besta et al. 2023, section 3.2: V+ = {}, E+ = {(v, v)}. The loop is unrolled: the
    better version is a thought of its own, which comes from the old one.
    """

    prompt: str = IMPROVE_PROMPT
    """As in the other operations."""

    kind: ClassVar[str] = "improve"
    role: ClassVar[str] = "refiner"

    async def __call__(self, thoughts: Thoughts, context: RunContext) -> Thoughts:
        """Return the new thoughts, an old one where there is no new one."""
        old = [v for v in thoughts.items if v.text.strip()]
        jobs = [Job(v.task, filled(self.prompt, [v]), (v.id,), v.part) for v in old]
        written, notes = await self.write(jobs, context)
        new = {v.id: better for v, better in zip(old, written, strict=True) if better}
        items = [new.get(v.id, v) for v in thoughts.items]
        return _followed(thoughts, items, notes)


def filled(prompt: str, items: Sequence[Vertex], task: Task | None = None) -> str:
    """Return a prompt with what thoughts say in its places.

    Args:
        prompt: See ``Writing.prompt``.
        items: The thoughts; ``solution``, ``answer`` and ``feedback`` are the first's.
        task: The problem; by default that of the first thought.
    """
    first = items[0]
    verdict = first.candidate.verdict
    said = verdict.feedback.strip() if verdict else ""
    return prompt.format(
        question=(task or first.task).question,
        solution=first.text.strip(),
        answer=_answer(first),
        feedback=FEEDBACK.format(said=said) if said else "",
        solutions="\n\n".join(_numbered(i, v) for i, v in enumerate(items, 1)),
        answers="\n".join(f"{i}. {_answer(v)}" for i, v in enumerate(items, 1)),
    )


def _answer(vertex: Vertex) -> str:
    return vertex.text.strip() if vertex.answer is None else vertex.answer


def _numbered(number: int, vertex: Vertex) -> str:
    if vertex.part is None:
        return f"Solution {number}:\n{vertex.text.strip()}"
    return f"Part {number}: {vertex.task.question}\nIts solution: {_answer(vertex)}"


def _check(prompt: str) -> None:
    try:
        names = {name for _, name, _, _ in Formatter().parse(prompt)} - {None}
    except ValueError as error:
        raise InvalidParameter(
            f"A prompt cannot be read ({error}): write braces that stand for "
            "themselves twice, {{ and }}."
        ) from error
    if unknown := sorted(str(name) for name in names - {*PLACES}):
        raise InvalidParameter(
            f"A prompt has places for {', '.join(unknown)}. Known: "
            f"{', '.join(PLACES)}; write braces that stand for themselves twice."
        )


def _noted(
    notes: Thoughts, outcome: Exception, place: RunContext, parents: tuple[str, ...]
) -> Thoughts:
    if isinstance(outcome, OutOfBudget):
        return notes.model_copy(update={"stop_reason": StopReason(outcome.dimension)})
    if not isinstance(outcome, ModelError):
        raise outcome
    failed = Candidate(id=place.id, text="", error=str(outcome))
    place.found(failed)
    place.keep(failed, parents)
    return notes.model_copy(update={"errors": (*notes.errors, str(outcome))})


def _followed(before: Thoughts, items: Sequence[Vertex], notes: Thoughts) -> Thoughts:
    """Return new thoughts, or the old ones, with what both know of limits."""
    return Thoughts(
        items=tuple(items) or before.items,
        stop_reason=notes.stop_reason or before.stop_reason,
        errors=(*before.errors, *notes.errors),
    )


def _missing(items: Sequence[Vertex], part: Part, context: RunContext) -> None:
    there = {v.part.index for v in items if v.part is not None}
    if len(there) < part.of:
        context.warn(
            f"Only {len(there)} of {part.of} parts were solved: what is put together "
            "from them lacks the others."
        )
