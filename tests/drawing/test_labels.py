import pytest

from ponder.drawing import one_line


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("plain", 10, "plain"),
        ("two\nlines", None, "two lines"),
        ("abcdef", 4, "abc…"),
        ("字字字", 4, "字…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("ab" * 500_000, 4, "aba…"),
        ("ab", 0, "…"),
        ("\x1b[31mred", 10, "[31mred"),
        ("ab\u202ecd", 10, "abcd"),
    ],
)
def test_one_line(text: str, width: int | None, shown: str) -> None:
    assert one_line(text, width) == shown
