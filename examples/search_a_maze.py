"""Leave a maze by best-first search: act, look, and go back where it leads nowhere.

Run with a local model: python examples/search_a_maze.py --model local
"""

import random
import sys

from ponder import Budget, Request, ScriptedModel, solve
from ponder.graphs.environment_search import EnvironmentSearch
from ponder.tools.environment import Trail
from ponder.tools.maze import Maze


def wanders(request: Request) -> str:
    """Stand in for a model: any of the four directions, without looking."""
    return f"Action: go {random.choice(['north', 'east', 'south', 'west'])}"


def news(task: object, trail: Trail) -> float:
    """Value cells that were not seen before, and the exit most of all."""
    seen = [view[view.find("You are") :] for view in trail.transcript().split("\n")]
    return 1.0 if trail.last.done else 0.6 if seen.count(seen[-1]) == 1 else 0.0


def main(model: str | None) -> None:
    maze = Maze(5, 5, seed=10)
    search = EnvironmentSearch(
        environment=lambda: maze, value_function=news, b=4, c=150, d=30, max_actions=30
    )
    chosen = model or ScriptedModel(rules=[("", wanders)])
    limits = Budget(tokens=2_000_000, seconds=900)
    result = solve("Leave the maze.", strategy=search, model=chosen, budget=limits)
    print(maze.draw(), result.answer, result.stop_reason, sep="\n")
    print(f"{maze.played} actions tried, {result.usage.total_tokens} tokens")


if __name__ == "__main__":
    main(sys.argv[2] if sys.argv[1:2] == ["--model"] else None)
