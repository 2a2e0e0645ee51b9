import pytest

from ponder import Budget, Candidate, ScriptedModel, Task, Verdict, strategy
from ponder.agents.refiner import refine, refiner
from ponder.errors import OutOfBudget
from ponder.events import CandidateFound, Event
from ponder.messages import Sampling, assistant, user
from tests.support.places import place

TASK = Task(question="What is 2 + 2?", history=(user("Hi"), assistant("Hello")))


def solution(id: str, text: str, score: float | None = None) -> Candidate:
    return Candidate(id=id, text=text, verdict=Verdict(score=score))


async def test_the_model_goes_on_from_its_own_solution() -> None:
    with ScriptedModel(["So \\boxed{4}"]) as model:
        context = place(model)
        found: list[Event] = []
        context.shared.emit = found.append
        better = await refine(TASK, solution("c", "It is 5."), "Too large.", context)
    assert (better.id, better.text, better.answer) == ("here", "So \\boxed{4}", "4")
    (call,) = model.calls
    assert call.messages[:4] == (
        *TASK.history,
        user(TASK.question),
        assistant("It is 5."),
    )
    assert "Too large." in call.messages[4].content
    assert [e.candidate for e in found if isinstance(e, CandidateFound)] == [better]


async def test_scores_best_and_worst_are_told() -> None:
    earlier = solution("c", "It is 5.", 0.3)
    with ScriptedModel(["\\boxed{4}"]) as model:
        await refine(
            TASK,
            earlier,
            "",
            place(model),
            best=solution("b", "It is 4.5.", 0.75),
            worst=solution("w", "It is 9."),
        )
    asked = model.calls[0].messages[-1].content
    assert "may be wrong (score 0.30 of 1)" in asked
    assert "best solution so far (score 0.75 of 1):\nIt is 4.5." in asked
    assert "not to be followed:\nIt is 9." in asked


async def test_the_solution_itself_is_not_repeated_as_the_best() -> None:
    earlier = solution("c", "It is 5.", 0.3)
    with ScriptedModel(["\\boxed{4}"]) as model:
        await refine(TASK, earlier, "No.", place(model), best=earlier, worst=None)
    asked = model.calls[0].messages[-1].content
    assert "best solution" not in asked
    assert "{" not in asked.replace("\\boxed{answer}", "")


async def test_sampling_limit_and_prefill_are_those_asked_for() -> None:
    task = TASK.model_copy(update={"prefill": "We add: "})
    sampling = Sampling(temperature=0.2)
    with ScriptedModel(["one two three"]) as model:
        cut = await refine(
            task,
            solution("c", "five."),
            "No.",
            place(model),
            sampling=sampling,
            max_tokens=2,
        )
    (call,) = model.calls
    assert (call.sampling, call.prefill) == (sampling, "We add: ")
    assert call.messages[3] == assistant("We add: five.")
    assert (cut.text, cut.truncated, cut.answer) == ("one two", True, None)


async def test_an_empty_solution_can_be_improved() -> None:
    with ScriptedModel(["\\boxed{4}"]) as model:
        better = await refine(TASK, solution("c", " "), "Nothing.", place(model))
    assert better.answer == "4"
    assert model.calls[0].messages[3].content.strip()


async def test_the_prompt_can_be_replaced() -> None:
    rewrite = refiner(prompt="Again.{feedback}{best}{worst}")
    with ScriptedModel(["\\boxed{4}"]) as model:
        await rewrite(TASK, solution("c", "5"), "No.", place(model))
    assert model.calls[0].messages[-1].content.startswith("Again.")


async def test_out_of_budget_passes_through() -> None:
    with ScriptedModel() as model:
        with pytest.raises(OutOfBudget):
            context = place(model, budget=Budget(calls=0))
            await refine(TASK, solution("c", "5"), "No.", context)


async def test_a_strategy_in_the_place_of_the_model_refines_too() -> None:
    with ScriptedModel(["\\boxed{4}"]) as model:
        composite = strategy("chain_of_thought").as_model(model)
        better = await refine(TASK, solution("c", "5"), "No.", place(composite))
    assert better.answer == "4"
    assert model.calls[0].messages[-2].content == "5"
