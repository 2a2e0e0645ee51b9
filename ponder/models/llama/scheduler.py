"""Who computes next: sharing, admission, preemption, and what to do with the rows.

Pure logic over a context that can be faked. The rules:

- A branch waits while another one computes a prefix that it can use, and then shares
  those cells; so a prompt is computed once, however many ask for it at a time.
- The last logits of a prompt are kept, so those who share all of it draw their first
  token without computing anything.
- Every step takes one token of every live branch, and a chunk of the prompts. Rows
  that cost nothing, by the profile of the machine, try guesses at the tokens after.
- What a finished branch computed stays cached until cells or sequences run short, or
  until keeping it costs more than computing it again.
- No more branches run side by side than make the machine faster, by its profile; those
  that only read logits, as a judge does, need not wait for that.
- Branches are admitted in order of arrival, and none overtakes one that waits for
  room. If room runs short all the same, the youngest gives up its cells and goes
  on later; it loses nothing but time.
"""

import time
from bisect import insort
from dataclasses import dataclass

from ponder.errors import ContextOverflow, ModelError
from ponder.models.llama.batching import NARROW_ROWS, Batcher, Rows, Span
from ponder.models.llama.bindings import DecodeError, Row
from ponder.models.llama.branch import Branch, State
from ponder.models.llama.cache import Cache, Decoder
from ponder.models.llama.drafts import Draft, Drafter
from ponder.models.llama.prefix import common_prefix
from ponder.models.llama.profile import FLAT, Profile

HEADROOM = 32
"""Least cells kept for the growth of each live branch when one is admitted."""
_FIRST_GUESS = 256
"""Tokens that a branch is expected to generate, before any has ended."""
_LEARNING = 0.1
_NO_ROOM = 1
"""What ``llama_decode`` returns when cells are missing."""
_OVERFLOW_REMEDY = (
    "Shorten the prompt, lower max_tokens, or open the model with a larger n_ctx "
    "if it was trained for one."
)


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
        self._context = context
        self._longest = min(longest or context.n_ctx, context.n_ctx)
        self._statistics = Statistics()
        self._drafter = Drafter()
        self._batcher = Batcher(
            context.n_batch,
            context.max_outputs,
            profile,
            self._drafter,
            tiled=context.tiled,
        )
        self._crowd = profile.crowd or context.n_seq_max
        if context.tiled:
            self._crowd = min(self._crowd, NARROW_ROWS)
        self.cache = Cache(context)
        self._waiting: list[Branch] = []
        self._live: list[Branch] = []
        self._arrivals = 0
        self._typical = float(_FIRST_GUESS)
        # Whether anything changed that could let a waiting branch in.
        self._news = False

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._waiting and not self._live

    @property
    def live(self) -> int:
        """Branches that hold a sequence."""
        return len(self._live)

    @property
    def statistics(self) -> Statistics:
        """Counts since the start."""
        self._statistics.evictions = self.cache.evictions
        return self._statistics

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
        self.cache.regret(branch.tokens)
        self._statistics.prompt_tokens += branch.prompt_length
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
        self.cache.age()
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
            self.cache.keep(sequence)

    def _drop(self, branch: Branch) -> None:
        if (sequence := branch.sequence) is not None:
            branch.sequence, branch.computed = None, 0
            self.cache.release(sequence)

    # -- admission -----------------------------------------------------------------

    def _admit(self) -> list[Branch]:
        self._news = False
        touched: list[Branch] = []
        for branch in list(self._waiting):
            first = branch.first_output
            row = self.cache.row(branch.tokens[: first + 1])
            if row is not None and first == branch.limit - 1:
                # It wants this one row only, so it needs no cells at all.
                self._count_reuse(branch, branch.prompt_length)
                self._deliver(branch, first, row)
                touched.append(branch)
                continue
            if len(self._live) >= self._crowd and not branch.brief:
                continue
            usable = first if row is None else first + 1
            source, matched = self.cache.match(branch.tokens[:usable])
            if self._is_being_computed(branch, matched):
                continue
            if not self._seat(branch, source, matched):
                break
            if row is not None:
                self._deliver(branch, first, row)
                touched.append(branch)
        return touched

    def _count_reuse(self, branch: Branch, matched: int) -> None:
        if branch.reused is None:
            branch.reused = min(matched, branch.prompt_length)
            self._statistics.reused_tokens += branch.reused

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
        sequence = self.cache.take(source, matched)
        if sequence is None:
            return False
        branch.sequence, branch.computed = sequence, matched
        if not self.cache.make_room(sum(map(self._growth, (*self._live, branch)))):
            # What it shares stays cached, or the next try would compute it again.
            self.cache.keep(sequence)
            branch.sequence, branch.computed = None, 0
            return False
        self._waiting.remove(branch)
        self._live.append(branch)
        branch.state = State.PREFILL
        self._count_reuse(branch, matched)
        return True

    def _growth(self, branch: Branch) -> int:
        """Return the cells that a branch is likely to need yet."""
        known = len(branch.tokens)
        expected = self._typical - (known - branch.prompt_length)
        to_come = min(branch.limit - known, max(int(expected), HEADROOM))
        return known - branch.computed + to_come

    # -- one step ------------------------------------------------------------------

    def _plan(self) -> list[Rows]:
        cache = self.cache
        while True:
            steps = self._batcher.batches(
                self._live, cache.cells, cache.free_cells, cache.spare_sequence
            )
            if cache.make_room(sum(map(len, steps))):
                return steps
            self._preempt(max(self._live, key=lambda b: b.order))

    def _preempt(self, branch: Branch) -> None:
        self._statistics.preemptions += 1
        self._live.remove(branch)
        self._drop(branch)
        branch.state = State.WAITING
        insort(self._waiting, branch, key=lambda b: b.order)
        self._news = True

    def _run(self, rows: Rows) -> list[Branch]:
        if not rows:
            return []
        try:
            self._context.decode(
                rows.tokens, rows.positions, rows.sequences, rows.outputs
            )
        except DecodeError as error:
            self._drop_padding(rows)
            return self._recover(rows, error)
        self._drop_padding(rows)
        self._statistics.decodes += 1
        self._statistics.rows += len(rows)
        touched: list[Branch] = []
        for span in rows.spans:
            if span.draft is not None:
                self._try(span, span.draft, rows)
                touched.append(span.branch)
            elif self._take(span.branch, rows, span.start, span.count):
                touched.append(span.branch)
        return touched

    def _drop_padding(self, rows: Rows) -> None:
        if rows.padding is not None:
            self._context.trim(rows.padding, 0)

    def _take(self, branch: Branch, rows: Rows, start: int, count: int) -> bool:
        """Book the rows of a branch, and hand it those it wanted."""
        assert branch.sequence is not None
        self.cache.append(branch.sequence, rows.tokens[start : start + count])
        known = branch.computed
        branch.computed += count
        if branch.state is State.PREFILL:
            self._statistics.computed_tokens += count
            self._drafter.learn(branch.tokens, known, branch.computed)
            self._news = True
        wanted = [at for at in range(start, start + count) if rows.outputs[at]]
        first = branch.first_output
        for at in wanted:
            row, position = self._context.logits(at), rows.positions[at]
            if position == first and branch.state is State.PREFILL:
                self.cache.keep_row(branch.tokens[: first + 1], row)
            self._deliver(branch, position, row)
        return bool(wanted)

    def _try(self, span: Span, draft: Draft, rows: Rows) -> None:
        """Book the row of a branch, and those of guesses as long as they are right."""
        branch, sequence = span.branch, span.branch.sequence
        assert sequence is not None
        right = 0
        for at, guess in enumerate((*draft.tokens, None), span.start):
            self._take(branch, rows, at, 1)
            if branch.state is State.DONE or branch.tokens[-1] != guess:
                break
            right += 1
        self._drafter.note(draft.order, len(draft.tokens), right)
        self._statistics.drafted_tokens += len(draft.tokens)
        self._statistics.accepted_tokens += right
        # If the branch has ended, its sequence is cached now, or free and empty.
        self.cache.trim(sequence)

    def _deliver(self, branch: Branch, position: int, row: Row) -> None:
        known = len(branch.tokens)
        try:
            branch.receive(position, row)
        except Exception as error:  # one branch must not stop the others
            branch.fail(error)
        if len(branch.tokens) > known:
            self._statistics.generated_tokens += 1
            self._drafter.learn(branch.tokens, known, known + 1)
            # With kept logits it draws a token before its prompt is computed again.
            if branch.state is State.PREFILL and branch.computed >= known:
                branch.state = State.DECODE
        if branch.state is State.DONE:
            self._retire(branch)

    def _recover(self, rows: Rows, error: DecodeError) -> list[Branch]:
        """Try again after a refusal, so that it hits no more than its cause."""
        for span in rows.spans:
            assert span.branch.sequence is not None
            self.cache.trim(span.branch.sequence)
        if len(rows.spans) > 1 or (error.code == _NO_ROOM and self.cache.evict()):
            return [b for part in rows.without_guesses() for b in self._run(part)]
        branch = rows.spans[0].branch
        branch.fail(ModelError(f"A branch cannot be continued: {error}"))
        self._retire(branch)
        return [branch]
