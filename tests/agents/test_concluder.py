import pytest

from ponder import ScriptedModel, Task
from ponder.agents.concluder import concluder
from ponder.agents.solver import STEP_BY_STEP
from ponder.agents.thought_planner import SubThought
from ponder.graphs.base import strategy
from ponder.messages import GREEDY, Completion, assistant, system, user
from tests.support.places import place

TASK = Task(
    question="How long is the wall?",
    history=(user("Hello"), assistant("Hello")),
    examples=(user("And the roof?"), assistant("\\boxed{3}")),
    prefill="It is",
)
KNOWN = [
    SubThought(number=1, title="North", question="North side?", answer="3 m."),
    SubThought(number=2, title="South", question="South side?", answer="4 m."),
]


async def test_the_answer_is_written_from_the_thoughts() -> None:
    with ScriptedModel([" 3 + 4 = \\boxed{7}"]) as model:
        context = place(model)
        candidate = await concluder()(TASK, KNOWN, context, background="A house.")
    assert (candidate.id, candidate.answer) == ("here", "7")
    assert candidate.output_tokens == 5
    (call,) = model.calls
    assert call.messages[:-1] == (system(STEP_BY_STEP), *TASK.examples, *TASK.history)
    assert (call.prefill, call.sampling) == ("It is", GREEDY)
    asked = call.messages[-1].content
    assert asked.startswith("A house.\n\nHow long is the wall?")
    assert "[1] North side?\nAnswer: 3 m.\n[2] South side?\nAnswer: 4 m." in asked


async def test_without_thoughts_the_task_is_answered_as_it_was_asked() -> None:
    cut = Completion(text="Well, it", finish_reason="length")
    with ScriptedModel([cut]) as model:
        candidate = await concluder()(TASK, [], place(model))
    assert (candidate.answer, candidate.truncated) == (None, True)
    assert model.calls[0].messages[-1].content == TASK.question


@pytest.mark.parametrize("instructions", ["", STEP_BY_STEP])
async def test_a_strategy_in_the_place_of_the_model_gets_no_system_prompt(
    instructions: str,
) -> None:
    model = strategy("chain_of_thought").as_model(ScriptedModel())
    make = concluder(instructions=instructions)
    request = make.request(TASK, [], place(model))
    assert request.messages[0].role == "user"


async def test_configuration() -> None:
    make = concluder(instructions="", max_tokens=9, prompt="{question}{thoughts}")
    request = make.request(TASK, KNOWN[:1], place(ScriptedModel()))
    assert request.max_tokens == 9
    assert request.messages[0].content == "And the roof?"
    assert request.messages[-1].content.endswith("wall?[1] North side?\nAnswer: 3 m.")
