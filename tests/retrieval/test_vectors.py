import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ponder.errors import InvalidParameter, MissingExtra, RetrievalError
from ponder.retrieval.matryoshka import MatryoshkaVectors
from ponder.retrieval.vectors import Vectors

Vector = NDArray[np.float32]
Store = Vectors | MatryoshkaVectors

D = 8


def directions(count: int, seed: int = 0, dimension: int = D) -> Vector:
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return cast(Vector, (rows / lengths).astype(np.float32))


def names(count: int) -> list[str]:
    return [f"p{i:05}" for i in range(count)]


def nearest(array: Vector, vector: Vector, k: int) -> list[str]:
    similar = array @ vector / np.linalg.norm(array, axis=1) / np.linalg.norm(vector)
    return [f"p{row:05}" for row in np.argsort(-similar, kind="stable")[:k]]


def bytes_on_disk(folder: Path) -> bytes:
    return b"".join(f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file())


def plain(folder: Path) -> Store:
    return Vectors.open(folder, D)


def two_stage(folder: Path) -> Store:
    return MatryoshkaVectors.open(folder, D, D // 2, shortlist=1000)


@pytest.fixture(params=[plain, two_stage])
def opened(request: pytest.FixtureRequest) -> Callable[[Path], Store]:
    found: Callable[[Path], Store] = request.param
    return found


Opened = Callable[[Path], Store]


def test_finds_the_nearest_with_their_cosines(opened: Opened, tmp_path: Path) -> None:
    store, array = opened(tmp_path), directions(50)
    # Their lengths do not matter.
    store.add(names(50), array * np.linspace(0.5, 2, 50, dtype=np.float32)[:, None])
    for query in directions(5, seed=1):
        found = store.search(3 * query, 10)
        assert [id for id, _ in found] == nearest(array, query, 10)
        cosines = [float(array[int(id[1:])] @ query) for id, _ in found]
        assert [score for _, score in found] == pytest.approx(cosines, abs=1e-5)
    assert store.count() == 50
    assert len(store.search(array[0], 100)) == 50


def test_an_empty_store_finds_nothing(opened: Opened, tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert store.search(directions(1)[0], 3) == []
    store.add([], np.zeros((0, D), np.float32))
    store.delete([])
    store.delete(["nobody"])
    store.compact()
    assert store.count() == 0 and not store.indexed


def test_it_is_there_when_opened_again(opened: Opened, tmp_path: Path) -> None:
    array = directions(20)
    opened(tmp_path).add(names(20), array)
    again = opened(tmp_path)
    assert again.count() == 20
    assert again.search(array[7], 1)[0][0] == "p00007"


def test_other_processes_see_what_was_written(opened: Opened, tmp_path: Path) -> None:
    reader, writer = opened(tmp_path), opened(tmp_path)
    writer.add(names(3), directions(3))
    assert reader.count() == 3
    writer.delete(["p00001"])
    writer.compact()
    assert {id for id, _ in reader.search(directions(1)[0], 9)} == {"p00000", "p00002"}


def test_adding_again_replaces(opened: Opened, tmp_path: Path) -> None:
    store, array = opened(tmp_path), directions(20)
    store.add(names(20), array)
    store.add(["p00003", "new"], directions(2, seed=5))
    assert store.count() == 21
    found = dict(store.search(directions(2, seed=5)[0], 30))
    assert len(found) == 21
    assert found["p00003"] == pytest.approx(1, abs=1e-5)


def test_odd_ids_are_no_commands(opened: Opened, tmp_path: Path) -> None:
    ids = ["it's", "' OR '1'='1", "ü/é 東京", '"', "\\", "%_"]
    store = opened(tmp_path)
    store.add(ids, directions(6))
    assert {id for id, _ in store.search(directions(1)[0], 9)} == set(ids)
    store.delete(["' OR '1'='1", "\\"])
    left = {id for id, _ in store.search(directions(1)[0], 9)}
    assert left == set(ids) - {"' OR '1'='1", "\\"}


@pytest.mark.parametrize("gone", ["deleted", "replaced"])
def test_compact_removes_from_disk(opened: Opened, tmp_path: Path, gone: str) -> None:
    store, array = opened(tmp_path), directions(300)
    store.add(names(300), array)
    # Its last numbers, which the prefixes and the whole vector have in common.
    secret = array[42, :4].tobytes()
    if gone == "deleted":
        store.delete(["p00042"])
    else:
        store.add(["p00042"], directions(1, seed=9))
    # LanceDB marks it only: else this test would show nothing.
    assert secret in bytes_on_disk(tmp_path)
    store.compact()
    assert secret not in bytes_on_disk(tmp_path)
    if gone == "deleted":
        assert b"p00042" not in bytes_on_disk(tmp_path)
    assert store.count() == (299 if gone == "deleted" else 300)
    assert array[41, :4].tobytes() in bytes_on_disk(tmp_path)
    assert store.search(array[41], 1)[0][0] == "p00041"


def test_a_large_table_gets_an_index_that_follows(tmp_path: Path) -> None:
    store = Vectors.open(tmp_path, D, index_from=400)
    array = directions(1000)
    store.add(names(399), array[:399])
    store.compact()
    assert not store.indexed
    store.add(names(1000)[399:500], array[399:500])
    store.compact()
    assert store.indexed
    for part in (slice(500, 600), slice(600, 1000)):
        store.add(names(1000)[part], array[part])
        # Before the index knows of them, and after.
        assert store.search(array[part.stop - 1], 1)[0][0] == f"p{part.stop - 1:05}"
        store.compact()
        assert store.search(array[part.stop - 1], 1)[0][0] == f"p{part.stop - 1:05}"
    store.delete(names(1000)[:600])
    assert all(id >= "p00600" for id, _ in store.search(array[0], 50))
    store.compact()
    assert store.indexed and store.count() == 400
    assert all(id >= "p00600" for id, _ in store.search(array[0], 50))
    assert array[0].tobytes() not in bytes_on_disk(tmp_path)


def test_more_probes_find_more(tmp_path: Path) -> None:
    store = Vectors.open(tmp_path, D, index_from=2)
    array = directions(10_000)
    store.add(names(10_000), array)
    store.compact()

    def recall(probes: int, exact: bool = False) -> float:
        hits = 0
        for query in directions(20, seed=3):
            found = store.search(query, 10, probes=probes, exact=exact)
            hits += len({id for id, _ in found} & set(nearest(array, query, 10)))
        return hits / 200

    assert recall(1) < recall(2) < recall(5) == recall(1, exact=True) == 1
    # Tidying up leaves the partitions as they are.
    before = recall(1)
    store.compact()
    assert recall(1) == before < 0.9


@pytest.mark.parametrize(
    ("ids", "array", "said"),
    [
        (["a", "a"], np.ones((2, D), np.float32), "1 of them different"),
        (["a"], np.ones((2, D), np.float32), "1 ids"),
        (["a"], np.ones((1, D + 1), np.float32), "dimension 8"),
        (["a"], np.zeros((1, D), np.float32), "zero or not finite"),
        (["a"], np.full((1, D), np.nan, np.float32), "zero or not finite"),
        (["a"], np.full((1, D), np.inf, np.float32), "zero or not finite"),
    ],
)
def test_bad_vectors_are_refused_whole(
    tmp_path: Path, ids: list[str], array: Vector, said: str
) -> None:
    store = Vectors.open(tmp_path, D)
    with pytest.raises(InvalidParameter, match=said):
        store.add(ids, array)
    assert store.count() == 0
    if "of them" not in said and len(ids) == len(array):
        with pytest.raises(InvalidParameter, match=said):
            store.search(array[0], 1)


def test_bad_numbers_are_named(tmp_path: Path) -> None:
    store = Vectors.open(tmp_path, D)
    for k, probes in ((0, 1), (1, 0)):
        with pytest.raises(InvalidParameter, match="give 1 or more"):
            store.search(directions(1)[0], k, probes=probes)
    with pytest.raises(InvalidParameter, match="dimension is 0"):
        Vectors.open(tmp_path, 0)
    with pytest.raises(InvalidParameter, match="index_from 0"):
        Vectors.open(tmp_path, D, index_from=0)


def test_vectors_of_other_embeddings_are_named(tmp_path: Path) -> None:
    Vectors.open(tmp_path, D).add(["a"], directions(1))
    with pytest.raises(RetrievalError, match="8 dimensions.*have 16.*build it again"):
        Vectors.open(tmp_path, 16)


WRITER = """
import sys
from pathlib import Path
import numpy as np
from ponder.retrieval.vectors import Vectors
store = Vectors.open(Path(sys.argv[1]), 8, index_from=300)
for n in range(10_000):
    ids = [f"{n}/{i}" for i in range(100)]
    store.add(ids, np.random.default_rng(n).normal(size=(100, 8)))
    if n % 3 == 2:
        store.delete(ids[:50])
        store.compact()
    print(n, flush=True)
"""


def test_a_kill_loses_no_whole_write(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(6)]
        process.kill()
    done = int(lines[-1])
    store = Vectors.open(tmp_path, D, index_from=300)
    for n in range(done + 1):
        held = len(store.fetch([f"{n}/{i}" for i in range(100)]))
        assert held == (50 if n % 3 == 2 else 100)
    # Of what came later, each write is there whole or not at all.
    for n in range(done + 1, done + 4):
        assert len(store.fetch([f"{n}/{i}" for i in range(100)])) in (0, 50, 100)
    store.compact()
    store.add(["after"], directions(1))
    assert "after" in store.fetch(["after"])


def test_a_damaged_or_closed_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RetrievalError, match="cannot be opened"):
        Vectors.open(tmp_path / "file" / "store", D)
    store = Vectors.open(tmp_path / "store", D)
    store.add(names(3), directions(3))
    for file in (tmp_path / "store").rglob("*.lance"):
        if file.is_file():
            file.write_bytes(b"damaged")
    with pytest.raises(RetrievalError, match="cannot be searched"):
        Vectors.open(tmp_path / "store", D).search(directions(1)[0], 1)


def test_without_the_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(MissingExtra, match=r"ponder\[retrieval\]"):
        Vectors.open(tmp_path, D)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "delete", "compact"]),
            st.sets(st.integers(0, 5), min_size=1),
            arrays(np.float32, D, elements=st.integers(1, 9).map(float)),
        ),
        max_size=6,
    )
)
def test_it_holds_what_a_dictionary_would(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, set[int], Vector]],
) -> None:
    store = Vectors.open(tmp_path_factory.mktemp("vectors"), D)
    held: dict[str, Vector] = {}
    for step, numbers, vector in steps:
        ids = [f"p{i}" for i in sorted(numbers)]
        match step:
            case "add":
                store.add(ids, np.tile(vector, (len(ids), 1)))
                held |= dict.fromkeys(ids, vector)
            case "delete":
                store.delete(ids)
                held = {id: v for id, v in held.items() if id not in ids}
            case _:
                store.compact()
    assert store.count() == len(held)
    found = store.fetch([f"p{i}" for i in range(9)])
    assert {id: v.tolist() for id, v in found.items()} == {
        id: v.tolist() for id, v in held.items()
    }
