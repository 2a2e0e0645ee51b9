"""What the nodes of IterDRAG are made of: its state, its prompt, and what it shows."""

from collections.abc import Sequence

from ponder.agents._transcripts import Line, Step, transcript, written
from ponder.agents.demonstrations import Demonstration, opening, worked_out
from ponder.agents.self_ask import SELF_ASK, SelfAsker
from ponder.context import RunContext
from ponder.errors import OutOfBudget
from ponder.graphs._drag import within
from ponder.graphs.base import State
from ponder.graphs.evidence import merged
from ponder.messages import Message
from ponder.passages import Passage
from ponder.result import Candidate, StopReason
from ponder.thoughts import Thought


class IterDragState(State, total=False):
    """The state of the decomposition."""

    passages: list[Passage]
    """In the order of their numbers: those of a later search come behind."""
    demonstrations: list[Demonstration]
    steps: list[Step]
    pending: str
    """A sub-query that has no answer yet; empty ends the decomposition."""
    last: Line | None
    """The final answer, if the model gave it unasked."""
    read: int
    """Effective context length: input tokens of all calls so far."""
    output_tokens: int


async def room_for(
    found: Sequence[Passage],
    state: IterDragState,
    place: RunContext,
    asker: SelfAsker,
    left: int | None,
) -> list[Passage] | None:
    """Return all passages with as many new ones as fit, ``None`` if none would do.

    Both the intermediate answer and the final one have to fit after that.

    Args:
        found: The new passages, the best last.
        state: With the sub-query that they were found for.
        place: The place of the iteration.
        asker: Writes the lines.
        left: Input tokens that may still be read; ``None`` is no limit.
    """
    steps, query, model = state["steps"], state["pending"], place.model
    asked = [*steps, Step(question=query, answer="")]
    for out in range(len(found) + 1):
        passages = merged(state["passages"], found[out:])
        start = opened(state, passages=passages)
        calls = [
            asker.answer_request(start, steps, query, model),
            asker.final_request(start, asked, model),
        ]
        if await within(calls, left, place.at("fit", out), still=asker.max_tokens):
            if out:
                place.warn(f"{out} passages for '{query}' had no room.")
            return passages
    return None


def opened(
    state: IterDragState,
    demonstrations: Sequence[Demonstration] | None = None,
    passages: Sequence[Passage] | None = None,
) -> tuple[Message, ...]:
    """Return the prompt up to the question, as it stands or with other parts."""
    shown = state["demonstrations"] if demonstrations is None else demonstrations
    read = state["passages"] if passages is None else passages
    return opening(SELF_ASK, [worked_out(d) for d in shown], state["task"], read)


def spent(state: IterDragState, line: Line) -> IterDragState:
    return {
        "read": state["read"] + line.input_tokens,
        "output_tokens": state["output_tokens"] + line.output_tokens,
    }


def ended(problem: Exception, context: RunContext) -> IterDragState:
    if isinstance(problem, OutOfBudget):
        return {"stop_reason": StopReason(problem.dimension)}
    context.warn(str(problem))
    return {}


def same(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()


def show_step(step: Step, line: Line, place: RunContext) -> None:
    place.think(
        Thought(
            id=place.id,
            kind="thought",
            label=f"{step.question} {step.answer}",
            data={**step.model_dump(), "input_tokens": line.input_tokens},
        ),
        (place.at("search").id,),
    )


def candidate(
    id: str, steps: Sequence[Step], line: Line, state: IterDragState
) -> Candidate:
    final = line.kind == "final"
    text = (
        transcript(steps, line.text, line.marks)
        if final
        else written(steps) + line.text
    )
    return Candidate(
        id=id,
        text=text,
        answer=line.text if final else None,
        output_tokens=state["output_tokens"],
    )
