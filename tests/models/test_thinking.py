import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.models.thinking import split_thinking


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("72", None, "72"),
        ("  72 \n", None, "  72 \n"),
        ("<think>\n48 + 24\n</think>\n\n72", "48 + 24", "72"),
        ("\n<thinking>a</thinking> b", "a", "b"),
        ("<think></think>72", "", "72"),
        ("<think>48 + 2", "48 + 2", ""),
        ("48 + 24</think>72", "48 + 24", "72"),
        ("Write <think>x</think> there", None, "Write <think>x</think> there"),
        ("<think>a</thinking>b</think>c", "a</thinking>b", "c"),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
    ],
)
def test_split(text: str, thought: str | None, answer: str) -> None:
    assert split_thinking(text) == (thought, answer)


@given(st.text(), st.text())
def test_a_closed_block_gives_both_parts(thought: str, answer: str) -> None:
    if "</think>" in thought:
        return
    split = split_thinking(f"<think>{thought}</think>{answer}")
    assert split == (thought.strip(), answer.lstrip())


@given(st.text().filter(lambda t: "<" not in t))
def test_plain_text_is_left_alone(text: str) -> None:
    assert split_thinking(text) == (None, text)
