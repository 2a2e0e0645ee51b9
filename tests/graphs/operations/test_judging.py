"""Score, keep the best, keep the valid, validate and improve."""

import pytest

from ponder.agents.verifier import verifier
from ponder.budget import Budget
from ponder.errors import InvalidParameter
from ponder.graphs.operations import (
    KeepBest,
    KeepValid,
    Score,
    Thoughts,
    ValidateAndImprove,
    Vertex,
)
from ponder.models.scripted import ScriptedModel
from ponder.result import Candidate, StopReason, Task, Verdict
from tests.support.places import place, token

TASK = Task(question="What is 6 x 7?")


def thoughts(
    *answers: str | None, scores: list[float | None] | None = None
) -> Thoughts:
    given = scores or [None] * len(answers)
    return Thoughts(
        items=tuple(
            Vertex(
                task=TASK,
                candidate=Candidate(
                    id=f"old/{i}",
                    text=f"text {answer}",
                    answer=answer,
                    verdict=None if score is None else Verdict(score=score),
                ),
            )
            for i, (answer, score) in enumerate(zip(answers, given, strict=True))
        )
    )


def right(task: Task, candidate: Candidate) -> bool:
    return candidate.answer == "42"


def ids(found: Thoughts) -> list[str]:
    return [v.id for v in found.items]


async def test_a_function_scores() -> None:
    here = place(ScriptedModel())
    found = await Score(right)(thoughts("41", "42", scores=[1.0, None]), here)
    assert [v.score for v in found.items] == [0.0, 1.0]
    assert here.shared.graph.thought("old/1/verdict").score == 1.0


async def test_the_model_scores_what_has_no_score_yet() -> None:
    here = place(ScriptedModel([token(Yes=-0.1, No=-3.0)]))
    found = await Score()(thoughts("41", "42", scores=[0.25, None]), here)
    assert found.items[0].score == 0.25
    assert (found.items[1].score or 0) > 0.9


async def test_the_verifier_of_the_run_comes_before_the_model() -> None:
    here = place(ScriptedModel(), verifier=verifier(right))
    found = await Score()(thoughts("42"), here)
    assert found.items[0].score == 1.0


async def test_an_unpaid_or_unreadable_score_is_none() -> None:
    here = place(ScriptedModel(), budget=Budget(calls=0))
    found = await Score()(thoughts("42"), here)
    assert (found.items[0].score, found.stop_reason) == (None, StopReason.CALLS)

    here = place(ScriptedModel([token(Maybe=-0.1), token(Perhaps=-0.1)]))
    found = await Score()(thoughts("42"), here)
    assert found.items[0].candidate.verdict is not None
    assert found.items[0].score is None


async def test_the_best_are_kept_and_equals_keep_their_order() -> None:
    given = thoughts("a", "b", "c", "d", scores=[0.2, 0.9, None, 0.9])
    assert ids(await KeepBest(2)(given, place(ScriptedModel()))) == ["old/1", "old/3"]
    # Even where there is room, a thought without a score takes no part.
    assert ids(await KeepBest(9)(given, place(ScriptedModel()))) == [
        "old/1",
        "old/3",
        "old/0",
    ]


async def test_without_scores_agreement_decides_and_is_told() -> None:
    here = place(ScriptedModel())
    given = thoughts(None, "41", "42", "42.0")
    assert ids(await KeepBest(2)(given, here)) == ["old/2", "old/3"]
    assert ("verifier scores", "majority vote") in here.shared.substitutes
    here = place(ScriptedModel())
    assert await KeepBest(4)(given, here) == given
    assert not here.shared.substitutes


async def test_the_valid_are_kept() -> None:
    here = place(ScriptedModel())
    scored = await Score(right)(thoughts("41", "42"), here)
    assert ids(await KeepValid()(scored, here)) == ["old/1"]
    assert here.shared.warnings == []
    assert ids(await KeepValid()(thoughts("41"), here)) == ["old/0"]
    assert len(here.shared.warnings) == 1


async def test_what_is_not_valid_is_improved_until_it_is() -> None:
    model = ScriptedModel(["\\boxed{40}", "\\boxed{42}"])
    here = place(model)
    found = await ValidateAndImprove(right)(thoughts("42", "41"), here)
    assert [v.answer for v in found.items] == ["42", "42"]
    assert [v.score for v in found.items] == [1.0, 1.0]
    assert found.items[1].id == "here/improve/1/thought/0"
    model.assert_consumed()


async def test_improving_ends_after_so_many_tries() -> None:
    model = ScriptedModel(["\\boxed{1}"] * 3)
    found = await ValidateAndImprove(right, tries=3)(thoughts("41"), place(model))
    assert (found.items[0].answer, found.items[0].score) == ("1", 0.0)
    model.assert_consumed()
    same = await ValidateAndImprove(right, tries=0)(
        thoughts("41"), place(ScriptedModel())
    )
    assert ids(same) == ["old/0"]


def test_senseless_limits_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="n is 0"):
        KeepBest(0)
    with pytest.raises(InvalidParameter, match="tries is -1"):
        ValidateAndImprove(tries=-1)
