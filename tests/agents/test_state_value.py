import pytest

from ponder.agents.state_value import mean_value


@pytest.mark.parametrize(
    ("replies", "value"),
    [
        (["Status: success", "Status: on track", "Status: failure"], 0.5),
        (["Status: on-track", "**Status:** Success", 'Status: "on track"'], 2 / 3),
        (["Status: success? No.\nStatus: failure"], 0.0),
        (["Status: success", "I cannot tell."], 1.0),
        (["I cannot tell.", "Status: unknown"], None),
        ([], None),
    ],
)
def test_the_value_is_the_mean_of_the_readable_judgements(
    replies: list[str], value: float | None
) -> None:
    assert mean_value(replies) == (None if value is None else pytest.approx(value))
