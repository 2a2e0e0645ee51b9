"""An attempt, and the box that it forgot."""

import pytest

from ponder.agents.answers import extract
from ponder.agents.solver import boxed, forced_answer, solver
from ponder.budget import Budget
from ponder.messages import Completion
from ponder.models.base import Capabilities
from ponder.models.scripted import ScriptedModel
from ponder.result import Candidate, Task
from tests.support.places import paths, place

BOXED = Task(question="Which river? Give it in \\boxed{...}.")
OPEN = Task(question="Write a line about a river.")


async def test_a_box_that_the_question_asks_for_is_asked_for_once() -> None:
    model = ScriptedModel(["It is the Rhone.", " Rhone"])
    context = place(model)

    candidate = await solver()(BOXED, context)

    assert candidate.answer == "Rhone"
    assert candidate.text.startswith("It is the Rhone.")
    assert model.calls[1].prefill.startswith("It is the Rhone.")
    assert paths(context) == ["here", "here/forced"]


@pytest.mark.parametrize(
    ("task", "reply"),
    [
        (BOXED, Completion(text="\\boxed{Rhone}")),
        (BOXED, Completion(text="It is the", finish_reason="length")),
        (OPEN, Completion(text="It flows.")),
    ],
    ids=["named", "cut off", "not asked for"],
)
async def test_nothing_is_asked_for_otherwise(task: Task, reply: Completion) -> None:
    model = ScriptedModel([reply])
    candidate = await solver()(task, place(model))
    assert candidate.text == reply.text
    model.assert_consumed()


async def test_without_a_budget_for_it_the_attempt_stays_as_it_is() -> None:
    model = ScriptedModel(["It is the Rhone."])
    candidate = await solver()(BOXED, place(model, budget=Budget(calls=1)))
    assert (candidate.text, candidate.answer) == ("It is the Rhone.", None)


@pytest.mark.parametrize(
    ("reply", "prefill"), [(" Rhone", True), ("\\boxed{Rhone}", False)]
)
async def test_the_text_of_a_forced_answer_tells_it(reply: str, prefill: bool) -> None:
    model = ScriptedModel([reply], capabilities=Capabilities(prefill=prefill))
    unfinished = Candidate(id="here", text="It flows into", answer=None)

    forced = await forced_answer(BOXED, unfinished, place(model))

    assert forced is not None
    assert forced.answer == extract(forced.text) == "Rhone"
    assert forced.text.startswith(unfinished.text)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (" 72", "72"),
        ("72}. That is all", "72"),
        (r"\frac{1}{2}", r"\frac{1}{2}"),
        (r"\frac{1}{2", r"\frac{1}{2}"),
        (r"\boxed{72}", "72"),
        (r"\{1, 2\}", r"\{1, 2\}"),
    ],
)
def test_a_box_is_closed_where_its_answer_ends(reply: str, answer: str) -> None:
    assert extract("\\boxed{" + boxed(reply)) == answer
