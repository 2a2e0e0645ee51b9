"""Tokens to text as they come: UTF-8 across tokens, stop strings across tokens."""

import codecs
from collections.abc import Callable, Sequence

from ponder.models.thinking import Thought


class TextStream:
    """The growing text of one branch."""

    def __init__(
        self,
        piece: Callable[[int], bytes],
        stops: Sequence[str],
        *,
        thinking: bool = False,
    ) -> None:
        """Start with no text.

        Args:
            piece: Gives the bytes of a token.
            stops: Strings that end the text before them, behind a thought it begins
                with.
            thinking: Such a thought is open already.
        """
        self._piece = piece
        self._stops = tuple(stop for stop in stops if stop)
        self._longest = max((len(stop) for stop in self._stops), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._given = 0
        self._thought = Thought(open=thinking)
        self.text = ""
        """Whole characters so far, cut before a stop string."""
        self.stopped = False
        """Whether a stop string was met."""

    def push(self, token: int) -> None:
        """Add a token."""
        new = self._decoder.decode(self._piece(token))
        search_from = len(self.text) - self._longest + 1
        self.text += new
        begins = self._thought.answer(self.text) if self._stops else None
        if begins is None:
            return
        search_from = max(begins, search_from)
        found = [self.text.find(stop, search_from) for stop in self._stops]
        if any(at >= 0 for at in found):
            self.text = self.text[: min(at for at in found if at >= 0)]
            self.stopped = True

    def take(self, final: bool = False) -> str:
        """Return the new text that no stop string can take back.

        Args:
            final: No more tokens will come.
        """
        end = len(self.text) - (0 if final or self.stopped else self._held_back())
        new = self.text[self._given : end]
        self._given = max(self._given, end)
        return new

    def _held_back(self) -> int:
        """Return the length of the tail that could begin a stop string."""
        for length in range(min(self._longest - 1, len(self.text)), 0, -1):
            tail = self.text[-length:]
            if any(stop.startswith(tail) for stop in self._stops):
                return length
        return 0


def spelled(
    tokens: Sequence[int], text: str, piece: Callable[[int], bytes]
) -> tuple[int, ...]:
    """Return the first tokens that spell exactly ``text``.

    Args:
        tokens: What a model generated, beginning with the text.
        text: The beginning that is kept.
        piece: Gives the bytes of a token.

    Returns:
        The tokens; empty if the end of the text lies inside a token.
    """
    wanted, size = len(text.encode()), 0
    spelling = b""
    count = 0
    for token in tokens:
        data = piece(token)
        if size + len(data) > wanted:
            break
        size += len(data)
        spelling += data
        count += 1
    return tuple(tokens[:count]) if spelling == text.encode() else ()


def covering(tokens: Sequence[int], text: str, piece: Callable[[int], bytes]) -> int:
    """Return how many first tokens it takes to cover ``text``."""
    wanted, size = len(text.encode()), 0
    for count, token in enumerate(tokens):
        if size >= wanted:
            return count
        size += len(piece(token))
    return len(tokens)
