"""A graph of AGoT as it grows: its state, plans cut to fit it, and its thoughts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ponder.agents.thought_planner import Layer, NewThought, SubThought
from ponder.context import RunContext
from ponder.graphs.base import State
from ponder.messages import Usage
from ponder.result import StopReason
from ponder.thoughts import Thought, ThoughtKind


class AGoTState(State, total=False):
    """The state of one graph; ``task`` is what it is to answer."""

    depth: int
    """d: 0 for the outermost graph."""
    background: str
    """What it knows of the graphs around it."""
    room: int
    """Thoughts that may still be added here and in nested graphs."""
    layer: int
    """l: layers that are finished."""
    thoughts: list[SubThought]
    """Of the finished layers."""
    places: dict[int, str]
    """Where thoughts stand in the graph of the run, by their numbers."""
    planned: list[SubThought]
    """The layer that is worked on; empty if there is none."""
    last: Usage
    """What it takes to answer the question of the graph directly."""


class Answered(NamedTuple):
    """What came of one thought."""

    thought: SubThought
    nodes: int = 0
    """Thoughts of all graphs nested in it."""
    stop: StopReason | None = None
    """The limit that left it unanswered."""
    place: str | None = None
    """Where its answer stands, if that is inside a nested graph."""


# -- layers ----------------------------------------------------------------------------


def added(
    plan: Layer, state: AGoTState, context: RunContext, *, n_max: int, room: int
) -> dict[str, Any]:
    """Return the update for a plan: what of it the graph can hold.

    Args:
        plan: The plan of the next layer.
        state: Of the graph.
        context: The place of the graph.
        n_max: Most thoughts of a layer.
        room: Thoughts that may still be added.
    """
    known, layer = state.get("thoughts", []), state.get("layer", 0)
    planned, warnings = admitted(plan, known, min(n_max, room))
    for warning in warnings:
        context.warn(warning)
    places = dict(state.get("places", {}))
    for i, thought in enumerate(planned):
        place = context.at(f"L{layer}", i)
        needed = [places[n] for n in thought.needs]
        show(thought, place, needed or [opening(state, context)])
        places[thought.number] = place.id
    return {"planned": planned, "room": room - len(planned), "places": places}


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


def joined(
    outcomes: Sequence[Answered | Exception],
    state: AGoTState,
    limit: StopReason | None,
) -> dict[str, Any]:
    """Return the update for a layer that is finished.

    Args:
        outcomes: What came of its thoughts, in their order; the last thoughts may be
            missing.
        state: Of the graph.
        limit: What left the last thoughts unpaid.

    Raises:
        Exception: The first one among the outcomes.
    """
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    done = [outcome for outcome in outcomes if isinstance(outcome, Answered)]
    thoughts = [outcome.thought for outcome in done]
    # Later thoughts rest on what a nested graph came to, not on its beginning.
    moved = {o.thought.number: o.place for o in done if o.place is not None}
    # The rest could not be paid; it keeps its numbers.
    thoughts += state["planned"][len(done) :]
    update: dict[str, Any] = {
        "layer": state["layer"] + 1,
        "thoughts": [*state["thoughts"], *thoughts],
        "planned": [],
        "places": state["places"] | moved,
        "room": state["room"] - sum(outcome.nodes for outcome in done),
    }
    stops = [outcome.stop for outcome in done if outcome.stop] + (
        [limit] if limit else []
    )
    return update | ({"stop_reason": stops[0]} if stops else {})


# -- the thoughts ----------------------------------------------------------------------


def answered(thoughts: Sequence[SubThought]) -> list[SubThought]:
    """Return the thoughts that have an answer."""
    return [t for t in thoughts if t.answer is not None]


def opening(state: AGoTState, context: RunContext) -> str:
    """Return the place of what a graph begins with."""
    return context.id if state.get("depth", 0) else "question"


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


def _told(thought: SubThought) -> str:
    if thought.answer is None:
        return thought.title
    return f"{thought.title}: {' '.join(thought.answer.split())}"
