from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from ponder.errors import InvalidParameter, RetrievalError
from ponder.retrieval.matryoshka import MatryoshkaArray, MatryoshkaVectors, prefix

Vector = NDArray[np.float32]

SIZE, D, SHORT = 400, 32, 8


def nested(count: int, seed: int = 0) -> Vector:
    """Vectors whose first dimensions say most, as a Matryoshka model's do."""
    rows = np.random.default_rng(seed).normal(size=(count, D)) / np.arange(1, D + 1)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return cast(Vector, (rows / lengths).astype(np.float32))


def by_hand(array: Vector, query: Vector, k: int, keep: int) -> list[int]:
    """Return rows by the two stages, written out one vector at a time."""

    def cosine(a: Vector, b: Vector) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    rows = range(len(array))
    near = sorted(rows, key=lambda i: -cosine(array[i, :SHORT], query[:SHORT]))[:keep]
    return sorted(near, key=lambda i: -cosine(array[i], query))[:k]


@pytest.mark.parametrize("shortlist", [1, 3, 10])
def test_both_stages_in_memory_and_on_disk(tmp_path: Path, shortlist: int) -> None:
    array = nested(SIZE)
    memory = MatryoshkaArray(array, SHORT, shortlist=shortlist)
    disk = MatryoshkaVectors.open(tmp_path, D, SHORT, shortlist=shortlist)
    disk.add([str(i) for i in range(SIZE)], array)
    for query in nested(10, seed=1):
        expected = by_hand(array, query, 5, 5 * shortlist)
        found = memory.search(query, 5)
        assert [row for row, _ in found] == expected
        assert [int(id) for id, _ in disk.search(query, 5)] == expected
        cosines = [float(array[row] @ query) for row in expected]
        assert [score for _, score in found] == pytest.approx(cosines, abs=1e-5)


def test_a_longer_shortlist_comes_nearer_to_the_truth() -> None:
    array, queries = nested(SIZE), nested(30, seed=2)

    def recall(shortlist: int) -> float:
        search = MatryoshkaArray(array, SHORT, shortlist=shortlist).search
        hits = 0
        for query in queries:
            true = set(np.argsort(-(array @ query))[:10])
            hits += len(true & {row for row, _ in search(query, 10)})
        return hits / 300

    assert recall(1) < recall(3) <= recall(SIZE // 10) == 1


def test_all_dimensions_are_plain_search() -> None:
    array = nested(SIZE)
    whole = MatryoshkaArray(array, D, shortlist=1)
    query = nested(1, seed=3)[0]
    expected = list(np.argsort(-(array @ query))[:7])
    assert [row for row, _ in whole.search(query, 7)] == expected


def test_a_prefix_is_at_length_1() -> None:
    cut = prefix(nested(20), 3)
    assert cut.shape == (20, 3)
    assert np.linalg.norm(cut, axis=1) == pytest.approx(np.ones(20), abs=1e-6)


@pytest.mark.parametrize("short", [0, D + 1])
def test_dimensions_out_of_range_are_refused(tmp_path: Path, short: int) -> None:
    with pytest.raises(InvalidParameter, match=f"short is {short}"):
        MatryoshkaArray(nested(3), short)
    with pytest.raises(InvalidParameter, match=f"short is {short}"):
        MatryoshkaVectors.open(tmp_path, D, short)


def test_a_prefix_without_direction_is_refused_whole(tmp_path: Path) -> None:
    array = nested(3)
    array[1, :SHORT] = 0
    with pytest.raises(InvalidParameter, match="more dimensions"):
        MatryoshkaArray(array, SHORT)
    store = MatryoshkaVectors.open(tmp_path, D, SHORT)
    with pytest.raises(InvalidParameter, match="more dimensions"):
        store.add(["a", "b", "c"], array)
    assert store.count() == 0


def test_bad_numbers_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="shortlist is 0"):
        MatryoshkaArray(nested(3), SHORT, shortlist=0)
    with pytest.raises(InvalidParameter, match="shortlist is 0"):
        MatryoshkaVectors.open(tmp_path, D, SHORT, shortlist=0)
    with pytest.raises(InvalidParameter, match="k is 0"):
        MatryoshkaArray(nested(3), SHORT).search(nested(1)[0], 0)


def test_a_store_of_other_prefixes_is_named(tmp_path: Path) -> None:
    MatryoshkaVectors.open(tmp_path, D, SHORT)
    with pytest.raises(RetrievalError, match="8 dimensions"):
        MatryoshkaVectors.open(tmp_path, D, SHORT + 1)


def test_the_prefixes_have_the_index(tmp_path: Path) -> None:
    store = MatryoshkaVectors.open(tmp_path, D, SHORT, index_from=100)
    array = nested(SIZE)
    store.add([str(i) for i in range(SIZE)], array)
    assert not store.indexed
    store.compact()
    assert store.indexed
    assert store.search(array[11], 1)[0][0] == "11"
