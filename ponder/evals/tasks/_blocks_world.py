"""Arrangements of blocks on a table, and shortest plans between them."""

import heapq
import random
from collections.abc import Iterator, Sequence
from itertools import count
from math import comb, factorial

TABLE = "table"

Arrangement = dict[str, str]
"""What each block stands on: another block or the table."""
Move = tuple[str, str]
"""A block, and what it is put on."""


def arrange(towers: Sequence[Sequence[str]]) -> Arrangement:
    """Return the arrangement of towers.

    Args:
        towers: Blocks of each, from bottom to top.
    """
    return {
        block: below
        for tower in towers
        for below, block in zip((TABLE, *tower), tower, strict=False)
    }


def draw(
    rng: random.Random, blocks: Sequence[str], towers: int | None
) -> list[list[str]]:
    """Draw towers, all arrangements being equally likely.

    There are n!/k! C(n - 1, k - 1) arrangements of n blocks in k towers (Lah numbers).

    Args:
        rng: Decides.
        blocks: The n blocks.
        towers: k, 1 to n; ``None`` is any number.

    Returns:
        The towers, blocks from bottom to top, sorted by the lowest block.
    """
    n, sizes = len(blocks), range(1, len(blocks) + 1)
    if towers is None:
        lah = [factorial(n) // factorial(k) * comb(n - 1, k - 1) for k in sizes]
        towers = rng.choices(sizes, lah)[0]
    order = rng.sample(blocks, n)
    cuts = [0, *sorted(rng.sample(range(1, n), towers - 1)), n]
    return sorted(order[a:b] for a, b in zip(cuts, cuts[1:], strict=False))


def shortest_plan(start: Arrangement, goal: Arrangement) -> list[Move]:
    """Return a shortest plan, found by A*.

    A block that can be put in its final place may be put there at once, and others
    need not go anywhere but on the table (Gupta & Nau 1992, On the complexity of
    blocks-world planning, Artificial Intelligence 56, 223-254). That leaves few
    states; each block out of place costs a move or more, which bounds the rest.

    Args:
        start: Where the blocks are.
        goal: Where each of them shall be.

    Raises:
        ValueError: Start and goal do not have the same blocks.
    """
    if start.keys() != goal.keys():
        raise ValueError("Start and goal must have the same blocks.")
    ties = count()
    queue = [(0, next(ties), start, list[Move]())]
    seen: set[tuple[str, ...]] = set()
    # Every arrangement can be reached, so the queue does not run empty.
    while True:
        _, _, now, plan = heapq.heappop(queue)
        if now == goal:
            return plan
        if (key := tuple(now[block] for block in goal)) in seen:
            continue
        seen.add(key)
        for block, place in _useful_moves(now, goal):
            after, longer = now | {block: place}, [*plan, (block, place)]
            bound = len(longer) + len(goal) - len(_in_place(after, goal))
            heapq.heappush(queue, (bound, next(ties), after, longer))


def _useful_moves(now: Arrangement, goal: Arrangement) -> Iterator[Move]:
    done, covered = _in_place(now, goal), set(now.values())
    free = [block for block in now if block not in covered and block not in done]
    for block in free:
        place = goal[block]
        if place == TABLE or (place in done and place not in covered):
            yield block, place
            return
    for block in free:
        if now[block] != TABLE:
            yield block, TABLE


def _in_place(now: Arrangement, goal: Arrangement) -> set[str]:
    """Return the blocks that never need to move: all below them is final, too."""
    above = {now[block]: block for block in now if now[block] == goal[block] != TABLE}
    done: set[str] = set()
    for bottom in (block for block in now if now[block] == goal[block] == TABLE):
        block: str | None = bottom
        while block is not None:
            done.add(block)
            block = above.get(block)
    return done


def fault(now: Arrangement, move: Move) -> str | None:
    """Return why a move is illegal, ``None`` if it is not.

    Args:
        now: The arrangement before the move.
        move: The move.
    """
    block, place = move
    for thing in (block, place):
        if thing not in now and (thing, thing) != (place, TABLE):
            return f"there is no block {thing}"
    if block == place:
        return f"{block} cannot stand on itself"
    for thing in (block, place):
        others = [o for o, below in now.items() if below == thing != TABLE]
        # Putting a block where it stands already changes nothing.
        if others and others != [block]:
            return f"{others[0]} stands on {thing}"
    return None
