"""Mathematical answers: numbers and expressions, compared by value."""

from ponder.agents.answers import extract, same
from ponder.evals.benchmark import UNREADABLE, Grade


def grade(text: str, reference: str) -> Grade:
    r"""Grade a reply whose final answer is a number or an expression.

    The answer is read by ``ponder.agents.answers.extract`` (``\boxed{...}``, "the
    answer is ...", ``#### N``; never guessed) and compared by its ``same``: exactly
    for plain numbers, by math-verify (https://github.com/huggingface/Math-Verify) for
    expressions, as normalised text for what is neither.

    Args:
        text: The whole reply.
        reference: The right answer.

    Returns:
        The grade; ``UNREADABLE`` if the reply marks no answer.
    """
    found = extract(text)
    if found is None:
        return UNREADABLE
    return verdict(found, same(found, reference))


def verdict(answer: str, correct: bool, score: float | None = None) -> Grade:
    """Return the grade of an answer that was read.

    The reason does not tell the right answer, since it may be fed back to a model.
    """
    reasons = () if correct else (f"The answer '{answer}' is wrong.",)
    return Grade(correct=correct, answer=answer, reasons=reasons, score=score)
