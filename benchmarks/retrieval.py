"""Speed of the search by words and by vectors, and how much the latter misses.

Passages are of Zipf-distributed words, vectors of clusters, both from seeds. Words are
compared with bare bm25s, vectors with exact search by numpy over an array in memory.
Run it from the root of the repository::

    python -m benchmarks.retrieval
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks._report import Recorder, StaleFile, judged, number, table
from ponder.retrieval.lexical import BM25
from ponder.retrieval.vectors import PROBES, Vectors

Vector = NDArray[np.float32]

K = 10
VOCABULARY = 100_000
CLUSTERS = 1_000
SPREAD = 0.6
"""Length of the noise around a centre of length 1."""
WORDS, VECTORS = "words", "vectors"
PEERS = {WORDS: "bm25s", VECTORS: "numpy"}
BUILD_SECONDS, SEARCH_MS, RECALL = 60.0, 10.0, 0.95
"""The targets; recall is of exact search."""


# Data.


def zipf_texts(count: int, length: int, rng: np.random.Generator) -> list[str]:
    """Return texts whose n-th most frequent word has a frequency of about 1 / n.

    Args:
        count: Texts.
        length: Mean words of a text; lengths are uniform from half of it.
        rng: Draws everything.
    """
    chances = 1 / np.arange(1, VOCABULARY + 1)
    vocabulary = np.array([f"w{i:x}" for i in range(VOCABULARY)])
    lengths = rng.integers(length // 2, length + length // 2 + 1, count)
    drawn = rng.choice(VOCABULARY, lengths.sum(), p=chances / chances.sum())
    parts = np.split(vocabulary[drawn], np.cumsum(lengths)[:-1])
    return [" ".join(part) for part in parts]


def clustered(count: int, centres: Vector, rng: np.random.Generator) -> Vector:
    """Return unit vectors around random ones of the centres, each shape (d,)."""
    dimension = centres.shape[1]
    noise = rng.standard_normal((count, dimension), np.float32)
    chosen = centres[rng.integers(0, len(centres), count)]
    return unit(chosen + SPREAD / np.sqrt(np.float32(dimension)) * noise)


def unit(array: Vector) -> Vector:
    """Return rows at length 1."""
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    return cast(Vector, (array / lengths).astype(np.float32))


# Contestants: each builds an index and searches it, and returns what it measured.


def words_of_ponder(texts: list[str], queries: list[str]) -> dict[str, Any]:
    """Build, save, load memory-mapped, and search."""
    ids = [str(i) for i in range(len(texts))]
    with tempfile.TemporaryDirectory() as name:
        build = clock()
        BM25.build(ids, texts).save(Path(name))
        values = build()
        index = BM25.load(Path(name))
        return values | timed(lambda query: index.search(query, K), queries)


def words_of_bm25s(texts: list[str], queries: list[str]) -> dict[str, Any]:
    """Do the same with bm25s alone: its tokenizer, its index, its search."""
    import bm25s

    def tokens(given: Any) -> Any:
        return bm25s.tokenize(given, show_progress=False)

    with tempfile.TemporaryDirectory() as name:
        build = clock()
        built = bm25s.BM25()
        built.index(tokens(texts), show_progress=False)
        built.save(name, show_progress=False)
        values = build()
        index = bm25s.BM25.load(name, mmap=True)

        def search(query: str) -> Any:
            return index.retrieve(tokens([query]), k=K, show_progress=False)

        return values | timed(search, queries)


def vectors_of_ponder(array: Vector, queries: Vector, probes: int) -> dict[str, Any]:
    """Add in parts as an indexer does, compact, search, and compare with the truth."""
    ids = [str(i) for i in range(len(array))]
    part = 10_000
    with tempfile.TemporaryDirectory() as name:
        build = clock()
        store = Vectors.open(Path(name), array.shape[1], index_from=part)
        for at in range(0, len(array), part):
            store.add(ids[at : at + part], array[at : at + part])
        store.compact()
        values = build()
        found: list[set[int]] = []

        def search(query: Vector) -> None:
            result = store.search(query, K, probes=probes)
            found.append({int(id) for id, _ in result})

        values |= timed(search, list(queries))
    true = [set(exact(array, query)) for query in queries]
    # The warm-up searches the first query once more.
    hits = sum(len(a & b) for a, b in zip(true, found[1:], strict=True))
    return values | {"recall": hits / (K * len(queries))}


def vectors_of_numpy(array: Vector, queries: Vector) -> dict[str, Any]:
    """Compare every query with every vector."""
    return timed(lambda query: exact(array, query), list(queries))


def exact(array: Vector, query: Vector) -> list[int]:
    """Return the rows of the true neighbours."""
    similar = array @ query
    near = np.argpartition(-similar, K)[:K]
    return [int(row) for row in near[np.argsort(-similar[near])]]


def clock() -> Callable[[], dict[str, float]]:
    """Start a clock, which gives seconds of wall time, and of all cores together."""
    wall, cpu = time.perf_counter(), time.process_time()
    return lambda: {
        "build_s": time.perf_counter() - wall,
        "build_cpu_s": time.process_time() - cpu,
    }


def timed(search: Callable[[Any], Any], queries: Sequence[Any]) -> dict[str, float]:
    """Search once to warm up, then one query after the other."""
    search(queries[0])
    seconds = []
    for query in queries:
        start = time.perf_counter()
        search(query)
        seconds.append(time.perf_counter() - start)
    return {
        "p50_ms": 1000 * median(seconds),
        "p95_ms": 1000 * float(np.quantile(seconds, 0.95)),
    }


# Running and reporting.


def run(recorder: Recorder, rounds: int, sizes: dict[str, int]) -> None:
    """Measure what is not in the file yet, contestants taking turns."""
    for round_ in range(rounds):
        rng = np.random.default_rng(round_)
        texts = zipf_texts(sizes["passages"], sizes["words"], rng)
        queries = zipf_texts(sizes["queries"], sizes["query_words"], rng)
        contestants: dict[str, Callable[[], dict[str, Any]]] = {
            "ponder": partial(words_of_ponder, texts, queries),
            "bm25s": partial(words_of_bm25s, texts, queries),
        }
        measure(recorder, WORDS, round_, contestants)
        centres = unit(rng.standard_normal((CLUSTERS, sizes["dimension"]), np.float32))
        array = clustered(sizes["passages"], centres, rng)
        asked = clustered(sizes["queries"], centres, rng)
        contestants = {
            "ponder": partial(vectors_of_ponder, array, asked, sizes["probes"]),
            "numpy": partial(vectors_of_numpy, array, asked),
        }
        measure(recorder, VECTORS, round_, contestants)
        print(f"round {round_ + 1} of {rounds}", file=sys.stderr, flush=True)


def measure(
    recorder: Recorder,
    case: str,
    round_: int,
    contestants: dict[str, Callable[[], dict[str, Any]]],
) -> None:
    """Let each contestant of a case have its turn."""
    for name, contestant in contestants.items():
        if not recorder.has(case, round_, name):
            recorder.add(case, round_, name, contestant())


def report(recorder: Recorder) -> tuple[str, bool]:
    """Return the table, and whether all targets are met."""
    rows = [
        _row(recorder, WORDS, "build_s", at_most=BUILD_SECONDS),
        _row(recorder, WORDS, "build_cpu_s"),
        _row(recorder, WORDS, "p50_ms", at_most=SEARCH_MS),
        _row(recorder, WORDS, "p95_ms"),
        _row(recorder, VECTORS, "build_s"),
        _row(recorder, VECTORS, "build_cpu_s"),
        _row(recorder, VECTORS, "p50_ms"),
        _row(recorder, VECTORS, "p95_ms"),
        _row(recorder, VECTORS, "recall", at_least=RECALL),
    ]
    head = ["", "rounds", "ponder", "peer", "peer / ponder", "target", "verdict"]
    kept = not {"FAIL", "no data"} & {row[-1] for row in rows}
    return table(head, rows), kept


def _row(
    recorder: Recorder,
    case: str,
    what: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> list[str]:
    peer = PEERS[case]
    ours = recorder.median(case, "ponder", what)
    theirs = recorder.median(case, peer, what)
    ratio = recorder.ratio(case, what, peer, "ponder")
    target = f">= {at_least:g}" if at_least else f"<= {at_most:g}" if at_most else ""
    verdict = judged(ours, at_least=at_least, at_most=at_most) if target else ""
    return [
        f"{case} {what}",
        str(len(recorder.values(case, "ponder", what))),
        number(ours, 3),
        number(theirs, 3) + ("" if theirs is None else f" ({peer})"),
        number(ratio.per_round if ratio else None, 2),
        target,
        verdict,
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passages", type=int, default=100_000, help="and vectors")
    parser.add_argument("--words", type=int, default=100, help="of a passage, mean")
    parser.add_argument("--query-words", type=int, default=8, help="of a query, mean")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--probes", type=int, default=PROBES)
    parser.add_argument("--out", type=Path, default=Path("out/retrieval.json"))
    options = parser.parse_args(argv)
    names = "passages words query_words queries dimension probes"
    sizes = {name: int(getattr(options, name)) for name in names.split()}
    try:
        recorder = Recorder(
            options.out,
            "retrieval",
            sizes,
            packages="ponder numpy bm25s lancedb pyarrow",
            sources="ponder/retrieval benchmarks",
        )
    except StaleFile as error:
        print(error, file=sys.stderr)
        return 2
    run(recorder, options.rounds, sizes)
    text, kept = report(recorder)
    recorder.save(table=text.splitlines())
    print(text)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
