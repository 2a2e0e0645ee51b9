"""What AGoT needs beside its state machine: checks of its plans, and its thoughts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ponder.agents.choice import plain_model
from ponder.agents.thought_planner import Layer, NewThought, SubThought, listed
from ponder.context import RunContext
from ponder.graphs.shares import counts, tightest
from ponder.messages import Request, Usage
from ponder.result import Candidate, StopReason, Task
from ponder.thoughts import Thought, ThoughtKind

LEAST_OUTPUT = 128
"""Output tokens that are kept back at least, if the answer may have so many."""
LEAST_THOUGHT = 64
"""Output tokens without which it is no use to begin with a thought."""


class Answered(NamedTuple):
    """What came of one thought."""

    thought: SubThought
    nodes: int = 0
    """Thoughts of all graphs nested in it."""
    stop: StopReason | None = None
    """The limit that left it unanswered."""
    place: str | None = None
    """Where its answer stands, if that is inside a nested graph."""


# -- plans -----------------------------------------------------------------------------


def admitted(
    layer: Layer, known: Sequence[SubThought], most: int
) -> tuple[list[SubThought], list[str]]:
    """Cut a plan to what a graph can hold.

    Edges may come from earlier layers only, which keeps the graph acyclic. Questions
    that the graph has already are left out.

    Args:
        layer: The plan.
        known: The thoughts of the graph.
        most: Thoughts that may be added.

    Returns:
        The new thoughts, numbered, and a warning for each thing that was cut.
    """
    warnings: list[str] = []
    asked = {_normal(t.question) for t in known}
    fresh: list[NewThought] = []
    for new in layer.thoughts:
        if _normal(new.question) in asked:
            warnings.append(f"The plan repeated the thought '{new.title}': left out.")
        else:
            asked.add(_normal(new.question))
            fresh.append(new)
    if len(fresh) > most:
        warnings.append(
            f"The plan had {len(fresh)} new thoughts where {most} may be added: the "
            "rest was cut."
        )
    thoughts: list[SubThought] = []
    for i, new in enumerate(fresh[:most], len(known) + 1):
        needs = tuple(sorted({n for n in new.needs if 1 <= n <= len(known)}))
        lost = sorted(set(new.needs) - set(needs))
        if lost:
            warnings.append(
                f"The thought '{new.title}' was to rest on {lost}, which are no "
                "earlier thoughts: these edges were cut."
            )
        thoughts.append(
            SubThought(
                number=i,
                title=new.title,
                question=new.question,
                needs=needs,
                strategy=layer.strategy,
            )
        )
    return thoughts, warnings


def _normal(question: str) -> str:
    return " ".join(question.casefold().split())


def around(task: Task, thoughts: Sequence[SubThought], background: str) -> str:
    """Return what a thought is told of the graph that it stands in."""
    parts = [background] if background else []
    parts.append(f"The problem that it is part of:\n{task.question}")
    known = answered(thoughts)
    if known:
        parts.append(f"Known so far:\n{listed(known)}")
    return "\n\n".join(parts)


def answered(thoughts: Sequence[SubThought]) -> list[SubThought]:
    """Return the thoughts that have an answer."""
    return [t for t in thoughts if t.answer is not None]


async def fitting(
    thoughts: Sequence[SubThought],
    request: Callable[[Sequence[SubThought]], Request],
    context: RunContext,
) -> list[SubThought]:
    """Return the last thoughts whose answers a final call can still pay to read.

    Args:
        thoughts: The thoughts of a graph.
        request: Makes the final call of some of them.
        context: A place of its own; see ``priced``.
    """
    known = answered(thoughts)
    if not known or not counts(context.ledger):
        return known
    model = plain_model(context.model)

    async def count() -> dict[str, Any]:
        for first in range(len(known)):
            asked = request(known[first:])
            usage = Usage(
                calls=1,
                input_tokens=model.count_tokens(asked),
                output_tokens=min(LEAST_OUTPUT, asked.max_tokens),
            )
            usage = usage.model_copy(update={"cost": model.price(usage)})
            if tightest(context.ledger, usage, wrap_up=True)[0] >= 1:
                return {"first": first}
        return {"first": len(known)}

    content = request(known).model_dump_json(exclude_defaults=True)
    value = await context.remember(content, count)
    return known[int(value["first"]) :]


# -- the thoughts ----------------------------------------------------------------------


def show(
    thought: SubThought,
    place: RunContext,
    parents: Sequence[str] = (),
    *,
    kind: ThoughtKind = "thought",
    failed: bool = False,
) -> None:
    """Put a thought into the graph of the run, or what is now known of it.

    Its edges stay when it is shown again.
    """
    label = thought.title if kind == "graph" else _told(thought)
    data = thought.model_dump(exclude={"number"}, mode="json")
    node = Thought(id=place.id, kind=kind, label=label, failed=failed, data=data)
    place.think(node, tuple(parents))


def show_conclusion(
    candidate: Candidate, place: RunContext, parents: Sequence[str]
) -> None:
    """Put the final answer of a graph into the graph of the run."""
    label = candidate.answer or " ".join(candidate.text.split())
    data = {"text": candidate.text, "answer": candidate.answer}
    node = Thought(id=candidate.id, kind="thought", label=label, data=data)
    place.think(node, tuple(parents))


def sinks(places: Mapping[int, str], thoughts: Sequence[SubThought]) -> list[str]:
    """Return the places of the thoughts that no other one of them rests on."""
    needed = {n for t in thoughts for n in t.needs}
    return [places[t.number] for t in thoughts if t.number not in needed]


def _told(thought: SubThought) -> str:
    if thought.answer is None:
        return thought.title
    return f"{thought.title}: {' '.join(thought.answer.split())}"
