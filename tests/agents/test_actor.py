import pytest

from ponder.agents.actor import most_frequent, read_action
from ponder.messages import Completion, Usage


@pytest.mark.parametrize(
    ("reply", "action"),
    [
        ("I look around.\nAction: go east", "go east"),
        ("action: a\nThat is wrong.\n**Action:** go west", "go west"),
        ("Action:\n```sql\nSELECT 1,\n  2\n```\nThat is all.", "SELECT 1,\n  2"),
        ("Action: SELECT name\nFROM town\n\nIt reads.", "SELECT name\nFROM town"),
        ("Action: SUBMIT\n```sql\nSELECT 1\n```", "SUBMIT SELECT 1"),
        ("Action: `go north`", "go north"),
        ("Action: <go south>", "go south"),
        ("Action: ", None),
        ("I go east.", None),
        ("The best action: none", None),
    ],
)
def test_the_last_action_is_read(reply: str, action: str | None) -> None:
    assert read_action(reply) == action


def test_the_most_frequent_actions_come_first_and_the_earlier_of_equals() -> None:
    replies = ["c", "a", "b", "x  y", "b", "nothing", "x y", "a", "b"]
    completions = [
        Completion(
            text=reply if reply == "nothing" else f"Action: {reply}",
            usage=Usage(output_tokens=2),
        )
        for reply in replies
    ]
    found = most_frequent(completions, 3)

    assert [(s.action, s.votes, s.output_tokens) for s in found] == [
        ("b", 3, 6),
        ("a", 2, 4),
        ("x  y", 2, 4),
    ]
