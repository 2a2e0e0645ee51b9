"""Sort digits by an own graph of thoughts: split, sort the parts, score, merge.

Run with the local model: python examples/own_graph.py
"""

import re
import sys

from ponder import Budget, Candidate, Model, Task, ThoughtGraph, solve
from ponder.drawing.text import text_tree
from ponder.graphs import operations as ops
from ponder.graphs.graph_of_thoughts import GraphOfOperations

QUESTION = "Sort in ascending order: [3, 7, 0, 2, 8, 1, 2, 2, 9, 4, 5, 1]"
SORT = "{question}\nRepeat equal digits. Reply with the sorted list alone, such as [1]."
MERGE = (
    "Merge these sorted lists into one sorted list:\n{answers}\nReply with it alone."
)


def digits(text: str) -> list[int]:
    return [int(d) for d in re.findall(r"\d", text)]


def last_list(text: str) -> str | None:
    return next(reversed(re.findall(r"\[[\d, ]+\]", text)), None)


def halves(thought: ops.Vertex) -> list[str]:
    given = digits(thought.task.question)
    parts = given[: len(given) // 2], given[len(given) // 2 :]
    return [f"Sort in ascending order: {part}" for part in parts]


def in_order(task: Task, candidate: Candidate) -> float:
    """Count errors as the paper does: neighbours out of order, digits lost or made."""
    given, made = digits(task.question), digits(candidate.answer or "")
    wrong = sum(a > b for a, b in zip(made, made[1:], strict=False))
    wrong += sum(abs(made.count(d) - given.count(d)) for d in range(10))
    return max(0.0, 1 - wrong / len(given))


def sort_a_part(which: int) -> ops.Operations:
    sort = ops.Generate(k=3, prompt=SORT, read=last_list, max_tokens=80)
    return ops.flow(ops.Select(which), sort, ops.Score(in_order), ops.KeepBest())


def main(model: Model | str) -> None:
    parts = [sort_a_part(which) for which in range(2)]
    merge = ops.Aggregate(parts=True, k=3, prompt=MERGE, read=last_list, max_tokens=80)
    best = ops.flow(ops.Score(in_order), ops.KeepBest())
    strategy = GraphOfOperations(
        operations=ops.flow(ops.Split(halves), parts, merge, best)
    )
    limits = Budget(tokens=20_000, seconds=300)
    result = solve(QUESTION, strategy=strategy, model=model, budget=limits)
    print(result.answer, result.confidence, result.stop_reason)
    print(text_tree(ThoughtGraph.from_json(result.graph)))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "local")
