"""GSM8K: word problems of primary school with a number for an answer."""

import re
from typing import ClassVar

from ponder.evals.benchmark import Grade, Problem, register
from ponder.evals.scoring import mathematics
from ponder.evals.scoring.text import boxed
from ponder.evals.tasks._rows import Loaded, Row

_CALCULATION = re.compile(r"<<[^<>]*>>")
"""Marks of the data set for a calculator."""
_ANSWER = re.compile(r"####\s*(\$?-?\$?\d[\d,]*(?:\.\d+)?%?)\s*\Z")


@register
class GSM8K(Loaded):
    """Word problems; rows have ``question`` and ``answer``, ending in ``#### N``."""

    name: ClassVar[str] = "gsm8k"
    source: ClassVar[str] = "Cobbe et al. 2021, https://arxiv.org/abs/2110.14168"

    dataset: str = "openai/gsm8k"
    config: str | None = "main"

    def problem(self, row: Row, id: str) -> Problem:
        """Return the problem of a row."""
        match = _ANSWER.search(row.text("answer"))
        if match is None:
            raise row.error("the field 'answer' does not end in '#### ' and a number.")
        return Problem(
            id=id,
            question=f"{row.text('question')}\n\n{FORMAT}",
            reference=boxed(match[1]),
            data={"answer": match[1]},
            worked=_worked(row.text("answer")[: match.start()], match[1]),
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Compare the answer's value; a unit may be given."""
        return mathematics.grade(text, problem.data["answer"])


def _worked(solution: str, answer: str) -> str:
    lines = _CALCULATION.sub("", solution).split("\n")
    steps = [line.strip() for line in lines if line.strip()]
    return "\n\n".join([*steps, f"The answer is {boxed(answer)}"])


FORMAT = "Give the final answer as a number in \\boxed{...}."
