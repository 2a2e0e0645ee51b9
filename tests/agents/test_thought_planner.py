import json
from typing import Any

import pytest

from ponder import Budget, ScriptedModel, Task
from ponder.agents.thought_planner import Layer, NewThought, SubThought, thought_planner
from ponder.errors import InvalidParameter, OutOfBudget
from ponder.messages import GREEDY, system
from tests.support.places import paths, place

TASK = Task(question="How long is the wall?", history=(system("Metric units."),))
KNOWN = [
    SubThought(number=1, title="North", question="North side?", answer="It is 3 m."),
    SubThought(number=2, title="South", question="South side?"),
]


def reply(*thoughts: Any, **more: Any) -> str:
    return json.dumps({"strategy": "Side by side.", "thoughts": thoughts} | more)


async def plan(said: str, known: list[SubThought] | None = None) -> Layer | None:
    """Return what is read out of a reply that may be asked for twice."""
    model = ScriptedModel(rules=[(lambda request: True, said)])
    return await thought_planner()(TASK, known or [], place(model))


async def test_the_first_layer() -> None:
    with ScriptedModel(
        [reply({"title": "North", "question": "North\nside?"})]
    ) as model:
        context = place(model)
        found = await thought_planner(n_max=4)(TASK, [], context)
    assert found == Layer(
        strategy="Side by side.",
        thoughts=(NewThought(title="North", question="North side?"),),
    )
    (call,) = model.calls
    assert call.messages[:-1] == TASK.history
    asked = call.messages[-1].content
    assert "at most 4 smaller questions" in asked
    assert "Problem:\nHow long is the wall?\n" in asked
    assert "final" not in asked
    assert call.sampling == GREEDY
    schema = call.output_schema
    assert schema is not None
    assert schema["required"] == ["strategy", "thoughts"]
    assert schema["properties"]["thoughts"]["minItems"] == 1
    assert schema["properties"]["thoughts"]["maxItems"] == 4
    assert set(context.shared.roles) == {"planner"}


async def test_the_first_layer_of_a_nested_graph_knows_what_is_around_it() -> None:
    with ScriptedModel([reply("North side?")]) as model:
        await thought_planner()(TASK, [], place(model), background="A house.")
    assert "\nA house.\n\nProblem:\nHow long" in model.calls[0].messages[-1].content


async def test_a_later_layer_has_edges_to_what_is_known() -> None:
    said = reply({"title": "Sum", "question": "Sum?", "needs": [1, 2]}, final=False)
    with ScriptedModel([said]) as model:
        found = await thought_planner()(TASK, KNOWN, place(model))
    assert found is not None
    assert found.thoughts[0].needs == (1, 2)
    (call,) = model.calls
    assert (
        "[1] North side?\nAnswer: It is 3 m.\n[2] South side?\nAnswer: (not answered)"
    ) in call.messages[-1].content
    schema = call.output_schema
    assert schema is not None
    # A model that writes in this order knows whether it is done before it goes on.
    assert schema["required"] == ["final", "strategy", "thoughts"]
    thoughts = schema["properties"]["thoughts"]
    assert thoughts["minItems"] == 0
    assert thoughts["items"]["properties"]["needs"]["items"]["maximum"] == 2


async def test_a_final_layer_has_no_thoughts() -> None:
    found = await plan(reply({"title": "t", "question": "q"}, final=True), KNOWN)
    assert found == Layer(strategy="Side by side.", final=True)


async def test_a_first_layer_cannot_be_final() -> None:
    found = await plan(reply({"title": "t", "question": "q"}, final=True))
    assert found is not None
    assert not found.final


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("Only a text?", NewThought(title="Only a text?", question="Only a text?")),
        ({"question": "q" * 90}, NewThought(title="q" * 60, question="q" * 90)),
        (
            {"title": 3, "question": "q", "needs": [1, "2", True, 2.0, -4]},
            NewThought(title="q", question="q", needs=(1, -4)),
        ),
        (
            {"title": "t", "question": "q", "needs": 1},
            NewThought(title="t", question="q"),
        ),
    ],
)
async def test_what_can_be_read_is_read(item: Any, expected: NewThought) -> None:
    found = await plan(reply(item, {"title": "no question"}, 7))
    assert found is not None
    assert found.thoughts == (expected,)


@pytest.mark.parametrize(
    "said",
    [
        "Let me think.",
        "",
        "[]",
        reply(),
        reply({"title": "t", "question": " "}),
        json.dumps({"thoughts": "many"}),
        # Cut off at a limit: the inner object is no plan.
        reply({"title": "t", "question": "q"}, {"title": "u"})[:-12],
    ],
)
async def test_what_cannot_be_read_twice_is_no_plan(said: str) -> None:
    model = ScriptedModel([said, said])
    context = place(model)
    assert await thought_planner()(TASK, [], context) is None
    assert paths(context) == ["here", "here/again"]
    model.assert_consumed()


async def test_a_second_reply_is_read() -> None:
    with ScriptedModel(["Well.", reply("North side?")]) as model:
        found = await thought_planner()(TASK, [], place(model))
    assert found is not None
    assert found.thoughts[0].question == "North side?"


async def test_configuration() -> None:
    with ScriptedModel(name="run") as other, ScriptedModel([reply("Q?")]) as model:
        make = thought_planner(
            model=model, max_tokens=9, first_prompt="{question}{background}{most}"
        )
        await make(TASK, [], place(other))
    (call,) = model.calls
    assert (call.max_tokens, call.messages[-1].content) == (9, f"{TASK.question}3")


async def test_out_of_budget_is_told() -> None:
    with pytest.raises(OutOfBudget):
        await thought_planner()(
            TASK, [], place(ScriptedModel(), budget=Budget(tokens=5))
        )


def test_a_layer_of_no_thoughts_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="n_max is 0"):
        thought_planner(n_max=0)
