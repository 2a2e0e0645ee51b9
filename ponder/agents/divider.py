"""The role that divides a task into sub-tasks that can be done side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import networkx as nx
from pydantic import Field

from ponder.agents._structured import ask, last_json
from ponder.context import RunContext
from ponder.messages import Completion, Value
from ponder.models.base import Model
from ponder.result import Task
from ponder.tools.functions import MODEL

DIVIDE_PROMPT = """\
Problem:
{question}

{done}Divide what is left of the problem into at most {most} small sub-tasks that can \
be done side by side, each by one of these:
{tools}

Say for each sub-task who does it ("tool") and what it is given ("input"): for the \
model a full question with all the numbers and names that it needs, for a tool exactly \
its argument. If a sub-task needs the result of another one of your list, name its \
number in "needs". If nothing is left to do, or the problem needs no division, leave \
the list empty.

Reply in JSON: {{"sub_tasks": [{{"tool": "model", "input": "...", "needs": []}}]}}"""

DONE = """\
Done already:
{results}

"""

DIVIDE_REMINDER = """\
That could not be read. Reply with the list of sub-tasks in JSON alone: \
{"sub_tasks": [...]}"""

LONGEST = 400
"""Characters of the input of a sub-task."""


class SubTask(Value):
    """A part of a task."""

    tool: str = MODEL
    """Who does it."""
    input: str = Field(min_length=1)
    needs: tuple[int, ...] = ()
    """Numbers, from 1, of sub-tasks of the same plan whose results it needs."""


class Divider(Protocol):
    """Divides tasks. See ``divider``."""

    async def __call__(
        self, task: Task, results: str, context: RunContext
    ) -> tuple[SubTask, ...] | None:
        """Return the next sub-tasks.

        Args:
            task: The task.
            results: What was done before, as text; may be empty.
            context: The place of the call.

        Returns:
            Empty if nothing is left to do; ``None`` if two replies were unreadable.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def divider(
    *,
    tools: Mapping[str, str] | None = None,
    most: int = 5,
    model: Model | None = None,
    max_tokens: int = 512,
    prompt: str = DIVIDE_PROMPT,
) -> Divider:
    """Return who divides a task.

    Zhu et al. 2025 (Divide-Then-Aggregate), https://arxiv.org/abs/2501.12432, train a
    model for it; here it is a prompt alone.

    Args:
        tools: Names of tools with one line on each; the model itself is always there.
        most: Sub-tasks that the model is asked for at most; it may exceed them.
        model: Who divides; by default the model of the run.
        max_tokens: Limit of the reply.
        prompt: With places for ``{question}``, ``{done}``, ``{tools}`` and ``{most}``.
    """
    able = {MODEL: "answers a short question", **(tools or {})}
    listed = "\n".join(f"- {name}: {line}" for name, line in able.items())

    async def divide(
        task: Task, results: str, context: RunContext
    ) -> tuple[SubTask, ...] | None:
        done = DONE.format(results=results) if results else ""
        return await ask(
            task,
            prompt.format(question=task.question, done=done, tools=listed, most=most),
            _read,
            context.acting("planner"),
            reminder=DIVIDE_REMINDER,
            max_tokens=max_tokens,
            schema=_schema(tuple(able), most),
            model=model,
        )

    return divide


class Order(NamedTuple):
    """How a plan is carried out; sub-tasks are named by their indices."""

    groups: list[list[int]]
    """Done together, one group after the other: each needs only earlier ones."""
    circular: tuple[int, ...]
    """Left out: they need each other in a circle, or one of those that do."""
    beyond: tuple[int, ...]
    """Left out: beyond the limit, those first that need others."""


def in_order(plan: Sequence[SubTask], most: int) -> Order:
    """Return how a plan can be carried out.

    Args:
        plan: The sub-tasks; what they need that is not in the plan does not count.
        most: How many are done at most.
    """
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(plan)))
    for index, sub_task in enumerate(plan):
        for number in sub_task.needs:
            if 1 <= number <= len(plan):
                graph.add_edge(number - 1, index)
    circular: set[int] = set()
    for group in nx.strongly_connected_components(graph):
        first = next(iter(group))
        if len(group) > 1 or graph.has_edge(first, first):
            circular |= {*group, *nx.descendants(graph, first)}
    graph.remove_nodes_from(circular)
    groups = [sorted(group) for group in nx.topological_generations(graph)]
    kept = [i for group in groups for i in group][:most]
    cut = [[i for i in group if i in kept] for group in groups]
    beyond = tuple(sorted(set(graph) - set(kept)))
    return Order([group for group in cut if group], tuple(sorted(circular)), beyond)


def _read(completion: Completion) -> tuple[SubTask, ...] | None:
    value = last_json(completion.text)
    if isinstance(value, dict):
        value = value.get("sub_tasks")
    if not isinstance(value, list):
        return None
    # A number means a place in the list, so an unreadable item spoils all.
    found = [_sub_task(item) for item in value]
    kept = [sub_task for sub_task in found if sub_task is not None]
    return tuple(kept) if len(kept) == len(found) else None


def _sub_task(item: Any) -> SubTask | None:
    if not isinstance(item, dict):
        return None
    given, tool, needs = item.get("input"), item.get("tool", MODEL), item.get("needs")
    if not isinstance(given, str | int | float) or not str(given).strip():
        return None
    numbers = [n for n in needs if type(n) is int] if isinstance(needs, list) else []
    name = tool.strip() if isinstance(tool, str) and tool.strip() else MODEL
    return SubTask(tool=name, input=str(given).strip(), needs=tuple(sorted({*numbers})))


def _schema(tools: Sequence[str], most: int) -> dict[str, Any]:
    item = {
        "type": "object",
        "properties": {
            "tool": {"type": "string", "enum": list(tools)},
            "input": {"type": "string", "minLength": 1, "maxLength": LONGEST},
            "needs": {
                "type": "array",
                "items": {"type": "integer", "enum": list(range(1, most + 1))},
                "maxItems": most,
            },
        },
        "required": ["tool", "input", "needs"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"sub_tasks": {"type": "array", "items": item, "maxItems": most}},
        "required": ["sub_tasks"],
        "additionalProperties": False,
    }
