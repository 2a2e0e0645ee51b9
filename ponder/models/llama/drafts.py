"""Guess the next tokens of a branch from what its siblings and its prompt said.

Where the kernels work on tiles, a decode of 9 rows takes as long as one of 16. Spare
rows then try guessed tokens: the row of a guess is worth something if the token drawn
before it is that guess, and is thrown away if not. What is drawn is drawn from the
same distribution by the same random numbers, so this changes speed and nothing else.
Guessing by the last occurrence of the same n-gram is "prompt lookup decoding"
(Saxena 2023, https://github.com/apoorvumang/prompt-lookup-decoding), here over all
branches of an engine; checking several tokens in one pass is speculative decoding
(Leviathan et al. 2023, https://arxiv.org/abs/2211.17192).
"""

from collections.abc import Sequence
from dataclasses import dataclass

ORDERS = (4, 3, 2)
"""Lengths of the n-grams that are looked up, longest first."""
DEPTH = 4
"""Most tokens guessed ahead."""
_ENTRIES = 200_000
_FIRST_CHANCE = 0.3
_LEARNING = 0.02
_RECOVERY = 0.0005


@dataclass(frozen=True)
class Draft:
    """A guess at how a branch goes on."""

    tokens: list[int]
    order: int
    """Length of the n-gram that it rests on."""


class Drafter:
    """Remembers n-grams, and how often guesses from them came true."""

    def __init__(self) -> None:
        # An n-gram to where its continuation is: a list that grows, and an index.
        self._seen: dict[tuple[int, ...], tuple[list[int], int]] = {}
        self._chance = dict.fromkeys(ORDERS, _FIRST_CHANCE)

    def chance(self, order: int) -> float:
        """Return how likely a guess is right, if the one before it was."""
        return self._chance[order]

    def learn(self, tokens: list[int], start: int, end: int) -> None:
        """Remember the n-grams before some tokens.

        Args:
            tokens: Tokens of a branch; the list is kept and may grow.
            start: Index of the first token that is new.
            end: Index after the last one.
        """
        if len(self._seen) > _ENTRIES:
            self._seen.clear()
        for order in ORDERS:
            for at in range(max(start, order), end):
                self._seen[tuple(tokens[at - order : at])] = (tokens, at)

    def guess(self, tokens: Sequence[int], most: int) -> Draft | None:
        """Guess what follows.

        Args:
            tokens: All tokens of a branch so far.
            most: Most tokens that are of use.

        Returns:
            At least one token, or ``None`` if nothing like it was seen.
        """
        for order in ORDERS:
            found = self._seen.get(tuple(tokens[-order:]))
            if found is not None and len(tokens) >= order and most > 0:
                source, at = found
                return Draft(source[at : at + min(most, DEPTH)], order)
        return None

    def note(self, order: int, tried: int, right: int) -> None:
        """Learn from a guess: its first ``right`` tokens came true.

        A guess behind a wrong one was never put to the test.
        """
        for outcome in [1.0] * right + [0.0] * (right < tried):
            self._chance[order] += _LEARNING * (outcome - self._chance[order])

    def rest(self) -> None:
        """Let chances recover a little, so that guessing is tried again one day."""
        for order, chance in self._chance.items():
            if chance < _FIRST_CHANCE:
                self._chance[order] = chance + _RECOVERY
