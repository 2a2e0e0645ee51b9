r"""The role that asks itself simpler questions, in lines of the Self-Ask form.

The model is held to that form by a grammar where it can be, by text put into its mouth
where it can be, and else by what it is told.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ponder.agents._transcripts import (
    BOX,
    FINAL,
    FOLLOW_UP,
    INTERMEDIATE,
    Line,
    Step,
    read_answer,
    read_final,
    read_next,
    written,
)
from ponder.context import RunContext
from ponder.messages import (
    GREEDY,
    Completion,
    Message,
    Request,
    Sampling,
    assistant,
    user,
)
from ponder.models.base import Model

SELF_ASK = """\
Answer the question from the numbered passages, in lines of these forms:
Follow up: a simpler question to look up next
Intermediate answer: its answer in one sentence, with the numbers of the passages that \
it rests on, like this: [2]
So the final answer is: \\boxed{short final answer}
Ask one simple question at a time; each brings further passages. Give the final answer \
when nothing is left to look up."""

GO_ON: dict[str, str] = {
    "next": "Go on with one line that begins with 'Follow up: ' or, if nothing is left "
    "to look up, with 'So the final answer is: '.",
    "answer": "Go on with one line that begins with 'Intermediate answer: '.",
    "final": "Go on with one line of the form 'So the final answer is: "
    "\\boxed{short final answer}'.",
}
"""What a model is told that cannot continue a text of its own."""

NEXT_REMINDER = """\


Reply with one line, which begins with 'Follow up: ' or 'So the final answer is: '."""
FINAL_REMINDER = """\


Reply with the short final answer alone, as \\boxed{answer}."""

_FINAL_RULE = r"""
FINAL: /[^{}\n]+(\{[^{}\n]*\}[^{}\n]*)*/
MARKS: /( ?\[[0-9]{1,3}\])+/
"""
NEXT_GRAMMAR = rf"""
start: ("{FOLLOW_UP}" LINE | "{FINAL}\\boxed{{" FINAL "}}" MARKS?) "\n"?
LINE: /[^\n]+/
{_FINAL_RULE}"""
FINAL_GRAMMAR = rf"""
start: FINAL "}}" MARKS? "\n"?
{_FINAL_RULE}"""

Fits = Callable[[Request], Awaitable[bool]]


@dataclass(frozen=True)
class SelfAsker:
    """Writes one line of a transcript at a time; every request can be had beforehand.

    ``opening`` are the messages up to the question with its passages, the same for all
    three kinds of lines.
    """

    sampling: Sampling = GREEDY
    max_tokens: int = 96
    """Limit of a line."""

    def next_request(
        self, opening: tuple[Message, ...], steps: Sequence[Step], model: Model
    ) -> Request:
        """Return the request for a sub-query or the final answer."""
        request = self._request(opening, written(steps), "", "next", model)
        if model.capabilities.grammar:
            held = {"grammar": NEXT_GRAMMAR, "stop": ("\n",)}
            return request.model_copy(update=held)
        return request.model_copy(update={"stop": (f"\n{INTERMEDIATE.strip()}",)})

    def answer_request(
        self,
        opening: tuple[Message, ...],
        steps: Sequence[Step],
        question: str,
        model: Model,
    ) -> Request:
        """Return the request for the intermediate answer of a sub-query."""
        so_far = f"{written(steps)}{FOLLOW_UP}{question}\n"
        # A prefill that ends in a space would forbid the tokens that begin with one.
        return self._request(opening, so_far, INTERMEDIATE.strip(), "answer", model)

    def final_request(
        self, opening: tuple[Message, ...], steps: Sequence[Step], model: Model
    ) -> Request:
        """Return the request that forces the final answer."""
        forced = f"{FINAL}{BOX}"
        request = self._request(opening, written(steps), forced, "final", model)
        if request.prefill and model.capabilities.grammar:
            return request.model_copy(update={"grammar": FINAL_GRAMMAR})
        return request

    async def next(
        self,
        opening: tuple[Message, ...],
        steps: Sequence[Step],
        context: RunContext,
        fits: Fits,
    ) -> Line:
        """Return a sub-query, the final answer, or what cannot be read as either.

        Args:
            opening: Messages up to the question.
            steps: What was asked and answered so far.
            context: The place of the call; a second one is ``again`` below it.
            fits: Whether there is room for a second call.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        request = self.next_request(opening, steps, context.model)
        return await _twice(request, read_next, NEXT_REMINDER, context, fits)

    async def answer(
        self,
        opening: tuple[Message, ...],
        steps: Sequence[Step],
        question: str,
        context: RunContext,
    ) -> Line:
        """Return the intermediate answer of a sub-query; its text may be empty.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        request = self.answer_request(opening, steps, question, context.model)
        (completion,) = await context.generate(request)
        text = read_answer(completion.text)
        return _line(Line("answer", text), completion)

    async def final(
        self,
        opening: tuple[Message, ...],
        steps: Sequence[Step],
        context: RunContext,
        fits: Fits,
    ) -> Line:
        """Return the final answer, or what cannot be read as one; see ``next``.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        request = self.final_request(opening, steps, context.model)

        def read(text: str) -> Line:
            if request.prefill:
                text = f"{FINAL}{BOX}{text}" + ("" if "}" in text else "}")
            return read_final(text)

        return await _twice(request, read, FINAL_REMINDER, context, fits)

    def _request(
        self,
        opening: tuple[Message, ...],
        so_far: str,
        forced: str,
        kind: str,
        model: Model,
    ) -> Request:
        if model.capabilities.prefill:
            messages, prefill = opening, so_far + forced
        elif so_far:
            turns = (assistant(so_far.strip()), user(GO_ON[kind]))
            messages, prefill = (*opening, *turns), ""
        else:
            *before, last = opening
            asking = user(f"{last.content}\n\n{GO_ON[kind]}")
            messages, prefill = (*before, asking), ""
        return Request(
            messages=messages,
            prefill=prefill,
            max_tokens=self.max_tokens,
            sampling=self.sampling,
            stop=("\n",) if prefill and forced else (),
        )


async def never(again: Request) -> bool:
    """Admit no second call."""
    return False


async def _twice(
    request: Request,
    read: Callable[[str], Line],
    reminder: str,
    context: RunContext,
    fits: Fits,
) -> Line:
    (completion,) = await context.generate(request)
    line = _line(read(completion.text), completion)
    *before, last = request.messages
    reminded = last.model_copy(update={"content": last.content + reminder})
    again = request.model_copy(update={"messages": (*before, reminded)})
    if line.kind != "unreadable" or not await fits(again):
        return line
    (completion,) = await context.at("again").generate(again)
    return _line(read(completion.text), completion, line)


def _line(line: Line, completion: Completion, before: Line | None = None) -> Line:
    """Return a line with what it cost, an earlier call included."""
    usage = completion.usage
    return Line(
        line.kind,
        line.text,
        line.marks,
        usage.input_tokens + (before.input_tokens if before else 0),
        usage.output_tokens + (before.output_tokens if before else 0),
    )
