"""Words that planning problems share."""

from collections.abc import Sequence

from ponder.evals.tasks._names import FEMALE, MALE

PEOPLE = (*FEMALE, *MALE)
"""First names, all different."""


def listed(words: Sequence[str], last: str = "and") -> str:
    """Return words as a list in a sentence.

    Args:
        words: One or more.
        last: The word before the last one.
    """
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
