"""Search by words: BM25, with bm25s."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ponder.errors import InvalidParameter, MissingExtra, RetrievalError
from ponder.retrieval.words import STOPWORDS, words

Method = Literal["lucene", "robertson", "atire"]
"""How frequencies become scores, as Kamphuis et al. 2020 name them; bm25s's other two,
BM25L and BM25+, score passages without any word of the query too."""

_PARAMETERS = "ponder.json"
_IDS, _ENDS = "ids.npy", "ends.npy"


class BM25:
    """An index of the words of passages.

    The score of a passage p for a query is the sum over the query's words w of
    idf(w) tf / (tf + k1 (1 - b + b |p| / avg)), where tf is how often w is in p, |p|
    the words of p and avg their mean. idf(w) = ln(1 + (N - n + 0.5) / (n + 0.5)) with n
    of N passages that have w (``lucene``). ``robertson`` leaves out the 1 in the
    logarithm, and no idf is below 0; ``atire`` has ln(N / n), and k1 + 1 times the
    rest. Kamphuis et al. 2020,
    https://cs.uwaterloo.ca/~jimmylin/publications/Kamphuis_etal_ECIR2020_preprint.pdf

    Words are those of ``words``. All are indexed; stop words in a query count only if
    it has no others, so that a question about "The Who" still finds something.

    An index does not change: to add or delete passages, build it again.
    """

    def __init__(
        self,
        index: Any | None,
        ids: NDArray[np.uint8],
        ends: NDArray[np.int64],
        stopwords: frozenset[str],
    ) -> None:
        """Put an index together; see ``build`` and ``load``."""
        self._index, self._ids, self._ends = index, ids, ends
        self._stopwords = stopwords

    @classmethod
    def build(
        cls,
        ids: Sequence[str],
        texts: Sequence[str],
        *,
        method: Method = "lucene",
        k1: float = 1.5,
        b: float = 0.75,
        stopwords: frozenset[str] = STOPWORDS,
    ) -> "BM25":
        """Index passages.

        Args:
            ids: One for each passage, all different.
            texts: What is searched, in the same order.
            method: The form of the formula.
            k1: How much a word's second occurrence counts, above 0; 1.2 to 2 is usual,
                1.5 is the default of bm25s.
            b: How much the length of a passage counts, 0 to 1.
            stopwords: Words, in lower case, that a query is better searched without.

        Raises:
            InvalidParameter: A parameter is outside its range, an id is there twice,
                or there are not as many ids as texts.
            MissingExtra: bm25s is not installed.
        """
        if k1 <= 0 or not 0 <= b <= 1:
            raise InvalidParameter(f"k1 is {k1} and b is {b}: k1 > 0, 0 <= b <= 1.")
        if len(ids) != len(texts) or len(set(ids)) != len(ids):
            raise InvalidParameter(
                f"{len(ids)} ids, {len(set(ids))} of them different, for {len(texts)} "
                "texts: give every passage an id of its own."
            )
        index = _indexed(texts, _bm25s().BM25(method=method, k1=k1, b=b))
        encoded = [id.encode() for id in ids]
        ends = np.fromiter(accumulate(map(len, encoded)), np.int64, len(encoded))
        joined = np.frombuffer(b"".join(encoded), np.uint8)
        return cls(index, joined, ends, stopwords)

    def __len__(self) -> int:
        """Return how many passages are indexed."""
        return len(self._ends)

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """Return the best passages, the best first.

        Args:
            query: Any text.
            k: At most so many, 1 or more.

        Returns:
            Ids with scores above 0; of equals, those that were indexed first.

        Raises:
            InvalidParameter: k is below 1.
        """
        if k < 1:
            raise InvalidParameter(f"k is {k}: ask for 1 passage or more.")
        scores = self._scores(query)
        if scores is None:
            return []
        rows = best(scores, k)
        return [(self._id(row), float(scores[row])) for row in rows]

    def _scores(self, query: str) -> NDArray[np.float32] | None:
        counts = self._counts(query)
        if self._index is None or not counts:
            return None
        total = np.zeros(len(self), np.float32)
        # bm25s adds a word's scores once for each time that it is given the word.
        for times in sorted(set(counts.values())):
            tokens = [word for word, n in counts.items() if n == times]
            total += np.float32(times) * self._index.get_scores_from_ids(tokens)
        return total

    def _counts(self, query: str) -> Counter[int]:
        """Return how often each indexed word is in a query, by its number."""
        said = words(query)
        said = [word for word in said if word not in self._stopwords] or said
        known = {} if self._index is None else self._index.vocab_dict
        return Counter(known[word] for word in said if word in known)

    def _id(self, row: int) -> str:
        start = int(self._ends[row - 1]) if row else 0
        return bytes(self._ids[start : int(self._ends[row])]).decode()

    def save(self, folder: Path) -> None:
        """Write the index into a folder, which is made if it is not there.

        An interrupted write leaves a folder that cannot be loaded: write beside the
        index that is in use, and rename.

        Raises:
            RetrievalError: The folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _PARAMETERS).unlink(missing_ok=True)
            np.save(folder / _IDS, self._ids)
            np.save(folder / _ENDS, self._ends)
            if self._index is not None:
                self._index.save(folder, show_progress=False)
            # Last: it says that everything else is there.
            (folder / _PARAMETERS).write_text(json.dumps(self._parameters()), "utf-8")
        except OSError as error:
            raise RetrievalError(
                f"Cannot write the word index {folder}: {error.strerror}."
            ) from error

    def _parameters(self) -> dict[str, Any]:
        empty = self._index is None
        return {"empty": empty, "stopwords": sorted(self._stopwords)}

    @classmethod
    def load(cls, folder: Path) -> "BM25":
        """Open a saved index; scores and ids stay on disk until they are needed.

        Raises:
            RetrievalError: There is no whole index in the folder.
            MissingExtra: bm25s is not installed.
        """
        module = _bm25s()
        try:
            said = json.loads((folder / _PARAMETERS).read_text("utf-8"))
            index = None if said["empty"] else module.BM25.load(folder, mmap=True)
            return cls(
                index,
                _mapped(folder / _IDS),
                _mapped(folder / _ENDS),
                frozenset(said["stopwords"]),
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise RetrievalError(
                f"{folder} holds no whole word index ({error}). Build it again."
            ) from error


def best(scores: NDArray[np.float32], k: int) -> list[int]:
    """Return the rows of the k highest scores above 0, the highest first.

    Of equal scores the first rows count, also at the k-th place, which a plain
    partition would leave to chance.

    Args:
        scores: One for each row.
        k: 1 or more.
    """
    rows = np.flatnonzero(scores > 0)
    if len(rows) > k:
        least = np.partition(scores[rows], -k)[-k]
        rows = rows[scores[rows] >= least]
    order = np.argsort(-scores[rows], kind="stable")
    return [int(row) for row in rows[order][:k]]


def _indexed(texts: Sequence[str], index: Any) -> Any | None:
    """Return the index of bm25s; ``None`` if there is no word, which it cannot hold."""
    vocabulary: dict[str, int] = {}
    tokens = [
        [vocabulary.setdefault(word, len(vocabulary)) for word in words(text)]
        for text in texts
    ]
    if not vocabulary:
        return None
    index.index((tokens, vocabulary), create_empty_token=False, show_progress=False)
    return index


def _mapped(path: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode="r")
    return array


def _bm25s() -> Any:
    try:
        import bm25s
    except ImportError as error:
        raise MissingExtra("bm25s", "retrieval", "Searching by words") from error
    return bm25s
