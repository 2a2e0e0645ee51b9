"""Lines of the Self-Ask form: asked for, read, and asked for again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.agents._transcripts import (
    Line,
    Step,
    claims,
    read_answer,
    read_final,
    read_next,
    read_transcript,
    transcript,
)
from ponder.agents.self_ask import SelfAsker, never
from ponder.messages import Request, system, user
from ponder.models.base import Capabilities
from ponder.models.scripted import ScriptedModel
from tests.support.places import paths, place

OPENING = (system("Do."), user("Which?"))
STEPS = [Step(question="Who?", answer="Ann. [1]")]
words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)


async def room(again: Request) -> bool:
    return True


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("Follow up: Who wrote it?", "follow_up", "Who wrote it?"),
        ("Yes.\nFollow-up question 2: Who?\nx", "follow_up", "Who?"),
        ("So the final answer is: \\boxed{Ann Lee}", "final", "Ann Lee"),
        ("So the final answer is: Ann Lee.", "final", "Ann Lee"),
        ("I think.\nThe answer is 42", "final", "42"),
        ("Intermediate answer: Ann", "unreadable", "Intermediate answer: Ann"),
        ("Follow up:", "unreadable", "Follow up:"),
        ("", "unreadable", ""),
    ],
)
def test_a_reply_is_read(text: str, kind: str, said: str) -> None:
    line = read_next(text)
    assert (line.kind, line.text) == (kind, said)


def test_a_final_answer_keeps_the_passages_that_it_names() -> None:
    line = read_final("So the final answer is: \\boxed{Ann} [2] [13]")
    assert line == Line("final", "Ann", "[2] [13]")
    assert read_final("So the final answer is: Ann [2].") == Line("final", "Ann", "[2]")


def test_an_intermediate_answer_is_its_line_or_the_first_that_says_anything() -> None:
    assert read_answer("Well.\nIntermediate answer: Ann [1]\nmore") == "Ann [1]"
    assert read_answer("\n Ann [1] \nmore") == "Ann [1]"
    assert read_answer(" \n") == ""


@given(st.lists(st.tuples(words, words), max_size=4), words)
def test_what_is_written_is_read_again(pairs: list[tuple[str, str]], last: str) -> None:
    steps = tuple(Step(question=q, answer=a) for q, a in pairs)
    assert read_transcript(transcript(steps, last, "[1]")) == (steps, last)


def test_claims_can_be_checked_one_by_one() -> None:
    steps = [Step(question="Who was St. Ann?\nTell!", answer="Ann [1]. She sang [2].")]
    assert claims("Which of them?", steps, Line("final", "Ann", "[3]")) == (
        "Who was St Ann Tell: Ann [1]. She sang [2].\nWhich of them: Ann [3]"
    )
    assert claims("Which?", [], Line("final", "Ann")) == ""


async def test_the_model_is_held_to_the_form_by_a_grammar() -> None:
    with ScriptedModel(["Follow up: Where?"]) as model:
        line = await SelfAsker().next(OPENING, STEPS, place(model), never)
    assert (line.kind, line.text) == ("follow_up", "Where?")
    (call,) = model.calls
    assert call.messages == OPENING
    assert call.prefill == "Follow up: Who?\nIntermediate answer: Ann. [1]\n"
    assert call.grammar is not None and "So the final answer is: " in call.grammar
    assert line.input_tokens == model.count_tokens(call)


async def test_answers_are_put_into_its_mouth() -> None:
    with ScriptedModel([" In Rome. [2]", "Rome} [2]"]) as model:
        here = place(model)
        answer = await SelfAsker().answer(OPENING, [], "Where?", here.at("a"))
        final = await SelfAsker().final(OPENING, [], here.at("f"), never)
    assert (answer.text, final.text, final.marks) == ("In Rome. [2]", "Rome", "[2]")
    assert model.calls[0].prefill == "Follow up: Where?\nIntermediate answer:"
    assert model.calls[1].prefill == "So the final answer is: \\boxed{"


async def test_an_answer_that_was_cut_off_is_still_one() -> None:
    with ScriptedModel(["Rome"]) as model:
        line = await SelfAsker().final(OPENING, [], place(model), never)
    assert (line.kind, line.text) == ("final", "Rome")


async def test_a_model_that_cannot_continue_is_told_what_to_write() -> None:
    replies = ["Follow up: Where?", "Intermediate answer: Rome", "\\boxed{Rome}"]
    with ScriptedModel(replies, capabilities=Capabilities()) as model:
        here, asker = place(model), SelfAsker()
        first = await asker.next(OPENING, [], here.at("n"), never)
        answer = await asker.answer(OPENING, [], "Where?", here.at("a"))
        final = await asker.final(OPENING, STEPS, here.at("f"), never)
    assert (first.text, answer.text, final.text) == ("Where?", "Rome", "Rome")
    asked, answered, ended = model.calls
    assert asked.messages[-1].content.startswith("Which?\n\nGo on with one line")
    assert answered.messages[-2].content == "Follow up: Where?"
    assert ended.messages[:2] == OPENING
    assert "Intermediate answer: Ann. [1]" in ended.messages[2].content
    assert "final answer" in ended.messages[3].content


async def test_an_unreadable_reply_is_asked_for_again_once() -> None:
    with ScriptedModel(["Hm.", "Follow up: Where?"]) as model:
        here = place(model)
        line = await SelfAsker().next(OPENING, [], here, room)
    assert (line.kind, line.text) == ("follow_up", "Where?")
    assert line.input_tokens == sum(map(model.count_tokens, model.calls))
    assert paths(here) == ["here", "here/again"]
    assert "Reply with one line" in model.calls[1].messages[-1].content


async def test_without_room_it_is_not() -> None:
    with ScriptedModel(["Hm."]) as model:
        line = await SelfAsker().next(OPENING, [], place(model), never)
    assert (line.kind, line.text) == ("unreadable", "Hm.")
