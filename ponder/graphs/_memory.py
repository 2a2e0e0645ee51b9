"""The associative memory of a search: what came to mind at the nodes of its tree."""

from collections.abc import Sequence
from dataclasses import dataclass

from ponder.agents.proposer import Proposal
from ponder.agents.reader import numbered
from ponder.context import RunContext
from ponder.graphs._solutions import Part
from ponder.graphs.evidence import merged
from ponder.graphs.search.tree import Node
from ponder.passages import Passage
from ponder.result import Task
from ponder.thoughts import Thought

CITE = """\
Put the number of a passage behind what you take from it, in brackets, such as [2]."""


@dataclass(frozen=True)
class Memory:
    """AM(n): what came to mind at a node."""

    text: str = ""
    """What the model associated itself."""
    passages: tuple[Passage, ...] = ()
    """What it found; none of them is known higher up in the tree."""


@dataclass(frozen=True)
class Remembering(Part):
    """A node of the tree with its memory."""

    memory: Memory = Memory()
    place: str = ""
    """Of the memory, in the run."""


def valued(
    generation: float | None, association: float | None, beta: float
) -> float | None:
    """Return V / (1 + beta), with V = F_g + beta F_a.

    Args:
        generation: F_g, 0 to 1; ``None`` if it is not known.
        association: F_a, 0 to 1; ``None`` where there is none to judge.
        beta: Weight of the association.

    Returns:
        What is known of the two where one is not; ``None`` if F_g is not known.
    """
    if generation is None or association is None:
        return generation
    return (generation + beta * association) / (1 + beta)


def memories(node: Node | None) -> list[Memory]:
    """Return the memories of a path, from the root down to a node."""
    found: list[Memory] = []
    while node is not None:
        if isinstance(node.value, Remembering):
            found.append(node.value.memory)
        node = node.parent
    return found[::-1]


def reminded(task: Task, known: Sequence[Memory]) -> Task:
    """Return a task that says what came to mind.

    Passages keep their numbers as a path grows.
    """
    passages = merged(*(m.passages for m in known))
    thoughts = "\n".join(f"- {m.text}" for m in known if m.text)
    said = [f"Passages:\n{numbered(passages)}\n{CITE}"] if passages else []
    said += [f"What came to mind, and may help:\n{thoughts}"] if thoughts else []
    return task.model_copy(update={"question": "\n\n".join([task.question, *said])})


def announce(node: Node, proposal: Proposal, place: RunContext) -> None:
    """Put a step into the thought graph, before what it brings to mind comes there.

    Args:
        node: The node that it goes on from.
        proposal: The step.
        place: Its own place.
    """
    above = "/".join(str(part) for part in (*place.path[:-1], node.id))
    memory = node.value.place if isinstance(node.value, Remembering) else ""
    thought = Thought(
        id=place.id, kind="thought", label=" ".join(proposal.text.split())[:80]
    )
    parents = (above if node.parent else "question", memory)
    place.think(thought, (*parents, f"{memory}/search", f"{memory}/self"))
