"""Reading plans out of texts: entries of a name and a range, in any usual form.

A plan is looked for in the last box first, then at the end of the text. Elsewhere a
text speaks of many ranges that are no plan, so nothing is guessed from there.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from ponder.agents.answers import extract

LINES_AFTER = 2
"""A plan that is not boxed may be followed by so many lines of other text."""

_FILLER = frozenset(
    """a am an and answer arrive arriving at day days final flight fly for friend from
    here hour hours i in is itinerary meet meeting met minute minutes my on plan pm
    schedule solution stay staying start the then time to travel trip visit visiting
    wait walk we will with you your""".split()
)
_STRANGE_WORDS = 2
"""A line with more words that are neither names nor filler is prose."""
_NO_ENTRY = re.compile(
    r"\b(?:available|between|busy|can|could|free|must|only|window)\b", re.I
)
_TRANSIT = re.compile(
    r"[^a-z]*(?:days?[^a-z]+)?(?:(?:you|then|i)\s+)*"
    r"(?:drive|fly|flight|go|leave|start\s+(?:at|from|in)|travel|walk|wait\s+(?:for|till|until))\b",
    re.I,
)
_PIECES = re.compile(r"[;\n→]")
_CAPITALISED = re.compile(r"[A-Z][\w'-]+(?: [A-Z][\w'-]+)*")


class Range(NamedTuple):
    """A range of numbers and where it stands in a text."""

    begin: int
    """Offset of its first character."""
    end: int
    """Offset behind its last character."""
    first: int
    last: int


class Entry(NamedTuple):
    """One entry of a plan, such as a city and its days."""

    name: str
    first: int
    last: int


Find = Callable[[str], list[Range]]
"""Finds all ranges of a text, in their order."""


def plain(text: str) -> str:
    """Return a text without mark-up, with one kind of dash and of arrow."""
    text = unicodedata.normalize("NFKC", text)
    text = re.sub(r"\\(?:text|math)[a-z]*\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\f?boxed\b", " ", text)
    text = re.sub(r"\\\\|\\newline\b", "\n", text)
    text = re.sub(r"\\(?:long)?(?:right|Right)arrow\b|\\to\b|[→⇒➔]|[-=]>", "→", text)
    text = re.sub(r"[\u2010-\u2015\u2212]|(?<=\d)\s*~\s*(?=\d)", "-", text)
    text = re.sub(r"\\[,;:! ]|~", " ", text)
    return re.sub(r"[*_`${}]|\\", "", text)


def boxed(text: str) -> str | None:
    """Return the content of the last box of a text, without mark-up."""
    found = extract(text) if "boxed" in text else None
    return None if found is None else plain(found)


def closing(text: str, read: Callable[[str], list[Entry] | None]) -> list[Entry]:
    """Return the entries of the last run of lines that hold some.

    Args:
        text: What a model wrote.
        read: Reads a line; ``None`` is a line that belongs to no plan, an empty list
            one that may stand within a plan.
    """
    found: list[Entry] = []
    after = 0
    for line in reversed(plain(text).splitlines()):
        entries = read(line) if line.strip() else []
        if entries is not None:
            found = [*entries, *found]
        elif found or after == LINES_AFTER:
            break
        else:
            after += 1
    return list(dict.fromkeys(found))


def entries(text: str, names: Collection[str], find: Find) -> list[Entry]:
    """Return all entries of a text, which is an answer and nothing else.

    Args:
        text: Without mark-up. Entries are parted by ``;``, arrows or new lines; the
            name of an entry may stand before or after its range.
        names: The names to expect; other capitalised words are names where an entry
            has none of these.
        find: Finds the ranges.
    """
    return [
        entry
        for piece in _PIECES.split(text)
        for entry in _entries(piece, names, find(piece))
    ]


def unplaced(text: str, names: Collection[str], find: Find) -> bool:
    """Tell whether a name of an answer has no range of its own.

    Args:
        text: As for ``entries``.
        names: The names to expect.
        find: Finds the ranges.
    """
    known = _pattern(names)
    return known is not None and any(
        len(known.findall(piece)) > len(find(piece))
        for piece in _PIECES.split(text)
        if not is_transit(piece, find(piece))
    )


def line_entries(
    line: str, names: Collection[str], find: Find, places: Collection[str] = ()
) -> list[Entry] | None:
    """Read a line of a text that may be prose, for ``closing``.

    Args:
        line: Without mark-up.
        names: The names to expect.
        find: Finds the ranges.
        places: Further words that may stand in an entry.
    """
    ranges = find(line)
    if not ranges:
        return [] if is_transit(line) else None
    rest = _without(line, ranges)
    for known in filter(None, (_pattern(names), _pattern(places))):
        rest = known.sub(" ", rest)
    words = re.findall(r"[^\W\d_]{2,}", rest.lower())
    strange = [word for word in words if word not in _FILLER]
    if len(strange) > _STRANGE_WORDS or _NO_ENTRY.search(line):
        return None
    return entries(line, names, find) or None


def is_transit(text: str, ranges: Sequence[Range] = ()) -> bool:
    """Tell whether a piece of a plan is about being on the way.

    Args:
        text: Without mark-up.
        ranges: Its ranges, which may stand before the first word.
    """
    return bool(_TRANSIT.match(_without(text, ranges)))


def _entries(
    piece: str, names: Collection[str], ranges: Sequence[Range]
) -> list[Entry]:
    if not ranges:
        return []
    known = _pattern(names)
    spelling = {name.casefold(): name for name in names}
    ends = [0, *(r.end for r in ranges)]
    begins = [*(r.begin for r in ranges), len(piece)]
    gaps = [_names(piece[a:b], known) for a, b in zip(ends, begins, strict=True)]
    # "Berlin 1-4" or "Day 1-4: Berlin": names that are expected tell best.
    expected = [any(name.casefold() in spelling for name in gap) for gap in gaps]
    before = expected[0] or (bool(gaps[0]) and not expected[1])
    chosen = [gap[-1:] for gap in gaps[:-1]] if before else [g[:1] for g in gaps[1:]]
    return [
        Entry(spelling.get(name.casefold(), name), r.first, r.last)
        for found, r in zip(chosen, ranges, strict=True)
        for name in found
    ]


def _names(text: str, known: re.Pattern[str] | None) -> list[str]:
    expected: list[str] = known.findall(text) if known else []
    return expected or [name for name in map(_name, _CAPITALISED.findall(text)) if name]


def _name(words: str) -> str:
    return " ".join(w for w in words.split() if w.casefold() not in _FILLER)


def _pattern(names: Collection[str]) -> re.Pattern[str] | None:
    longest = sorted(map(re.escape, names), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(longest)})\b", re.I) if longest else None


def _without(text: str, ranges: Sequence[Range]) -> str:
    for found in reversed(ranges):
        text = f"{text[: found.begin]} {text[found.end :]}"
    return text
