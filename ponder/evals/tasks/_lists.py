"""Reading answers that are lists of short items, such as moves or values."""

import re

from ponder.agents.answers import extract

_STYLE = re.compile(r"\\(?:text|textbf|texttt|mathrm|mathbf)\s*\{([^{}]*)\}")
_ELLIPSIS = re.compile(r"\.{3,}|\\[lc]?dots")
_GAP = r"(?:[\s.;,]|\\\\|\\q?quad|\\[,; ])"
_BULLET = r"(?:\(?\d+[.)]|[-*•])\s*"


def read_list(text: str, item: str) -> tuple[str | None, list[str] | None]:
    """Read the items of a final answer, which may stand on lines of their own.

    Args:
        text: What a model wrote. A text that is nothing but items is an answer, too.
        item: Regular expression of an item, without groups; case does not count.

    Returns:
        The answer as it was found, ``None`` if there is none; and its items,
        ``None`` if there is anything else between them.
    """
    text = _on_one_line(text, item)
    answer = extract(text)
    for candidate in (answer, text):
        pieces = re.split(r"\s*;\s*", (candidate or "").strip(" \n;.,$(){}[]\\"))
        if all(re.fullmatch(item, piece, re.IGNORECASE) for piece in pieces):
            return candidate, pieces
    return answer, None


def _on_one_line(text: str, item: str) -> str:
    # An answer without a box ends at its line, and would lose the items below.
    # Full stops at the end would be taken off, and an unfinished list look whole.
    text = _ELLIPSIS.sub("…", text)
    text = _STYLE.sub(r"\1", text).replace("**", "").replace("`", "")
    text = re.sub(rf"(?<!\w){_BULLET}(?={item})", "", text, flags=re.IGNORECASE)
    gap = rf"({item}){_GAP}+(?:(?:and|then)\s+)*(?={item})"
    return re.sub(gap, r"\1; ", text, flags=re.IGNORECASE)
