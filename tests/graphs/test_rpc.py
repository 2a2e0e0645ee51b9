from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import weibull_min

from ponder.agents.answers import Group
from ponder.errors import InvalidParameter
from ponder.graphs.rpc import (
    LEAST_PATHS,
    Weibull,
    path_logprob,
    perplexity_consistency,
    prune,
    weibull_mixture,
)

logprobs = st.lists(st.floats(-900, 0), min_size=1, max_size=20)
# Per-token probabilities of two kinds of paths.
TWO_KINDS = [log(p) for p in (0.90, 0.91, 0.92, 0.93, 0.94, 0.20, 0.22, 0.25, 0.28)]


def test_path_logprob() -> None:
    assert path_logprob(-12.0, 6) == -2.0
    assert path_logprob(-12.0, 6, per_token=False) == -12.0
    with pytest.raises(InvalidParameter, match="1 or more tokens"):
        path_logprob(0.0, 0)


def test_confidence_is_the_share_of_probability() -> None:
    groups = [Group("72", [0, 2]), Group("71", [1])]
    shares = perplexity_consistency(groups, [log(0.1), log(0.3), log(0.2)])
    assert shares == pytest.approx([0.5, 0.5])


def test_a_path_counts_once_however_often_it_is_drawn() -> None:
    groups = [Group("72", [0, 1, 2]), Group("71", [3])]
    same = [log(0.2)] * 3 + [log(0.6)]
    shares = perplexity_consistency(groups, same, paths=["a", "a", "a", "b"])
    assert shares == pytest.approx([0.25, 0.75])
    assert perplexity_consistency(groups, same) == pytest.approx([0.5, 0.5])


def test_pruned_paths_do_not_count() -> None:
    groups = [Group("72", [0, 1]), Group("71", [2])]
    shares = perplexity_consistency(
        groups, [log(0.4), log(0.4), log(0.4)], keep=[True, False, True]
    )
    assert shares == pytest.approx([0.5, 0.5])
    none = perplexity_consistency(groups, [-1.0] * 3, keep=[False] * 3)
    assert none == [0.0, 0.0]
    assert perplexity_consistency([], []) == []


@settings(deadline=None, max_examples=50)
@given(logprobs, st.floats(-800, 0))
def test_confidence_and_pruning_know_no_scale(logs: list[float], shift: float) -> None:
    groups = [Group(str(i), [i]) for i in range(len(logs))]
    shifted = [p + shift for p in logs]
    shares = perplexity_consistency(groups, logs)
    assert sum(shares) == pytest.approx(1.0)
    assert perplexity_consistency(groups, shifted) == pytest.approx(shares, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(logprobs)
def test_the_likeliest_path_is_always_kept(logs: list[float]) -> None:
    kept = prune(logs)
    assert len(kept) == len(logs)
    assert kept[logs.index(max(logs))]
    dropped = [p for p, keep in zip(logs, kept, strict=True) if not keep]
    mean = sum(exp(p - max(logs)) for p in logs) / len(logs)
    assert all(exp(p - max(logs)) < mean for p in dropped)


def test_prunes_the_unlikely_kind() -> None:
    assert prune(TWO_KINDS) == [True] * 5 + [False] * 4


@pytest.mark.parametrize("shift", [-0.5, -50.0, -800.0])
def test_prunes_the_same_at_any_scale(shift: float) -> None:
    assert prune([p + shift for p in TWO_KINDS]) == [True] * 5 + [False] * 4


def test_whole_sequences_far_apart_weigh_the_same_pruned_or_not() -> None:
    logs = [-800.0, -801.0, -800.5, -860.0, -870.0, -1400.0, -1500.0, -880.0]
    groups = [Group("72", [0, 3, 5, 6]), Group("71", [1, 2, 4, 7])]
    kept = prune(logs)
    assert kept[:3] == [True] * 3
    odds = exp(-1) + exp(-0.5)
    shares = perplexity_consistency(groups, logs, keep=kept)
    assert shares == pytest.approx([1 / (1 + odds), odds / (1 + odds)])


@pytest.mark.parametrize(
    "logs", [[], [-1.0], [-3.0] * 50, [-1.0, -2.0, -3.0, -4.0, -5.0]]
)
def test_nothing_to_tell_apart_prunes_nothing(logs: list[float]) -> None:
    assert weibull_mixture(logs) is None
    assert prune(logs) == [True] * len(logs)
    assert weibull_mixture([-0.1 * i for i in range(LEAST_PATHS)]) is not None


def test_fit_recovers_a_mixture() -> None:
    random = np.random.default_rng(0)
    low = 0.2 * random.weibull(3.0, 240)
    high = 0.8 * random.weibull(12.0, 160)
    points = [min(p, 1.0) for p in [*low.tolist(), *high.tolist()]]
    mixture = weibull_mixture([log(p) for p in points])
    assert mixture is not None
    assert mixture.weight == pytest.approx(0.4, abs=0.05)
    assert exp(mixture.high.log_scale) == pytest.approx(0.8, rel=0.05)
    assert exp(mixture.low.log_scale) == pytest.approx(0.2, rel=0.1)
    assert mixture.high.shape == pytest.approx(12.0, rel=0.2)
    assert mixture.low.shape == pytest.approx(3.0, rel=0.2)
    assert 0.2 <= mixture.weight <= 0.8


def test_weibull_is_that_of_scipy() -> None:
    mine, peer = Weibull(2.5, log(0.3)), weibull_min(2.5, scale=0.3)
    assert exp(mine.log_mean) == pytest.approx(peer.mean())
    for p in (0.01, 0.3, 0.9):
        assert mine.log_density(log(p)) == pytest.approx(peer.logpdf(p))


@pytest.mark.parametrize("wrong", [0.5, float("nan")])
def test_what_is_no_logprob_is_refused(wrong: float) -> None:
    with pytest.raises(InvalidParameter, match="no log-probability"):
        prune([wrong, -1.0])
    with pytest.raises(InvalidParameter, match="no log-probability"):
        perplexity_consistency([Group("1", [0])], [wrong])
