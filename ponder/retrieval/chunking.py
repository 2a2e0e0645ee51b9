"""Cutting documents into passages, at the ends of paragraphs and sentences."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator

from ponder.errors import InvalidParameter
from ponder.passages import Passage
from ponder.retrieval.documents import Document

SIZE = 1000
"""Characters of a passage: about 250 tokens, so that five fit a small context."""
OVERLAP = 100
"""Characters of the passage before that a passage of ``SIZE`` may begin with."""

Span = tuple[int, int]

_PARAGRAPHS = re.compile(r"\n[^\S\n]*\n\s*")
_CUTS = (
    # Behind . ! ? with their closing marks and a space, or behind CJK full stops.
    re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])\s*"),
    re.compile(r"\n\s*"),
    re.compile(r"\s+"),
)
"""Where a long paragraph is cut: sentences, else lines, else words."""
_HEADING = re.compile(r"#{1,6}\s[^\n]*\Z")


def checked_overlap(size: int, overlap: int | None) -> int:
    """Return the overlap of passages, by default a tenth of their size.

    Raises:
        InvalidParameter: The lengths are outside their ranges.
    """
    overlap = size * OVERLAP // SIZE if overlap is None else overlap
    if size < 50:
        raise InvalidParameter(f"Passages of {size} characters: give 50 or more.")
    if not 0 <= overlap <= size // 2:
        raise InvalidParameter(
            f"An overlap of {overlap} characters: give 0 to {size // 2}, half the size."
        )
    return overlap


def chunk(
    document: Document, *, size: int = SIZE, overlap: int | None = None
) -> list[Passage]:
    """Cut a document into passages.

    A passage is a row of whole paragraphs; a paragraph that is too long is cut behind
    a sentence, a sentence behind a word, a word anywhere. A heading stays with what
    follows. No passage reaches over a page, so that the page of a citation is right.

    Args:
        document: What to cut; ``document.text[p.start:p.end] == p.text`` for each.
        size: Most characters of a passage, from 50.
        overlap: At most so many characters are repeated from the passage before, in
            whole sentences; 0 to ``size // 2``, by default a tenth of ``size``.

    Raises:
        InvalidParameter: The lengths are outside their ranges.

    Returns:
        Passages in order, none empty. Their ids depend on source, text and the number
        of equal texts before, so they stay the same while the text does.
    """
    overlap = checked_overlap(size, overlap)
    seen: Counter[str] = Counter()
    passages = []
    for page in _pages(document):
        for start, end in _packed(_units(document.text, page, size), size, overlap):
            text = document.text[start:end]
            passages.append(_passage(document, start, end, seen[text]))
            seen[text] += 1
    return passages


def _passage(document: Document, start: int, end: int, occurrence: int) -> Passage:
    text = document.text[start:end]
    name = f"{document.source}\x00{occurrence}\x00{text}"
    return Passage(
        id=hashlib.blake2b(name.encode(), digest_size=12).hexdigest(),
        text=text,
        source=document.source,
        title=document.title,
        start=start,
        end=end,
        page=document.page_at(start),
    )


def _pages(document: Document) -> Iterator[Span]:
    starts = document.pages or (0,)
    yield from zip(starts, (*starts[1:], len(document.text)), strict=True)


def _units(text: str, page: Span, size: int) -> list[Span]:
    """Return what is never cut again: paragraphs, or parts of long ones."""
    units: list[Span] = []
    heading: int | None = None
    for start, end in _split(text, page, _PARAGRAPHS):
        first = start if heading is None else heading
        if _HEADING.match(text, start, end):
            heading = first
        else:
            heading = None
            units += _parts(text, (first, end), size, _CUTS)
    if heading is not None:
        units += _parts(text, _trimmed(text, (heading, page[1])), size, _CUTS)
    return units


def _parts(
    text: str, span: Span, size: int, cuts: tuple[re.Pattern[str], ...]
) -> Iterator[Span]:
    if span[1] - span[0] <= size:
        yield span
    elif cuts:
        for part in _split(text, span, cuts[0]):
            yield from _parts(text, part, size, cuts[1:])
    else:
        for start in range(span[0], span[1], size):
            yield start, min(start + size, span[1])


def _split(text: str, span: Span, cut: re.Pattern[str]) -> Iterator[Span]:
    """Return the parts between cuts, trimmed; marks that close a sentence stay."""
    start = span[0]
    for match in cut.finditer(text, *span):
        yield from _some(_trimmed(text, (start, match.end())))
        start = match.end()
    yield from _some(_trimmed(text, (start, span[1])))


def _some(span: Span) -> Iterator[Span]:
    if span[1] > span[0]:
        yield span


def _packed(units: list[Span], size: int, overlap: int) -> Iterator[Span]:
    """Join units in order while they fit; begin with the last ones of before."""
    first = 0
    for i, (start, end) in enumerate(units):
        if i > first and end - units[first][0] > size:
            yield units[first][0], units[i - 1][1]
            first = i
            while (
                first > 0
                and start - units[first - 1][0] <= overlap
                and end - units[first - 1][0] <= size
            ):
                first -= 1
    if units:
        yield units[first][0], units[-1][1]


def _trimmed(text: str, span: Span) -> Span:
    start, end = span
    while end > start and text[end - 1].isspace():
        end -= 1
    while start < end and text[start].isspace():
        start += 1
    return start, end
