r"""Reading final answers out of texts, and telling which of them are the same.

Two answers are the same under ``"math"`` if their plain numbers are equal (``1,000``,
``1000.0`` and ``$1000``), if their normalised texts are, or if math-verify finds the
expressions equal. The last is tried only when both could be mathematics, so "Paris"
never reaches sympy, and only on expressions that are sure to be cheap: it has no time
limit here, since limits by signal do not work outside the main thread.

Under ``"exact"`` only the normalised texts count.

A percent sign is a unit: 50% is 50, never 0.5. Plain numbers are compared exactly:
0.333 is not 1/3. Units may be missing on one side, but must not differ: 5 cm is 5 and
is not 5 m.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import Any, Literal

from ponder.agents._numbers import clean, plain, read_number

Equality = Literal["math", "exact"]

LONGEST_EXPRESSION = 160
"""Characters; longer answers are compared as text."""
LARGEST_EXPONENT = 10_000
"""Product of all exponents of an expression; larger ones are compared as text."""

_BOXED_OR_BRACE = re.compile(r"\\f?boxed\s*\{|\\.|[{}]", re.DOTALL)
_PHRASE = re.compile(
    r"""\banswers?\b(?:\s+to\b[^.:\n]{0,80}?)?
        (?:\s*[*_]+)?                                # **Answer**: 72
        \s*(?:\bis\b|\bare\b|\bwas\b|\bwould\s+be\b|=|:)
        (?:\s*(?:[*_]+(?=\s)|:|=|as\s+follows\b|therefore\b|thus\b|then\b|simply\b|,))*
        \s*(?!not\b)(?=(?P<rest>\S[^\n]*))""",
    re.IGNORECASE | re.VERBOSE,
)
_HEADING = re.compile(
    r"^[ \t]*(?:\#+[ \t]*|[*_]{2})(?:final[ \t]+)?answer[*_]*[ \t]*\n\s*"
    r"(?P<rest>\S[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_BOX = re.compile(r"\\f?boxed\s*\{")
_HASHES = re.compile(r"^[ \t]*####[ \t]*(\S[^\n]*?)[ \t]*$", re.MULTILINE)
_SENTENCE_END = re.compile(
    r"(?<!\bSt)(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bvs)[.!?](?=[*_)\"']*(?:\s|$))"
)
_JUDGEMENTS = frozenset(
    "correct incorrect right wrong valid reasonable consistent verified".split()
)
_AFTERTHOUGHT = re.compile(r",?\s+(?:because|since|so|which|where|but|as)\b", re.I)
_LAST_NUMBER = re.compile(
    r"(?<![\w.])[-+\u2212]?[$€£]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d))"
    r"(?:/\d+)?(?![\w]|\.\d)"
)


def extract(text: str, *, numbers: bool = False) -> str | None:
    r"""Read the final answer of a text.

    Looked for in this order, the last occurrence of each: ``\boxed{...}``; phrases
    such as "the answer is ..." or "**Answer:** ..."; a line ``#### N``. An answer is
    never guessed from other text, and a box that was cut off holds none.

    Args:
        text: What a model wrote.
        numbers: Take the last number of the text where nothing else is found.

    Returns:
        The answer without its mark-up, ``None`` if there is none.
    """
    found = _boxed(text) or _phrase(text) or _hashed(text)
    if found is None and numbers:
        found = next(reversed(_LAST_NUMBER.findall(text)), None)
    return found


def _boxed(text: str) -> str | None:
    """Return the content of the last box that is closed, not empty."""
    boxes: list[tuple[int, str]] = []
    opened: list[int | None] = []
    for match in _BOXED_OR_BRACE.finditer(text):
        if "boxed" in match[0]:
            opened.append(match.end())
        elif match[0] == "{":
            opened.append(None)
        elif match[0] == "}" and opened and (start := opened.pop()) is not None:
            boxes.append((start, clean(text[start : match.start()])))
    return next((content for _, content in sorted(boxes)[::-1] if content), None)


def _phrase(text: str) -> str | None:
    matches = [*_PHRASE.finditer(text), *_HEADING.finditer(text)]
    matches.sort(key=lambda match: match.start())
    answers = [clean(_first_clause(match["rest"])) for match in matches]
    # A box that is not closed was cut off, and what it holds is not the whole answer.
    answers = [answer for answer in answers if answer and not _BOX.search(answer)]
    # "This answer is correct" says nothing, unless it is all there is.
    telling = [a for a in answers if a.casefold() not in _JUDGEMENTS]
    return next(reversed(telling or answers), None)


def _first_clause(text: str) -> str:
    for end in (_SENTENCE_END, _AFTERTHOUGHT):
        if match := end.search(text):
            text = text[: match.start()]
    return text


def _hashed(text: str) -> str | None:
    # Elsewhere "####" is a heading, so only a number counts as an answer.
    lines = [line for line in _HASHES.findall(text) if read_number(line) is not None]
    return clean(lines[-1]) if lines else None


_EDGES = ".,;:!?\"'“”‘’`*_"
_ARTICLES = frozenset({"a", "an", "the"})
_OPTION = re.compile(r"(?:option |choice )?[(\[]?([a-z])[)\]]?")


@lru_cache(maxsize=4096)
def normalise(answer: str) -> str:
    """Return the text that ``"exact"`` compares.

    Case, articles, mark-up, white space, punctuation at the edges of words and
    Unicode variants do not count. Signs, decimal points and brackets inside do. The
    letter of an option may be bracketed.

    Args:
        answer: An extracted answer.

    Returns:
        Its normal form; the answer itself if nothing would be left.
    """
    text = unicodedata.normalize("NFKC", plain(answer))
    if match := _OPTION.fullmatch(text.strip(_EDGES + " ")):
        return match[1]
    words = [_bare(word) for word in text.split()]
    kept = [word for word in words if word and word not in _ARTICLES]
    return " ".join(kept) or " ".join(words) or answer


def _bare(word: str) -> str:
    bare = word.rstrip(_EDGES).lstrip(_EDGES)
    # The point of ".5" is not punctuation.
    return f".{bare}" if re.match(r"\.\d", word) else bare


def same(a: str, b: str, equality: Equality = "math") -> bool:
    """Tell whether two answers are the same.

    Args:
        a: One extracted answer.
        b: Another one; the order does not matter.
        equality: ``"math"`` or ``"exact"``; see the module's documentation.

    Returns:
        Whether they are the same. Two texts that cannot be read as mathematics are
        compared as texts.
    """
    if normalise(a) == normalise(b):
        return True
    if equality == "exact":
        return False
    first, second = read_number(a), read_number(b)
    if first is not None and second is not None:
        return first.same(second)
    if not (_is_symbolic(a) and _is_symbolic(b)):
        return False
    return _equal_expressions(*sorted((a, b)))


def _is_symbolic(answer: str) -> bool:
    return read_number(answer) is not None or _is_expression(answer)


_COMMAND = re.compile(r"\\[a-zA-Z]+")
_FUNCTION = re.compile(r"\b(?:sqrt|sin|cos|tan|log|ln|exp|pi|infty)\b")
_OPERATOR = re.compile(r"[\d+*/^=<>√π∞|\\]|[-(\[{].*\w")
# Arithmetic would make 2024-05-01 the same as 2023-04-01.
_DATE = re.compile(r"\d+([-/.])\d+\1\d+")
_POWER = re.compile(r"(?:\^|\*\*)\s*(\{[^{}]*\}|\([^()]*\)|[-\w.\\]+)")


@lru_cache(maxsize=4096)
def _is_expression(answer: str) -> bool:
    """Tell whether an answer could be mathematics that is cheap to compare."""
    if len(answer) > LONGEST_EXPRESSION or _DATE.fullmatch(answer.strip()):
        return False
    bare = re.sub(r"\\(?:text|mathrm|mathbf|textbf)\s*\{[^{}]*\}", " ", answer)
    bare = _FUNCTION.sub(" 1 ", _COMMAND.sub(" 1 ", bare))
    if re.search(r"[^\W\d_]{3,}", bare) or not _OPERATOR.search(bare):
        return False
    return _is_cheap(answer)


def _is_cheap(answer: str) -> bool:
    """Rule out what sympy would evaluate to numbers of astronomical size."""
    if re.search(r"\d{4,}\s*!|!\s*!|\)\s*!|\}\s*!", answer):
        return False
    powers = _POWER.findall(answer)
    if any("^" in power or "**" in power for power in powers):
        return False
    if len(re.findall(r"\^|\*\*", answer)) != len(powers):
        return False
    exponents = [int(n) for power in powers for n in re.findall(r"\d+", power)]
    return prod(max(n, 1) for n in exponents) <= LARGEST_EXPONENT


@lru_cache(maxsize=4096)
def _equal_expressions(a: str, b: str) -> bool:
    from math_verify import verify

    left, right = _parsed(a), _parsed(b)
    if not left or not right:
        return False
    # Its comparison is not symmetric: an equation may stand for its right side.
    return bool(
        verify(left, right, timeout_seconds=None)
        or verify(right, left, timeout_seconds=None)
    )


@lru_cache(maxsize=4096)
def _parsed(answer: str) -> list[Any]:
    import logging

    from math_verify import LatexExtractionConfig, parse

    # It warns that it has no time limit; the bounds above stand in for one.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    number = read_number(answer)
    text = str(number.value) if number else clean(answer)
    text = re.sub(r"(?<!\\)\b(pi|sqrt|sin|cos|tan|log|ln|exp)\b", r"\\\1", text)
    text = re.sub(r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text.replace("**", "^"))
    expressions: list[Any] = parse(
        f"${text}$",
        [LatexExtractionConfig()],
        fallback_mode="no_fallback",
        parsing_timeout=None,
    )
    return expressions


@dataclass
class Group:
    """Answers that are the same."""

    representative: str
    """The first of them."""
    indices: list[int] = field(default_factory=list)
    """Where they stand in the list that was grouped, ascending."""


def group(answers: Sequence[str | None], equality: Equality = "math") -> list[Group]:
    """Sort answers into groups of the same answer.

    An answer joins the group whose representative has the same normalised text, or
    else the first whose representative is the same, so each one is compared with at
    most one answer of every group. Equality that is not transitive (5, 5 cm, 5 m) is
    settled by the representatives.

    Args:
        answers: Extracted answers; ``None`` belongs to no group.
        equality: What counts as the same; see ``same``.

    Returns:
        The groups in order of first appearance.
    """
    index = _Index(equality)
    for place, answer in enumerate(answers):
        if answer is not None:
            index.group(answer).indices.append(place)
    return index.groups


class _Index:
    """Groups found so far, and where to look for the group of an answer."""

    def __init__(self, equality: Equality) -> None:
        self.groups: list[Group] = []
        self._equality = equality
        self._by_text: dict[str, Group] = {}
        self._by_number: dict[Fraction, list[Group]] = {}
        self._expressions: list[Group] = []

    def group(self, answer: str) -> Group:
        text = normalise(answer)
        if text not in self._by_text:
            self._by_text[text] = self._equal(answer) or self._new(answer)
        return self._by_text[text]

    def _equal(self, answer: str) -> Group | None:
        if self._equality == "exact":
            return None
        rivals = (g for g in self._rivals(answer) if same(g.representative, answer))
        return next(rivals, None)

    def _rivals(self, answer: str) -> list[Group]:
        # Plain numbers of different value need no comparison.
        if number := read_number(answer):
            return [*self._by_number.get(number.value, []), *self._expressions]
        return self.groups if _is_expression(answer) else []

    def _new(self, answer: str) -> Group:
        found = Group(answer)
        self.groups.append(found)
        if number := read_number(answer):
            self._by_number.setdefault(number.value, []).append(found)
        elif _is_expression(answer):
            self._expressions.append(found)
        return found
