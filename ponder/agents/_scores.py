"""Reading the score of a verdict, on PlanGEN's scale from -100 to 100."""

import re
from typing import Any

from ponder.agents._structured import all_json, first_json

LOWEST, HIGHEST = -100, 100
"""The scale of PlanGEN's scores."""

_NUMBER = r"[+]?(?P<score>-?\d+(?:\.\d+)?)"
_OPEN, _CLOSE = r"""[*_"'`(\[$|{]*""", r"""[*_"'`)\]$|}]*"""
# Neither a percentage, nor the beginning of a range, nor on another scale.
_OTHER = r"\.?\d|[ \t]*(?:%|to\b|-[ \t]*\d|(?:/|out of)[ \t]*(?!100\b)\d)"
# What the plan "needs a score of 95" for, or "cannot" have, is not its score.
_IF = r"or|only|if|unless|when|would|could|cannot|needs?|requires?|is (?:required|not)"
_END = rf"(?!{_OTHER})(?!{_CLOSE}[ \t]*,?[ \t]*(?:{_IF})\b)"
_AIM = (
    r"(?<!required )(?<!passing )(?<!minimum )(?<!threshold )(?<!target )(?<!maximum )"
)
_STATED = [
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        rf"{_AIM}\bscore\b{_CLOSE}\s*[:=|]\s*{_OPEN}\s*(?:\\boxed\{{)?{_NUMBER}{_END}",
        rf"{_AIM}\bscore\b{_CLOSE}\s+{_OPEN}{_NUMBER}{_CLOSE}(?:/100)?[.*|\s]*$",
        rf"{_AIM}\bscore(?: for this \w+)? (?:is|would be):? {_OPEN}{_NUMBER}{_END}",
        r"(?<!not )(?<!cannot )\b"
        r"(?:give|assign|award|rate|receive|get|deserve|earn)s?\b"
        rf"[^.!?;\n]{{0,60}}?\bscore of {_OPEN}{_NUMBER}{_END}",
    )
]
"""How a score is stated in words: "Score: 85", "## Score", "the score is", "I give it
a score of"."""
_KEY = re.compile(
    rf"[\"'](?:\w+_)?score[\"']\s*:\s*[\"']?{_NUMBER}(?:/100)?[\"']?\s*(?=[,}}/`]|\Z)",
    re.IGNORECASE,
)
_UNQUOTED = re.compile(r"[,{]\s*score\s*:", re.IGNORECASE)
_DASH = re.compile("[\u2012-\u2015\u2212]\\s*(?=\\d)")
"""What some write for the minus before a number."""


def scored(text: str, *, cut: bool = False) -> tuple[str, float] | None:
    """Return feedback and score that a reply states, in JSON or in words.

    Args:
        text: The reply.
        cut: Whether it was cut off: then only JSON that begins and ends in it counts,
            for a number may lack its last digits, and what is said its end.

    Returns:
        ``None`` if it states no score from -100 to 100, or several in JSON.
    """
    text = _DASH.sub("-", text.rpartition("</think>")[2])
    objects = [first_json(text)] if cut else all_json(text)
    stated = [v for v in map(_lowered, objects) if "score" in v]
    feedback = str(stated[-1].get("feedback", "")) if stated else text
    scores = {_number(value["score"]) for value in stated}
    if not (stated or cut):
        scores = _broken(text) or _in_words(text)
    score = scores.pop() if len(scores) == 1 else None
    if score is None or not LOWEST <= score <= HIGHEST:
        return None
    return feedback.strip(), score


def _lowered(value: object) -> dict[str, Any]:
    """Return an object with its keys as they should be; empty if it is none."""
    if not isinstance(value, dict):
        return {}
    found = {str(key).casefold(): content for key, content in value.items()}
    named = [found[key] for key in ("final_score", "overall_score") if key in found]
    return {"score": named[0], **found} if named else found


def _broken(text: str) -> set[float | None]:
    """Return all scores of JSON that has mistakes."""
    return {float(found["score"]) for found in _KEY.finditer(text)}


def _in_words(text: str) -> set[float | None]:
    """Return the last score that is stated in words.

    JSON that was begun and not ended states none: there it is a part of the feedback.
    """
    if text.lstrip("` \njson").startswith("{") and first_json(text) is None:
        text = text if _UNQUOTED.search(text) else ""
    found = [match for pattern in _STATED for match in pattern.finditer(text)]
    last = max(found, key=lambda match: match.start("score"), default=None)
    return set() if last is None else {float(last["score"])}


def _number(value: object) -> float | None:
    """Return a number, also one that a model has put into quotes."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(str(value).strip().removesuffix("/100"))
    except ValueError:
        return None


def normalised(score: float) -> float:
    """Return a score from -100 to 100 on the scale from 0 to 1."""
    return (score - LOWEST) / (HIGHEST - LOWEST)
