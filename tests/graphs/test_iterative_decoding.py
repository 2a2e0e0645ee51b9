"""Iterative agent decoding: every transition, and who is the incumbent."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import Budget, Journal, Result, ScriptedModel, StopReason, asolve, strategy
from ponder.errors import InvalidParameter, ModelError, ModelUnreachable
from ponder.graphs.iterative_decoding import accepted, worst
from ponder.messages import Request
from ponder.models.scripted import Reply
from ponder.result import Candidate, Task, Verdict

CRITIC = "Find what has to be changed"


def said(score: float, answer: str = "7") -> str:
    """Return a solution that the verifier below scores as it says."""
    return f"{score} \\boxed{{{answer}}}"


def by_text(task: Task, candidate: Candidate) -> float:
    return float(candidate.text.split()[0])


def script(replies: Iterable[Reply], critic: Reply = "Add the carry.") -> ScriptedModel:
    return ScriptedModel(replies, rules=[(CRITIC, critic)])


async def run(model: ScriptedModel, verifier: Any = by_text, **options: Any) -> Result:
    budget = options.pop("budget", Budget())
    return await asolve(
        "Which?",
        strategy=strategy("iad", options),
        model=model,
        verifier=verifier,
        budget=budget,
        journal=Journal(":memory:"),
    )


def prompts(model: ScriptedModel, part: str) -> list[Request]:
    return [c for c in model.calls if part in c.messages[-1].content]


def ids(result: Result) -> list[str]:
    return [c.id for c in result.candidates]


async def test_a_round_sees_the_best_the_worst_their_scores_and_a_critique() -> None:
    with script([said(0.2, "1"), said(0.6, "2"), said(0.9, "3"), said(0.1)]) as model:
        result = await run(model, n=2, N=4)

    fresh, refined = model.calls[:2], prompts(model, "Write a better solution")
    assert all("better" not in call.messages[-1].content for call in fresh)
    assert len(refined) == 2
    for call in refined:
        assert call.messages[-2].content == said(0.6, "2")
        asked = call.messages[-1].content
        assert "(score 0.60 of 1):\nAdd the carry." in asked
        assert f"not to be followed (score 0.20 of 1):\n{said(0.2, '1')}" in asked
    assert (result.answer, result.confidence) == ("3", 0.9)
    assert result.stop_reason is StopReason.FINISHED
    assert ids(result) == [f"sample/{i}" for i in range(4)]


async def test_what_does_not_beat_the_incumbent_is_not_accepted() -> None:
    """The best solution so far stays the best after p rounds without a better one."""
    replies = [said(0.7, "1"), said(0.7, "2"), said(0.3, "3"), said(0.6, "4")]
    with script(replies) as model:
        result = await run(model, n=1, N=50, p=3)

    assert (result.answer, result.confidence) == ("1", 0.7)
    assert result.stop_reason is StopReason.FINISHED
    for call in prompts(model, "Write a better solution"):
        assert call.messages[-2].content == said(0.7, "1")
    # One critique is enough for one incumbent.
    assert len(prompts(model, CRITIC)) == 1


async def test_patience_begins_anew_with_each_better_solution() -> None:
    scores = [0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.3]
    with script([said(s) for s in scores]) as model:
        result = await run(model, n=1, N=50, p=2)
    assert result.confidence == 0.3
    assert len(result.candidates) == len(scores)
    assert len(prompts(model, CRITIC)) == 3


async def test_the_threshold_ends_the_loop() -> None:
    with script([said(0.5), said(0.8, "9")]) as model:
        result = await run(model, n=1, threshold=0.8)
    assert (result.answer, result.stop_reason) == ("9", StopReason.VERIFIED)


async def test_no_more_than_n_in_all_are_sampled() -> None:
    with script([said(s / 10) for s in range(1, 6)]) as model:
        result = await run(model, n=3, N=5)
    assert len(result.candidates) == 5
    assert result.stop_reason is StopReason.FINISHED


async def test_the_words_of_the_verifier_come_before_those_of_a_critic() -> None:
    def check(task: Task, candidate: Candidate) -> Verdict:
        return Verdict(score=by_text(task, candidate), feedback="Units are missing.")

    with script([said(0.5), said(0.6)]) as model:
        result = await run(model, check, n=1, N=2)
    assert "Units are missing." in model.calls[1].messages[-1].content
    assert not prompts(model, CRITIC)
    assert "critic" not in result.roles


async def test_a_critic_can_be_done_without() -> None:
    with script([said(0.5), said(0.6)]) as model:
        await run(model, n=1, N=2, critic=False)
    assert "may be wrong (score 0.50 of 1)" in model.calls[1].messages[-1].content


async def test_every_role_is_on_its_account() -> None:
    judge = ("Is the proposed solution correct?", "No")
    model = ScriptedModel(["\\boxed{1}"] * 2, rules=[judge, (CRITIC, "Look again.")])
    result = await run(model, "judge", n=1, N=2)
    model.assert_consumed()
    assert set(result.roles) == {"generator", "critic", "verifier"}
    assert result.roles["generator"].calls == 2
    assert result.roles["critic"].calls == 1
    assert result.confidence == 0.0


async def test_an_unreadable_verdict_is_no_score_of_0() -> None:
    def check(task: Task, candidate: Candidate) -> float | None:
        value = by_text(task, candidate)
        return None if value == 0.9 else value

    with script([said(0.9, "1"), said(0.0, "2"), said(0.4, "3"), said(0.9)]) as model:
        result = await run(model, check, n=2, N=4)
    # The score of 0 is the incumbent; the solution without one is neither it nor worst.
    for call in prompts(model, "Write a better solution"):
        assert call.messages[-2].content == said(0.0, "2")
        assert "not to be followed" not in call.messages[-1].content
    assert (result.answer, result.confidence) == ("3", 0.4)


async def test_without_any_score_it_samples_afresh_and_votes() -> None:
    answers = [f"\\boxed{{{a}}}" for a in (1, 2, 2, 3)]
    with script(answers) as model:
        result = await run(model, lambda task, candidate: None, n=2, p=2)
    assert not prompts(model, "Write a better solution")
    assert (result.answer, result.confidence) == ("2", 0.5)
    assert [s.used for s in result.substitutes] == ["majority vote"]


async def test_a_verifier_that_raises_leaves_candidates_unscored() -> None:
    def check(task: Task, candidate: Candidate) -> float:
        if candidate.answer == "1":
            raise RuntimeError("boom")
        return 0.2

    with script(["\\boxed{1}", "\\boxed{2}"]) as model:
        result = await run(model, check, n=2, N=2)
    assert (result.answer, result.confidence) == ("2", 0.2)
    assert any("boom" in warning for warning in result.warnings)


async def test_a_failed_branch_leaves_its_siblings() -> None:
    down = ModelUnreachable("The server is down.")
    with script([down, said(0.3), said(0.6, "8"), down]) as model:
        result = await run(model, n=2, N=4)
    assert [c.error is None for c in result.candidates] == [False, True, True, False]
    assert (result.answer, result.confidence) == ("8", 0.6)


async def test_a_critic_that_fails_leaves_the_refinement() -> None:
    model = script([said(0.3), said(0.6)], critic=ModelUnreachable("Gone."))
    result = await run(model, n=1, N=2)
    assert "may be wrong (score 0.30 of 1)" in model.calls[-1].messages[-1].content
    assert result.confidence == 0.6
    assert "Gone." in result.warnings


async def test_a_model_that_never_answers_is_an_error() -> None:
    model = script([ModelUnreachable("The server is down.")] * 2)
    with pytest.raises(ModelError, match="The server is down"):
        await run(model, n=1, N=9, p=2)


@pytest.mark.parametrize(("calls", "best"), [(1, 0.5), (2, 0.5), (3, 0.6), (4, 0.6)])
async def test_when_the_budget_ends_the_incumbent_is_the_answer(
    calls: int, best: float
) -> None:
    model = script([said(0.5), said(0.6), said(0.7)])
    result = await run(model, n=1, budget=Budget(calls=calls, wrap_up=0.0))
    assert (result.answer, result.confidence) == ("7", best)
    assert result.stop_reason is StopReason.CALLS
    assert result.usage.calls == calls


async def test_a_verdict_that_the_budget_refuses_is_why_the_run_ended() -> None:
    judge = ("Is the proposed solution correct?", "Yes")
    model = ScriptedModel(["\\boxed{1}"], rules=[judge])
    result = await run(model, "judge", n=1, N=1, budget=Budget(calls=1, wrap_up=0.0))
    assert result.answer == "1"
    assert result.confidence != 0.0
    assert result.stop_reason is StopReason.CALLS


async def test_an_accepted_solution_without_an_answer_is_not_forced_to_one() -> None:
    with script(["1.0 SELECT name FROM town", "0.5 SELECT"]) as model:
        result = await run(model, n=2, N=2)
    assert result.answer is None
    assert result.text == "1.0 SELECT name FROM town"
    assert result.stop_reason is StopReason.VERIFIED


async def test_what_a_function_accepts_ends_it_whatever_it_scores() -> None:
    def check(task: Task, candidate: Candidate) -> Verdict:
        return Verdict(score=0.7, passed="name" in candidate.text)

    with script(["SELECT name FROM town", "\\boxed{5}"]) as model:
        result = await run(model, check, n=2, N=4)
    assert (result.text, result.answer) == ("SELECT name FROM town", None)
    assert result.stop_reason is StopReason.VERIFIED and result.usage.calls == 2


async def test_a_cut_sample_that_is_made_to_answer_is_verified_as_such() -> None:
    def check(task: Task, candidate: Candidate) -> float:
        return 0.8 if candidate.answer == "42" else 0.3

    with ScriptedModel(["a b c d e f", "42}"]) as model:
        result = await run(model, check, n=1, N=1, max_tokens=4)
    assert (result.answer, result.confidence) == ("42", 0.8)
    assert [c.answer for c in result.candidates] == [None, "42"]


async def test_the_thought_graph_tells_what_was_refined() -> None:
    with script([said(0.5), said(0.8), said(0.9)]) as model:
        result = await run(model, n=1, N=3)
    edges = {(e["source"], e["target"]) for e in result.graph["edges"]}
    assert ("question", "sample/0") in edges
    assert ("sample/0", "sample/1") in edges
    assert ("sample/1", "sample/2") in edges
    assert ("sample/2", "sample/2/verdict") in edges


@pytest.mark.parametrize("wrong", [{"n": 0}, {"N": 0}, {"p": 0}, {"threshold": 0}])
def test_impossible_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match=f"Parameter {next(iter(wrong))}="):
        strategy("iad", wrong)


scores = st.none() | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
pools = st.lists(st.tuples(scores, st.booleans()), max_size=12)


def candidate(id: int, score: float | None, answered: bool) -> Candidate:
    return Candidate(
        id=str(id),
        text="t",
        answer="a" if answered else None,
        verdict=Verdict(score=score),
    )


@given(pools, st.integers(1, 4))
def test_round_by_round_the_incumbent_is_the_first_of_the_best(
    found: list[tuple[float | None, bool]], n: int
) -> None:
    """Keeping the incumbent over rounds is the argmax over all that have a score."""
    pool = [candidate(i, *facts) for i, facts in enumerate(found)]
    incumbent: Candidate | None = None
    for start in range(0, len(pool), n):
        incumbent = accepted(incumbent, pool[start : start + n])
    ranked = [(a, s) for s, a in found if s is not None]
    if not ranked:
        assert incumbent is None
        return
    assert incumbent is not None
    first = next(i for i, (s, a) in enumerate(found) if (a, s) == max(ranked))
    assert incumbent.id == str(first)
    rejected = worst(incumbent, pool)
    if min(ranked) == max(ranked):
        assert rejected is None
    else:
        assert rejected is not None and rejected.verdict is not None
        assert (rejected.answer is not None, rejected.verdict.score) == min(ranked)
