from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import InvalidParameter
from ponder.models.llama import profile as module
from ponder.models.llama.bindings import Context, Weights
from ponder.models.llama.profile import FLAT, Profile, load_or_measure, measure

TIMES = st.dictionaries(
    st.integers(2, 40), st.floats(0.1, 50), min_size=1, max_size=6
).map(lambda d: {1: 1.0, **d})


def test_eight_rows_go_as_four_and_four_where_that_is_faster() -> None:
    profile = Profile({1: 30, 4: 90, 8: 216})

    assert profile.partition(8) == [4, 4]
    assert profile.partition(4) == [4]


def test_a_gain_within_the_noise_changes_nothing() -> None:
    assert Profile({1: 30, 4: 90, 8: 181}).partition(8) == [8]


def test_rows_between_are_interpolated_and_beyond_extrapolated() -> None:
    profile = Profile({1: 1.0, 4: 4.0, 8: 6.0})

    assert profile.time(2) == pytest.approx(2)
    assert profile.time(6) == pytest.approx(5)
    assert profile.time(16) == pytest.approx(12)


def test_the_flat_profile_cuts_nothing_and_spares_nothing() -> None:
    for rows in (1, 7, 100):
        assert FLAT.partition(rows) == [rows]
        assert FLAT.worthwhile(rows, [1.0, 0.9]) == 0


def test_no_more_branches_are_a_crowd_than_make_the_machine_faster() -> None:
    stairs = {1: 39.0, 8: 166.0, 16: 175.0, 24: 225.0, 32: 251.0, 48: 374.0}

    assert Profile(stairs).crowd == 32
    assert Profile({1: 30, 4: 90, 8: 216}).crowd == 16
    assert FLAT.crowd is None
    # Where the largest number measured is best, still more may be better.
    assert Profile({1: 10.0, 32: 20.0, 64: 21.0}).crowd is None
    assert Profile({1: 34.0, 8: 140.0, 16: 142.0}).crowd is None


def test_rows_that_cost_nothing_are_used() -> None:
    # The staircase measured on a 1.5B model: 9 to 16 rows cost the same.
    profile = Profile({1: 38, 4: 102, 8: 149, 12: 154, 16: 159, 17: 222})

    assert profile.worthwhile(12, [0.5] * 8) == 4
    assert profile.worthwhile(1, [0.5, 0.25, 0.12, 0.06]) == 0
    assert profile.worthwhile(12, []) == 0
    assert profile.worthwhile(12, [0.01] * 8) == 0


@given(TIMES, st.integers(1, 50))
def test_a_partition_is_complete_and_never_slower(
    times: dict[int, float], rows: int
) -> None:
    profile = Profile(times)
    groups = profile.partition(rows)

    assert sum(groups) == rows and min(groups) > 0
    seconds = sum(profile.time(profile.padded(group)) for group in groups)
    assert seconds <= profile.time(rows) * (1 + 1e-9)
    assert all(profile.padded(group) >= group for group in groups)


@pytest.mark.parametrize("times", [{}, {2: 1.0}, {1: 0.0}, {0: 1.0, 1: 1.0}])
def test_a_profile_without_sense_is_refused(times: dict[int, float]) -> None:
    with pytest.raises(InvalidParameter):
        Profile(times)


class Clocked:
    """A context whose decodes take the time they are told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: Sequence[float]):
        self.n_seq_max = self.max_outputs = self.n_batch = self.n_ctx = 4
        self.n_threads, self.decodes = 1, 0
        self.flash_attention = None
        self._seconds, self._now = seconds, 0.0
        clock = SimpleNamespace(perf_counter=self.now, monotonic=self.now)
        monkeypatch.setattr(module, "time", clock)

    def now(self) -> float:
        return self._now

    def clear(self) -> None:
        return None

    def decode(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        sequences: Sequence[int],
        outputs: Sequence[bool],
    ) -> None:
        self._now += len(tokens) * self._seconds[self.decodes % len(self._seconds)]
        self.decodes += 1

    def logits(self, row: int) -> None:
        return None


def test_measuring_keeps_the_least_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    context = Clocked(monkeypatch, [0.001])
    profile = measure(cast(Context, context))

    assert profile is not None
    assert profile.seconds == pytest.approx({1: 0.001, 2: 0.002, 3: 0.003, 4: 0.004})


def test_a_busy_machine_gives_no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    context = Clocked(monkeypatch, [0.001, 0.02, 0.003, 0.009, 0.001])

    assert measure(cast(Context, context)) is None


def test_a_slow_model_is_measured_on_few_row_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = Clocked(monkeypatch, [1.5])
    profile = measure(cast(Context, context))

    assert profile is not None
    assert list(profile.seconds) == [1, 2]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    library = SimpleNamespace(__version__="1", llama_version=lambda: b"2")
    monkeypatch.setattr(module, "library", lambda: library)
    return cast(Weights, SimpleNamespace(path=file, repack=False, on_gpu=False))


def test_a_profile_is_measured_once_and_kept(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Clocked(monkeypatch, [0.001])
    first = load_or_measure(weights, cast(Context, context), tmp_path / "p")
    decodes = context.decodes
    second = load_or_measure(weights, cast(Context, context), tmp_path / "p")

    assert decodes > 0
    assert context.decodes == decodes
    assert second.seconds == first.seconds


@pytest.mark.parametrize("content", ["{", "[]", '{"seconds": {"1": -1}}', "null"])
def test_a_damaged_profile_is_measured_again(
    content: str, weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Clocked(monkeypatch, [0.001])
    load_or_measure(weights, cast(Context, context), tmp_path)
    (file,) = tmp_path.glob("*.json")
    file.write_text(content)
    decodes = context.decodes
    profile = load_or_measure(weights, cast(Context, context), tmp_path)

    assert context.decodes > decodes
    assert 1 in profile.seconds


def test_a_folder_that_cannot_be_written_to_is_no_obstacle(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Clocked(monkeypatch, [0.001])
    (tmp_path / "file").write_text("")
    profile = load_or_measure(weights, cast(Context, context), tmp_path / "file")

    assert 4 in profile.seconds


def test_noise_is_not_kept(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Clocked(monkeypatch, [0.001, 0.02, 0.003, 0.009, 0.001])
    profile = load_or_measure(weights, cast(Context, context), tmp_path / "p")

    assert profile is FLAT
    assert not (tmp_path / "p").exists()
