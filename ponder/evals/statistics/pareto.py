"""Which strategies are worth considering at all."""

from collections.abc import Sequence
from math import inf

Point = tuple[float, float]
"""Tokens, and accuracy."""


def pareto_front(points: Sequence[Point]) -> list[int]:
    """Return the points that no other one beats.

    A point is beaten by one that has no more tokens and no less accuracy, and is
    better in one of the two.

    Args:
        points: ``(tokens, accuracy)`` of each strategy.

    Returns:
        Places of the points of the front, by rising tokens; of points that coincide,
        all.
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    front: list[int] = []
    last: Point = (-inf, -inf)
    for place in order:
        point = points[place]
        if point[1] > last[1] or point == last:
            front.append(place)
            last = point
    return front
