import pytest

from ponder.evals.benchmark import UNREADABLE
from ponder.evals.scoring.mathematics import grade, verdict


@pytest.mark.parametrize(
    ("reply", "reference", "correct"),
    [
        ("\\boxed{1,000}", "1000", True),
        ("The answer is 0.5.", "\\frac12", True),
        ("\\boxed{0.333}", "1/3", False),
        ("first \\boxed{3}, then \\boxed{4}", "3", False),
        ("\\boxed{72 clips}", "72", True),
        ("\\boxed{Paris}", "72", False),
    ],
)
def test_grades_by_value(reply: str, reference: str, correct: bool) -> None:
    assert grade(reply, reference).correct is correct


@pytest.mark.parametrize("reply", ["", "12 plus 60 is 72", "\\boxed{}", "\\boxed{72"])
def test_no_marked_answer_is_unreadable(reply: str) -> None:
    assert grade(reply, "72") == UNREADABLE


def test_a_reason_does_not_tell_the_reference() -> None:
    assert grade("\\boxed{5}", "72").reasons == ("The answer '5' is wrong.",)
    assert verdict("5", True, 0.5).reasons == ()
