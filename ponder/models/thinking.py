"""Split what a thinking model wrote before its answer from the answer."""

import re

_NAMES = ("think", "thinking", "reasoning")
THOUGHT_TAGS = tuple(f"<{name}>" for name in _NAMES)
_LONGEST = max(len(f"</{name}>") for name in _NAMES)
_OPENING = re.compile(rf"\s*<({'|'.join(_NAMES)})>")
_CLOSING = re.compile(rf"</({'|'.join(_NAMES)})>")


class Thought:
    """Where the answer begins in a text that grows."""

    def __init__(self, *, open: bool = False) -> None:
        """Begin with no text; ``open`` if the prompt has opened a thought."""
        self._open = open
        self._seen = 0
        self._begins: int | None = None

    def answer(self, text: str) -> int | None:
        """Return where the answer begins, ``None`` while that cannot be told.

        Args:
            text: All of it so far, longer each time.
        """
        if self._begins is None:
            self._begins = self._found(text)
        return self._begins

    def _found(self, text: str) -> int | None:
        if not self._open:
            start = text.lstrip()
            if start and any(tag.startswith(start) for tag in THOUGHT_TAGS):
                return None
            self._open = _OPENING.match(text) is not None
            if not self._open:
                return 0
        closing = _CLOSING.search(text, self._seen)
        if closing is None:
            self._seen = max(0, len(text) - _LONGEST)
            return None
        self._seen = closing.start()
        # White space behind the tag belongs to the thought.
        rest = text[closing.end() :].lstrip()
        return len(text) - len(rest) if rest else None


def split_thinking(text: str) -> tuple[str | None, str]:
    """Separate a leading block of thought from the answer.

    Only a block that begins the text counts, so an answer may talk about the tags.
    Some chat templates put the opening tag into the prompt; then the text has only
    the closing one, and all before it is thought. A block that is never closed (the
    text ended at a limit) leaves no answer.

    Args:
        text: What the model wrote.

    Returns:
        The thought, ``None`` if there is none, and the answer. Both are stripped of
        the white space around the tags; a text without thought stays as it is.
    """
    opening = _OPENING.match(text)
    if opening is None:
        return _split_unopened(text)
    tag = opening.group(1)
    thought, closed, answer = text[opening.end() :].partition(f"</{tag}>")
    if not closed:
        return thought.strip(), ""
    return thought.strip(), answer.lstrip()


def _split_unopened(text: str) -> tuple[str | None, str]:
    closing = _CLOSING.search(text)
    if closing is None or f"<{closing.group(1)}>" in text[: closing.start()]:
        return None, text
    return text[: closing.start()].strip(), text[closing.end() :].lstrip()
