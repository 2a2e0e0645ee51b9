from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import InvalidParameter
from ponder.tools.maze import DIRECTIONS, Cell, Maze

SIZES = st.tuples(st.integers(1, 6), st.integers(2, 6), st.integers(0, 99))


def neighbour(cell: Cell, direction: str) -> Cell:
    dx, dy = DIRECTIONS[direction]
    return cell[0] + dx, cell[1] + dy


def way_out(maze: Maze) -> list[str]:
    """Return the shortest way to the exit, found breadth first."""
    queue: deque[tuple[Cell, list[str]]] = deque([((0, 0), [])])
    seen = {(0, 0)}
    while queue:
        cell, way = queue.popleft()
        if cell == maze.exit:
            return way
        for direction in maze.ways(cell):
            if (there := neighbour(cell, direction)) not in seen:
                seen.add(there)
                queue.append((there, [*way, direction]))
    raise AssertionError("no way out")


@given(SIZES)
def test_every_cell_is_joined_to_every_other_by_one_way(
    size: tuple[int, int, int],
) -> None:
    width, height, seed = size
    maze = Maze(width, height, seed=seed)
    cells = [(x, y) for x in range(width) for y in range(height)]
    ends = [neighbour(cell, d) for cell in cells for d in maze.ways(cell)]

    # A connected graph with one edge fewer than nodes is a tree.
    assert set(ends) <= set(cells)
    assert len(ends) == 2 * (len(cells) - 1)
    reached, stack = {(0, 0)}, [(0, 0)]
    while stack:
        here = stack.pop()
        fresh = {neighbour(here, d) for d in maze.ways(here)} - reached
        reached |= fresh
        stack += fresh
    assert reached == set(cells)


def test_the_seed_decides_the_walls() -> None:
    drawings = [Maze(6, 6, seed=seed).draw() for seed in (1, 1, 2)]

    assert drawings[0] == drawings[1] != drawings[2]


def test_it_is_drawn_with_its_walls() -> None:
    assert Maze(1, 2).draw() == "+--+\n|S |\n+  +\n|E |\n+--+"


async def test_the_way_out_leads_out() -> None:
    maze = Maze(5, 4, seed=3)
    seen = await maze.reset()
    for direction in way_out(maze):
        assert not seen.done and f"{direction}" in seen.text.partition("go:")[2]
        seen = await maze.step(f"go {direction}")

    assert seen.done and seen.reward == 1.0


async def test_walls_and_nonsense_change_nothing() -> None:
    maze = Maze(3, 3, seed=1)
    first = await maze.reset()
    for action, said in [
        ("go north", "There is a wall to the north."),
        ("dig", "'dig' names no one direction."),
        ("go north or west", "names no one direction"),
    ]:
        seen = await maze.step(action)
        assert said in seen.text and seen.text.endswith(first.text)


async def test_it_is_restored_without_walking() -> None:
    maze = Maze(4, 4, seed=2)
    await maze.reset()
    way = way_out(maze)
    seen = await maze.step(way[0])
    snapshot = await maze.snapshot()
    await maze.step(way[1])

    assert await maze.restore(snapshot) == seen
    assert maze.played == 2


@pytest.mark.parametrize(("width", "height"), [(1, 1), (0, 5), (5, -1)])
def test_impossible_sizes_are_refused(width: int, height: int) -> None:
    with pytest.raises(InvalidParameter, match="two cells"):
        Maze(width, height)
