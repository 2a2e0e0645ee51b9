"""Cutting documents into paragraphs of a few sentences, and ranking them by TF-IDF."""

import math
import re
from collections import Counter
from collections.abc import Sequence

from ponder.passages import Passage

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[^\W_a-z])|\n\s*\n")
_WORD = re.compile(r"\w+")


def paragraphs(passage: Passage, sentences: int) -> list[Passage]:
    """Cut a passage into paragraphs.

    Args:
        passage: A document, or a piece of one.
        sentences: How many make a paragraph, 1 or more; the last one may have fewer.

    Returns:
        Paragraphs whose ids and offsets derive from the passage's; the passage itself
        if it has no more sentences than that.
    """
    ends = [match.end() for match in _SENTENCE_END.finditer(passage.text)]
    starts = [0, *(end for end in ends if passage.text[end:].strip())]
    if len(starts) <= sentences:
        return [passage]
    cuts = [*starts[::sentences], len(passage.text)]
    return [
        _piece(passage, start, end) for start, end in zip(cuts, cuts[1:], strict=False)
    ]


def cosines(query: str, texts: Sequence[str]) -> list[float]:
    """Return the cosine of each text's TF-IDF vector with that of a query.

    With N texts, of which df hold a word, a word that stands tf times in a text weighs
    tf (1 + ln((1 + N) / (1 + df))); words of the query that no text holds count.

    Args:
        query: What is looked for.
        texts: The collection, also for the document frequencies.

    Returns:
        0 (no word in common) to 1.
    """
    counts = [_counted(text) for text in texts]
    frequency = Counter(word for count in counts for word in count)
    asked = _weighed(_counted(query), frequency, len(texts))
    return [_cosine(asked, _weighed(c, frequency, len(texts))) for c in counts]


def _piece(passage: Passage, start: int, end: int) -> Passage:
    text = passage.text[start:end]
    begin = start + len(text) - len(text.lstrip())
    text = text.strip()
    offset = None if passage.start is None else passage.start + begin
    return passage.model_copy(
        update={
            "id": f"{passage.id}#{begin}",
            "text": text,
            "start": offset,
            "end": None if offset is None else offset + len(text),
        }
    )


def _counted(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))


def _weighed(
    counts: Counter[str], frequency: Counter[str], total: int
) -> dict[str, float]:
    return {
        word: count * (1 + math.log((1 + total) / (1 + frequency[word])))
        for word, count in counts.items()
    }


def _cosine(a: dict[str, float], b: dict[str, float]) -> float:
    norms = math.hypot(*a.values()) * math.hypot(*b.values())
    return sum(a[w] * b[w] for w in a.keys() & b.keys()) / norms if norms else 0.0
