"""Where each thought of a row stands from left to right.

The second half of a layered drawing: a thought is drawn to the thoughts above and below
it, as far as the widths of its row allow.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from ponder.drawing.layers import Layers, Slot

GAP = 24.0
"""Pixels between neighbours in a row."""
_ROUNDS = 8
"""Sweeps down and up; more of them no longer move anything visibly."""


def centres(layers: Layers, half: Mapping[Slot, float]) -> dict[Slot, float]:
    """Return the middle of every slot, in pixels from anywhere.

    Each step takes the least sum of squared lengths of a row's edges while the other
    rows stay. The last ones put parents above the middle of the children that they have
    alone.

    Args:
        layers: The rows, whose order stays.
        half: Half the width of every slot, in pixels.
    """
    x: dict[Slot, float] = {}
    for row in layers.rows:
        _settle(row, half, x, dict.fromkeys(row, (0.0, 1.0)))
    links = layers.links
    near = {slot: [*links.pred[slot], *links.succ[slot]] for slot in links}
    for _ in range(_ROUNDS):
        for row in (*layers.rows, *reversed(layers.rows)):
            _settle(row, half, x, {slot: _mean(x, near[slot], slot) for slot in row})
    own = {
        slot: [
            s
            for s in links.succ[slot]
            if links.in_degree(s) == 1 and isinstance(s, str)
        ]
        for slot in links
    }
    for row in reversed(layers.rows):
        _settle(row, half, x, {slot: _mean(x, own[slot], slot) for slot in row})
    return x


def _mean(
    x: Mapping[Slot, float], near: Sequence[Slot], slot: Slot
) -> tuple[float, float]:
    """Return the place a slot is drawn to, its own without neighbours, and how much."""
    if not near:
        return x[slot], 1.0
    return sum(x[n] for n in near) / len(near), float(len(near))


def _settle(
    row: list[Slot],
    half: Mapping[Slot, float],
    x: dict[Slot, float],
    wanted: Mapping[Slot, tuple[float, float]],
) -> None:
    """Move a row as near to the wanted places as its order and widths allow."""
    offsets = [0.0]
    for a, b in pairwise(row):
        offsets.append(offsets[-1] + half[a] + GAP + half[b])
    places = _non_decreasing(
        [
            (wanted[slot][0] - offset, wanted[slot][1])
            for slot, offset in zip(row, offsets, strict=True)
        ]
    )
    x.update(
        (slot, place + offset)
        for slot, place, offset in zip(row, places, offsets, strict=True)
    )


def _non_decreasing(weighted: list[tuple[float, float]]) -> list[float]:
    """Isotonic regression: pool neighbours that are in the wrong order.

    scipy has it too, but takes longer to import than a picture takes to draw.
    """
    pools: list[tuple[float, float, int]] = []
    for value, weight in weighted:
        count = 1
        while pools and pools[-1][0] > value:
            other, its_weight, its_count = pools.pop()
            value = (other * its_weight + value * weight) / (its_weight + weight)
            weight, count = weight + its_weight, count + its_count
        pools.append((value, weight, count))
    return [value for value, _, count in pools for _ in range(count)]
