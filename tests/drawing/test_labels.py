import pytest

from ponder.drawing import one_line


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("plain", 10, "plain"),
        ("two\nlines", None, "two lines"),
        ("abcdef", 4, "abc…"),
        ("字字字", 4, "字…"),
        ("\x1b[31mred", 10, "[31mred"),
        ("ab\u202ecd", 10, "abcd"),
    ],
)
def test_one_line(text: str, width: int | None, shown: str) -> None:
    assert one_line(text, width) == shown
