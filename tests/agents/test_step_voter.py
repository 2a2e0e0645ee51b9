import json

import pytest

from ponder import Budget, ScriptedModel, Task
from ponder.agents.step_voter import read_choice, step_voter
from ponder.errors import ModelError, ModelUnreachable, OutOfBudget
from ponder.messages import Completion
from tests.support.places import paths, place

TASK = Task(question="What is 17 + 25?")
STATES = ["17 + 25 is 32.", "17 + 20 is 37.", "25 is 17 + 8."]


def vote(choice: object) -> str:
    return json.dumps({"comparison": "The others are wrong.", "choice": choice})


async def test_shares_are_those_of_the_votes() -> None:
    """V(p, S)(s) = 1 for the state voted for, added up over the votes."""
    model = ScriptedModel([vote(2), vote(2), vote(3), vote(2)])
    context = place(model)
    assert await step_voter(votes=4)(TASK, STATES, context) == [0.0, 0.75, 0.25]
    assert paths(context) == [f"here/{i}" for i in range(4)]
    asked = model.calls[0].messages[-1].content
    assert "3 beginnings" in asked and "Beginning 2:\n17 + 20 is 37." in asked


async def test_a_vote_that_cannot_be_read_is_asked_for_again_and_then_left_out() -> (
    None
):
    model = ScriptedModel(
        rules=[
            (lambda r: r.seed == first, "The second."),
            ("", vote(1)),
        ]
    )
    context = place(model)
    first = context.at(0).derive_seed()
    assert await step_voter(votes=2)(TASK, STATES, context) == [1.0, 0.0, 0.0]
    assert "here/0/again" in paths(context)
    nothing = ScriptedModel(rules=[("", "I cannot say.")])
    assert await step_voter(votes=2)(TASK, STATES, place(nothing)) == [None] * 3


async def test_a_single_state_needs_no_vote() -> None:
    assert await step_voter()(TASK, STATES[:1], place(ScriptedModel([]))) == [1.0]


async def test_one_vote_that_fails_is_left_out_and_all_are_an_error() -> None:
    replies: list[str | Exception] = [ModelUnreachable("gone"), vote(3)]
    context = place(ScriptedModel(replies))
    assert await step_voter(votes=2)(TASK, STATES, context) == [0.0, 0.0, 1.0]
    assert context.shared.warnings == ["gone"]
    dead = ScriptedModel([ModelUnreachable("gone"), ModelUnreachable("gone")])
    with pytest.raises(ModelError, match="gone"):
        await step_voter(votes=2)(TASK, STATES, place(dead))


async def test_votes_that_the_budget_admits_are_counted() -> None:
    context = place(ScriptedModel([vote(1)]), budget=Budget(calls=1))
    assert await step_voter(votes=2)(TASK, STATES, context) == [1.0, 0.0, 0.0]
    assert "calls" in context.shared.warnings[0]
    with pytest.raises(OutOfBudget):
        await step_voter(votes=2)(TASK, STATES, context.at("later"))


@pytest.mark.parametrize("choice", [0, 4, "two", True, 1.5, None])
def test_what_is_no_number_of_a_state_is_unreadable(choice: object) -> None:
    assert read_choice(Completion(text=vote(choice)), 3) is None
    assert read_choice(Completion(text=vote(3)), 3) == 2
    assert read_choice(Completion(text=vote("3")), 3) == 2
