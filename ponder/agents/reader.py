"""The role that answers from passages, and cites them by their numbers."""

import re
from collections.abc import Sequence
from typing import Protocol

from ponder.agents.answers import extract
from ponder.agents.choice import plain_model
from ponder.agents.solver import named
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.messages import GREEDY, Message, Request, Sampling, assistant, system, user
from ponder.passages import Citation, Passage
from ponder.result import Candidate, Task

READ = """\
Answer the question from the numbered passages. After each statement, give the numbers \
of the passages that it rests on, like this: [2]. If they do not hold the answer, say \
what you know yourself, without a number. Finish with one line that gives only the \
short final answer, in the form \\boxed{answer}."""

READ_PROMPT = """\
{passages}

Question: {question}"""

SOURCES_PROMPT = """\
Which of the numbered passages say so? Reply with their numbers alone, such as: 1, 3. \
If none does, reply: none."""

NO_PASSAGES = "(no passages were found)"

_MARK = re.compile(r"\s*\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")
_SENTENCE = re.compile(
    r"[^.!?\n]+(?:[.!?](?!\s|$)[^.!?\n]*)*[.!?]?(?:[ \t]*\[[\d,\s]+\])*"
)
_BOX = re.compile(r"\\boxed\s*\{|[{}]")


class Reader(Protocol):
    """Answers from passages. See ``reader``."""

    async def __call__(
        self, task: Task, passages: Sequence[Passage], context: RunContext
    ) -> Candidate:
        """Return an answer that cites passages by their numbers, from 1.

        A text that names no final answer is continued by one, at the place ``forced``
        below this one.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def reader(
    *,
    instructions: str = READ,
    sampling: Sampling = GREEDY,
    max_tokens: int = 256,
    logprobs: bool = False,
) -> Reader:
    """Return a reader.

    Args:
        instructions: System prompt.
        sampling: How tokens are drawn.
        max_tokens: Limit of the answer.
        logprobs: Ask for log-probabilities, where the model gives them.
    """

    async def read(
        task: Task, passages: Sequence[Passage], context: RunContext
    ) -> Candidate:
        wanted = logprobs and context.model.capabilities.logprobs
        request = Request(
            messages=reading(task, passages, instructions),
            max_tokens=max_tokens,
            sampling=sampling,
            prefill=task.prefill,
            logprobs=0 if wanted else None,
        )
        (completion,) = await context.generate(request)
        text = completion.text
        if extract(text) is None:
            text += await named(request, text, context.at("forced"))
        candidate = Candidate(
            id=context.id,
            text=text,
            answer=extract(text),
            logprob=completion.logprob,
            logprob_tokens=len(completion.logprobs or ()),
            output_tokens=completion.usage.output_tokens,
            finish_reason=completion.finish_reason,
        )
        context.found(candidate)
        return candidate

    return read


async def name_sources(
    task: Task, passages: Sequence[Passage], answer: str, context: RunContext
) -> list[Passage]:
    """Ask which passages an answer rests on that named none.

    Without the instructions and the examples that the answer was given under: behind
    them a small model says "none" nearly always, and names its sources without.

    Args:
        task: What was asked.
        passages: In the order in which they were numbered.
        answer: The final answer.
        context: The place of the call.

    Returns:
        The passages that the model names; none if it names none, or cannot be asked.
    """
    asked = asking(task.question, passages)
    request = Request(
        messages=(asked, assistant(answer), user(SOURCES_PROMPT)),
        max_tokens=16,
        sampling=GREEDY,
    )
    try:
        (completion,) = await context.generate(request, plain_model(context.model))
    except (OutOfBudget, ModelError):
        return []
    numbers = dict.fromkeys(map(int, re.findall(r"\d{1,3}", completion.text)))
    return [passages[n - 1] for n in numbers if 1 <= n <= len(passages)]


def reading(
    task: Task, passages: Sequence[Passage], instructions: str = READ
) -> tuple[Message, ...]:
    """Return the conversation that a reader answers in."""
    asked = asking(task.question, passages)
    return (system(instructions), *task.examples, *task.history, asked)


def asking(question: str, passages: Sequence[Passage]) -> Message:
    """Return a question behind its passages, as one turn."""
    listed = numbered(passages)
    return user(READ_PROMPT.format(passages=listed, question=question))


def numbered(passages: Sequence[Passage]) -> str:
    """Return passages as a prompt shows them: ``[1] Title: text``."""
    lines = (
        f"[{i}] {p.title}: {p.text.strip()}" if p.title else f"[{i}] {p.text.strip()}"
        for i, p in enumerate(passages, 1)
    )
    return "\n\n".join(lines) or NO_PASSAGES


def cited(text: str, passages: Sequence[Passage]) -> tuple[Citation, ...]:
    """Return the citations of a text, in their order.

    Args:
        text: Its sentences name passages by numbers in brackets, from 1.
        passages: In the order in which they were numbered.

    Returns:
        One for each sentence and passage; numbers that no passage has are left out.
    """
    found: dict[tuple[str, str], Citation] = {}
    for sentence in _SENTENCE.findall(text):
        claim = _BOX.sub("", _MARK.sub("", sentence)).strip().lstrip(".,;: ")
        if not any(map(str.isalnum, claim)):
            continue
        marks = ",".join(_MARK.findall(sentence)).split(",")
        for number in (int(mark) for mark in marks if mark.strip()):
            if 1 <= number <= len(passages):
                passage = passages[number - 1]
                citation = Citation(claim=claim, passage=passage)
                found.setdefault((claim, passage.id), citation)
    return tuple(found.values())
