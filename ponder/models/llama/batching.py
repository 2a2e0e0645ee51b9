"""The rows of one step: live branches, chunks of prompts, guesses in spare rows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ponder.models.llama.branch import Branch, State
from ponder.models.llama.drafts import Draft, Drafter
from ponder.models.llama.profile import Profile

NARROW_ROWS = 63
"""Most rows of a step that both continues branches and computes prompts, so that those
need not wait long for these; and see ``Decoder.tiled``."""
_LEAST_CHUNK = 16
"""Rows of a prompt in such a step, however many branches go on."""
_HIDDEN_CELLS = 1024
"""With more cells in use that a prompt does not see, narrow steps compute it faster."""


@dataclass(frozen=True)
class Span:
    """The rows of one branch in a decode."""

    branch: Branch
    start: int
    count: int
    draft: Draft | None
    """What the rows after the first are guesses of."""


@dataclass
class Rows:
    """The rows of one decode, column by column."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    outputs: list[bool] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    padding: int | None = None
    """A free sequence that rows without use are put on."""

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, branch: Branch, count: int, draft: Draft | None = None) -> None:
        """Add the next rows of a branch, and guesses after them."""
        assert branch.sequence is not None
        start, at = branch.computed, len(self.tokens)
        self.tokens += branch.tokens[start : start + count]
        if draft is not None:
            self.tokens += draft.tokens
            count += len(draft.tokens)
        self.positions += range(start, start + count)
        self.sequences += [branch.sequence] * count
        first = branch.first_output
        self.outputs += [p >= first for p in range(start, start + count)]
        self.spans.append(Span(branch, at, count, draft))

    def pad(self, sequence: int, count: int) -> None:
        """Add rows without use."""
        self.padding = sequence
        self.tokens += [0] * count
        self.positions += range(count)
        self.sequences += [sequence] * count
        self.outputs += [False] * count

    def without_guesses(self) -> "list[Rows]":
        """Return the rows again, in two halves if there are several branches."""
        half = (len(self.spans) + 1) // 2
        parts = []
        for spans in (self.spans[:half], self.spans[half:]):
            rows = Rows()
            for span in spans:
                guessed = len(span.draft.tokens) if span.draft else 0
                rows.add(span.branch, span.count - guessed)
            parts.append(rows)
        return [rows for rows in parts if rows.spans]


class Batcher:
    """Makes the batches of a step."""

    def __init__(
        self,
        n_batch: int,
        max_outputs: int,
        profile: Profile,
        drafter: Drafter,
        *,
        tiled: bool = False,
    ) -> None:
        """Set the limits.

        Args:
            n_batch: Most rows of a decode.
            max_outputs: Most rows with logits of a decode.
            profile: How long a decode takes by its number of rows.
            drafter: Guesses tokens.
            tiled: See ``Decoder.tiled``.
        """
        self._n_batch, self._outputs = n_batch, min(max_outputs, n_batch)
        self._tiled = tiled
        self._most = min(self._outputs, NARROW_ROWS) if tiled else self._outputs
        self._profile, self._drafter = profile, drafter

    def batches(
        self,
        live: Sequence[Branch],
        used_cells: int,
        free_cells: int,
        spare_sequence: int | None,
    ) -> list[Rows]:
        """Return the decodes of one step.

        Args:
            live: All branches that have a sequence, in the order of admission.
            used_cells: Cells that hold something.
            free_cells: Cells that may be used. Guesses and padding never take
                more; the rows that must be computed may.
            spare_sequence: A sequence for padding.

        Returns:
            The rows of each decode; together one token of every branch that decodes,
            and a chunk of what is still to be computed of prompts.
        """
        decoding = [b for b in live if b.state is State.DECODE]
        filling = [b for b in live if b.state is State.PREFILL]
        if filling:
            return self._mixed(decoding, filling, used_cells)
        groups = list(self._groups(decoding))
        extra = (free_cells - len(decoding)) // max(len(groups), 1)
        return [self._ride_along(group, extra, spare_sequence) for group in groups]

    def _mixed(
        self, decoding: list[Branch], filling: list[Branch], used_cells: int
    ) -> list[Rows]:
        most = self._most
        chunks = [decoding[at : at + most] for at in range(0, len(decoding), most)]
        steps = [_one_each(chunk) for chunk in chunks] or [Rows()]
        if self._tiled and len(steps[-1]) + _LEAST_CHUNK > NARROW_ROWS:
            steps.append(Rows())
        hidden = used_cells - filling[0].computed
        limit = self._n_batch
        if decoding or (self._tiled and hidden > _HIDDEN_CELLS):
            limit = min(limit, max(NARROW_ROWS, len(steps[-1]) + _LEAST_CHUNK))
        self._fill(steps[-1], filling, limit)
        return [rows for rows in steps if rows.spans]

    def _fill(self, rows: Rows, filling: list[Branch], limit: int) -> None:
        """Add chunks of prompts, the oldest first."""
        outputs = self._outputs - sum(rows.outputs)
        for branch in filling:
            silent = max(branch.computed, branch.first_output)
            end = min(
                len(branch.tokens),
                branch.computed + limit - len(rows),
                silent + outputs,
            )
            if end > branch.computed:
                outputs -= max(0, end - silent)
                rows.add(branch, end - branch.computed)

    def _groups(self, decoding: list[Branch]) -> Iterator[list[Branch]]:
        for start in range(0, len(decoding), self._most):
            chunk = decoding[start : start + self._most]
            at = 0
            for size in self._profile.partition(len(chunk)):
                yield chunk[at : at + size]
                at += size

    def _ride_along(
        self, group: list[Branch], extra: int, spare_sequence: int | None
    ) -> Rows:
        """Return one row of each branch, and what rides along in spare rows."""
        drafts = self._drafts(group, min(extra, self._most - len(group)))
        rows = Rows()
        for branch in group:
            rows.add(branch, 1, drafts.get(branch))
        padding = self._profile.padded(len(rows)) - len(rows)
        room = extra - (len(rows) - len(group))
        if spare_sequence is not None and 0 < padding <= room:
            rows.pad(spare_sequence, padding)
        return rows

    def _drafts(self, group: list[Branch], most: int) -> dict[Branch, Draft]:
        """Guess as many tokens as there are rows to spare."""
        drafts: dict[Branch, Draft] = {}
        chances: list[tuple[float, int, Branch]] = []
        for branch in group:
            useful = branch.limit - len(branch.tokens)
            draft = self._drafter.guess(branch.tokens, useful)
            if draft is not None:
                drafts[branch] = draft
                chance = self._drafter.chance(draft.order)
                chances += [
                    (chance**depth, branch.order, branch)
                    for depth in range(1, len(draft.tokens) + 1)
                ]
        # A deeper guess has less chance, so what is kept of a draft is its beginning.
        chances.sort(key=lambda c: c[:2], reverse=True)
        best = [chance for chance, _, _ in chances[: max(most, 0)]]
        count = self._profile.worthwhile(len(group), best)
        if not count:
            self._drafter.rest()
        kept = Counter(branch for _, _, branch in chances[:count])
        return {
            branch: Draft(drafts[branch].tokens[:n], drafts[branch].order)
            for branch, n in kept.items()
        }


def _one_each(branches: Sequence[Branch]) -> Rows:
    rows = Rows()
    for branch in branches:
        rows.add(branch, 1)
    return rows
