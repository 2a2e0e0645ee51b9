r"""Reading arithmetic that a model wrote, without ever running it.

Understood are + - * / and brackets, their signs in Unicode and LaTeX, and a
multiplication without a sign before a bracket: 6(5 - 1). Of an equation such as
(4 + 8) * (6 - 4) = 24 the first side counts that is not a number alone.
"""

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

LONGEST_EXPRESSION = 200
"""Characters; longer texts are not read."""

_PLAIN = [
    (re.compile(r"\\(?:left|right|displaystyle|q?quad|[,;:! ])|\$|\\[()\[\]]"), " "),
    (re.compile(r"\\times(?![a-z])|\\cdot(?![a-z])|[×·⋅∗✕]"), "*"),
    (re.compile(r"\\div(?![a-z])|[÷∕]"), "/"),
    (re.compile("[\u2212\u2013]"), "-"),
    (re.compile(r"(?<=[\d)\]])\s*[xX]\s*(?=[\d(\[])"), "*"),
]
_FRACTION = re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_BRACKETS = str.maketrans("[]{}", "()()")
_UNSIGNED = re.compile(r"(?<=[\d)])\s*(?=\()|(?<=\))\s*(?=\d)")
_FOREIGN = re.compile(r"\*\*|//|\^|%|!|√|\\?sqrt")
_ARITHMETIC = re.compile(r"[-+*/(). \d]*\d[-+*/(). \d]*")

_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

_SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}


@dataclass(frozen=True)
class Expression:
    """What was read."""

    numbers: tuple[Fraction, ...] = ()
    """All numbers in it, repeated where they are."""
    value: Fraction | None = None
    """``None`` where a division by zero or a foreign operator leaves none."""
    foreign: tuple[str, ...] = ()
    """Operators other than + - * /; then nothing else was read."""


def read(text: str) -> Expression | None:
    """Read an expression, or the expression of an equation.

    Args:
        text: An answer, without words.

    Returns:
        The expression; ``None`` if the text is anything else, a lone number included.
    """
    text = _plain(text)
    if len(text) > LONGEST_EXPRESSION:
        return None
    sides = [_side(side) for side in text.split("=")]
    if any(side is None for side in sides):
        return None
    return next((s for s in sides if s and (len(s.numbers) > 1 or s.foreign)), None)


def operations(text: str) -> list[tuple[Fraction, str, Fraction, Fraction]]:
    """Return the operations of an expression in the order of their evaluation.

    Args:
        text: An expression that ``read`` reads and that has a value.

    Returns:
        Left value, one of + - * /, right value and result of each; nothing where the
        sign of a whole bracket is changed, which is none of these.
    """
    found: list[tuple[Fraction, str, Fraction, Fraction]] = []

    def value(node: ast.expr) -> Fraction:
        if not isinstance(node, ast.BinOp):
            return _value(node)
        left, right = value(node.left), value(node.right)
        result = _OPERATORS[type(node.op)](left, right)
        found.append((left, _SIGNS[type(node.op)], right, result))
        return result

    tree = ast.parse(_UNSIGNED.sub("*", _plain(text)), mode="eval").body
    signed = [n.operand for n in ast.walk(tree) if isinstance(n, ast.UnaryOp)]
    if not any(isinstance(operand, ast.BinOp) for operand in signed):
        value(tree)
    return found


def _plain(text: str) -> str:
    for pattern, replacement in _PLAIN:
        text = pattern.sub(replacement, text)
    before = None
    while text != before:
        before, text = text, _FRACTION.sub(r"((\1)/(\2))", text)
    return " ".join(text.translate(_BRACKETS).split())


def _side(text: str) -> Expression | None:
    text = text.strip()
    if not _ARITHMETIC.fullmatch(_FOREIGN.sub("", text)):
        return None
    if foreign := _FOREIGN.findall(text):
        return Expression(foreign=tuple(dict.fromkeys(foreign)))
    try:
        tree = ast.parse(_UNSIGNED.sub("*", text), mode="eval").body
        numbers = tuple(_numbers(tree))
    except SyntaxError:
        return None
    try:
        return Expression(numbers, _value(tree))
    except ZeroDivisionError:
        return Expression(numbers)


def _numbers(node: ast.expr) -> list[Fraction]:
    match node:
        case ast.Constant(value=int() | float() as number):
            return [Fraction(str(number))]
        case ast.UnaryOp(operand=operand):
            return _numbers(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _numbers(left) + _numbers(right)
    raise SyntaxError("not arithmetic")


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left), _value(right))
    return _numbers(node)[0]
