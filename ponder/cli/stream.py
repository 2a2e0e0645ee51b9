"""The text of several branches on one stream, as it is written."""

import sys

import typer

from ponder.drawing import printable


class Transcript:
    """Writes text to standard error while models write it.

    A branch that is alone is shown word by word. Branches that write side by side are
    shown by whole lines, each behind the path of its branch.
    """

    def __init__(self) -> None:
        """Start with an empty page."""
        self._pending: dict[tuple[str, int], str] = {}
        """Text of a line that is not complete yet."""
        self._open: tuple[str, int] | None = None
        """Whose text the unfinished line on the screen is."""

    def add(self, path: str, index: int, text: str, *, alone: bool) -> None:
        """Show new text of a branch.

        Args:
            path: Of the call.
            index: Of the completion.
            text: What is new.
            alone: No other branch is being written.
        """
        key = (path, index)
        if alone and not self._pending.get(key):
            self._word_by_word(key, text)
            return
        if self._open is not None:
            self.break_line()
        *whole, rest = (self._pending.get(key, "") + text).split("\n")
        self._pending[key] = rest
        for line in whole:
            self._line(path, line)

    def end(self, path: str, index: int) -> None:
        """Show what a branch has written last."""
        if self._open == (path, index):
            self.break_line()
        rest = self._pending.pop((path, index), "")
        if rest.strip():
            self.break_line()
            self._line(path, rest)

    def break_line(self) -> None:
        """Finish a line that is open, so that something else can be written."""
        if self._open is not None:
            _write("\n")
            self._open = None

    def _word_by_word(self, key: tuple[str, int], text: str) -> None:
        if self._open != key:
            self.break_line()
            text = text.lstrip("\n")
        if text:
            _write(text)
            self._open = key

    def _line(self, path: str, line: str) -> None:
        if line.strip():
            _write(f"{path} | {line.rstrip()}\n")


def _write(text: str) -> None:
    typer.echo(printable(text), err=True, nl=False)
    sys.stderr.flush()
