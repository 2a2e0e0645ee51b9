"""Answering from passages, and reading what they are cited for."""

from ponder.agents.reader import NO_PASSAGES, cited, numbered, reader
from ponder.messages import assistant, user
from ponder.models.base import Capabilities
from ponder.models.scripted import ScriptedModel
from ponder.passages import Passage
from ponder.result import Task
from tests.support.places import place

PASSAGES = [
    Passage(id="a", text="Lyon lies on the Rhone.", title="Lyon"),
    Passage(id="b", text=" The Rhone ends in the sea. "),
]


def claims(text: str) -> list[tuple[str, str]]:
    return [(c.claim, c.passage.id) for c in cited(text, PASSAGES)]


def test_passages_are_numbered_from_one_with_their_titles() -> None:
    assert numbered(PASSAGES) == (
        "[1] Lyon: Lyon lies on the Rhone.\n\n[2] The Rhone ends in the sea."
    )
    assert numbered([]) == NO_PASSAGES


def test_each_sentence_is_a_claim_of_the_passages_that_it_names() -> None:
    text = "Lyon lies on the Rhone [1]. It is 8.5 km away [2, 1]. I like it."
    assert claims(text) == [
        ("Lyon lies on the Rhone.", "a"),
        ("It is 8.5 km away.", "b"),
        ("It is 8.5 km away.", "a"),
    ]


def test_marks_behind_the_full_stop_and_in_a_box_are_read() -> None:
    assert claims("It ends there. [2]\n\\boxed{the sea} [1]") == [
        ("It ends there.", "b"),
        ("the sea", "a"),
    ]


def test_numbers_that_no_passage_has_and_bare_marks_are_no_citations() -> None:
    assert claims("Nobody knows [3].\n[1]") == []
    assert claims("Array a[10] is sorted [0].") == []


def test_a_claim_is_cited_once_per_passage() -> None:
    assert claims("Lyon is big [1][1].") == [("Lyon is big.", "a")]


async def test_it_answers_from_passages_and_sees_the_examples() -> None:
    model = ScriptedModel(["On the Rhone [1]. \\boxed{Rhone}"])
    task = Task(question="Where?", examples=(user("q"), assistant("a")))

    candidate = await reader()(task, PASSAGES, place(model))

    assert candidate.answer == "Rhone"
    assert candidate.id == "here"
    (request,) = model.calls
    assert [m.role for m in request.messages] == [
        "system", "user", "assistant", "user",
    ]  # fmt: skip
    assert "[2] The Rhone" in request.messages[-1].content


async def test_an_answer_that_was_not_named_is_asked_for_once() -> None:
    model = ScriptedModel(["It is the Rhone [1].", " Rhone"])

    candidate = await reader()(Task(question="Where?"), PASSAGES, place(model))

    assert candidate.answer == "Rhone"
    assert candidate.text.startswith("It is the Rhone [1].")
    assert model.calls[1].prefill.startswith("It is the Rhone [1].")
    assert [c.claim for c in cited(candidate.text, PASSAGES)] == ["It is the Rhone."]


def test_marks_without_a_claim_are_no_citations() -> None:
    assert claims("[2]. [1].") == []


def test_a_claim_does_not_begin_with_the_end_of_another() -> None:
    assert claims("[1], the river of Lyon [1].") == [("the river of Lyon.", "a")]


async def test_a_model_that_cannot_go_on_names_the_answer_in_a_further_turn() -> None:
    able = Capabilities(prefill=False)
    model = ScriptedModel(["It is the Rhone.", "\\boxed{Rhone}"], capabilities=able)

    candidate = await reader()(Task(question="Where?"), PASSAGES, place(model))

    assert candidate.answer == "Rhone"
    assert model.calls[1].stop == ()
    assert [m.role for m in model.calls[1].messages[-2:]] == ["assistant", "user"]
