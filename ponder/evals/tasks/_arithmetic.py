"""Which values numbers can be combined to by + - * /, in exact fractions.

Every set of numbers is split into two parts in all ways, smaller sets once only. The
last step looks the value that is missing up instead of trying all pairs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from random import Random

_PRIME = 2**61 - 1
_SUMS, _PRODUCTS = ("+", "-"), ("*", "/")


@dataclass(frozen=True, slots=True)
class _Node:
    """An expression tree."""

    value: Fraction
    fingerprint: int
    """Its value in the field of ``_PRIME`` elements with a random element in place of
    each number. By the lemma of Schwartz and Zippel two formulas that differ hardly
    ever share it. 0 where formulas need not be told apart."""
    operator: str = ""
    left: "_Node | None" = None
    right: "_Node | None" = None

    def __str__(self) -> str:
        if self.left is None or self.right is None:
            return str(self.value)
        inner, outer = self.right.operator, self.operator
        left = _bracketed(self.left, outer in "*/" and self.left.operator in _SUMS)
        right = _bracketed(
            self.right,
            (outer != "+" and inner in _SUMS) or (outer == "/" and inner in _PRODUCTS),
        )
        return f"{left} {outer} {right}"


def _bracketed(node: _Node, needed: bool) -> str:
    return f"({node})" if needed else str(node)


_Forms = dict[Fraction, dict[int, _Node]]


class _Table:
    """The formulas of every subset of some numbers, made when they are asked for."""

    def __init__(self, numbers: Sequence[int | Fraction], distinct: bool) -> None:
        self.numbers, self.distinct = numbers, distinct
        self._made: dict[int, _Forms] = {}

    def forms(self, subset: int) -> _Forms:
        if subset not in self._made:
            made: _Forms = {}
            for node in self._nodes(subset):
                made.setdefault(node.value, {}).setdefault(node.fingerprint, node)
            self._made[subset] = made
        return self._made[subset]

    def reaching(self, target: int) -> Iterator[_Node]:
        """Yield formulas of all the numbers with this value."""
        everything = (1 << len(self.numbers)) - 1
        for left, right in _splits(everything):
            partners = self.forms(right)
            for value, nodes in self.forms(left).items():
                for missing in _partners(value, Fraction(target)):
                    for a in nodes.values():
                        for b in partners.get(missing, {}).values():
                            yield from self._of_value(a, b, target)

    def _of_value(self, a: _Node, b: _Node, target: int) -> Iterator[_Node]:
        return (node for node in self._combined(a, b) if node.value == target)

    def _nodes(self, subset: int) -> Iterator[_Node]:
        if subset & (subset - 1) == 0:
            number = self.numbers[subset.bit_length() - 1]
            yield _Node(Fraction(number), _element(int(number)) if self.distinct else 0)
            return
        for left, right in _splits(subset):
            for a in self._every(left):
                for b in self._every(right):
                    yield from self._combined(a, b)

    def _every(self, subset: int) -> Iterator[_Node]:
        for nodes in self.forms(subset).values():
            yield from nodes.values()

    def _combined(self, a: _Node, b: _Node) -> Iterator[_Node]:
        v, w, f, g = a.value, b.value, a.fingerprint, b.fingerprint
        yield _Node(v + w, (f + g) % _PRIME, "+", a, b)
        yield _Node(v - w, (f - g) % _PRIME, "-", a, b)
        yield _Node(w - v, (g - f) % _PRIME, "-", b, a)
        yield _Node(v * w, f * g % _PRIME, "*", a, b)
        if w:
            yield _Node(v / w, self._quotient(f, g), "/", a, b)
        if v:
            yield _Node(w / v, self._quotient(g, f), "/", b, a)

    def _quotient(self, f: int, g: int) -> int:
        return f * pow(g, -1, _PRIME) % _PRIME if self.distinct else 0


def _splits(subset: int) -> list[tuple[int, int]]:
    """Return all ways to halve a set, even halves first: these are cheapest."""
    found = []
    left = (subset - 1) & subset
    while left:
        right = subset ^ left
        if (left.bit_count(), left) < (right.bit_count(), right):
            found.append((left, right))
        left = (left - 1) & subset
    return sorted(found, key=lambda split: -split[0].bit_count())


def _partners(value: Fraction, target: Fraction) -> set[Fraction]:
    """Return what gives the target together with a value; the target is not 0."""
    found = {target - value, value - target, value + target}
    if value:
        found |= {target / value, value / target, value * target}
    return found


@cache
def _element(number: int) -> int:
    return Random(number).randrange(1, _PRIME)


def solve(numbers: Sequence[int | Fraction], target: int) -> str | None:
    """Return an expression of all the numbers with the value of the target.

    Args:
        numbers: Each to be used once.
        target: 1 or greater.

    Returns:
        The expression, with the signs + - * / and no superfluous brackets; ``None``
        if there is none.
    """
    node = next(_Table(numbers, distinct=False).reaching(target), None)
    return None if node is None else str(node)


def count_solutions(
    numbers: Sequence[int | Fraction], target: int, limit: int | None = None
) -> int:
    """Return how many different formulas of all the numbers have the target's value.

    Formulas are the same if they would be equal for any other numbers as well, equal
    numbers staying equal: 6 * 4 is 4 * 6, and (6 - 4) * (3 - 1) is (4 - 6) * (1 - 3);
    but 6 * 1 is not 6 / 1.

    Args:
        numbers: As for ``solve``.
        target: As for ``solve``.
        limit: Stop counting above it.
    """
    found: set[int] = set()
    for node in _Table(numbers, distinct=True).reaching(target):
        found.add(node.fingerprint)
        if limit is not None and len(found) > limit:
            break
    return len(found)
