import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.models.llama.text import TextStream, covering, spelled
from ponder.models.thinking import split_thinking


def stream_of(
    pieces: list[bytes], stops: list[str], *, thinking: bool = False
) -> tuple[TextStream, list[str]]:
    stream = TextStream(lambda token: pieces[token], stops, thinking=thinking)
    shown: list[str] = []
    for token in range(len(pieces)):
        stream.push(token)
        shown.append(stream.take())
        if stream.stopped:
            break
    shown.append(stream.take(final=True))
    return stream, shown


def test_characters_that_span_tokens_appear_whole() -> None:
    data = "naïve 😀".encode()
    stream, shown = stream_of([data[i : i + 1] for i in range(len(data))], [])

    assert stream.text == "naïve 😀"
    assert "".join(shown) == stream.text
    assert "\ufffd" not in "".join(shown)


def test_half_a_character_at_the_end_is_left_out() -> None:
    stream, _ = stream_of([b"ok", "é".encode()[:1]], [])

    assert stream.text == "ok"


def test_a_stop_string_across_tokens_is_never_shown() -> None:
    stream, shown = stream_of([b"a ST", b"O", b"P b"], ["STOP"])

    assert stream.stopped
    assert (stream.text, "".join(shown)) == ("a ", "a ")


def test_what_only_began_like_a_stop_string_is_shown_late() -> None:
    stream, shown = stream_of([b"a ST", b"O", b"RY"], ["STOP"])

    assert shown == ["a ", "", "STORY", ""]
    assert not stream.stopped


@given(
    st.text(alphabet="abé😀", max_size=30),
    st.lists(st.text(alphabet="abé😀", min_size=1, max_size=3), max_size=3),
    st.lists(st.integers(1, 4), min_size=40, max_size=40),
)
def test_the_text_ends_before_the_first_stop_however_it_is_cut(
    text: str, stops: list[str], sizes: list[int]
) -> None:
    data, pieces = text.encode(), []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    stream, shown = stream_of(pieces + [data], stops)
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]

    assert "".join(shown) == stream.text
    assert not any(stop in stream.text for stop in stops)
    assert stream.stopped == bool(ends)
    if not ends:
        assert stream.text == text
    else:
        # A stop that ends first is met first, even if another begins before it.
        assert text.startswith(stream.text)


PIECES = [b"a", b"bc", "é".encode()[:1], "é".encode()[1:], b""]


def test_tokens_spell_a_text_or_nothing() -> None:
    def piece(token: int) -> bytes:
        return PIECES[token]

    assert spelled([0, 1, 0], "abc", piece) == (0, 1)
    assert spelled([0, 1, 0], "ab", piece) == ()
    assert spelled([2, 3, 0], "é", piece) == (2, 3)
    assert spelled([0, 1], "", piece) == ()
    assert covering([0, 1, 0], "ab", piece) == 2
    assert covering([0, 1, 0], "", piece) == 0


@pytest.mark.parametrize(
    ("text", "thinking", "shown"),
    [
        ("<think>a\n\nb</think>\n\nStep 1.\n\nStep 2.", False, "Step 1."),
        ("a\n\nb</think>\n\nStep 1.\n\nStep 2.", True, "Step 1."),
        ("<think>a\n\nb", False, ""),
        ("a <think>\n\nb", False, "a <think>"),
        ("<thin\n\nb", False, "<thin"),
        ("\n\n<think>a", False, ""),
    ],
)
def test_nothing_is_a_stop_inside_a_thought(
    text: str, thinking: bool, shown: str
) -> None:
    stream, _ = stream_of([c.encode() for c in text], ["\n\n"], thinking=thinking)

    opening = "<think>" if thinking else ""
    assert split_thinking(opening + stream.text)[1] == shown
    assert stream.stopped == (shown != "" or text[0] == "\n")
