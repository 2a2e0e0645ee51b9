"""Exact arithmetic, without ``eval``."""

import ast
import operator
from collections.abc import Callable
from fractions import Fraction

from ponder.errors import InvalidInput

LONGEST = 400
"""Characters of an expression."""
MOST_DIGITS = 2000
"""Digits of a result of a power."""

_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "^": "**", ",": ""})
_OPERATORS: dict[type[ast.AST], Callable[[Fraction, Fraction], Fraction | int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def calculate(expression: str) -> str:
    """Return the exact value of an arithmetic expression.

    Args:
        expression: Numbers with ``+ - * / // % ** ( )``, such as ``(3 + 4) * 2.5``;
            also ``×``, ``÷`` and ``^``. Commas in numbers and a ``=`` at the end are
            left out.

    Returns:
        A whole number, a decimal that ends, or a fraction with its decimal value:
        ``1/3 (about 0.333333333333)``.

    Raises:
        InvalidInput: It is no such expression, divides by zero, or gets too large.
    """
    text = expression.translate(_SIGNS).strip().rstrip("=").strip()
    if len(text) > LONGEST:
        raise InvalidInput(f"The expression is longer than {LONGEST} characters.")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"'{expression}' is no arithmetic expression.") from error
    try:
        return _shown(_value(tree, text))
    except ZeroDivisionError as error:
        raise InvalidInput(f"'{expression}' divides by zero.") from error
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"'{expression}' gets too large, or is no number."
        ) from error


def _value(node: ast.expr, text: str) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return _number(ast.get_source_segment(text, node) or "")
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        value = _value(node.operand, text)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, text), _value(node.right, text)
        if isinstance(node.op, ast.Pow):
            return _power(left, right)
        if type(node.op) in _OPERATORS:
            return Fraction(_OPERATORS[type(node.op)](left, right))
    raise InvalidInput(
        f"'{text}' is no arithmetic: use numbers with + - * / // % ** and brackets."
    )


def _number(digits: str) -> Fraction:
    """Read a number by its digits: 0.1 is a tenth."""
    exponent = digits.lower().partition("e")[2]
    if len(exponent.lstrip("+-")) > len(str(MOST_DIGITS)):
        raise InvalidInput(f"The number {digits} is too large.")
    return Fraction(digits.replace("_", ""))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise InvalidInput("Powers need whole exponents, to be exact.")
    length = max(len(str(abs(base.numerator))), len(str(base.denominator)))
    if length * abs(exponent.numerator) > MOST_DIGITS and abs(base) not in (0, 1):
        raise InvalidInput(f"The power has more than {MOST_DIGITS} digits.")
    return Fraction(base**exponent.numerator)


def _shown(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    twos_and_fives = value.denominator
    for prime in (2, 5):
        while twos_and_fives % prime == 0:
            twos_and_fives //= prime
    if twos_and_fives != 1:
        return f"{value} (about {float(value):.12g})"
    places = 0
    while (value * 10**places).denominator != 1:
        places += 1
    digits = str(abs(value * 10**places).numerator).zfill(places + 1)
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"
