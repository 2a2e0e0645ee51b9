import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import InvalidParameter, MissingExtra, RetrievalError
from ponder.retrieval.lexical import BM25, Method, best
from ponder.retrieval.words import STOPWORDS, words

TEXTS = st.lists(
    st.lists(st.sampled_from(["oak", "elm", "ash", "fir", "the"]), max_size=8).map(
        " ".join
    ),
    min_size=1,
    max_size=8,
)
QUERY = st.lists(st.sampled_from(["oak", "elm", "ash", "yew"]), max_size=5)


def idf(method: Method, total: int, having: int) -> float:
    match method:
        case "lucene":
            return math.log(1 + (total - having + 0.5) / (having + 0.5))
        case "robertson":
            return max(0.0, math.log((total - having + 0.5) / (having + 0.5)))
        case "atire":
            return math.log(total / having)


def reference(
    texts: list[str], query: list[str], method: Method, k1: float, b: float
) -> list[float]:
    """Return the scores of all passages, by the formula as it is written."""
    bags = [words(text) for text in texts]
    average = sum(map(len, bags)) / len(bags)
    scores = []
    for bag in bags:
        score = 0.0
        for word in query:
            having = sum(word in other for other in bags)
            if tf := bag.count(word):
                damped = tf + k1 * (1 - b + b * len(bag) / average)
                gain = tf * (k1 + 1) if method == "atire" else tf
                score += idf(method, len(bags), having) * gain / damped
        scores.append(score)
    return scores


@given(
    TEXTS,
    QUERY,
    st.sampled_from(["lucene", "robertson", "atire"]),
    st.floats(0.1, 3),
    st.floats(0, 1),
)
def test_scores_are_those_of_the_formula(
    texts: list[str], query: list[str], method: Method, k1: float, b: float
) -> None:
    ids = [f"p{i}" for i in range(len(texts))]
    index = BM25.build(ids, texts, method=method, k1=k1, b=b)
    found = dict(index.search(" ".join(query), len(texts)))
    wanted = dict(zip(ids, reference(texts, query, method, k1, b), strict=True))
    assert found == pytest.approx(
        {id: score for id, score in wanted.items() if score > 1e-6}, rel=1e-4
    )


@given(TEXTS, QUERY, st.integers(1, 8))
def test_fewer_are_the_first_of_all(texts: list[str], query: list[str], k: int) -> None:
    index = BM25.build([str(i) for i in range(len(texts))], texts)
    everything = index.search(" ".join(query), len(texts))
    assert index.search(" ".join(query), k) == everything[:k]
    scores = [score for _, score in everything]
    assert scores == sorted(scores, reverse=True)
    assert all(score > 0 for score in scores)


@given(TEXTS, QUERY)
def test_a_saved_index_finds_the_same(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], query: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("bm25")
    index = BM25.build([f"ü{i}" for i in range(len(texts))], texts)
    index.save(folder)
    again = BM25.load(folder)
    assert len(again) == len(index) == len(texts)
    assert again.search(" ".join(query), 8) == index.search(" ".join(query), 8)


def test_a_loaded_index_stays_on_disk(tmp_path: Path) -> None:
    BM25.build(["a", "b"], ["oak", "elm"]).save(tmp_path)
    index = BM25.load(tmp_path)
    assert index._index is not None
    for array in (index._ids, index._ends, *index._index.scores.values()):
        assert isinstance(array, np.memmap | int)


def test_saving_again_replaces(tmp_path: Path) -> None:
    BM25.build(["a"], ["oak"]).save(tmp_path)
    BM25.build([], []).save(tmp_path)
    assert BM25.load(tmp_path).search("oak", 1) == []
    BM25.build(["b"], ["elm"]).save(tmp_path)
    assert [id for id, _ in BM25.load(tmp_path).search("elm", 1)] == ["b"]


def test_stop_words_count_only_where_there_is_nothing_else() -> None:
    index = BM25.build(["who", "cat"], ["The Who in the park", "a cat"])
    assert [id for id, _ in index.search("the cat", 9)] == ["cat"]
    assert [id for id, _ in index.search("the", 9)] == ["who"]
    assert index.search("the dog", 9) == []
    assert "the" in STOPWORDS
    own = BM25.build(["a"], ["the cat"], stopwords=frozenset({"cat"}))
    assert own.search("cat dog", 9) == []


def test_other_stop_words_are_saved_too(tmp_path: Path) -> None:
    texts = ["der Hund", "der Kater"]
    BM25.build(["h", "k"], texts, stopwords=frozenset({"der"})).save(tmp_path)
    assert [id for id, _ in BM25.load(tmp_path).search("der Hund", 9)] == ["h"]


@pytest.mark.parametrize("texts", [[], [""], ["?!", "…"]])
def test_without_words_nothing_is_found(tmp_path: Path, texts: list[str]) -> None:
    index = BM25.build([str(i) for i in range(len(texts))], texts)
    index.save(tmp_path)
    for known in (index, BM25.load(tmp_path)):
        assert len(known) == len(texts)
        assert known.search("oak", 3) == []
        assert known.search("", 3) == []


@pytest.mark.parametrize(
    ("ids", "options", "said"),
    [
        (["a", "a"], {}, "1 of them different"),
        (["a"], {}, "1 ids.*for 2 texts"),
        (["a", "b"], {"k1": 0.0}, "k1 is 0.0"),
        (["a", "b"], {"b": 1.1}, "b is 1.1"),
    ],
)
def test_bad_parameters_are_named(
    ids: list[str], options: dict[str, float], said: str
) -> None:
    with pytest.raises(InvalidParameter, match=said):
        BM25.build(ids, ["oak", "elm"], **options)  # type: ignore[arg-type]


def test_no_folder_or_half_an_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RetrievalError, match="no whole word index"):
        BM25.load(tmp_path / "nowhere")
    BM25.build(["a"], ["oak"]).save(tmp_path)
    (tmp_path / "ids.npy").write_bytes(b"short")
    with pytest.raises(RetrievalError, match="Build it again"):
        BM25.load(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(RetrievalError, match="Cannot write"):
        BM25.build(["a"], ["oak"]).save(tmp_path / "file" / "index")


def test_without_the_package_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(MissingExtra, match=r"ponder\[retrieval\]"):
        BM25.build(["a"], ["oak"])


@given(st.lists(st.integers(-2, 4), max_size=30), st.integers(1, 10))
def test_best_is_a_stable_sort(values: list[int], k: int) -> None:
    expected = sorted(
        (i for i, v in enumerate(values) if v > 0), key=lambda i: (-values[i], i)
    )[:k]
    assert best(np.array(values, np.float32), k) == expected
