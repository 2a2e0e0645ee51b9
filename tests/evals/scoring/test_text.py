import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.agents.answers import extract
from ponder.evals.scoring.text import boxed, choose, exact_match, f1, normalise, plain


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Beatles!", "beatles"),
        ("an U.S. state", "us state"),
        ("Theatre of a mother", "theatre of mother"),
        ("Zürich", "zürich"),
        ("The The", "the the"),
        ("+", "+"),
    ],
)
def test_normalise(text: str, normal: str) -> None:
    assert normalise(text) == normal


def test_exact_match_takes_any_reference() -> None:
    assert exact_match("the Saint-Louis", ["Paris", "saintlouis"])
    assert not exact_match("Saint Louis", ["Paris", "saintlouis"])
    assert not exact_match("+", ["-"])


@pytest.mark.parametrize(
    ("answer", "reference", "value"),
    [
        ("a cat", "the cat", 1.0),
        ("black cat", "cat", 2 * (1 / 2) * 1 / (1 / 2 + 1)),
        # Words count as often as they occur: P = 1/3, R = 1/2.
        ("cat cat cat", "cat dog", 2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2)),
        ("cat", "dog", 0.0),
    ],
)
def test_f1_by_hand(answer: str, reference: str, value: float) -> None:
    assert f1(answer, [reference]) == pytest.approx(value)
    assert f1(answer, ["zebra", reference]) == pytest.approx(value)


def test_f1_of_answers_that_count_as_a_whole() -> None:
    assert f1("no one", ["no"]) == pytest.approx(2 / 3)
    assert f1("no one", ["no"], {"no"}) == 0.0
    assert f1("No.", ["no"], {"no"}) == 1.0


@given(st.text(), st.text())
def test_f1_is_symmetric_and_one_for_a_match(a: str, b: str) -> None:
    assert f1(a, [b]) == pytest.approx(f1(b, [a]))
    assert 0 <= f1(a, [b]) <= 1
    assert (f1(a, [b]) == 1.0) >= exact_match(a, [b])


@given(st.text(alphabet="ab{}", min_size=1))
def test_what_is_boxed_is_read_again(answer: str) -> None:
    found = extract(boxed(answer))
    if answer.replace("{}", ""):
        assert found is not None
        assert plain(found).replace("\\", "") == answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (r"25\text{ million}", "25 million"),
        (r"\textbf{\text{Rush}}", "Rush"),
        (r"R\&B,\ 50\%", "R&B, 50%"),
        ("plain", "plain"),
    ],
)
def test_plain(answer: str, words: str) -> None:
    assert plain(answer) == words


OPTIONS = {"A": "a blue jay", "B": "a quail", "C": "x < -5", "D": "x < 5", "E": "B"}


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("(b)", "B"),
        ("[B]", "B"),
        ("B)", "B"),
        ("Option B", "B"),
        (r"\text{(B)}", "B"),
        ("**(B)**", "B"),
        ("(B) a quail", "B"),
        ("B. Quail", "B"),
        ("(B): which is best", "B"),
        ("the quail", "B"),
        ("x < -5", "C"),
        ("x < 5", "D"),
        ("a blue jay", "A"),
        ("(A) a quail", None),
        ("F", None),
        ("(F) a quail", None),
        ("an owl", None),
        ("A and B", None),
        ("", None),
    ],
)
def test_choose(answer: str, letter: str | None) -> None:
    assert choose(answer, OPTIONS) == letter


def test_choose_refuses_a_text_of_two_options() -> None:
    assert choose("same", {"A": "same", "B": "Same."}) is None
    assert choose("(B) same", {"A": "same", "B": "Same."}) == "B"
