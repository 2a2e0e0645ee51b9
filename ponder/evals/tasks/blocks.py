"""Blocks world: moves that turn one arrangement of blocks into another."""

import random
import re
from string import ascii_uppercase
from typing import Any, ClassVar

from pydantic import Field, model_validator

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import UNREADABLE, Generated, Grade, Problem, register
from ponder.evals.tasks._blocks_world import (
    TABLE,
    Arrangement,
    Move,
    arrange,
    draw,
    fault,
    shortest_plan,
)
from ponder.evals.tasks._lists import read_list

ATTEMPTS = 1000
"""Draws of two arrangements until they are as many moves apart as is asked for."""
MOST_BLOCKS = 20
"""Their names must leave X and Y free, which show the format of the answer."""

QUESTION = """\
{count} blocks stand on a table, each on the table itself or on another block. A move \
takes one block on which no other stands, and puts it on the table or on a block on \
which no other stands.
Now {start}.
Find {moves} so that {goal}.
End your reply with the moves in a box, written like this: \
\\boxed{{move X to table; move Y to X}}"""

_BLOCK = r"(?:block\s+)?[a-z]\b"
_PLACE = rf"(?:the\s+)?(?:table\b|{_BLOCK})"
_MOVE = (
    rf"move\s+{_BLOCK}\s+(?:from\s+(?:on\s+)?{_PLACE}\s+)?"
    rf"(?:on\s*to|to|on)\s+(?:top\s+of\s+)?{_PLACE}"
)


@register
class Blocks(Generated):
    """Two arrangements of blocks, all equally likely, and the moves between them."""

    name: ClassVar[str] = "blocks"
    source: ClassVar[str] = (
        "Slaney & Thiébaux 2001, Blocks World revisited, "
        "Artificial Intelligence 125, 119-153"
    )

    blocks: int = Field(default=4, ge=2, le=MOST_BLOCKS)
    """How many blocks."""
    towers: int | None = Field(default=None, ge=1)
    """How many towers there are, now as in the end, a single block being one; the
    fewer the harder. ``None`` leaves it to chance."""
    moves: int | None = Field(default=None, ge=1)
    """Length of the shortest plan; ``None`` leaves it to chance."""
    optimal: bool = False
    """Ask for a shortest plan; any other is wrong then."""

    @model_validator(mode="after")
    def _possible(self) -> "Blocks":
        if self.towers is not None and self.towers >= self.blocks:
            raise ValueError(
                f"towers={self.towers} leaves nothing to do with blocks={self.blocks}; "
                f"give {self.blocks - 1} or less"
            )
        # In the worst case all but one go to the table first.
        most = 2 * (self.blocks - 1)
        if self.moves is not None and self.moves > most:
            raise ValueError(
                f"{self.blocks} blocks never need moves={self.moves}; give {most} or "
                "less, or raise blocks"
            )
        return self

    def make(self, rng: random.Random, id: str) -> Problem:
        """Draw arrangements until they are as far apart as is asked for."""
        names = ascii_uppercase[: self.blocks]
        for _ in range(ATTEMPTS):
            start, goal = (arrange(draw(rng, names, self.towers)) for _ in range(2))
            plan = shortest_plan(start, goal)
            if plan and self.moves in (None, len(plan)):
                return self._problem(id, start, goal, plan)
        raise InvalidParameter(
            f"None of {ATTEMPTS} draws of blocks={self.blocks}, towers={self.towers} "
            f"is moves={self.moves} apart. Change moves, or leave towers out."
        )

    def _problem(
        self, id: str, start: Arrangement, goal: Arrangement, plan: list[Move]
    ) -> Problem:
        question = QUESTION.format(
            count=self.blocks,
            start=_words(start),
            goal=_words(goal),
            moves="as few moves as possible" if self.optimal else "moves",
        )
        reference = "; ".join(f"move {block} to {place}" for block, place in plan)
        return Problem(
            id=id,
            question=question,
            reference=f"\\boxed{{{reference}}}",
            data={"start": start, "goal": goal, "shortest": len(plan)},
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Carry the plan out on the blocks."""
        answer, steps = read_list(text, _MOVE)
        if steps is None and answer is None:
            return UNREADABLE
        if steps is None:
            reason = f"'{answer}' is no list of moves such as 'move X to table'."
            return Grade(correct=None, answer=answer, reasons=(reason,))
        plan = [_move(step) for step in steps]
        reasons = _broken(plan, problem.data)
        if not reasons and self.optimal and len(plan) > problem.data["shortest"]:
            reasons = [f"{len(plan)} moves; {problem.data['shortest']} are enough."]
        return Grade(correct=not reasons, answer=answer, reasons=tuple(reasons))


def _words(now: Arrangement) -> str:
    facts = [f"{block} is on {_place(below)}" for block, below in sorted(now.items())]
    return f"{', '.join(facts[:-1])} and {facts[-1]}"


def _place(name: str) -> str:
    return f"the {TABLE}" if name == TABLE else name


def _move(step: str) -> Move:
    named = re.findall(rf"\b(?:{TABLE}|[a-z])\b", step, re.IGNORECASE)
    block, place = named[0].upper(), named[-1]
    return block, TABLE if place.casefold() == TABLE else place.upper()


def _broken(plan: list[Move], data: dict[str, Any]) -> list[str]:
    """Return the first illegal move, or else every unmet goal."""
    now: Arrangement = dict(data["start"])
    for number, (block, place) in enumerate(plan, start=1):
        if reason := fault(now, (block, place)):
            return [f"Move {number}, {block} to {_place(place)}: {reason}."]
        now[block] = place
    return [
        f"In the end {block} is on {_place(now[block])} and not on {_place(below)}."
        for block, below in data["goal"].items()
        if now[block] != below
    ]
