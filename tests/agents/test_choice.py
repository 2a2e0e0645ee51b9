import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import Budget, Capabilities, ScriptedModel
from ponder.agents.choice import THOUGHTS, choose, probabilities
from ponder.errors import (
    InvalidParameter,
    ModelUnreachable,
    OutOfBudget,
    UnsupportedCapability,
)
from ponder.messages import GREEDY, Completion, TokenLogprob
from tests.support.places import paths, place, token

WORDS = ("Left", "Right")
VOTER = Capabilities(seed=True)
LOCAL = Capabilities(seed=True, logprobs=True)


def test_probabilities_are_normalised_over_the_words() -> None:
    top = {"left": math.log(0.1), " Left": math.log(0.2), "(Right)": math.log(0.3)}
    top |= {"Up": math.log(0.4)}
    found = probabilities(top, WORDS)
    assert found == pytest.approx({"Left": 0.5, "Right": 0.5})


def test_no_word_among_the_tokens_is_no_probability() -> None:
    assert probabilities({"Up": -0.1}, WORDS) is None
    assert probabilities({"Left": -1e9}, WORDS) is None
    assert probabilities({}, WORDS) is None


@pytest.mark.parametrize("other", [-14.0, -5.0])
def test_what_is_left_over_for_a_word_is_no_opinion(other: float) -> None:
    """The model answers something else: that is neither 0 nor 1."""
    assert probabilities({"The": -1e-4, "Left": other}, WORDS) is None
    assert probabilities({"The": -1.0, "Left": math.log(0.3)}, WORDS) is not None


@pytest.mark.parametrize("odd", [math.inf, math.nan, -math.inf])
def test_a_probability_that_is_no_number_is_left_out(odd: float) -> None:
    found = probabilities({"Left": odd, "Right": -0.1}, WORDS)
    assert found == {"Left": 0.0, "Right": 1.0}
    assert probabilities({"Left": 800.0}, WORDS) == {"Left": 1.0, "Right": 0.0}


@given(st.lists(st.floats(-2.9, 0), min_size=2, max_size=10))
def test_probabilities_sum_to_one(logprobs: list[float]) -> None:
    words = [f"w{i}" for i in range(len(logprobs))]
    found = probabilities(dict(zip(words, logprobs, strict=True)), words)
    assert found is not None
    assert math.fsum(found.values()) == pytest.approx(1.0)
    best = max(range(len(words)), key=lambda i: logprobs[i])
    assert found[words[best]] == max(found.values())


async def test_the_first_token_is_read_at_temperature_zero() -> None:
    with ScriptedModel([token(Left=math.log(0.6), Right=math.log(0.2))]) as model:
        context = place(model)
        found = await choose("Where?", WORDS, context)
    assert found == pytest.approx({"Left": 0.75, "Right": 0.25})
    (call,) = model.calls
    assert (call.sampling, call.logprobs, call.max_tokens) == (GREEDY, 20, 1)
    assert paths(context) == ["here"]


async def test_an_unreadable_answer_is_asked_again_with_the_words() -> None:
    with ScriptedModel([token(Up=-0.1), token(Right=-0.1)]) as model:
        context = place(model)
        found = await choose("Where?", WORDS, context)
    assert found == {"Left": 0.0, "Right": 1.0}
    assert paths(context) == ["here", "here/again"]
    first, second = (call.messages[-1].content for call in model.calls)
    assert second.startswith(first)
    assert "Left, Right" in second.removeprefix(first)


async def test_unreadable_twice_is_none() -> None:
    with ScriptedModel([token(Up=-0.1), Completion(text="", logprobs=())]) as model:
        assert await choose("Where?", WORDS, place(model)) is None


async def test_votes_stand_for_probabilities_and_the_result_says_so() -> None:
    replies = ["Left", "right.", "Up", "LEFT"]
    with ScriptedModel(replies, capabilities=VOTER) as model:
        context = place(model)
        found = await choose("Where?", WORDS, context, votes=4, voter="guide")
    assert found == pytest.approx({"Left": 2 / 3, "Right": 1 / 3})
    (note,) = context.shared.substitutes.values()
    assert (note.missing, note.used) == ("logprobs", "4 sampled votes of the guide")
    assert len({call.seed for call in model.calls}) == 4


async def test_votes_for_nothing_are_taken_again_once() -> None:
    with ScriptedModel(["Up", "Down", "Up", "Right"], capabilities=VOTER) as model:
        context = place(model)
        found = await choose("Where?", WORDS, context, votes=2)
    assert found == {"Left": 0.0, "Right": 1.0}
    assert paths(context)[-1] == "here/again/vote/1"


async def test_a_vote_that_fails_does_not_take_the_others_with_it() -> None:
    replies: list[str | Exception] = ["Left", ModelUnreachable("gone"), "Left"]
    with ScriptedModel(replies, capabilities=VOTER) as model:
        context = place(model)
        found = await choose("Where?", WORDS, context, votes=3)
    assert found == {"Left": 1.0, "Right": 0.0}
    assert context.shared.warnings == ["gone"]
    dead = ScriptedModel([ModelUnreachable("gone")] * 3, capabilities=VOTER)
    with pytest.raises(ModelUnreachable):
        await choose("Where?", WORDS, place(dead), votes=3)


async def test_out_of_budget_passes_through() -> None:
    with ScriptedModel([token(Up=-0.1)]) as model:
        context = place(model, budget=Budget(calls=1))
        with pytest.raises(OutOfBudget):
            await choose("Where?", WORDS, context)


@pytest.mark.parametrize("words", [(), ("Yes",), ("Yes", "yes")])
async def test_words_must_differ(words: tuple[str, ...]) -> None:
    with ScriptedModel() as model:
        with pytest.raises(InvalidParameter, match="two or more"):
            await choose("Where?", words, place(model))


def thought(text: str = "Hm.") -> Completion:
    return Completion(text="", reasoning=text, finish_reason="length")


@pytest.mark.parametrize(
    "first",
    [
        Completion(
            text="",
            finish_reason="length",
            logprobs=(TokenLogprob(token="<think>", logprob=0.0),),
        ),
        Completion(
            text="",
            reasoning="Okay",
            finish_reason="length",
            logprobs=(TokenLogprob(token="Okay", logprob=0.0),),
        ),
    ],
)
async def test_a_local_model_that_thinks_first_votes(first: Completion) -> None:
    replies: list[Completion | str] = [first, thought(), thought()]
    replies += ["Left", "**Right**, I think"]
    with ScriptedModel(replies, capabilities=LOCAL) as model:
        context = place(model)
        found = await choose("Where?", WORDS, context, votes=2)
    assert found == {"Left": 0.5, "Right": 0.5}
    assert [call.max_tokens for call in model.calls] == [1, 1, 1, THOUGHTS, THOUGHTS]
    assert [note.missing for note in context.shared.substitutes.values()] == [
        "logprobs"
    ]


async def test_a_model_known_to_think_votes_at_once() -> None:
    able = LOCAL.model_copy(update={"thinks": True})
    with ScriptedModel(["Left", "Left"], capabilities=able) as model:
        assert await choose("Where?", WORDS, place(model), votes=2) == {
            "Left": 1.0,
            "Right": 0.0,
        }
    assert [call.max_tokens for call in model.calls] == [THOUGHTS] * 2


async def test_a_provider_that_refuses_log_probabilities_is_asked_for_votes() -> None:
    refusal = UnsupportedCapability("m", "logprobs")
    with ScriptedModel([refusal, "Left", "Left"], capabilities=LOCAL) as model:
        found = await choose("Where?", WORDS, place(model), votes=2)
    assert found == {"Left": 1.0, "Right": 0.0}
