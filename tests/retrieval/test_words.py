import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.retrieval.words import STOPWORDS, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop-me, 42nd Street!", "don t stop me 42nd street"),
        ("snake_case", "snake case"),
        ("ÉCOLE Straße", "école strasse"),
        ("ﬁne Ｗｉｄｅ", "fine wide"),
        ("e\u0301cole", "école"),
        ("हिन्दी में", "हिन्दी में"),
        ("東京タワー is tall", "東 京 タ ワ ー is tall"),
        ("Αθήνα Москва", "αθήνα москва"),
        ("?! … 🦆", ""),
        ("", ""),
    ],
)
def test_words_of_any_script(text: str, expected: str) -> None:
    assert words(text) == expected.split()


@given(st.text())
def test_case_makes_no_difference_and_words_are_their_own_words(text: str) -> None:
    found = words(text)
    assert [word for own in found for word in words(own)] == found


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_the_short_cut_for_ascii_finds_the_same(text: str) -> None:
    # One more word makes the text go the long way.
    assert words(f"{text} é")[:-1] == words(text)


def test_stop_words_are_words() -> None:
    assert len(STOPWORDS) == 33
    assert all(words(word) == [word] for word in STOPWORDS)
