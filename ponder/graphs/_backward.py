"""The goals of a backward proof: those under way, and those that are decided."""

from collections.abc import Awaitable, Sequence
from typing import TypeVar

from ponder.agents.backward import Verdict
from ponder.context import RunContext
from ponder.errors import ModelError
from ponder.messages import Value
from ponder.thoughts import Thought

T = TypeVar("T")


class Frame(Value):
    """A goal under way."""

    number: int
    """How many goals were visited before it: its place in the run."""
    goal: str
    depth: int
    """How many rules may still stand one below the other."""
    rules: tuple[int, ...] = ()
    """The rules not tried yet, by their indices."""
    rule: int | None = None
    """The rule being tried."""
    sub_goals: tuple[str, ...] = ()
    """The conditions of that rule."""
    done: int = 0
    """How many of them are proved, from the first."""
    cut: bool = False
    """Whether something below was left out because it is under way above."""
    parent: str = "question"
    """The thought that it comes from."""

    def trying(self, place: int, sub_goals: tuple[str, ...]) -> "Frame":
        """Return this goal with the rule at a place of ``rules`` being tried."""
        return self.model_copy(
            update={
                "rule": self.rules[place],
                "rules": self.rules[place + 1 :],
                "sub_goals": sub_goals,
                "done": 0,
            }
        )


class Proof(Value):
    """How a goal was decided."""

    goal: str
    verdict: Verdict
    depth: int
    """How much depth there was for it: an unknown holds for no more than that."""
    because: str = ""
    """The fact or rule that decides it."""
    needs: tuple[str, ...] = ()
    """The sub-goals of the rule."""


Proofs = dict[str, Proof]
"""By the goal in its normal form."""


def same_goal(goal: str) -> str:
    """Return the form in which two wordings of one goal are equal."""
    return " ".join(goal.casefold().split()).rstrip(".!? ")


def known(goal: str, depth: int, proofs: Proofs) -> Proof | None:
    """Return the proof of a goal if it counts where so much depth is left."""
    proof = proofs.get(same_goal(goal))
    if proof is None or (proof.verdict == "unknown" and proof.depth < depth):
        return None
    return proof


def with_proof(proofs: Proofs, proof: Proof) -> Proofs:
    """Return the proofs with one more; what is decided stays decided."""
    before = proofs.get(same_goal(proof.goal))
    if before is not None and before.verdict != "unknown":
        return proofs
    return {**proofs, same_goal(proof.goal): proof}


def is_under_way(goal: str, stack: Sequence[Frame]) -> bool:
    """Whether a goal is among those of a stack."""
    return any(same_goal(frame.goal) == same_goal(goal) for frame in stack)


def explained(goal: str, proofs: Proofs) -> list[str]:
    """Return the lines of a proof, each after those that it needs, none twice."""
    lines: dict[str, None] = {}
    _explain(goal, proofs, lines)
    return list(lines)


def _explain(goal: str, proofs: Proofs, lines: dict[str, None]) -> None:
    proof = proofs.get(same_goal(goal))
    if proof is None or proof.verdict == "unknown":
        return
    for sub_goal in proof.needs:
        _explain(sub_goal, proofs, lines)
    lines[f"'{proof.goal}' is {proof.verdict} by: {proof.because}"] = None


def place_of(frame: Frame, context: RunContext, *parts: str | int) -> RunContext:
    """Return the place of a goal in a run, or of something below it."""
    return context.at("goal", frame.number, *parts)


def show(frame: Frame, verdict: str, context: RunContext) -> None:
    """Put a goal into the graph of the run."""
    place = place_of(frame, context)
    label = f"{frame.goal} ({verdict})"
    thought = Thought(id=place.id, kind="thought", label=label)
    context.think(thought, (frame.parent,))


async def tried(call: Awaitable[T], fallback: T, context: RunContext) -> tuple[T, bool]:
    """Return what a module says; a call that fails is warned of.

    Returns:
        The fallback and True if the call failed.

    Raises:
        OutOfBudget: The budget admits no such call.
    """
    try:
        return await call, False
    except ModelError as error:
        context.warn(f"A step of the proof failed: {error}")
        return fallback, True
