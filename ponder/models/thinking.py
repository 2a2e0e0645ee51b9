"""Split what a thinking model wrote before its answer from the answer."""

import re

_OPENING = re.compile(r"\s*<(think|thinking|reasoning)>")
_CLOSING = re.compile(r"</(think|thinking|reasoning)>")


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
