"""What fast verdicts come to, and how a slow one is read."""

import pytest

from ponder.agents.fast_slow_verifier import consensus, read_slow_verdict
from ponder.messages import Completion


@pytest.mark.parametrize(
    ("yes", "no", "tau", "score", "passed"),
    [
        (4, 0, 0.75, 1.0, True),
        (3, 1, 0.75, 0.75, True),
        (3, 1, 0.8, 0.75, None),
        (2, 2, 0.75, 0.5, None),
        (1, 3, 0.75, 0.25, False),
        (2, 0, 0.75, 1.0, None),
        (3, 0, 0.75, 1.0, True),
        (0, 0, 0.75, None, None),
    ],
)
def test_consensus_is_the_share_of_all_k_that_agrees(
    yes: int, no: int, tau: float, score: float | None, passed: bool | None
) -> None:
    """max(yes, no) / k >= tau: a verdict that cannot be read agrees with nobody."""
    verdict = consensus((yes, no), k=4, tau=tau)
    assert (verdict.score, verdict.passed) == (score, passed)


def test_the_last_line_that_is_a_verdict_counts() -> None:
    text = "Is step 1 right? Yes, it is.\nVerdict: Yes\nNo, wait.\n**Verdict: No.**"
    assert read_slow_verdict(Completion(text=text)) == (False, text.rsplit("\n", 1)[0])
    assert read_slow_verdict(Completion(text="Yes")) == (True, "")
    assert read_slow_verdict(Completion(text="Yes and no.")) is None
    assert read_slow_verdict(Completion(text="1 is wrong.\nNo.\n")) is not None


def test_what_is_said_of_one_step_is_no_verdict() -> None:
    text = "Step 1: is 17 + 25 = 42?\nYes.\nStep 2: 42 * 2 = 85 is wrong."
    assert read_slow_verdict(Completion(text=text)) is None
    cut = Completion(text=text.partition("\nStep 2")[0], finish_reason="length")
    assert read_slow_verdict(cut) is None
    said = Completion(text="Verdict: No\nIn all", finish_reason="length")
    assert read_slow_verdict(said) == (False, "")
