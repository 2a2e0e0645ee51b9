"""What the context holds for later: sequences, the cells they share, last logits.

Keeping is not free: in a unified cache every row attends, masked, over all cells in
use. On the CPU measured, 2,500 to 5,000 rows computed beside an idle cell cost as much
as computing that cell again. So what is kept is dropped if nobody comes back to it
while a number of rows are computed. That patience grows when somebody came back too
late, or late but in time, and shrinks with everything that was kept for nothing.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from ponder.models.llama.bindings import Row
from ponder.models.llama.prefix import PrefixTree

KEPT_LOGITS = 64
"""Prompts whose last logits are kept."""
PATIENCE = (256, 1024, 4096)
"""Rows for which an unused sequence is kept: least, at first, and most."""
_SHARED_PATIENCE = 4096
"""Rows for which an unused prefix is kept that was shared before: about as many as make
keeping it as dear as computing it again, so it never costs twice what it must."""
_SHRINK = 0.98
_GHOSTS = 64
"""Dropped sequences whose tokens are remembered."""


class Decoder(Protocol):
    """What is needed of a context."""

    n_ctx: int
    n_seq_max: int
    n_batch: int
    max_outputs: int
    tiled: bool
    """Whether from 64 rows on every row costs all cells in use, masked or not, as in
    llama.cpp's flash attention on the CPU; fewer rows cost the cells that they see."""

    def decode(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        sequences: Sequence[int],
        outputs: Sequence[bool],
    ) -> None:
        """Compute rows."""

    def logits(self, row: int) -> Row:
        """Return the logits of a row of the last decode."""

    def fork(self, source: int, target: int, length: int) -> None:
        """Share the first cells of a sequence."""

    def trim(self, sequence: int, length: int) -> None:
        """Drop the cells of a sequence from a position on."""


class Cache:
    """Hands out sequences, and keeps those that are done until room runs short."""

    def __init__(self, context: Decoder) -> None:
        """Take over a context that holds nothing."""
        self._context = context
        self._tree = PrefixTree()
        self._free = list(range(context.n_seq_max - 1, -1, -1))
        # When each was last used, on a clock that counts computed rows.
        self._kept: OrderedDict[int, int] = OrderedDict()
        self._clock = 0
        self._patience = float(PATIENCE[1])
        self._shared = dict.fromkeys(self._free, 0)
        self._ghosts: OrderedDict[tuple[int, ...], int] = OrderedDict()
        self._rows: OrderedDict[tuple[int, ...], Row] = OrderedDict()
        self.evictions = 0
        """Kept sequences dropped for want of room."""

    @property
    def cells(self) -> int:
        """Cells in use."""
        return self._tree.cells

    @property
    def free_cells(self) -> int:
        """Cells not in use."""
        return self._context.n_ctx - self._tree.cells

    @property
    def spare_sequence(self) -> int | None:
        """A sequence that nobody uses, ``None`` if all are in use."""
        return self._free[-1] if self._free else None

    def match(self, tokens: Sequence[int]) -> tuple[int | None, int]:
        """Return the sequence that shares the longest prefix, and its length."""
        return self._tree.match(tokens)

    def length(self, sequence: int) -> int:
        """Return how many cells a sequence holds."""
        return self._tree.length(sequence)

    def take(self, source: int | None, length: int) -> int | None:
        """Hand out a sequence.

        Args:
            source: Whose first cells it shares; ``None`` for an empty one.
            length: How many cells it shares.

        Returns:
            The sequence; ``None`` if all are in use.
        """
        if source is not None and source in self._kept:
            self._use(source, length)
        if not self._free and not self._evict_oldest(spare=source):
            return None
        sequence = self._free.pop()
        self._shared[sequence] = length
        if source is None:
            self._tree.start(sequence)
        else:
            self._context.fork(source, sequence, length)
            self._tree.fork(source, sequence, length)
        return sequence

    def append(self, sequence: int, tokens: Sequence[int]) -> None:
        """Book tokens that the context has computed."""
        self._clock += len(tokens)
        self._tree.append(sequence, tokens)

    def trim(self, sequence: int) -> None:
        """Drop what the context holds of a sequence beyond what is booked."""
        self._context.trim(sequence, self._tree.length(sequence))

    def release(self, sequence: int) -> None:
        """Take a sequence back and free the cells that it shares with no other."""
        self._tree.remove(sequence)
        self._context.trim(sequence, 0)
        self._free.append(sequence)

    def keep(self, sequence: int) -> None:
        """Take a sequence back, but keep what it holds as long as there is room."""
        if self._tree.is_redundant(sequence):
            self.release(sequence)
        else:
            self._kept[sequence] = self._clock
            self._kept.move_to_end(sequence)

    def _use(self, sequence: int, length: int) -> None:
        idle = self._clock - self._kept[sequence]
        if length == self._tree.length(sequence):
            self._expect(2 * idle)
        self._kept[sequence] = self._clock
        self._kept.move_to_end(sequence)

    def _expect(self, rows: float) -> None:
        """Become at least so patient, within reason."""
        self._patience = max(self._patience, min(rows, PATIENCE[2]))

    def regret(self, tokens: Sequence[int]) -> None:
        """Become more patient if a new prompt continues what was dropped lately."""
        for ghost, used in list(self._ghosts.items()):
            if len(ghost) <= len(tokens) and ghost == tuple(tokens[: len(ghost)]):
                del self._ghosts[ghost]
                self._expect(2 * (self._clock - used))

    def age(self) -> None:
        """Drop what nobody came back to for long: first its own end, then the rest."""
        for sequence, used in list(self._kept.items()):
            shared, idle = self._shared[sequence], self._clock - used
            if self._tree.length(sequence) <= shared:
                if idle > _SHARED_PATIENCE:
                    self._drop(sequence)
            elif idle > self._patience:
                self._drop_own_end(sequence, shared, used)

    def _drop_own_end(self, sequence: int, shared: int, used: int) -> None:
        self._patience = max(PATIENCE[0], self._patience * _SHRINK)
        self._ghosts[tuple(self._tree.tokens(sequence))] = used
        while len(self._ghosts) > _GHOSTS:
            self._ghosts.popitem(last=False)
        self._tree.trim(sequence, shared)
        self._context.trim(sequence, shared)
        if self._tree.is_redundant(sequence):
            self._drop(sequence)

    def _drop(self, sequence: int) -> None:
        del self._kept[sequence]
        self.release(sequence)

    def make_room(self, cells: int) -> bool:
        """Drop kept sequences, least recently used first, until cells are free.

        Returns:
            Whether so many cells are free now.
        """
        while self.free_cells < cells:
            if not self._evict_oldest():
                return False
        return True

    def make_room_for_one(self, cells: int) -> bool:
        """Free so many cells and one sequence.

        Returns:
            Whether they are free now.
        """
        return (bool(self._free) or self._evict_oldest()) and self.make_room(cells)

    def evict(self) -> bool:
        """Drop the kept sequence that was not used for longest, if there is one."""
        return self._evict_oldest()

    def _evict_oldest(self, spare: int | None = None) -> bool:
        oldest = next((s for s in self._kept if s != spare), None)
        if oldest is None:
            return False
        self._drop(oldest)
        self.evictions += 1
        return True

    def keep_row(self, tokens: Sequence[int], row: Row) -> None:
        """Keep the logits that follow some tokens."""
        self._rows[tuple(tokens)] = row.copy()
        while len(self._rows) > KEPT_LOGITS:
            self._rows.popitem(last=False)

    def row(self, tokens: Sequence[int]) -> Row | None:
        """Return the logits that follow some tokens, if they were kept."""
        key = tuple(tokens)
        if key in self._rows:
            self._rows.move_to_end(key)
        return self._rows.get(key)
