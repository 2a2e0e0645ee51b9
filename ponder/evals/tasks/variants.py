"""Arithmetic word problems as functions: same problem, other numbers and names.

A model that reasons solves every snapshot of a problem equally well; one that recalls
does not. The difference is the reasoning gap (Srivastava et al. 2024, Functional
Benchmarks, https://arxiv.org/abs/2402.19450). The problems are our own; answers are
computed exactly, step by step.
"""

import random
from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from ponder.errors import InvalidParameter
from ponder.evals.benchmark import Generated, Grade, Problem, register
from ponder.evals.tasks import _stories_of_measure, _stories_of_trade
from ponder.evals.tasks._numeric import grade_number
from ponder.evals.tasks._stories import TEMPLATES, Cast, Working

STORIES = (_stories_of_measure, _stories_of_trade)
"""The modules that fill ``TEMPLATES``."""


def functional_accuracy(snapshots: Sequence[Sequence[bool]]) -> float:
    """Return the share of the problems that are solved in every snapshot.

    Args:
        snapshots: For each snapshot whether each problem was solved, in the same
            order of problems.

    Raises:
        InvalidParameter: There are no problems, or snapshots of unequal length.
    """
    lengths = {len(snapshot) for snapshot in snapshots}
    if len(lengths) != 1 or lengths == {0}:
        raise InvalidParameter(
            f"Snapshots have {sorted(lengths)} problems: give at least one snapshot, "
            "each with the same problems, at least one."
        )
    solved = [all(results) for results in zip(*snapshots, strict=True)]
    return sum(solved) / len(solved)


def reasoning_gap(static: float, functional: float) -> float | None:
    """Return which share of the static accuracy is lost on functional variants.

    gap = (static - functional) / static, times 100 for a percentage (Srivastava et
    al. 2024, https://arxiv.org/abs/2402.19450). It is 0 for a model that solves
    variants as well as originals, 1 for one that solves no variant.

    Args:
        static: Accuracy on the fixed problems, 0 to 1.
        functional: Accuracy on the variants, 0 to 1; see ``functional_accuracy``.

    Returns:
        The gap, negative if variants went better; ``None`` if it is undefined because
        the static accuracy is 0.

    Raises:
        InvalidParameter: An accuracy is outside 0 to 1.
    """
    for name, accuracy in (("static", static), ("functional", functional)):
        if not 0 <= accuracy <= 1:
            raise InvalidParameter(f"The {name} accuracy is {accuracy}: give 0 to 1.")
    return (static - functional) / static if static else None


@register
class Variants(Generated):
    """Solve arithmetic word problems of 2 to 8 steps."""

    name: ClassVar[str] = "variants"
    source: ClassVar[str] = (
        "Own, after functional benchmarks, https://arxiv.org/abs/2402.19450"
    )

    least_steps: int = Field(default=2, ge=2, le=8)
    """Fewest calculations until the answer."""
    most_steps: int = Field(default=8, ge=2, le=8)
    """Most calculations until the answer."""
    template: str = "any"
    """Which problem: ``any``, or the name of a template."""
    snapshot: int = Field(default=0, ge=0)
    """Which numbers and names. Problems of the same id are the same template in every
    snapshot."""

    @field_validator("template")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != "any" and name not in TEMPLATES:
            raise ValueError(f"no such template; choose any, {', '.join(TEMPLATES)}")
        return name

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.least_steps > self.most_steps:
            raise ValueError(
                f"least_steps={self.least_steps} is above most_steps={self.most_steps};"
                " lower the one or raise the other"
            )
        if not self._names():
            steps = TEMPLATES[self.template].steps
            raise ValueError(
                f"template={self.template} takes {steps} steps, outside least_steps="
                f"{self.least_steps} to most_steps={self.most_steps}; widen them"
            )
        return self

    def _names(self) -> list[str]:
        steps = range(self.least_steps, self.most_steps + 1)
        names = TEMPLATES if self.template == "any" else [self.template]
        return [name for name in names if TEMPLATES[name].steps in steps]

    def make(self, rng: random.Random, id: str) -> Problem:
        """Return one problem; its template depends on its id only."""
        # The generator depends on the snapshot, which must not change the template.
        name = random.Random(id).choice(self._names())
        work = Working()
        text, result = TEMPLATES[name].story(rng, work, Cast.draw(rng))
        answer = int(result)
        if answer != result or answer < 0:
            raise InvalidParameter(f"Template '{name}' came out at {result}: {text}")
        return Problem(
            id=id,
            question=f"{text}\nWrite the final number inside \\boxed{{}}.",
            reference=rf"\boxed{{{answer}}}",
            data={"template": name, "answer": answer, "working": work.lines},
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Grade the number in the box."""
        return grade_number(text, problem.data["answer"])
