"""Reading a list of short texts out of a reply, in JSON or in numbered lines."""

import json
import re
from typing import Any

from ponder.agents._structured import last_json

_ITEM = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+(.*\S)", re.MULTILINE)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def texts_in(text: str, key: str) -> tuple[str, ...] | None:
    """Return the texts that a reply lists.

    Args:
        text: The reply. Of a JSON array that was cut off, the complete strings count.
        key: Of the array, in a JSON object; an array alone will do.

    Returns:
        Without repetitions and empty ones; ``None`` if there is no list.
    """
    value = last_json(text)
    if isinstance(value, dict):
        value = value.get(key)
    array = value if isinstance(value, list) else []
    items = [item for item in array if isinstance(item, str)]
    items = items or _cut_off(text, key) or _ITEM.findall(text)
    kept = dict.fromkeys(" ".join(item.split()) for item in items)
    kept.pop("", None)
    return tuple(kept) or None


def array_of_texts(key: str, least: int, most: int, longest: int) -> dict[str, Any]:
    """Return the JSON schema of an object with one array of texts.

    Args:
        key: Of the array.
        least: Fewest texts.
        most: Most texts.
        longest: Characters of a text.
    """
    item = {"type": "string", "minLength": 1, "maxLength": longest}
    return {
        "type": "object",
        "properties": {
            key: {
                "type": "array",
                "items": item,
                "minItems": least,
                "maxItems": most,
            }
        },
        "required": [key],
        "additionalProperties": False,
    }


def _cut_off(text: str, key: str) -> list[str]:
    start = re.search(rf'"{re.escape(key)}"\s*:\s*\[\s*(?=")', text)
    return [_unquoted(s) for s in _STRING.findall(text, start.end())] if start else []


def _unquoted(string: str) -> str:
    try:
        return str(json.loads(string, strict=False))
    except ValueError:
        return string[1:-1]
