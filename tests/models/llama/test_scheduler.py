import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.errors import ContextOverflow, ModelError
from ponder.messages import Sampling
from ponder.models.llama.bindings import DecodeError, Row
from ponder.models.llama.branch import Branch, Generation, Scoring, State
from ponder.models.llama.profile import FLAT, Profile
from ponder.models.llama.sampler import Sampler
from ponder.models.llama.scheduler import Scheduler

VOCABULARY = 12
EOG = 0
GREEDY = Sampling(temperature=0)


def model(path: Sequence[int]) -> Row:
    """Return logits that depend on every token before."""
    rng = np.random.default_rng([t + 1 for t in path])
    return rng.standard_normal(VOCABULARY).astype(np.float32)


def expected(prompt: Sequence[int], max_tokens: int) -> list[int]:
    path = list(prompt)
    while len(path) < len(prompt) + max_tokens:
        token = int(model(path).argmax())
        if token == EOG:
            break
        path.append(token)
    return path[len(prompt) :]


class FakeContext:
    """Cells as llama.cpp keeps them; complains where llama.cpp would."""

    def __init__(
        self,
        n_ctx: int = 1000,
        n_seq_max: int = 32,
        n_batch: int = 64,
        tiled: bool = False,
    ) -> None:
        self.n_ctx, self.n_seq_max, self.n_batch = n_ctx, n_seq_max, n_batch
        self.max_outputs = max(16, n_seq_max)
        self.tiled = tiled
        self.sequences: dict[int, list[tuple[int, int]]] = {}
        self.calls: list[int] = []
        self.refuse: set[int] = set()
        self._made = 0
        self._rows: list[Row | None] = []

    @property
    def cells(self) -> int:
        return len({c for held in self.sequences.values() for c in held})

    def decode(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        sequences: Sequence[int],
        outputs: Sequence[bool],
    ) -> None:
        assert 0 < len(tokens) <= self.n_batch
        assert sum(outputs) <= self.max_outputs
        if self.refuse & set(tokens):
            raise DecodeError(-3)
        if self.cells + len(tokens) > self.n_ctx:
            raise DecodeError(1)
        self.calls.append(len(tokens))
        self._rows = []
        rows = zip(tokens, positions, sequences, outputs, strict=True)
        for token, position, sequence, output in rows:
            assert 0 <= sequence < self.n_seq_max
            held = self.sequences.setdefault(sequence, [])
            assert position == len(held)
            self._made += 1
            held.append((self._made, token))
            path = [t for _, t in held]
            self._rows.append(model(path) if output else None)

    def logits(self, row: int) -> Row:
        logits = self._rows[row]
        assert logits is not None
        return logits

    def fork(self, source: int, target: int, length: int) -> None:
        assert not self.sequences.get(target)
        self.sequences[target] = self.sequences[source][:length]

    def trim(self, sequence: int, length: int) -> None:
        if sequence in self.sequences:
            del self.sequences[sequence][length:]


def generation(
    prompt: Sequence[int], max_tokens: int = 8, deadline: float | None = None
) -> Generation:
    return Generation(
        prompt,
        max_tokens=max_tokens,
        sampler=Sampler(GREEDY, (0,)),
        eog=frozenset({EOG}),
        piece=lambda token: b"%x" % token,
        deadline=deadline,
    )


def run(scheduler: Scheduler, context: FakeContext, most: int = 2000) -> None:
    for _ in range(most):
        if scheduler.idle:
            return
        scheduler.step()
        assert context.cells == scheduler.cache.cells <= context.n_ctx
    raise AssertionError("the scheduler does not come to an end")


def is_right(branch: Generation) -> bool:
    return branch.generated == expected(
        branch.tokens[: branch.prompt_length], branch.limit - branch.prompt_length + 1
    )


def prompt_of(length: int, seed: int = 0) -> list[int]:
    rng = np.random.default_rng(seed)
    return [int(t) for t in rng.integers(1, VOCABULARY, length)]


def lasting(length: int, tokens: int) -> list[int]:
    """Return a prompt after which the model goes on for so many tokens."""
    return next(
        prompt
        for seed in range(1000)
        if len(expected(prompt := prompt_of(length, seed), tokens)) == tokens
    )


def test_one_prompt_asked_16_times_is_computed_once() -> None:
    context = FakeContext()
    scheduler = Scheduler(context)
    branches = [generation(prompt_of(100)) for _ in range(16)]
    for branch in branches:
        scheduler.submit(branch)
    run(scheduler, context)

    assert scheduler.statistics.prompt_tokens == 1600
    assert scheduler.statistics.computed_tokens == 100
    assert scheduler.statistics.reused_tokens == 1500
    assert all(is_right(b) for b in branches)


def test_branches_live_at_a_time_are_decoded_in_one_call() -> None:
    context = FakeContext()
    scheduler = Scheduler(context)
    prompt = lasting(10, 6)
    for _ in range(5):
        scheduler.submit(generation(prompt, max_tokens=6))
    run(scheduler, context)

    assert context.calls == [10, 5, 5, 5, 5, 5]


def test_a_prompt_that_extends_another_in_progress_waits_for_it() -> None:
    context = FakeContext(n_batch=32)
    scheduler = Scheduler(context)
    shared = prompt_of(90)
    first, second = generation([*shared, 1, 2]), generation([*shared, 2, 1, 1])
    scheduler.submit(first)
    scheduler.submit(second)
    run(scheduler, context)

    assert scheduler.statistics.computed_tokens == 92 + 3
    assert is_right(first) and is_right(second)


def test_children_compute_the_last_token_of_their_parent_once() -> None:
    context = FakeContext()
    scheduler = Scheduler(context)
    parent = generation(lasting(20, 6), max_tokens=6)
    scheduler.submit(parent)
    run(scheduler, context)
    computed = scheduler.statistics.computed_tokens
    children = [generation(parent.tokens, max_tokens=5) for _ in range(3)]
    for child in children:
        scheduler.submit(child)
    run(scheduler, context)

    assert computed == 20
    assert scheduler.statistics.computed_tokens == computed + 1
    assert all(is_right(c) for c in children)


def test_a_judge_of_one_token_costs_nothing_the_second_time() -> None:
    context = FakeContext()
    scheduler = Scheduler(context)
    for _ in range(2):
        scheduler.submit(generation(prompt_of(30), max_tokens=1))
        run(scheduler, context)

    assert context.calls == [30]


def test_scores_share_their_prefix_and_are_exact() -> None:
    context = FakeContext()
    scheduler = Scheduler(context)
    prefix = prompt_of(40)
    texts = [[1, 2, 3], [4], [1, 2, 5], [6, 1]]
    branches = [Scoring(prefix, text) for text in texts]
    for branch in branches:
        scheduler.submit(branch)
    run(scheduler, context)

    for branch, text in zip(branches, texts, strict=True):
        wanted = 0.0
        for index, token in enumerate(text):
            logits = model([*prefix, *text[:index]])
            wanted += float(logits[token] - np.log(np.exp(logits).sum()))
        assert branch.score == pytest.approx(wanted, abs=1e-4)
    assert scheduler.statistics.computed_tokens <= 40 + 2 + 2 + 1


def test_what_can_never_fit_is_refused_with_both_numbers() -> None:
    scheduler = Scheduler(FakeContext(n_ctx=64))

    with pytest.raises(ContextOverflow, match="needs 69 tokens.*only 64"):
        scheduler.submit(generation(prompt_of(60), max_tokens=10))
    assert scheduler.idle


def test_a_model_trained_for_less_than_the_context_bounds_a_branch() -> None:
    scheduler = Scheduler(FakeContext(n_ctx=640), longest=64)

    with pytest.raises(ContextOverflow, match="only 64"):
        scheduler.submit(generation(prompt_of(60), max_tokens=10))


def test_cancelling_frees_cells_at_once() -> None:
    context = FakeContext()
    scheduler = Scheduler(context)
    branches = [generation(prompt_of(50), max_tokens=50) for _ in range(3)]
    for branch in branches:
        scheduler.submit(branch)
    scheduler.step()
    assert context.cells >= 50
    for branch in branches:
        scheduler.cancel(branch)

    assert scheduler.idle
    assert context.cells == scheduler.cache.cells == 0


def test_cancelling_the_one_that_computes_lets_the_next_take_over() -> None:
    context = FakeContext(n_batch=16)
    scheduler = Scheduler(context)
    first, second = generation(prompt_of(60)), generation(prompt_of(60))
    scheduler.submit(first)
    scheduler.submit(second)
    scheduler.step()
    scheduler.cancel(first)
    run(scheduler, context)

    assert is_right(second)


def test_a_deadline_ends_a_branch_with_what_it_has() -> None:
    context = FakeContext()
    scheduler = Scheduler(context)
    prompt = lasting(10, 6)
    branch = generation(prompt, max_tokens=6, deadline=time.monotonic() + 3600)
    scheduler.submit(branch)
    scheduler.step()
    scheduler.step()
    branch.deadline = time.monotonic() - 1
    scheduler.step()

    assert branch.state is State.DONE
    assert branch.finish_reason == "time"
    assert branch.generated == expected(prompt, 6)[: len(branch.generated)]
    assert branch.generated
    assert scheduler.idle


def test_a_deadline_ends_a_branch_that_still_waits() -> None:
    scheduler = Scheduler(FakeContext())
    branch = generation(prompt_of(10), deadline=time.monotonic() - 1)
    scheduler.submit(branch)

    assert scheduler.step() == [branch]
    assert (branch.finish_reason, branch.text) == ("time", "")


def test_cached_prefixes_give_way_least_recently_used_first() -> None:
    context = FakeContext(n_ctx=100, n_seq_max=8)
    scheduler = Scheduler(context)
    old, new = prompt_of(40, seed=1), prompt_of(40, seed=2)
    for prompt in (old, new, old, prompt_of(40, seed=5)):
        scheduler.submit(generation(prompt, max_tokens=2))
        run(scheduler, context)
    before = scheduler.statistics.computed_tokens
    scheduler.submit(generation([*old, 1], max_tokens=2))
    run(scheduler, context)

    assert scheduler.statistics.evictions > 0
    assert scheduler.statistics.computed_tokens == before + 1


def test_a_large_request_is_not_overtaken_for_ever() -> None:
    context = FakeContext(n_ctx=100)
    scheduler = Scheduler(context)
    scheduler.submit(generation(prompt_of(30, seed=1), max_tokens=20))
    scheduler.step()
    large = generation(prompt_of(90, seed=2), max_tokens=5)
    scheduler.submit(large)
    small = [generation(prompt_of(10, seed=s), max_tokens=5) for s in range(10, 60)]
    for branch in small:
        scheduler.submit(branch)
    for _ in range(200):
        scheduler.step()
        if large.state is State.DONE:
            break

    assert is_right(large)
    assert all(b.state is State.WAITING for b in small)
    run(scheduler, context)
    assert all(is_right(b) for b in small)


def test_branches_that_outgrow_the_context_take_turns_and_lose_nothing() -> None:
    context = FakeContext(n_ctx=170)
    scheduler = Scheduler(context)
    short = [s for s in range(200) if len(expected(prompt_of(10, s), 60)) < 4]
    long = [s for s in range(200) if len(expected(prompt_of(10, s), 60)) > 45]
    for seed in short:  # from these it learns to expect little
        scheduler.submit(generation(prompt_of(10, seed), max_tokens=60))
    run(scheduler, context)
    branches = [generation(prompt_of(10, s), max_tokens=60) for s in long]
    for branch in branches:
        scheduler.submit(branch)
    run(scheduler, context)

    assert len(branches) >= 3
    assert scheduler.statistics.preemptions > 0
    assert all(is_right(b) for b in branches)


def test_a_refused_decode_fails_its_cause_alone() -> None:
    context = FakeContext()
    scheduler = Scheduler(context)
    good = [generation([*prompt_of(8, s), 1]) for s in range(4)]
    bad = generation([1, 2, 99], max_tokens=4)
    context.refuse = {99}
    for branch in (*good[:2], bad, *good[2:]):
        scheduler.submit(branch)
    run(scheduler, context)

    assert isinstance(bad.error, ModelError)
    assert "llama_decode failed with code -3" in str(bad.error)
    assert all(is_right(b) for b in good)


def test_an_error_in_one_branch_spares_the_others() -> None:
    class Broken(Generation):
        def receive(self, position: int, logits: Row) -> None:
            raise ValueError("broken")

    context = FakeContext()
    scheduler = Scheduler(context)
    bad = Broken(
        prompt_of(5),
        max_tokens=3,
        sampler=Sampler(GREEDY, (0,)),
        eog=frozenset(),
        piece=lambda token: b"",
    )
    good = generation(prompt_of(5))
    scheduler.submit(bad)
    scheduler.submit(good)
    run(scheduler, context)

    assert isinstance(bad.error, ValueError)
    assert is_right(good)


def test_rows_are_cut_by_the_profile() -> None:
    context = FakeContext()
    # Eight rows cost three times as much as four.
    scheduler = Scheduler(context, Profile({1: 1.0, 4: 1.5, 8: 4.5}))
    prompt = lasting(10, 5)
    branches = [generation(prompt, max_tokens=5) for _ in range(8)]
    for branch in branches:
        scheduler.submit(branch)
    run(scheduler, context)

    assert max(context.calls[1:]) == 4
    assert all(is_right(b) for b in branches)


def test_a_crowd_waits_but_not_for_a_judge() -> None:
    context = FakeContext(n_ctx=4000, n_seq_max=64)
    stairs = Profile({1: 1.0, 16: 2.0, 48: 7.0})
    scheduler = Scheduler(context, stairs)
    prompt = lasting(8, 20)
    many = [generation(prompt, 20) for _ in range(24)]
    for branch in many:
        scheduler.submit(branch)
    for _ in range(3):
        scheduler.step()
    assert scheduler.live == 16
    judge = Scoring(prompt_of(5, seed=1), [3])
    scheduler.submit(judge)
    scheduler.step()
    assert judge.state is State.DONE
    assert [b.state is State.WAITING for b in many] == [False] * 16 + [True] * 8

    run(scheduler, context)
    assert all(b.state is State.DONE for b in many)


@pytest.mark.parametrize("tiled", [False, True])
def test_tiles_that_cover_all_cells_are_never_filled_by_branches(tiled: bool) -> None:
    context = FakeContext(n_ctx=4000, n_seq_max=100, n_batch=512, tiled=tiled)
    scheduler = Scheduler(context)
    prompt = lasting(8, 6)
    branches = [generation(prompt, 6) for _ in range(80)]
    for branch in branches:
        scheduler.submit(branch)
    run(scheduler, context)

    assert (max(context.calls) < 64) is tiled
    assert all(is_right(b) for b in branches)


@pytest.mark.parametrize("tiled", [False, True])
def test_nor_by_a_prompt_that_does_not_see_most_of_the_cells(tiled: bool) -> None:
    context = FakeContext(n_ctx=4000, n_seq_max=8, n_batch=512, tiled=tiled)
    scheduler = Scheduler(context)
    for seed, length in enumerate([1100, 300]):
        context.calls.clear()
        scheduler.submit(generation(prompt_of(length, seed), max_tokens=1))
        run(scheduler, context)
        # The first prompt sees all cells that there are, the second few of them.
        assert (max(context.calls) < 64) is (tiled and length == 300)


def test_rows_are_padded_where_more_are_faster() -> None:
    context = FakeContext()
    scheduler = Scheduler(context, Profile({1: 1.0, 3: 9.0, 4: 2.0}))
    prompt = lasting(10, 5)
    branches = [generation(prompt, max_tokens=5) for _ in range(3)]
    for branch in branches:
        scheduler.submit(branch)
    run(scheduler, context)

    assert set(context.calls[1:]) == {4}
    assert all(is_right(b) for b in branches)


def test_guesses_in_spare_rows_save_steps_and_change_nothing() -> None:
    context = FakeContext()
    # Two to eight rows cost the same.
    scheduler = Scheduler(context, Profile({1: 1.0, 8: 1.01, 9: 9.0}))
    prompt = lasting(10, 12)
    first = generation(prompt, max_tokens=12)
    scheduler.submit(first)
    run(scheduler, context)
    steps = len(context.calls)
    second = generation(prompt, max_tokens=12)
    scheduler.submit(second)
    run(scheduler, context)

    assert is_right(first) and is_right(second)
    assert scheduler.statistics.accepted_tokens >= 6
    assert len(context.calls) - steps < 6 < steps


def test_a_prompt_whose_logits_were_kept_and_cells_dropped_is_computed_again() -> None:
    context = FakeContext(n_ctx=40, n_seq_max=2, n_batch=8)
    scheduler = Scheduler(context, Profile({1: 1.0, 6: 1.1}))
    short, long = [6, 6, 9], [6, 6, 9, 10, 3, 2, 4]
    work = [(short, 1), (long, 2), (short, 1), (short, 2), (long, 3)]
    branches = [generation(prompt, tokens) for prompt, tokens in work]
    for branch in branches:
        scheduler.submit(branch)
    run(scheduler, context)

    assert all(is_right(b) for b in branches)


PROFILES = [
    FLAT,
    Profile({1: 1.0, 3: 1.1, 4: 9.0}),
    Profile({1: 1.0, 6: 1.1}),
    Profile({1: 3.0, 2: 4.0, 3: 2.0}),
]
PROMPTS = [[*prompt_of(n, 1), *prompt_of(m, k)] for n in (3, 9) for m in (0, 4, 12)
           for k in (2, 3)]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_work_leaks_nothing_and_all_of_it_ends(data: st.DataObject) -> None:
    context = FakeContext(
        n_ctx=data.draw(st.integers(40, 120)),
        n_seq_max=data.draw(st.integers(2, 9)),
        n_batch=data.draw(st.sampled_from([8, 16, 64, 128])),
        tiled=data.draw(st.booleans()),
    )
    profile = data.draw(st.sampled_from(PROFILES))
    scheduler = Scheduler(context, profile)
    alive: list[Branch] = []
    done: list[Branch] = []
    for _ in range(data.draw(st.integers(1, 25))):
        match data.draw(st.sampled_from(["generate", "score", "cancel", "step"])):
            case "generate":
                prompt = data.draw(st.sampled_from(PROMPTS))
                alive.append(generation(prompt, data.draw(st.integers(1, 12))))
                scheduler.submit(alive[-1])
            case "score":
                prompt = data.draw(st.sampled_from(PROMPTS))
                text = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
                alive.append(Scoring(prompt, text))
                scheduler.submit(alive[-1])
            case "cancel" if alive:
                victim = alive.pop(data.draw(st.integers(0, len(alive) - 1)))
                scheduler.cancel(victim)
            case _:
                done += scheduler.step()
                assert context.cells == scheduler.cache.cells <= context.n_ctx
    run(scheduler, context)

    for branch in alive:
        assert branch.state is State.DONE and branch.error is None
        assert branch.sequence is None
        assert not isinstance(branch, Generation) or is_right(branch)
    assert scheduler.live == 0
    # Everything that is left is cached, and can be dropped to the last cell.
    assert scheduler.cache.make_room(context.n_ctx)
    assert context.cells == scheduler.cache.cells == 0
