"""A solution that is written from pause to pause, and looked at on each of them."""

from dataclasses import dataclass, replace

from ponder.agents.answers import extract
from ponder.agents.choice import choose
from ponder.agents.solver import forced_answer, solver
from ponder.budget import Dimension
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.messages import Completion, FinishReason, Request, Sampling, system, user
from ponder.result import Candidate, StopReason, Task
from ponder.thoughts import Thought

COMPLETE_PROMPT = """\
Decide whether a solution has come to its end.

Question:
{question}

Proposed solution:
{solution}

Does the proposed solution already give a final answer to the question? Answer with \
one word: Yes or No."""

PAST = 8
"""Tokens written after a pause without looking for the next one: they hold the word at
which the solution paused, which a stop string swallows."""


@dataclass(frozen=True)
class Draft:
    """A solution while it is written."""

    text: str = ""
    tokens: int = 0
    pauses: tuple[float | None, ...] = ()
    """P(complete) at each pause; ``None`` where it could not be read."""
    ended: bool = False
    complete: bool = False
    """Whether it was ended by the detector."""
    finish_reason: FinishReason = "stop"

    def cut(self) -> "Draft":
        """Return the draft as one that a limit ended here."""
        return replace(self, ended=True, finish_reason="length")

    def longer(self, completion: Completion) -> "Draft":
        """Return the draft with what was written behind it."""
        tokens = self.tokens + completion.usage.output_tokens
        return replace(self, text=self.text + completion.text, tokens=tokens)


@dataclass(frozen=True, kw_only=True)
class Drafter:
    """Writes a draft to its next pause, and asks there whether it is complete."""

    instructions: str
    """System prompt; may be empty."""
    keywords: tuple[str, ...]
    """Where it pauses."""
    theta: float
    """P(complete) from which a draft is ended."""
    max_pauses: int
    """Most looks at a draft; after them it is written to its end."""
    temperature: float
    max_tokens: int
    """Limit of the whole draft."""

    async def write(
        self, task: Task, draft: Draft, place: RunContext
    ) -> tuple[Draft, StopReason | None]:
        """Write a draft to its next pause, or to its end.

        Without prefill it is written in one piece.

        Args:
            task: The task.
            draft: What there is of the solution.
            place: The place of the solution.

        Returns:
            The longer draft, and the limit that ended it, where one refused a call.

        Raises:
            ModelError: The call failed, and nothing was written before it.
        """
        try:
            if not place.model.capabilities.prefill:
                return await self._in_one_piece(task, place), None
            segment = place.at("segment", len(draft.pauses))
            if draft.pauses:
                draft = await self._past_the_keyword(task, draft, segment)
            if not draft.ended:
                draft = await self._to_the_next_pause(task, draft, segment)
        except OutOfBudget as stop:
            return draft.cut(), StopReason(stop.dimension)
        except ModelError as error:
            if not draft.text:
                raise
            place.warn(str(error))
            return draft.cut(), None
        return draft, None

    async def detect(
        self, task: Task, draft: Draft, place: RunContext
    ) -> tuple[Draft, StopReason | None]:
        """Look at a draft that has paused, and end it if it is complete.

        Args:
            task: The task.
            draft: A draft; one that has ended is not looked at.
            place: The place of the solution.

        Returns:
            The draft with one more pause, and the limit of the budget that ended it or
            cut it short, where one did.
        """
        stop: StopReason | None = None
        if not draft.ended:
            try:
                draft = await self._looked_at(task, draft, place)
            except OutOfBudget as over:
                draft, stop = draft.cut(), StopReason(over.dimension)
        return draft, self._limit_met(draft, place) or stop

    async def _in_one_piece(self, task: Task, place: RunContext) -> Draft:
        place.substitute("prefill", "solutions in one piece, ended by the model alone")
        solve = solver(
            instructions=self.instructions,
            sampling=Sampling(temperature=self.temperature),
            max_tokens=self.max_tokens,
        )
        whole = await solve(task, place)
        return Draft(
            whole.text, whole.output_tokens, (), True, False, whole.finish_reason
        )

    async def _past_the_keyword(
        self, task: Task, draft: Draft, place: RunContext
    ) -> Draft:
        """Write on over the keyword; a solution that stops before it is at its end."""
        if draft.tokens >= self.max_tokens:
            return draft.cut()
        completion = await self._written(task, draft, place.at("past"), PAST, ())
        draft = draft.longer(completion)
        if draft.tokens >= self.max_tokens:
            return draft.cut()
        reason = completion.finish_reason
        return replace(draft, ended=reason != "length", finish_reason=reason)

    async def _to_the_next_pause(
        self, task: Task, draft: Draft, place: RunContext
    ) -> Draft:
        """Write to the next hesitation keyword, or to the end, which looks the same."""
        stop = self.keywords if len(draft.pauses) < self.max_pauses else ()
        completion = await self._written(task, draft, place, self.max_tokens, stop)
        draft, reason = draft.longer(completion), completion.finish_reason
        ended = reason != "stop" or not stop
        return replace(draft, ended=ended, finish_reason=reason)

    async def _written(
        self,
        task: Task,
        draft: Draft,
        place: RunContext,
        most: int,
        stop: tuple[str, ...],
    ) -> Completion:
        head = (system(self.instructions),) if self.instructions else ()
        request = Request(
            messages=(*head, *task.examples, *task.history, user(task.question)),
            prefill=task.prefill + draft.text,
            sampling=Sampling(temperature=self.temperature),
            max_tokens=min(most, self.max_tokens - draft.tokens),
            stop=stop,
        )
        (completion,) = await place.generate(request)
        return completion

    async def _looked_at(self, task: Task, draft: Draft, place: RunContext) -> Draft:
        """Return the draft with one more pause, ended if it is complete there."""
        look = place.at("detect", len(draft.pauses)).acting("detector")
        prompt = COMPLETE_PROMPT.format(
            question=task.question, solution=task.prefill + draft.text
        )
        try:
            chances = await choose(
                prompt, ("Yes", "No"), look, before=task.history, voter="detector"
            )
        except ModelError as error:
            place.warn(str(error))
            chances = None
        p = chances["Yes"] if chances else None
        complete = p is not None and p >= self.theta
        return replace(
            draft, pauses=(*draft.pauses, p), ended=complete, complete=complete
        )

    def _limit_met(self, draft: Draft, place: RunContext) -> StopReason | None:
        """Return the limit of the budget that cut a draft short, if one did."""
        if draft.finish_reason == "time":
            return StopReason.SECONDS
        if draft.finish_reason != "length" or draft.tokens >= self.max_tokens:
            return None
        limits: tuple[Dimension, ...] = ("tokens", "output_tokens")
        left = {limit: place.ledger.left(limit) for limit in limits}
        met = [limit for limit, rest in left.items() if rest is not None and rest < 1]
        return StopReason(met[0]) if met else None


async def finished(task: Task, draft: Draft, place: RunContext) -> Candidate:
    """Return the solution that a draft has become, kept with its pauses.

    One without an answer that was ended early is made to answer, out of the share kept
    back for the end.

    Args:
        task: The task.
        draft: The draft, which has ended.
        place: The place of the solution, and its id.
    """
    solution = Candidate(
        id=place.id,
        text=draft.text,
        answer=extract(draft.text),
        output_tokens=draft.tokens,
        finish_reason=draft.finish_reason,
    )
    place.found(solution)
    place.keep(solution, ("question",))
    _keep_pauses(draft, place)
    if solution.answer is not None or not (solution.truncated or draft.complete):
        return solution
    forced = await forced_answer(task, solution, place.wrap_up().at("rescue"))
    return forced or solution


def _keep_pauses(draft: Draft, place: RunContext) -> None:
    for i, p in enumerate(draft.pauses):
        label = "complete? unreadable" if p is None else f"complete? {p:.2f}"
        id = place.at("detect", i).id
        place.think(Thought(id=id, kind="verdict", label=label, score=p), (place.id,))
