"""The calculator is exact, and refuses what is no arithmetic or too large."""

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import InvalidInput
from ponder.tools.calculator import calculate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("17 + 25", "42"),
        ("(3 + 4) * 2.5", "17.5"),
        ("0.1 + 0.2", "0.3"),
        ("1/3", "1/3 (about 0.333333333333)"),
        ("-1/8", "-0.125"),
        ("7 // 2 + 7 % 4", "6"),
        ("2 ** -2", "0.25"),
        ("1,234 × 2 =", "2468"),
        ("6 ÷ 4", "1.5"),
        ("2^10 − 24", "1000"),
        ("--5", "5"),
        ("1e3 + 1_0", "1010"),
        ("0 ** 99999", "0"),
        ("10 / 5", "2"),
    ],
)
def test_it_is_exact(expression: str, value: str) -> None:
    assert calculate(expression) == value


@given(st.integers(-999, 999), st.integers(1, 999), st.integers(-999, 999))
def test_it_agrees_with_fractions(a: int, b: int, c: int) -> None:
    shown = calculate(f"({a}) / {b} + ({c})").partition(" ")[0]
    assert Fraction(shown) == Fraction(a, b) + c


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "no arithmetic expression"),
        ("two plus two", "no arithmetic expression"),
        ("x + 1", "no arithmetic"),
        ("__import__('os')", "no arithmetic"),
        ("1 if 2 else 3", "no arithmetic"),
        ("'a' * 3", "no arithmetic"),
        ("True + 1", "no arithmetic"),
        ("3j", "no arithmetic"),
        ("1 / (2 - 2)", "divides by zero"),
        ("0 ** -1", "divides by zero"),
        ("2 ** 0.5", "whole exponents"),
        ("9 ** 9 ** 9", "more than 2000 digits"),
        ("1e99999999", "too large"),
        ("*".join(["9**2000"] * 40), "too large"),
        ("0x10", "too large, or is no number"),
        ("1+" * 300 + "1", "longer than 400"),
        ("(" * 199 + "1", "no arithmetic expression"),
        ("\x00", "no arithmetic expression"),
    ],
)
def test_it_refuses_quickly(expression: str, why: str) -> None:
    start = time.monotonic()
    with pytest.raises(InvalidInput, match=why):
        calculate(expression)
    assert time.monotonic() - start < 1
