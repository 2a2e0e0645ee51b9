r"""Answers in words: exact match, token F1, and options.

Exact match and F1 are those of SQuAD (Rajpurkar et al. 2016,
https://arxiv.org/abs/1606.05250, section 6.1), which HotpotQA, 2WikiMultihopQA and
MuSiQue use too. Both look at normalised texts: lower case, without ASCII punctuation,
without the words "a", "an" and "the", white space as single spaces.

* Exact match is 1 if the texts are equal.
* F1 is 2PR / (P + R), where the tokens are words, counted as often as they occur, P is
  the share of the answer's tokens that are in the reference, R the share of the
  reference's tokens that are in the answer.

Of several references the best one counts. Where SQuAD's normalisation leaves nothing
("The The", "+"), the lower-case text itself is compared.
"""

import re
import string
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from ponder.agents import answers

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_TEXT_COMMAND = re.compile(
    r"\\(?:text|textbf|textit|mathrm|mathbf|operatorname)\s*\{([^{}]*)\}"
)
_LATEX_SPACE = re.compile(r"\\[ ,;:!]|\\q?quad\b|~")
_LATEX_ESCAPE = re.compile(r"\\([{}%$&#_])")


def boxed(answer: str) -> str:
    r"""Return ``\boxed{answer}``, so that the answer can be read from it again."""
    depth = lowest = 0
    for character in answer:
        depth += {"{": 1, "}": -1}.get(character, 0)
        lowest = min(lowest, depth)
    if depth or lowest:
        answer = re.sub(r"([{}])", r"\\\1", answer)
    return f"\\boxed{{{answer}}}"


def plain(answer: str) -> str:
    r"""Take LaTeX's mark-up off words, such as ``25\text{ million}``."""
    before = None
    while answer != before:
        before, answer = answer, _TEXT_COMMAND.sub(r"\1", answer)
    return _LATEX_ESCAPE.sub(r"\1", _LATEX_SPACE.sub(" ", answer)).strip()


def normalise(text: str) -> str:
    """Return the text that is compared; see the module's documentation."""
    lower = text.lower()
    bare = _ARTICLE.sub(" ", lower.translate(_PUNCTUATION))
    return " ".join(bare.split()) or " ".join(lower.split())


def exact_match(answer: str, references: Sequence[str]) -> bool:
    """Tell whether an answer is one of the references.

    Args:
        answer: The answer that was read.
        references: All texts that are right, one or more.
    """
    return normalise(answer) in {normalise(reference) for reference in references}


def f1(
    answer: str, references: Sequence[str], whole: Collection[str] = frozenset()
) -> float:
    """Return the token F1 of an answer, 0 to 1.

    Args:
        answer: The answer that was read.
        references: All texts that are right, one or more.
        whole: Normalised texts that earn nothing for a part; HotpotQA's evaluation
            has "yes" and "no" there.
    """
    return max(_f1(normalise(answer), normalise(r), whole) for r in references)


def _f1(answer: str, reference: str, whole: Collection[str]) -> float:
    if answer == reference:
        return 1.0
    if answer in whole or reference in whole:
        return 0.0
    found, wanted = answer.split(), reference.split()
    common = (Counter(found) & Counter(wanted)).total()
    return 2 * common / (len(found) + len(wanted))


_LETTER = re.compile(r"(?:option |choice )?[(\[]?([a-z])[)\]]?", re.IGNORECASE)
_LETTER_FIRST = re.compile(
    r"(?:option |choice )?(?:[(\[]([a-z])[)\]][:.]?|([a-z])[).:])\s+(\S.*)",
    re.IGNORECASE | re.DOTALL,
)


def choose(answer: str, options: Mapping[str, str]) -> str | None:
    """Return the letter of the option that an answer names.

    Args:
        answer: ``B``, ``(B)``, ``(B) 12/25/1937`` or the text of an option.
        options: Texts by upper-case letter.

    Returns:
        The letter; ``None`` if it is none of the options, is the text of several, or
        gives the letter of one with the text of another.
    """
    answer = plain(answer).strip(" .*")
    if match := _LETTER.fullmatch(answer):
        letter = match[1].upper()
        return letter if letter in options else _by_text(answer, options)
    if match := _LETTER_FIRST.fullmatch(answer):
        letter, named = (match[1] or match[2]).upper(), _by_text(match[3], options)
        if letter in options:
            return letter if named in (None, letter) else None
    return _by_text(answer, options)


def _by_text(answer: str, options: Mapping[str, str]) -> str | None:
    # Not SQuAD's normalisation, to which 10^-4 and 10^4 are the same.
    wanted = answers.normalise(plain(answer))
    found = [
        letter
        for letter, text in options.items()
        if answers.normalise(plain(text)) == wanted
    ]
    return found[0] if len(found) == 1 else None
