"""Lists in replies."""

import pytest

from ponder.agents._lists import array_of_texts, texts_in


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"c": ["a", " b  c ", "a", ""]}', ("a", "b c")),
        ('Sure: ["a", "b"]', ("a", "b")),
        ('{"c": ["a \\"x\\"", "b", "cut o', ('a "x"', "b")),
        (r'{"c": ["\boxed \q", "b', (r"\boxed \q",)),
        ("1. a\n2) b\n- c", ("a", "b", "c")),
        ("Step 1: so gives 4.\nThe answer is 4", None),
        ('{"c": []}', None),
        ('{"d": ["a"]}', None),
        ("", None),
    ],
)
def test_lists_are_read(text: str, found: tuple[str, ...] | None) -> None:
    assert texts_in(text, "c") == found


def test_the_schema_bounds_the_list() -> None:
    (array,) = array_of_texts("c", 1, 5, 80)["properties"].values()
    assert (array["minItems"], array["maxItems"]) == (1, 5)
    assert array["items"]["maxLength"] == 80
