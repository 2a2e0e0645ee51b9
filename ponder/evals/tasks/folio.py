"""FOLIO: does a conclusion follow from premises in everyday words?"""

from typing import ClassVar

from ponder.agents.answers import extract
from ponder.evals.benchmark import UNREADABLE, Grade, Problem, register
from ponder.evals.scoring.mathematics import verdict
from ponder.evals.scoring.text import boxed, normalise, plain
from ponder.evals.tasks._rows import Loaded, Row

LABELS = {
    "True": "True",
    "False": "False",
    "Unknown": "Unknown",
    "Uncertain": "Unknown",
}
"""Labels of the published versions, and what they mean."""


@register
class FOLIO(Loaded):
    """First-order reasoning; rows have ``premises``, ``conclusion`` and ``label``."""

    name: ClassVar[str] = "folio"
    source: ClassVar[str] = "Han et al. 2022, https://arxiv.org/abs/2209.00840"
    id_fields: ClassVar[tuple[str, ...]] = ("id", "example_id")

    dataset: str = "yale-nlp/FOLIO"
    dataset_split: str = "validation"

    def problem(self, row: Row, id: str) -> Problem:
        """Return the problem of a row."""
        label = LABELS[row.label("label", LABELS)]
        premises = "\n".join(f"- {premise}" for premise in _premises(row))
        return Problem(
            id=id,
            question=f"Premises:\n{premises}\n\n"
            f"Conclusion: {row.text('conclusion')}\n\n{FORMAT}",
            reference=boxed(label),
            data={"label": label},
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Compare the label; Unknown and Uncertain are the same."""
        found = extract(text)
        if found is None:
            return UNREADABLE
        word = normalise(plain(found)).capitalize()
        return verdict(found, LABELS.get(word) == problem.data["label"])


def _premises(row: Row) -> list[str]:
    """Return the premises, of which one version has a list and another has lines."""
    if isinstance(row.get("premises"), str):
        found = row.text("premises").splitlines()
    else:
        found = row.texts("premises")
    found = [premise.strip() for premise in found if premise.strip()]
    if not found:
        raise row.error("the field 'premises' is empty.")
    return found


FORMAT = (
    "Taking the premises as true, is the conclusion True, False, or Unknown, because "
    "they decide neither? Give the final answer, one of these three words, in "
    "\\boxed{...}."
)
