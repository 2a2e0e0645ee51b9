"""GPQA: multiple-choice questions of graduate level in the natural sciences."""

import random
from typing import ClassVar

from ponder.agents.answers import extract
from ponder.evals.benchmark import UNREADABLE, Grade, Problem, register
from ponder.evals.scoring.mathematics import verdict
from ponder.evals.scoring.text import boxed, choose
from ponder.evals.tasks._rows import Loaded, Row

RIGHT = "Correct Answer"
WRONG = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


@register
class GPQA(Loaded):
    """Science questions; rows have the columns of the published CSV file.

    The options are shuffled by the id of the question, so they never change places.
    """

    name: ClassVar[str] = "gpqa"
    source: ClassVar[str] = "Rein et al. 2023, https://arxiv.org/abs/2311.12022"
    id_fields: ClassVar[tuple[str, ...]] = ("Record ID", "id")

    dataset: str = "Idavidrein/gpqa"
    config: str | None = "gpqa_diamond"
    dataset_split: str = "train"

    def problem(self, row: Row, id: str) -> Problem:
        """Return the problem of a row."""
        right = row.text(RIGHT)
        texts = [right, *(row.text(field) for field in WRONG)]
        random.Random(f"gpqa:{id}").shuffle(texts)
        options = dict(zip("ABCD", texts, strict=True))
        listed = "\n".join(f"({letter}) {text}" for letter, text in options.items())
        answer = next(letter for letter, text in options.items() if text == right)
        return Problem(
            id=id,
            question=f"{row.text('Question')}\n\nOptions:\n{listed}\n\n{FORMAT}",
            reference=boxed(answer),
            data={"answer": answer, "options": options},
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Compare the option that the answer names, by letter or by text."""
        found = extract(text)
        if found is None:
            return UNREADABLE
        return verdict(found, _is_right(problem, found))


def _is_right(problem: Problem, answer: str) -> bool:
    options: dict[str, str] = problem.data["options"]
    chosen = choose(answer, options)
    # An option of the same text as the right one is right as well.
    return chosen is not None and options[chosen] == options[problem.data["answer"]]


FORMAT = "Give the letter of the right option in \\boxed{...}."
