"""The role that says what evidence is worth: does it help, and is it enough?

Whether a passage supports a claim is asked in ``ponder.agents.attribution``.
"""

from collections.abc import Sequence

from ponder.agents.choice import choose
from ponder.agents.reader import numbered
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.passages import Passage
from ponder.result import Candidate, Task

RELEVANCE_PROMPT = """\
Question: {question}

Evidence:
{evidence}

Does the evidence help to answer the question, or a step on the way to the answer? \
Answer with one word: Yes or No."""

SUFFICIENCY_PROMPT = """\
Evidence:
{evidence}

Question: {question}

Answer to judge: {answer}

Does the evidence show that this answer is right and complete? Judge by the evidence \
alone. Answer with one word: Yes or No."""


async def relevance(
    task: Task, evidence: Sequence[str], context: RunContext
) -> list[float | None]:
    """Say of every piece of evidence how likely it helps to answer a question.

    Args:
        task: The question.
        evidence: Texts; each is judged at a place of its own below ``context``.
        context: The place of the judgements.

    Returns:
        P(it helps), in their order; ``None`` where that could not be asked (the budget
        is gone, the model failed, the reply is unreadable).
    """
    asked = relevance_prompts(task, evidence)
    outcomes = await settle(
        [_yes(prompt, context.at(i)) for i, prompt in enumerate(asked)]
    )
    chances: list[float | None] = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        chances.append(outcome)
    return chances


def relevance_prompts(task: Task, evidence: Sequence[str]) -> list[str]:
    """Return what ``relevance`` asks, to tell beforehand what it can cost."""
    return [
        RELEVANCE_PROMPT.format(question=task.question, evidence=text)
        for text in evidence
    ]


async def sufficiency(
    task: Task,
    candidate: Candidate,
    evidence: Sequence[Passage],
    context: RunContext,
) -> float | None:
    """Say how likely the evidence shows that an answer is right.

    Args:
        task: The question.
        candidate: Its answer is judged, or its text if no answer could be read.
        evidence: What the answer was read from.
        context: The place of the call.

    Returns:
        P(the evidence shows it); ``None`` where that could not be asked.
    """
    prompt = SUFFICIENCY_PROMPT.format(
        evidence=numbered(evidence),
        question=task.question,
        answer=candidate.answer or candidate.text.strip(),
    )
    return await _yes(prompt, context)


async def _yes(prompt: str, context: RunContext) -> float | None:
    try:
        chances = await choose(prompt, ("Yes", "No"), context.acting("verifier"))
    except (OutOfBudget, ModelError):
        return None
    return None if chances is None else chances["Yes"]
