"""Paragraphs of a few sentences, and their cosines with a query."""

import math

import numpy as np
import pytest

from ponder.passages import Passage
from ponder.retrieval.paragraphs import cosines, paragraphs

TEXT = "Lyon is a city. It has 8.5 parks! Is it old? Yes.\n\nThe Rhone is a river."


def test_a_paragraph_holds_so_many_sentences_and_knows_its_place() -> None:
    whole = Passage(id="d", text=TEXT, source="d.txt", start=100, end=100 + len(TEXT))
    found = paragraphs(whole, 2)
    assert [p.text for p in found] == [
        "Lyon is a city. It has 8.5 parks!",
        "Is it old? Yes.",
        "The Rhone is a river.",
    ]
    assert len({p.id for p in found}) == 3
    for p in found:
        assert p.start is not None and p.end is not None
        assert TEXT[p.start - 100 : p.end - 100] == p.text
        assert p.source == "d.txt"


def test_a_short_passage_stays_as_it_is() -> None:
    whole = Passage(id="d", text=TEXT)
    assert paragraphs(whole, 5) == [whole]
    assert paragraphs(whole, 6) == [whole]
    assert [p.start for p in paragraphs(whole, 4)] == [None, None]


def test_cosines_are_those_of_tf_idf_vectors() -> None:
    texts = ["red red apple", "green apple", "blue sky"]
    query = "red apple pie"
    vocabulary = sorted({w for t in [*texts, query] for w in t.split()})
    df = [sum(w in t.split() for t in texts) for w in vocabulary]
    idf = np.log((1 + 3) / (1 + np.array(df))) + 1

    counts = [[t.split().count(w) for w in vocabulary] for t in [*texts, query]]
    vectors = np.array(counts) * idf
    norms = np.linalg.norm(vectors, axis=1)
    expected = (vectors[:3] @ vectors[3] / norms[:3] / norms[3]).tolist()
    assert cosines("Red APPLE, pie?", texts) == pytest.approx(expected)
    assert cosines(query, texts)[2] == 0.0


def test_texts_without_words_have_nothing_in_common() -> None:
    assert cosines("", ["a"]) == [0.0]
    assert cosines("a", ["", "a"])[0] == 0.0
    assert math.isclose(cosines("a", ["", "a"])[1], 1.0)
    assert cosines("a", []) == []
