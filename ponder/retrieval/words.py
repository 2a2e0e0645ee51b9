"""What counts as a word of a text, in any script."""

import re
import unicodedata
from functools import cache

STOPWORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the "
    "their then there these they this to was will with".split()
)
"""The 33 words that Lucene's English analyzer leaves out."""

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Kana and Han, which are written without spaces between words."""


def words(text: str) -> list[str]:
    """Return the words of a text, in order, upper and lower case alike.

    A word is a run of letters, digits and combining marks, in the Unicode form NFKC,
    so that ``ﬁ`` is ``fi`` and full-width letters are letters. Each Han character and
    kana is a word. Nothing is stemmed, and accents stay. Scripts without spaces other
    than these (Thai, Lao, Khmer) give one word for each run.

    Args:
        text: Any text.
    """
    if text.isascii():
        return _ascii().findall(text.lower())
    return _unicode().findall(unicodedata.normalize("NFKC", text).casefold())


@cache
def _ascii() -> re.Pattern[str]:
    return re.compile(r"[a-z0-9]+")


@cache
def _unicode() -> re.Pattern[str]:
    letter = rf"(?:[^\W_{_UNSPACED}]|[{_marks()}])"
    return re.compile(rf"[{_UNSPACED}]|{letter}+")


def _marks() -> str:
    """Return the combining marks, which ``re`` does not count to the words.

    Without them, every vowel sign of an Indian script would end a word.
    """
    points = range(0x300, 0x20000)
    return "".join(chr(p) for p in points if unicodedata.category(chr(p))[0] == "M")
