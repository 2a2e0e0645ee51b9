"""The role that checks whether a passage supports what is claimed with it."""

from collections.abc import Sequence

from ponder.agents.choice import choose
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.passages import Citation

ATTRIBUTION_PROMPT = """\
Passage:
{passage}

Claim:
{claim}

Does the passage say that the claim is true? Judge by the passage alone, not by what \
you know. Answer with one word: Yes or No."""


async def attribute(
    citations: Sequence[Citation], context: RunContext, *, threshold: float = 0.5
) -> tuple[Citation, ...]:
    """Say of every citation whether its passage supports it.

    Args:
        citations: What to check; all at once, each at a place below ``context``.
        context: The place of the check.
        threshold: P(supported) from which a citation counts as supported.

    Returns:
        The same citations in the same order. One that could not be checked (the budget
        is gone, the model failed, the reply is unreadable) has ``supported=None``.
    """
    checks = [_checked(c, context.at(i), threshold) for i, c in enumerate(citations)]
    checked = []
    for outcome in await settle(checks):
        if isinstance(outcome, Exception):
            raise outcome
        checked.append(outcome)
    return tuple(checked)


async def _checked(
    citation: Citation, context: RunContext, threshold: float
) -> Citation:
    prompt = ATTRIBUTION_PROMPT.format(
        passage=citation.passage.text, claim=citation.claim
    )
    try:
        chances = await choose(prompt, ("Yes", "No"), context.acting("verifier"))
    except (OutOfBudget, ModelError):
        return citation
    if chances is None:
        return citation
    score = chances["Yes"]
    return citation.model_copy(update={"score": score, "supported": score >= threshold})
