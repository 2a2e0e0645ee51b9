"""Times of day in minutes since midnight, as people write them."""

import re

from ponder.evals.tasks._plan_text import Range

DAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)

_TIME = r"(\d{1,2})(?:[:.](\d{2}))?(?:\s*([ap])\.?m\b\.?)?"
_ONE = re.compile(_TIME, re.I)
_SPAN = re.compile(
    rf"(?<![\d:.]){_TIME}\s*(?:-+|\bto\b|\buntil\b|\btill\b)\s*{_TIME}(?!\d|:\d)", re.I
)
_NOON = re.compile(r"\b(?:12(?:[:.]00)?\s*)?(?:noon|midday)\b", re.I)
# "Sat" and "Sun" are words of their own.
_DAY = re.compile(
    r"\b(?:(mon)(?:day)?|(tue)(?:s|sday)?|(wed)(?:s|nesday)?|(thu)(?:rs?|rsday)?"
    r"|(fri)(?:day)?|(sat)urday|(sun)day)s?\b",
    re.I,
)


def clock(minutes: int) -> str:
    """Return a time such as ``9:05``.

    Args:
        minutes: Since midnight.
    """
    return f"{minutes // 60}:{minutes % 60:02d}"


def span(first: int, last: int) -> str:
    """Return a span of time such as ``9:05 - 10:00``; both in minutes."""
    return f"{clock(first)} - {clock(last)}"


def read_time(text: str) -> int | None:
    """Read a time of day such as ``9:05``, ``21:05`` or ``9:05 PM``.

    Returns:
        Minutes since midnight, ``None`` if the text is nothing of the kind.
    """
    match = _ONE.fullmatch(_NOON.sub("12:00 PM", text.strip()))
    return _minutes(*match.groups()) if match else None


def read_spans(text: str) -> list[Range]:
    """Find all spans of time in a text without mark-up.

    Where only one end of a span says am or pm, the other end is read so that the span
    is the shortest one. Bare hours are read only if the other end is a time for sure.

    Returns:
        The spans in their order, in minutes since midnight; ``last`` is not after
        ``first`` where the text says so.
    """
    # Same length, or the offsets would not fit the text that the caller has.
    text = _NOON.sub(lambda m: "12pm".rjust(len(m[0])), text)
    found = ((m, _ends(*m.groups())) for m in _SPAN.finditer(text))
    return [Range(*m.span(), *ends) for m, ends in found if ends is not None]


def read_days(text: str) -> list[str]:
    """Return the days of the week that a text names, in its order."""
    short = {day[:3].casefold(): day for day in DAYS}
    return [short[m[0][:3].casefold()] for m in _DAY.finditer(text)]


def _minutes(hour: str, minute: str | None, half: str | None) -> int | None:
    hours, minutes = int(hour), int(minute or 0)
    if half and hours <= 12:
        hours = hours % 12 + (12 if half.lower() == "p" else 0)
    total = 60 * hours + minutes
    return total if minutes < 60 and total <= 24 * 60 else None


def _ends(
    hour: str,
    minute: str | None,
    half: str | None,
    hour_2: str,
    minute_2: str | None,
    half_2: str | None,
) -> tuple[int, int] | None:
    if not any((minute, half, minute_2, half_2)):
        return None
    first = _minutes(hour, minute, half)
    last = _minutes(hour_2, minute_2, half_2)
    if half_2 and not half and last is not None:
        guesses = (_minutes(hour, minute, guess) for guess in (half_2, "a"))
        first = next((g for g in guesses if g is not None and g <= last), first)
    if half and not half_2 and first is not None:
        guesses = (_minutes(hour_2, minute_2, guess) for guess in (None, "a", "p"))
        last = next((g for g in guesses if g is not None and g > first), last)
    return None if first is None or last is None else (first, last)
