"""Which texts say the same: TF-IDF vectors, grouped by k-means.

Both in numpy, because a library for machine learning would be a heavy dependency for
sixteen short texts at a time.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORD = re.compile(r"\w\w+")
"""A word of two characters or more, in lower case."""
NEAR = 1e-12
"""Squared distances below this are rounding errors of the same point."""


def clusters(texts: Sequence[str], k: int, rng: random.Random) -> list[int]:
    """Return which of at most ``k`` clusters each text belongs to.

    Args:
        texts: What to compare.
        k: Most clusters.
        rng: Decides where k-means begins.

    Returns:
        A label for each text, from 0 on in order of appearance.
    """
    return kmeans(tfidf(texts), k, rng) if texts else []


def shares(labels: Sequence[int]) -> list[float]:
    """Return for each member the share of its cluster."""
    sizes = Counter(labels)
    return [sizes[label] / len(labels) for label in labels]


def alike(texts: Sequence[str]) -> bool:
    """Whether there are several texts and all are the same."""
    return len(texts) > 1 and bool(texts[0].strip()) and len(set(texts)) == 1


def tfidf(texts: Sequence[str]) -> "NDArray[np.float64]":
    """Return a vector for each text: counts of words times ln((1 + n)/(1 + df)) + 1.

    The idf is smoothed as if one more text held every word once, and each vector is
    scaled to length 1 (Manning, Raghavan and Schuetze 2008, chapter 6; the smoothing
    and the words are the defaults of scikit-learn, which the authors of phi-decoding
    use). A text without words is the zero vector.

    Returns:
        Shape (texts, words), the words in alphabetical order.
    """
    import numpy as np

    counts = [Counter(WORD.findall(text.lower())) for text in texts]
    frequency = Counter(word for count in counts for word in count)
    place = {word: i for i, word in enumerate(sorted(frequency))}
    vectors = np.zeros((len(texts), len(place)))
    for row, count in zip(vectors, counts, strict=True):
        for word, n in count.items():
            row[place[word]] = n
    df = np.array([frequency[word] for word in place], dtype=np.float64)
    vectors *= np.log((1 + len(texts)) / (1 + df)) + 1
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def kmeans(
    points: "NDArray[np.float64]",
    k: int,
    rng: random.Random,
    *,
    restarts: int = 4,
    rounds: int = 300,
) -> list[int]:
    """Return labels that make the sum of squared distances to the means small.

    Lloyd's algorithm from starting points drawn as in k-means++ (Arthur and
    Vassilvitskii 2007); the best of several starts.

    Args:
        points: Shape (points, dimensions).
        k: Most clusters; there are fewer where fewer points differ.
        rng: Draws the starting points.
        restarts: How many starts.
        rounds: Most iterations of a start.

    Returns:
        A label for each point, from 0 on in order of appearance.
    """
    tries = [_lloyd(points, _spread(points, k, rng), rounds) for _ in range(restarts)]
    _, labels = min(tries, key=lambda found: found[0])
    names: dict[int, int] = {}
    return [names.setdefault(label, len(names)) for label in labels]


def _spread(
    points: "NDArray[np.float64]", k: int, rng: random.Random
) -> "NDArray[np.float64]":
    """Draw centres, each in proportion to the squared distance from those before."""
    import numpy as np

    chosen = [rng.randrange(len(points))]
    while len(chosen) < k:
        gaps = _distances(points, points[chosen]).min(axis=1)
        if not gaps.any():
            break
        chosen += rng.choices(range(len(points)), weights=gaps.tolist())
    return np.array(points[chosen])


def _lloyd(
    points: "NDArray[np.float64]", centres: "NDArray[np.float64]", rounds: int
) -> tuple[float, list[int]]:
    """Return the sum of squared distances, and the labels."""
    labels: list[int] = []
    total = 0.0
    for _ in range(rounds):
        distances = _distances(points, centres)
        last, labels = labels, distances.argmin(axis=1).tolist()
        total = float(distances.min(axis=1).sum())
        if labels == last:
            break
        for label in set(labels):
            centres[label] = points[[one == label for one in labels]].mean(axis=0)
    return total, labels


def _distances(
    points: "NDArray[np.float64]", centres: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """Return squared distances of shape (points, centres), without their difference.

    The array of differences would have the words as a third dimension.
    """
    import numpy as np

    squares = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)
    found: NDArray[np.float64] = squares - 2 * points @ centres.T
    return np.where(found < NEAR, 0.0, found)
