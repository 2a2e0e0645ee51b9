"""What a selection has to beat."""

from collections.abc import Sequence
from math import fsum

from ponder.errors import InvalidParameter


def random_choice_accuracy(correct: Sequence[Sequence[bool]]) -> float:
    """Return the accuracy expected of picking one of the candidates blindly.

    It is the mean over problems of the share of right candidates: what a verifier with
    random scores achieves, without the noise of drawing them.

    Args:
        correct: For each problem, whether each of its candidates is right. A problem
            without candidates goes unanswered, so it counts as not right.

    Raises:
        InvalidParameter: There are no problems.
    """
    if not correct:
        raise InvalidParameter("The accuracy of a random choice needs one problem.")
    shares = [sum(right) / len(right) if right else 0.0 for right in correct]
    return fsum(shares) / len(shares)
