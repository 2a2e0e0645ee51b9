"""The role that explains before it answers, and tells how likely its explanation is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ponder.agents.answers import extract
from ponder.agents.solver import FORCED_TOKENS, forced_end, forcing
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.messages import (
    GREEDY,
    Completion,
    Request,
    Sampling,
    TokenLogprob,
    system,
    user,
)
from ponder.result import Candidate, Task

CLOSED_BOOK = "Answer the question from what you know."

OPEN_BOOK = """\
Answer the question from the numbered passages. Put the number of the passage behind \
what you take from it, in brackets, such as [2]."""

FROM_PARTS = """\
Answer the question from the answers to its parts, which may be wrong. Keep numbers in \
brackets, such as [2], behind what they stand for."""

FORM = """\
Explain in one or two short sentences. Then write one last line that gives only the \
short final answer: \\boxed{answer}, or \\boxed{unknown} if you cannot tell."""

FORCED = "\n\n\\boxed{"
FORCED_TURN = "Now give the final answer alone: \\boxed{answer}, or \\boxed{unknown}."

UNSURE = -100.0
"""Log-probability of an answer that is unknown, cut off or without an explanation, as
in the authors' code (https://github.com/THU-KEG/ProbTree)."""

_LEAD = r"(?:\b(?:so|thus|therefore|hence)\b,?\s+)?(?:\bthe\s+)?(?:\bfinal\s+)?"
_ANSWER = re.compile(
    rf"{_LEAD}(?:\banswer(?:\s+is)?\b\s*:?\s*)?[*$(\s]*\\f?boxed\b"
    rf"|{_LEAD}\banswer\s+is\b|^\W*answer\W*:",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Explained:
    """An answer, and how sure the model was on the way to it."""

    candidate: Candidate
    logprob: float | None
    """Mean log-probability (nats) of the tokens before the answer; ``UNSURE`` where
    there is no answer or no explanation, ``None`` where the model gives none."""


class Explainer(Protocol):
    """Explains, then answers. See ``explainer``."""

    async def __call__(
        self, task: Task, context: RunContext, material: str = ""
    ) -> Explained:
        """Return an explained answer; one that is "unknown" counts as none.

        An explanation without an answer is given back to the model for the answer, at
        the place ``answer`` below this one.

        Args:
            task: The question.
            context: The place of the call.
            material: What the instructions speak of: passages, answers to parts.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def explainer(
    instructions: str, *, sampling: Sampling = GREEDY, max_tokens: int = 256
) -> Explainer:
    """Return an explainer.

    Args:
        instructions: System prompt: ``CLOSED_BOOK``, ``OPEN_BOOK``, ``FROM_PARTS``.
        sampling: How tokens are drawn.
        max_tokens: Limit of explanation and answer.
    """

    async def explain(task: Task, context: RunContext, material: str = "") -> Explained:
        asked = "\n\n".join(
            part for part in (material, f"Question: {task.question}", FORM) if part
        )
        request = Request(
            messages=(
                system(instructions), *task.examples, *task.history, user(asked),
            ),
            max_tokens=max_tokens,
            sampling=sampling,
            prefill=task.prefill,
            logprobs=0 if context.model.capabilities.logprobs else None,
        )  # fmt: skip
        (completion,) = await context.generate(request)
        candidate = _candidate(context.id, completion)
        if candidate.answer is None and not candidate.truncated:
            candidate = await _answered(candidate, request, context)
        candidate = _unless_unknown(candidate)
        context.found(candidate)
        return Explained(candidate, _confidence(candidate, completion))

    return explain


def explanation_logprob(tokens: Sequence[TokenLogprob]) -> float:
    """Return the mean log-probability (nats) of the tokens before the answer.

    Cao et al. 2023 (ProbTree), https://arxiv.org/abs/2311.13982: the explanation tells
    more of the certainty than the answer, which is a few tokens that follow from it.

    Returns:
        ``UNSURE`` if there is nothing before the answer.
    """
    text = "".join(token.token for token in tokens)
    cuts = [match.start() for match in _ANSWER.finditer(text)]
    cut = cuts[-1] if cuts else len(text)
    before, at = [], 0
    for token in tokens:
        if at < cut and text[at:cut].strip():
            before.append(token.logprob)
        at += len(token.token)
    return sum(before) / len(before) if before else UNSURE


async def _answered(
    explained: Candidate, request: Request, context: RunContext
) -> Candidate:
    """Get the answer behind an explanation; without one where it cannot be paid."""
    if not explained.text.strip():
        return explained
    if not context.model.capabilities.prefill:
        context.substitute("prefill", "a further turn that asks for the answer")
    text = explained.text.rstrip()
    short = request.model_copy(update={"max_tokens": FORCED_TOKENS, "logprobs": None})
    wanted = forcing(short, text, context, lead=FORCED, turn=FORCED_TURN)
    try:
        (completion,) = await context.at("answer").generate(wanted)
    except (OutOfBudget, ModelError):
        return explained
    text += forced_end(completion, context, lead=FORCED)
    return explained.model_copy(update={"text": text, "answer": extract(text)})


def _unless_unknown(candidate: Candidate) -> Candidate:
    if candidate.answer is None or not _is_unknown(candidate.answer):
        return candidate
    return candidate.model_copy(update={"answer": None})


def _is_unknown(answer: str) -> bool:
    return answer.casefold().startswith("unknown")


def _candidate(id: str, completion: Completion) -> Candidate:
    return Candidate(
        id=id,
        text=completion.text,
        answer=extract(completion.text),
        logprob=completion.logprob,
        logprob_tokens=len(completion.logprobs or ()),
        output_tokens=completion.usage.output_tokens,
        finish_reason=completion.finish_reason,
    )


def _confidence(candidate: Candidate, completion: Completion) -> float | None:
    if candidate.answer is None or candidate.truncated:
        return UNSURE
    if completion.logprobs is None:
        return None
    return explanation_logprob(completion.logprobs)
