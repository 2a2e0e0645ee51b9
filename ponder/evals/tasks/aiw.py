r"""Short questions about relations, easy for people: "Alice in Wonderland".

A girl has N brothers and M sisters; how many sisters does her brother have? Models
fail on it in ways that vary with N, M and wording (Nezhurina et al. 2024,
https://arxiv.org/abs/2406.02061), often all samples alike. Wording and variations are
our own. Answers are counted on an explicit graph of people, never by a formula.
"""

import random
from typing import ClassVar

from pydantic import Field, field_validator

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import Generated, Grade, Problem, register
from ponder.evals.tasks._numeric import grade_number
from ponder.evals.tasks._relations import VARIATIONS, Scene


@register
class AliceInWonderland(Generated):
    """Count relatives, colleagues or friends from somebody else's point of view."""

    name: ClassVar[str] = "aiw"
    source: ClassVar[str] = "Own, after AIW, https://arxiv.org/abs/2406.02061"

    variation: str = "any"
    """Which relations are asked for: ``any``, or the name of a variation."""
    largest: int = Field(default=7, ge=1, le=7)
    """Numbers in the question are 1 to this."""

    @field_validator("variation")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != "any" and name not in VARIATIONS:
            raise ValueError(f"no such variation; choose any, {', '.join(VARIATIONS)}")
        return name

    def make(self, rng: random.Random, id: str) -> Problem:
        """Return one question with the answer counted on its graph."""
        name = self.variation
        if name == "any":
            name = rng.choice(list(VARIATIONS))
        scene = VARIATIONS[name](rng, self.largest)
        answer = count(scene)
        return Problem(
            id=id,
            question=f"{scene.text}\nWrite the number inside \\boxed{{}}.",
            reference=rf"\boxed{{{answer}}}",
            data={"variation": name, "answer": answer},
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Grade the number in the box."""
        return grade_number(text, problem.data["answer"])


def count(scene: Scene) -> int:
    """Count on the graph what the question of a scene asks for.

    Raises:
        InvalidParameter: Those who are asked about would give different answers, or
            there is nobody to ask about.
    """
    counts = {len(scene.counted(person)) for person in scene.asked}
    if len(counts) != 1:
        raise InvalidParameter(
            f"The question has {len(counts)} answers instead of one: {scene.text}"
        )
    return counts.pop()
