import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import Budget, Capabilities, ScriptedModel, Task
from ponder.agents.explainer import (
    CLOSED_BOOK,
    FORM,
    OPEN_BOOK,
    UNSURE,
    explainer,
    explanation_logprob,
)
from ponder.messages import Completion, TokenLogprob
from tests.support.places import paths, place

TASK = Task(question="Which river?")
explain = explainer(CLOSED_BOOK)


def said(*tokens: tuple[str, float], cut: bool = False) -> Completion:
    return Completion(
        text="".join(t for t, _ in tokens),
        finish_reason="length" if cut else "stop",
        logprobs=tuple(TokenLogprob(token=t, logprob=p) for t, p in tokens),
    )


@pytest.mark.parametrize(
    "end",
    [
        ["\\boxed{", "Rhone}"],
        ["So the", " answer is", ": ", "\\boxed{Rhone}"],
        ["**Answer:** ", "Rhone"],
        ["Therefore, the final answer is $", "\\boxed{Rhone}$"],
        ["The answer is", " Rhone."],
    ],
)
async def test_only_the_explanation_counts(end: list[str]) -> None:
    start = [("Lyon lies", -0.5), (" on it.", -1.5), ("\n", -7.0)]
    tail = [(token, -7.0) for token in end]
    with ScriptedModel([said(*start, *tail)]) as model:
        explained = await explain(TASK, place(model))
    assert explained.candidate.answer == "Rhone"
    assert explained.logprob == pytest.approx((-0.5 - 1.5) / 2)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (said(("\\boxed{Rhone}", -0.1)), "Rhone"),
        (said(("It flows. ", -0.1), ("\\boxed{Unknown}", -0.1)), None),
        (said(("It flows. ", -0.1), ("\\boxed{Rhone} and", -0.1), cut=True), "Rhone"),
    ],
)
async def test_what_is_unknown_cut_off_or_unexplained_is_unsure(
    reply: Completion, answer: str | None
) -> None:
    with ScriptedModel([reply]) as model:
        explained = await explain(TASK, place(model))
    assert explained.candidate.answer == answer
    assert explained.logprob == UNSURE


async def test_without_logprobs_nothing_is_made_up() -> None:
    poor = ScriptedModel(["It flows. \\boxed{Rhone}"], capabilities=Capabilities())
    with poor as model:
        explained = await explain(TASK, place(model))
    assert explained.logprob is None
    assert model.calls[0].logprobs is None


async def test_material_stands_before_the_question() -> None:
    with ScriptedModel(["\\boxed{Rhone}"]) as model:
        await explainer(OPEN_BOOK)(TASK, place(model), "[1] Lyon lies on the Rhone.")
    first, last = model.calls[0].messages
    assert first.content == OPEN_BOOK
    start = "[1] Lyon lies on the Rhone.\n\nQuestion: Which river?\n\n"
    assert last.content == start + FORM


@pytest.mark.parametrize(
    ("end", "answer", "logprob"),
    [("Rhone", "Rhone", -0.5), ("Rhone}", "Rhone", -0.5), ("unknown", None, UNSURE)],
)
async def test_an_explanation_without_an_answer_gets_one(
    end: str, answer: str | None, logprob: float
) -> None:
    with ScriptedModel([said(("It flows.\n", -0.5)), end]) as model:
        context = place(model)
        explained = await explain(TASK, context)
    assert explained.candidate.answer == answer
    assert explained.candidate.text.startswith("It flows.\n\n\\boxed{")
    assert explained.logprob == logprob
    assert paths(context) == ["here", "here/answer"]
    assert model.calls[1].prefill == "It flows.\n\n\\boxed{"


async def test_without_prefill_the_answer_is_asked_for() -> None:
    poor = ScriptedModel(["It flows.", "\\boxed{Rhone}"], capabilities=Capabilities())
    with poor as model:
        context = place(model)
        explained = await explain(TASK, context)
    assert explained.candidate.answer == "Rhone"
    assert model.calls[1].messages[-2].content == "It flows."
    assert [s[0] for s in context.shared.substitutes] == ["prefill"]


async def test_an_answer_that_cannot_be_paid_stays_open() -> None:
    with ScriptedModel([said(("It flows.", -0.5))]) as model:
        context = place(model, budget=Budget(calls=1))
        explained = await explain(TASK, context)
    assert explained.candidate.text == "It flows."
    assert explained.logprob == UNSURE


@given(st.lists(st.tuples(st.text(max_size=5), st.floats(-9, 0)), max_size=9))
def test_the_mean_is_among_the_tokens(pairs: list[tuple[str, float]]) -> None:
    tokens = [TokenLogprob(token=t, logprob=p) for t, p in pairs]
    mean = explanation_logprob(tokens)
    inside = [t.logprob for t in tokens]
    assert mean == UNSURE or min(inside) - 1e-9 <= mean <= max(inside) + 1e-9
