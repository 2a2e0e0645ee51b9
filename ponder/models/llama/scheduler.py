"""Which rows the next decode holds: sharing, batching, admission and eviction.

Pure logic over a context that can be faked. The rules:

- A branch waits while another one computes a prefix that it can use, and then shares
  those cells; so a prompt is computed once, however many ask for it at a time.
- The last logits of a prompt are kept, so those who share all of it draw their first
  token without computing anything.
- Every step takes one token of every live branch, and a chunk of the prompts. Rows
  that cost nothing, by the profile of the machine, try guesses at the tokens after.
- What a finished branch computed stays cached until cells or sequences run short.
- Branches are admitted in order of arrival, and none overtakes one that waits for
  room. If room runs short all the same, the youngest gives up its cells and goes
  on later; it loses nothing but time.
"""

import time
from bisect import insort
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ponder.errors import ContextOverflow, ModelError
from ponder.models.llama.bindings import DecodeError, Row
from ponder.models.llama.branch import Branch, State
from ponder.models.llama.drafts import Draft, Drafter
from ponder.models.llama.prefix import PrefixTree, common_prefix
from ponder.models.llama.profile import FLAT, Profile

MIXED_ROWS = 128
"""Rows of a step that both continues branches and computes prompts."""
HEADROOM = 32
"""Least cells kept for the growth of each live branch when one is admitted."""
_FIRST_GUESS = 256
"""Tokens that a branch is expected to generate, before any has ended."""
_LEARNING = 0.1
KEPT_LOGITS = 64
"""Prompts whose last logits are kept."""
_OVERFLOW_REMEDY = (
    "Shorten the prompt, lower max_tokens, or open the model with a larger n_ctx "
    "if it was trained for one."
)
_NO_ROOM = 1
"""What ``llama_decode`` returns when cells are missing."""


class Decoder(Protocol):
    """What the scheduler needs of a context."""

    n_ctx: int
    n_seq_max: int
    n_batch: int
    max_outputs: int

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


@dataclass
class Statistics:
    """What the engine has done since it was opened."""

    prompt_tokens: int = 0
    """Prompt tokens that were asked for."""
    reused_tokens: int = 0
    """Of these, tokens that were in the cache when their branch was admitted."""
    computed_tokens: int = 0
    """Tokens computed of prompts, those computed again after eviction included."""
    generated_tokens: int = 0
    decodes: int = 0
    """Calls of ``llama_decode``."""
    rows: int = 0
    """Rows of these calls."""
    drafted_tokens: int = 0
    """Guessed tokens that rode along in spare rows."""
    accepted_tokens: int = 0
    """Of these, guesses that came true."""
    evictions: int = 0
    """Cached sequences dropped for want of room."""
    preemptions: int = 0
    """Live branches that gave up their cells for a while."""


@dataclass
class _Rows:
    """The rows of one decode, column by column."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    outputs: list[bool] = field(default_factory=list)
    spans: list[tuple[Branch, int, int, Draft | None]] = field(default_factory=list)
    """Branch, its first row here, how many rows, and what was guessed of them."""

    def add(self, branch: Branch, count: int, draft: Draft | None = None) -> None:
        assert branch.sequence is not None
        start = branch.computed
        self.tokens += branch.tokens[start : start + count]
        if draft is not None:
            self.tokens += draft.tokens
            count += len(draft.tokens)
        self.spans.append((branch, len(self.positions), count, draft))
        self.positions += range(start, start + count)
        self.sequences += [branch.sequence] * count
        first = branch.first_output
        self.outputs += [at >= first for at in range(start, start + count)]


class Scheduler:
    """Runs branches over one context. Not thread-safe: one thread calls it."""

    def __init__(
        self,
        context: Decoder,
        profile: Profile = FLAT,
        longest: int | None = None,
    ) -> None:
        """Take over a context that holds nothing.

        Args:
            context: Computes the rows.
            profile: How long a decode takes by its number of rows.
            longest: Most tokens of one branch; by default the whole context.
        """
        self._longest = min(longest or context.n_ctx, context.n_ctx)
        self.statistics = Statistics()
        self._context, self._profile = context, profile
        self._tree = PrefixTree()
        self._drafter = Drafter()
        self._waiting: list[Branch] = []
        self._live: list[Branch] = []
        self._cached: OrderedDict[int, None] = OrderedDict()
        self._free = list(range(context.n_seq_max - 1, -1, -1))
        self._last_rows: OrderedDict[tuple[int, ...], Row] = OrderedDict()
        self._arrivals = 0
        self._typical = float(_FIRST_GUESS)
        # Whether anything changed that could let a waiting branch in.
        self._news = False

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._waiting and not self._live

    @property
    def cells(self) -> int:
        """Cells in use, of live branches and cached ones."""
        return self._tree.cells

    @property
    def live_sequences(self) -> int:
        """Sequences held by live branches."""
        return sum(b.sequence is not None for b in self._live)

    # -- arrivals and departures ---------------------------------------------------

    def submit(self, branch: Branch) -> None:
        """Queue a branch.

        Raises:
            ContextOverflow: It could never fit, even alone.
        """
        if branch.limit > self._longest:
            raise ContextOverflow(branch.limit, self._longest, _OVERFLOW_REMEDY)
        self._arrivals += 1
        branch.order = self._arrivals
        self.statistics.prompt_tokens += branch.prompt_length
        self._waiting.append(branch)
        self._news = True

    def cancel(self, branch: Branch) -> None:
        """Drop a branch and free its cells at once; harmless if it has ended."""
        if branch in self._waiting:
            self._waiting.remove(branch)
        elif branch in self._live:
            self._live.remove(branch)
            self._drop(branch)
        branch.state = State.DONE
        self._news = True

    def step(self) -> list[Branch]:
        """Do one round of work.

        Returns:
            The branches that have got a token or have ended.
        """
        touched = self._expire()
        if self._news:
            touched += self._admit()
        for rows in self._plan():
            touched += self._run(rows)
        return list(dict.fromkeys(touched))

    def _expire(self) -> list[Branch]:
        now = time.monotonic()
        late = [
            b
            for b in (*self._live, *self._waiting)
            if b.deadline is not None and now >= b.deadline
        ]
        for branch in late:
            branch.expire()
            self._retire(branch)
        return late

    def _retire(self, branch: Branch) -> None:
        """Take a branch that has ended out of the work; keep what it computed."""
        self._news = True
        if branch in self._waiting:
            self._waiting.remove(branch)
            return
        self._live.remove(branch)
        if branch.limit - branch.prompt_length >= HEADROOM:
            grown = len(branch.tokens) - branch.prompt_length
            self._typical += _LEARNING * (grown - self._typical)
        if branch.error is not None:
            self._drop(branch)
        elif (sequence := branch.sequence) is not None:
            branch.sequence = None
            self._keep(sequence)

    def _keep(self, sequence: int) -> None:
        self._cached[sequence] = None
        if self._tree.is_redundant(sequence):
            self._evict(sequence)

    # -- sequences -----------------------------------------------------------------

    def _drop(self, branch: Branch) -> None:
        if (sequence := branch.sequence) is not None:
            branch.sequence, branch.computed = None, 0
            self._release(sequence)

    def _release(self, sequence: int) -> None:
        self._tree.remove(sequence)
        self._context.trim(sequence, 0)
        self._free.append(sequence)

    def _evict(self, sequence: int) -> None:
        del self._cached[sequence]
        self._release(sequence)

    def _evict_oldest(self, spare: int | None = None) -> bool:
        oldest = next((s for s in self._cached if s != spare), None)
        if oldest is None:
            return False
        self._evict(oldest)
        self.statistics.evictions += 1
        return True

    def make_room(self, cells: int) -> bool:
        """Evict cached sequences until so many cells and one sequence are free.

        Args:
            cells: Cells that are needed.

        Returns:
            Whether there is room now.
        """
        while not self._free or self._context.n_ctx - self._tree.cells < cells:
            if not self._evict_oldest():
                return False
        return True

    def borrow(self) -> int:
        """Return a free sequence for other use (after ``make_room``)."""
        return self._free[-1]

    # -- admission -----------------------------------------------------------------

    def _admit(self) -> list[Branch]:
        self._news = False
        ended: list[Branch] = []
        for branch in list(self._waiting):
            first = branch.first_output
            row = self._last_rows.get(tuple(branch.tokens[: first + 1]))
            if row is not None and first == branch.limit - 1:
                self._answer_at_once(branch, row)
                ended.append(branch)
                continue
            usable = first if row is None else first + 1
            source, matched = self._tree.match(branch.tokens[:usable])
            if self._is_being_computed(branch, matched):
                continue
            if not self._seat(branch, source, matched):
                break
            if row is not None:
                self._deliver(branch, first, row)
                ended.append(branch)
        return ended

    def _answer_at_once(self, branch: Branch, row: Row) -> None:
        """Serve a branch that wants one row only, and that row is kept."""
        self._count_reuse(branch, branch.prompt_length)
        self._deliver(branch, branch.first_output, row)

    def _count_reuse(self, branch: Branch, matched: int) -> None:
        if branch.reused is None:
            branch.reused = min(matched, branch.prompt_length)
            self.statistics.reused_tokens += branch.reused

    def _is_being_computed(self, branch: Branch, matched: int) -> bool:
        """Tell whether a live branch will soon hold more of its prefix."""
        first = branch.first_output
        for other in self._live:
            if other.state is not State.PREFILL:
                continue
            common = common_prefix(branch.tokens, other.tokens)
            same_end = other.first_output == first < common
            if min(common, first + 1 if same_end else first) > matched:
                return True
        return False

    def _seat(self, branch: Branch, source: int | None, matched: int) -> bool:
        """Give a waiting branch a sequence and room to grow, if there is any."""
        if source is not None and source in self._cached:
            self._cached.move_to_end(source)
        if not self._free and not self._evict_oldest(spare=source):
            return False
        sequence = self._free.pop()
        if source is None:
            self._tree.start(sequence)
        else:
            self._context.fork(source, sequence, matched)
            self._tree.fork(source, sequence, matched)
        branch.sequence, branch.computed = sequence, matched
        wanted = sum(self._growth(b) for b in (*self._live, branch))
        while self._context.n_ctx - self._tree.cells < wanted:
            if not self._evict_oldest():
                return self._unseat(branch)
        self._waiting.remove(branch)
        self._live.append(branch)
        branch.state = State.PREFILL
        self._count_reuse(branch, matched)
        return True

    def _unseat(self, branch: Branch) -> bool:
        # What it shares stays cached, or the next try would compute it again.
        assert branch.sequence is not None
        self._keep(branch.sequence)
        branch.sequence, branch.computed = None, 0
        return False

    def _growth(self, branch: Branch) -> int:
        """Return the cells that a branch is likely to need yet."""
        known = len(branch.tokens)
        expected = self._typical - (known - branch.prompt_length)
        return (
            known
            - branch.computed
            + min(branch.limit - known, max(int(expected), HEADROOM))
        )

    # -- one step ------------------------------------------------------------------

    def _plan(self) -> list[_Rows]:
        while True:
            steps = self._batches()
            cells = sum(len(rows.tokens) for rows in steps)
            while self._context.n_ctx - self._tree.cells < cells:
                if not self._evict_oldest():
                    break
            else:
                return steps
            self._preempt(max(self._live, key=lambda b: b.order))

    def _batches(self) -> list[_Rows]:
        context = self._context
        decoding = [b for b in self._live if b.state is State.DECODE]
        filling = [b for b in self._live if b.state is State.PREFILL]
        most = min(context.max_outputs, context.n_batch)
        chunks = [decoding[at : at + most] for at in range(0, len(decoding), most)]
        if not filling:
            return [rows for chunk in chunks for rows in self._split(chunk, most)]
        rows = _rows_of(chunks.pop() if chunks else [])
        limit = context.n_batch
        if decoding:
            limit = min(limit, max(MIXED_ROWS, 2 * len(rows.tokens)))
        self._fill(rows, filling, limit)
        return [_rows_of(chunk) for chunk in chunks] + [rows]

    def _split(self, branches: list[Branch], most: int) -> Iterator[_Rows]:
        at = 0
        for size in self._profile.partition(len(branches)):
            group = branches[at : at + size]
            drafts = self._drafts(group, most)
            rows = _Rows()
            for branch in group:
                rows.add(branch, 1, drafts.get(branch))
            yield rows
            at += size

    def _drafts(self, group: list[Branch], most: int) -> dict[Branch, Draft]:
        """Guess as many tokens as there are rows to spare."""
        free = self._context.n_ctx - self._tree.cells - len(self._live)
        drafts: dict[Branch, Draft] = {}
        chances: list[tuple[float, int, Branch]] = []
        for branch in group:
            draft = self._drafter.guess(
                branch.tokens, branch.limit - len(branch.tokens)
            )
            if draft is not None:
                drafts[branch] = draft
                chance = self._drafter.chance(draft.order)
                chances += [
                    (chance**depth, branch.order, branch)
                    for depth in range(1, len(draft.tokens) + 1)
                ]
        # Deeper guesses have less chance, so each branch keeps a first part of its own.
        chances.sort(key=lambda c: c[:2], reverse=True)
        room = max(0, min(most - len(group), free))
        count = self._profile.worthwhile(len(group), [c[0] for c in chances[:room]])
        if not count:
            self._drafter.rest()
            return {}
        kept = Counter(branch for _, _, branch in chances[:count])
        return {
            branch: Draft(drafts[branch].tokens[:n], drafts[branch].order)
            for branch, n in kept.items()
        }

    def _fill(self, rows: _Rows, filling: list[Branch], limit: int) -> None:
        """Add chunks of prompts, the oldest first."""
        outputs = self._context.max_outputs - sum(rows.outputs)
        for branch in filling:
            end = min(
                len(branch.tokens),
                branch.computed + limit - len(rows.tokens),
                max(branch.computed, branch.first_output) + outputs,
            )
            if end > branch.computed:
                outputs -= max(0, end - max(branch.computed, branch.first_output))
                rows.add(branch, end - branch.computed)

    def _preempt(self, branch: Branch) -> None:
        self.statistics.preemptions += 1
        self._live.remove(branch)
        self._drop(branch)
        branch.state = State.WAITING
        insort(self._waiting, branch, key=lambda b: b.order)
        self._news = True

    def _run(self, rows: _Rows) -> list[Branch]:
        if not rows.tokens:
            return []
        context = self._context
        try:
            context.decode(rows.tokens, rows.positions, rows.sequences, rows.outputs)
        except DecodeError as error:
            return self._recover(rows, error)
        self.statistics.decodes += 1
        self.statistics.rows += len(rows.tokens)
        touched: list[Branch] = []
        for branch, start, count, draft in rows.spans:
            if draft is not None:
                self._try(branch, rows, start, draft)
                touched.append(branch)
            elif self._take(branch, rows, start, count):
                touched.append(branch)
        return touched

    def _take(self, branch: Branch, rows: _Rows, start: int, count: int) -> bool:
        """Book the rows of a branch, and hand it those it wanted."""
        assert branch.sequence is not None
        self._tree.append(branch.sequence, rows.tokens[start : start + count])
        branch.computed += count
        if branch.state is State.PREFILL:
            self.statistics.computed_tokens += count
            self._news = True
            self._drafter.learn(branch.tokens, branch.computed - count, branch.computed)
        wanted = [at for at in range(start, start + count) if rows.outputs[at]]
        first = branch.first_output
        for at in wanted:
            row = self._context.logits(at)
            position = rows.positions[at]
            if position == first and branch.state is State.PREFILL:
                self._keep_row(branch.tokens[: first + 1], row)
            self._deliver(branch, position, row)
        return bool(wanted)

    def _try(self, branch: Branch, rows: _Rows, start: int, draft: Draft) -> None:
        """Book the row of a branch, and those of guesses as long as they are right."""
        sequence = branch.sequence
        assert sequence is not None
        right = 0
        for at, guess in enumerate((*draft.tokens, None), start):
            self._take(branch, rows, at, 1)
            if branch.state is State.DONE or branch.tokens[-1] != guess:
                break
            right += 1
        self._drafter.note(draft.order, len(draft.tokens), right)
        self.statistics.drafted_tokens += len(draft.tokens)
        self.statistics.accepted_tokens += right
        # If the branch has ended, its sequence is cached now, or free and empty.
        self._context.trim(sequence, self._tree.length(sequence))

    def _keep_row(self, tokens: list[int], row: Row) -> None:
        self._last_rows[tuple(tokens)] = row.copy()
        while len(self._last_rows) > KEPT_LOGITS:
            self._last_rows.popitem(last=False)

    def _deliver(self, branch: Branch, position: int, row: Row) -> None:
        known = len(branch.tokens)
        try:
            branch.receive(position, row)
        except Exception as error:  # one branch must not stop the others
            branch.fail(error)
        if len(branch.tokens) > known:
            self.statistics.generated_tokens += 1
            self._drafter.learn(branch.tokens, known, known + 1)
            if branch.state is State.PREFILL:
                branch.state = State.DECODE
        if branch.state is State.DONE:
            self._retire(branch)

    def _recover(self, rows: _Rows, error: DecodeError) -> list[Branch]:
        """Try again after a refusal, so that it hits no more than its cause."""
        for branch, *_ in rows.spans:
            assert branch.sequence is not None
            self._context.trim(branch.sequence, branch.computed)
        if error.code == _NO_ROOM and self._evict_oldest():
            return self._run(_again(rows.spans))
        if len(rows.spans) == 1:
            branch = rows.spans[0][0]
            branch.fail(ModelError(f"A branch cannot be continued: {error}"))
            self._retire(branch)
            return [branch]
        half = len(rows.spans) // 2
        return self._run(_again(rows.spans[:half])) + self._run(
            _again(rows.spans[half:])
        )


def _rows_of(branches: Iterable[Branch]) -> _Rows:
    rows = _Rows()
    for branch in branches:
        rows.add(branch, 1)
    return rows


def _again(spans: Iterable[tuple[Branch, int, int, Draft | None]]) -> _Rows:
    rows = _Rows()
    for branch, _, count, draft in spans:
        # A batch that was refused goes on without guesses.
        rows.add(branch, count - (len(draft.tokens) if draft else 0))
    return rows
