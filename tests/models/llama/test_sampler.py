import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.messages import Sampling
from ponder.models.llama.bindings import Row
from ponder.models.llama.sampler import Sampler, log_normaliser, top_tokens

DRAWS = 4000


def row(size: int = 1500, seed: int = 0) -> Row:
    return (np.random.default_rng(seed).standard_normal(size) * 3).astype(np.float32)


def shares(sampling: Sampling, logits: Row) -> dict[int, float]:
    sampler = Sampler(sampling, (1,))
    tokens, counts = np.unique(
        [sampler.draw(logits) for _ in range(DRAWS)], return_counts=True
    )
    return {int(t): c / DRAWS for t, c in zip(tokens, counts, strict=True)}


def reference(sampling: Sampling, logits: Row) -> dict[int, float]:
    """The definition, written plainly over the whole sorted vocabulary."""
    order = np.argsort(-logits.astype(np.float64), kind="stable")
    tempered = logits.astype(np.float64)[order] / sampling.temperature
    weights = np.exp(tempered - tempered.max())
    if sampling.top_k:
        weights[sampling.top_k :] = 0
    chances = weights / weights.sum()
    before = np.cumsum(chances) - chances
    chances[before >= sampling.top_p] = 0
    chances[chances < sampling.min_p * chances.max()] = 0
    chances /= chances.sum()
    return {int(t): float(p) for t, p in zip(order, chances, strict=True) if p}


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=1),
        Sampling(temperature=0.7),
        Sampling(temperature=3),
        Sampling(temperature=1, top_k=5),
        Sampling(temperature=1, top_p=0.8),
        Sampling(temperature=1, min_p=0.1),
        Sampling(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05),
        Sampling(temperature=8, top_p=0.99),
    ],
    ids=repr,
)
def test_draws_follow_the_definition(sampling: Sampling) -> None:
    logits = row()
    wanted, seen = reference(sampling, logits), shares(sampling, logits)

    assert set(seen) <= set(wanted)
    distance = sum(
        abs(wanted.get(t, 0) - seen.get(t, 0)) for t in set(wanted) | set(seen)
    )
    # Expected total variation of so many draws, with room to spare.
    noise = sum(np.sqrt(p * (1 - p) / DRAWS) for p in wanted.values())
    assert distance <= 1.5 * noise + 0.02


def test_greedy_takes_the_likeliest() -> None:
    logits = row()

    assert Sampler(Sampling(temperature=0), None).draw(logits) == int(logits.argmax())


def test_only_allowed_tokens_are_drawn() -> None:
    logits = row()
    allowed = np.zeros(len(logits), np.bool_)
    allowed[[3, 700, 1499]] = True
    for sampling in (Sampling(temperature=0), Sampling(temperature=2, top_p=0.9)):
        sampler = Sampler(sampling, (2,))
        drawn = {sampler.draw(logits, allowed) for _ in range(50)}
        assert drawn <= {3, 700, 1499}


def test_a_seed_fixes_the_draws_and_another_changes_them() -> None:
    logits = row()

    def draws(seed: tuple[int, ...]) -> list[int]:
        sampler = Sampler(Sampling(temperature=2), seed)
        return [sampler.draw(logits) for _ in range(20)]

    assert draws((5, 0)) == draws((5, 0))
    assert draws((5, 0)) != draws((5, 1))


def test_drawing_leaves_the_logits_alone() -> None:
    logits = row()
    before = logits.copy()
    Sampler(Sampling(temperature=0.5, top_p=0.5), (1,)).draw(logits)

    assert np.array_equal(logits, before)


@given(st.integers(0, 1000), st.integers(1, 60))
def test_the_top_tokens_are_those_of_a_full_sort(seed: int, k: int) -> None:
    logits = row(40, seed)

    assert list(top_tokens(logits, k)) == list(np.argsort(-logits, kind="stable")[:k])


def test_the_normaliser_makes_probabilities_add_up_to_one() -> None:
    logits = row()

    total = np.exp(logits.astype(np.float64) - log_normaliser(logits)).sum()
    assert total == pytest.approx(1, abs=1e-6)
