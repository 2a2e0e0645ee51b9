"""A maze in words, to be left by going north, east, south and west."""

import random
import re
from typing import Any

from ponder.errors import InvalidParameter
from ponder.tools.environment import Environment, Observation

Cell = tuple[int, int]
"""Column and row, counted from the north-western corner."""

DIRECTIONS: dict[str, Cell] = {
    "north": (0, -1),
    "east": (1, 0),
    "south": (0, 1),
    "west": (-1, 0),
}
_DIRECTION = re.compile(rf"\b({'|'.join(DIRECTIONS)})\b")

INSTRUCTIONS = """\
You walk through a maze, from its north-western to its south-eastern corner. Columns \
are counted from west to east, rows from north to south. The actions are: go north, go \
east, go south, go west."""


class Maze(Environment):
    """A perfect maze: between any two cells there is exactly one way.

    It is carved by a depth-first walk to random unvisited neighbours, which makes long
    corridors and dead ends: the way often leads away from the exit first.
    """

    instructions = INSTRUCTIONS

    def __init__(self, width: int = 4, height: int = 4, *, seed: int = 0) -> None:
        """Build a maze; the same arguments give the same one.

        Args:
            width: Columns, 1 or more.
            height: Rows, 1 or more; 2 cells or more together.
            seed: Decides where the walls are.

        Raises:
            InvalidParameter: There are fewer than two cells.
        """
        if min(width, height) < 1 or width * height < 2:
            raise InvalidParameter(
                f"A maze of {width} by {height} cells: give two cells or more."
            )
        self.name = f"maze:{width}x{height}:{seed}"
        self.width, self.height = width, height
        self.exit: Cell = (width - 1, height - 1)
        self._open = _carved(width, height, random.Random(seed))
        self._at: Cell = (0, 0)

    async def start(self) -> Observation:
        """Stand in the north-western corner."""
        self._at = (0, 0)
        return Observation(text=self._view())

    async def act(self, action: str) -> Observation:
        """Go one cell, if there is no wall."""
        named = set(_DIRECTION.findall(action.lower()))
        if len(named) != 1:
            return Observation(
                text=f"{action!r} names no one direction. {self._view()}"
            )
        (direction,) = named
        if direction not in self.ways(self._at):
            return Observation(
                text=f"There is a wall to the {direction}. {self._view()}"
            )
        self._at = _next(self._at, direction)
        if self._at == self.exit:
            return Observation(text="You have left the maze.", done=True, reward=1.0)
        return Observation(text=self._view())

    async def save(self) -> Any:
        """Return the cell."""
        return self._at

    async def load(self, state: Any) -> None:
        """Go to a cell."""
        self._at = state

    def ways(self, cell: Cell) -> list[str]:
        """Return the directions in which a cell has no wall."""
        return [d for d in DIRECTIONS if (cell, _next(cell, d)) in self._open]

    def draw(self) -> str:
        """Return a picture of the maze: S is the start, E the exit."""
        lines = ["+" + "--+" * self.width]
        for y in range(self.height):
            walls = [self._wall((x, y), "east", " ", "|") for x in range(self.width)]
            floor = [self._wall((x, y), "south", "  ", "--") for x in range(self.width)]
            marks = [self._mark((x, y)) for x in range(self.width)]
            rooms = (f"{m} {w}" for m, w in zip(marks, walls, strict=True))
            lines += ["|" + "".join(rooms), "+" + "".join(f"{f}+" for f in floor)]
        return "\n".join(lines)

    def _view(self) -> str:
        (x, y), (u, v) = self._at, self.exit
        return (
            f"You are in column {x + 1}, row {y + 1}; the exit is in column {u + 1}, "
            f"row {v + 1}. You can go: {', '.join(self.ways(self._at))}."
        )

    def _wall(self, cell: Cell, direction: str, passage: str, wall: str) -> str:
        return passage if direction in self.ways(cell) else wall

    def _mark(self, cell: Cell) -> str:
        return {(0, 0): "S", self.exit: "E"}.get(cell, " ")


def _next(cell: Cell, direction: str) -> Cell:
    dx, dy = DIRECTIONS[direction]
    return cell[0] + dx, cell[1] + dy


def _carved(width: int, height: int, rng: random.Random) -> set[tuple[Cell, Cell]]:
    """Return the passages of a perfect maze, in both directions."""
    passages: set[tuple[Cell, Cell]] = set()
    visited: set[Cell] = {(0, 0)}
    walk: list[Cell] = [(0, 0)]
    while walk:
        here = walk[-1]
        fresh = [
            (x, y)
            for x, y in (_next(here, direction) for direction in DIRECTIONS)
            if 0 <= x < width and 0 <= y < height and (x, y) not in visited
        ]
        if not fresh:
            walk.pop()
            continue
        there = rng.choice(fresh)
        passages |= {(here, there), (there, here)}
        visited.add(there)
        walk.append(there)
    return passages
