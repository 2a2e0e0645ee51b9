import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.graphs.search._clusters import alike, clusters, kmeans, shares, tfidf

TEXTS = [
    "The train leaves at noon, so the trip takes three hours",
    "the trip by train takes three hours and leaves at noon",
    "Multiply seventeen by forty and subtract nine",
    "subtract nine, then multiply by forty",
    "a train at noon: three hours for the trip",
]


def test_vectors_are_counts_times_smoothed_idf_scaled_to_length_one() -> None:
    vectors = tfidf(["red red blue", "blue green", ""])

    idf = {"blue": math.log(4 / 3) + 1, "red": math.log(4 / 2) + 1}
    first = [idf["blue"], 0.0, 2 * idf["red"]]
    assert vectors[0].tolist() == pytest.approx([x / math.hypot(*first) for x in first])
    assert math.hypot(*vectors[1]) == pytest.approx(1)
    assert vectors[2].tolist() == [0, 0, 0]


def test_words_have_two_characters_and_no_case() -> None:
    first, second = tfidf(["The Year 2024 x", "the year 2024 y 7"]).tolist()

    assert first == second


def test_texts_that_say_the_same_are_together() -> None:
    for seed in range(20):
        labels = clusters(TEXTS, 2, random.Random(seed))
        assert labels == [0, 0, 1, 1, 0]


def test_the_order_of_the_texts_does_not_change_who_is_together() -> None:
    order = [3, 0, 4, 2, 1]
    labels = clusters([TEXTS[i] for i in order], 2, random.Random(1))

    assert {
        frozenset(i for i, x in zip(order, labels, strict=True) if x == label)
        for label in labels
    } == {frozenset({0, 1, 4}), frozenset({2, 3})}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], []),
        (["one text"], [0]),
        (["same same", "same same", "same same"], [0, 0, 0]),
        (["", "", ""], [0, 0, 0]),
        (["left", "right", "left"], [0, 1, 0]),
    ],
)
def test_there_are_no_more_clusters_than_different_texts(
    texts: list[str], expected: list[int]
) -> None:
    assert clusters(texts, 3, random.Random(0)) == expected


def test_the_same_seed_gives_the_same_clusters() -> None:
    rng = random.Random(3)
    points = np.array([[rng.random(), rng.random()] for _ in range(40)])

    assert kmeans(points, 5, random.Random(7)) == kmeans(points, 5, random.Random(7))


@given(
    rows=st.lists(
        st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=25
    ),
    k=st.integers(1, 5),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_every_point_is_nearest_to_the_mean_of_its_own_cluster(
    rows: list[tuple[int, int]], k: int, seed: int
) -> None:
    labels = kmeans(np.array(rows, dtype=np.float64), k, random.Random(seed))

    members: dict[int, list[tuple[int, int]]] = {}
    for row, label in zip(rows, labels, strict=True):
        members.setdefault(label, []).append(row)
    means = {
        label: (
            sum(x for x, _ in inside) / len(inside),
            sum(y for _, y in inside) / len(inside),
        )
        for label, inside in members.items()
    }
    assert len(members) <= min(k, len(set(rows)))
    for row, label in zip(rows, labels, strict=True):
        own = math.dist(row, means[label])
        assert own <= min(math.dist(row, mean) for mean in means.values()) + 1e-9


def test_four_groups_far_apart_are_found() -> None:
    rng = random.Random(5)
    corners = [(0, 0), (0, 50), (50, 0), (50, 50)]
    points = [
        (x + rng.random(), y + rng.random()) for _ in range(6) for x, y in corners
    ]
    for seed in range(10):
        assert kmeans(np.array(points), 4, random.Random(seed)) == [0, 1, 2, 3] * 6


def test_shares_and_alike() -> None:
    assert shares([0, 1, 0, 0]) == [0.75, 0.25, 0.75, 0.75]
    assert alike(["so", "so"])
    assert not alike(["so", "no"])
    assert not alike(["so"])
    assert not alike(["", ""])
