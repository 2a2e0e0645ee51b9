import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import Capabilities, ScriptedModel, Task
from ponder.agents.query_tree import (
    Limits,
    Query,
    Split,
    list_logprobs,
    query_decomposer,
    query_tree,
    references,
    resolved,
    splits_in,
)
from ponder.messages import GREEDY, Completion, TokenLogprob
from tests.support.places import paths, place

TASK = Task(question="Who founded the club that Ada Moe coaches?")
PARTS = ("Which club does Ada Moe coach?", "Who founded #1?")
decompose = query_decomposer()


def reply(*splits: tuple[str, list[str]]) -> str:
    listed = [{"question": q, "subquestions": subs} for q, subs in splits]
    return json.dumps({"decompositions": listed})


def said(tokens: list[tuple[str, float]]) -> Completion:
    return Completion(
        text="".join(t for t, _ in tokens),
        logprobs=tuple(TokenLogprob(token=t, logprob=p) for t, p in tokens),
    )


async def test_the_tree_names_parts_and_their_references() -> None:
    with ScriptedModel([reply((TASK.question, list(PARTS)))]) as model:
        context = place(model)
        tree = await decompose(TASK, context)
    assert tree == (
        Query(TASK.question, children=(1, 2)),
        Query(PARTS[0], parent=0, depth=1),
        Query(PARTS[1], parent=0, depth=1),
    )
    (call,) = model.calls
    assert call.sampling == GREEDY
    assert call.output_schema is not None
    assert set(context.shared.roles) == {"decomposer"}
    assert not context.shared.warnings


def test_a_list_is_as_likely_as_its_own_tokens() -> None:
    tokens = [
        ('{"decompositions": [', -9.0),
        ('{"question": "Q", "subquestions": ', -9.0),
        ("[", -0.1),
        ('"a",', -0.2),
        ('"b"', -0.4),
        ("]}", -0.5),
        (', {"question": "a", "subquestions":', -9.0),
        (' ["c', -1.0),
        ('"]', -3.0),
        ("}]}", -9.0),
    ]
    splits = splits_in(said(tokens))
    assert splits is not None
    assert [s.subquestions for s in splits] == [("a", "b"), ("c",)]
    # By hand: the tokens from "[" to "]", brackets included.
    assert splits[0].logprob == pytest.approx((-0.1 - 0.2 - 0.4 - 0.5) / 4)
    assert splits[1].logprob == pytest.approx((-1.0 - 3.0) / 2)


def test_lists_that_cannot_be_told_apart_share_the_mean_of_all() -> None:
    tokens = said([("x", -1.0), ("y", -3.0)]).logprobs or ()
    assert list_logprobs(tokens, 2) == [-2.0, -2.0]
    assert list_logprobs((), 2) == [None, None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"Q": ["a", "b"], "a": ["c"]}', [("Q", ("a", "b")), ("a", ("c",))]),
        ('{"question": "Q", "subquestions": [" a  b "]}', [("Q", ("a b",))]),
        ('Sure: [{"question": "Q", "subquestions": []}]', [("Q", ())]),
        ('{"question": "Q"}', None),
        ('{"Q": "a"}', None),
        ('{"Q": [1]}', None),
        ("[]", None),
        ("Which club? Who founded it?", None),
        ("", None),
    ],
)
def test_replies_are_read(text: str, expected: Any) -> None:
    splits = splits_in(Completion(text=text))
    found = None if splits is None else [(s.question, s.subquestions) for s in splits]
    assert found == expected


@given(st.text(alphabet='[]{}"\\,: aq1.#\n', max_size=60))
def test_reading_never_raises(text: str) -> None:
    splits = splits_in(said([(text, -1.0)]))
    tree, _ = query_tree("Q", splits or (), Limits())
    assert 1 <= len(tree) <= Limits().nodes


@pytest.mark.parametrize(
    ("splits", "complaint"),
    [
        ([Split("Q", ("a", "q?"))], "lead back"),
        ([Split("Q", ("a", "b")), Split("a", ("Q",))], "lead back"),
        ([Split("Q", ("a #2", "b #1"))], "wait for the answers of each other"),
        ([Split("Q", ("a #1",))], "wait for the answers of each other"),
        ([Split("Q", ("a", "b #3"))], "an answer that no part has"),
        ([Split("Q", ("a", "b", "c", "d"))], "too many"),
        ([Split("Q", ("a",)), Split("a", ("b",)), Split("b", ("c",))], "2 levels"),
        (
            [Split("Q", ("a", "b", "c")), Split("a", ("d", "e", "f"))],
            "too many",
        ),
    ],
)
def test_what_cannot_be_used_is_cut_off_and_told(
    splits: list[Split], complaint: str
) -> None:
    limits = Limits(depth=2, children=3, nodes=6)
    tree, (told,) = query_tree("Q", splits, limits)
    assert complaint in told
    assert len(tree) <= limits.nodes
    assert max(q.depth for q in tree) <= limits.depth


@given(
    st.lists(
        st.builds(
            Split,
            st.sampled_from("Qabcdef"),
            st.lists(st.sampled_from(["a", "b", "c", "d #1", "e #2", "f"])).map(tuple),
        ),
        max_size=8,
    )
)
def test_every_tree_keeps_within_its_limits(splits: list[Split]) -> None:
    limits = Limits(depth=3, children=4, nodes=9)
    tree, _ = query_tree("Q", splits, limits)
    assert len(tree) <= 9
    for i, query in enumerate(tree):
        assert query.depth <= 3 and len(query.children) <= 4
        assert all(tree[child].parent == i for child in query.children)
        if query.parent is not None:
            assert references(query.text) <= {*range(1, len(tree) + 1)}


async def test_an_unreadable_reply_is_asked_for_again() -> None:
    with ScriptedModel(["Hm.", reply(("Q", ["a"]))]) as model:
        context = place(model)
        assert len(await decompose(TASK, context)) == 2
    assert paths(context) == ["here", "here/again"]
    assert model.calls[1].messages[-2].content == "Hm."


async def test_two_unreadable_replies_leave_the_question_whole() -> None:
    with ScriptedModel(["Hm.", ""], capabilities=Capabilities()) as model:
        context = place(model)
        assert await decompose(TASK, context) == (Query(TASK.question),)
    (warning,) = context.shared.warnings
    assert "answered as a whole" in warning
    assert ("output_schema", "replies that are read as they come") in set(
        context.shared.substitutes
    )


def test_references_are_filled_in() -> None:
    assert references("Did #1 or #12 found #1?") == {1, 12}
    assert resolved("Who founded #1 and #2?", {1: "Roma"}) == "Who founded Roma and #2?"
