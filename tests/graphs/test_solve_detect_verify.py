"""Solve-detect-verify: every transition, and each of its two thresholds."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from ponder import Budget, Journal, Result, ScriptedModel, StopReason, asolve, strategy
from ponder.agents.verifier import Judge
from ponder.errors import InvalidParameter, ModelError, ModelUnreachable
from ponder.graphs._drafting import PAST
from ponder.graphs.solve_detect_verify import SolveDetectVerify, better
from ponder.messages import Completion, Request, assistant, user
from ponder.models.base import Capabilities
from ponder.models.scripted import Reply
from ponder.result import Candidate, Task, Verdict
from tests.support.places import spread

DETECT = "already give a final answer"
FAST = "Is the proposed solution correct?"
SLOW = "one step at a time, and work out every result anew"
REFINE = "Write a better solution"
CRITIC = "Find what has to be changed"

FIRST = "17 + 25 is \\boxed{42}"
DOWN = ModelUnreachable("The server is down.")
ABLE = Capabilities(n=True, seed=True, logprobs=True, prefill=True)


def complete(p: float) -> Completion:
    return spread({"Yes": math.log(p), "No": math.log(1 - p)})


def in_turn(replies: Sequence[Reply]) -> Reply:
    left = iter(replies)

    def reply(request: Request) -> Any:
        said = next(left)
        return said(request) if callable(said) else said

    return reply


class Script(ScriptedModel):
    """Plays each role from a list of its own."""

    def __init__(
        self,
        solve: Sequence[Reply] = (FIRST,),
        *,
        detect: Sequence[Reply] = (complete(0.99),),
        fast: Sequence[Reply] = ("Yes",) * 4,
        slow: Sequence[Reply] = (),
        refine: Sequence[Reply] = (),
        critic: Sequence[Reply] = (),
        capabilities: Capabilities = ABLE,
    ) -> None:
        roles = {DETECT: detect, FAST: fast, SLOW: slow, REFINE: refine, CRITIC: critic}
        super().__init__(
            solve,
            rules=[(part, in_turn(replies)) for part, replies in roles.items()],
            capabilities=capabilities,
        )

    def __enter__(self) -> "Script":
        return self

    def asked(self, part: str) -> list[Request]:
        return [c for c in self.calls if part in c.messages[-1].content]

    def solving(self) -> list[Request]:
        return [c for c in self.calls if c.messages[-1].content == "What is 17 + 25?"]


async def run(model: ScriptedModel, verifier: Any = None, **options: Any) -> Result:
    budget = options.pop("budget", Budget())
    return await asolve(
        "What is 17 + 25?",
        strategy=strategy("solve_detect_verify", options),
        model=model,
        verifier=verifier,
        budget=budget,
        journal=Journal(":memory:"),
    )


async def test_what_k_fast_verdicts_agree_on_is_accepted() -> None:
    with Script() as model:
        result = await run(model)
    assert (result.answer, result.confidence) == ("42", 1.0)
    assert result.stop_reason is StopReason.VERIFIED
    assert len(model.asked(FAST)) == 4
    assert all(call.sampling.temperature > 0 for call in model.asked(FAST))
    assert len({call.seed for call in model.asked(FAST)}) == 4
    assert not model.asked(SLOW) and not model.asked(REFINE)
    assert set(result.roles) == {"generator", "detector", "verifier"}
    assert result.roles["verifier"].calls == 4


# -- detect ----------------------------------------------------------------------------


async def test_a_solution_that_is_complete_is_ended_at_the_hesitation() -> None:
    with Script(["17 + 25 is \\boxed{42}. Wait, is it 43?"]) as model:
        result = await run(model)
    assert result.text == "17 + 25 is \\boxed{42}. "
    assert result.answer == "42"
    (call,) = model.solving()
    assert call.stop == SolveDetectVerify().keywords
    assert len(model.asked(DETECT)) == 1


@pytest.mark.parametrize(("p", "ended"), [(0.69, False), (0.71, True)])
async def test_theta_is_the_probability_from_which_it_is_complete(
    p: float, ended: bool
) -> None:
    on = ["Wait, is it 43? No, I keep to 42, surely", " and \\boxed{42}"]
    model = Script(
        ["It is \\boxed{41}. Wait, no", *on],
        detect=[complete(p), complete(0.99)],
    )
    result = await run(model, theta=0.7)
    assert result.answer == ("41" if ended else "42")
    assert len(model.unconsumed) == (2 if ended else 0)
    pauses = [n for n in result.graph["nodes"] if "complete?" in n["label"]]
    assert pauses[0]["score"] == pytest.approx(p)
    assert len(pauses) == (1 if ended else 2)


async def test_it_goes_on_in_its_own_words_past_the_keyword() -> None:
    first = "It is 41. Hmm, that is odd"
    past = "Hmm, the units give 12, so carry one there and so on"
    with Script(
        [first, past, " hence \\boxed{42}"], detect=[complete(0.1), complete(0.9)]
    ) as model:
        result = await run(model)
    kept = " ".join(past.split()[:PAST])
    assert result.text == f"It is 41. {kept} hence \\boxed{{42}}"
    _, over, on = model.solving()
    assert (over.prefill, over.stop, over.max_tokens) == ("It is 41. ", (), PAST)
    assert on.prefill == f"It is 41. {kept}"
    assert on.stop == SolveDetectVerify().keywords


async def test_a_solution_with_nothing_to_add_is_at_its_end() -> None:
    with Script([FIRST, ""], detect=[complete(0.2)]) as model:
        result = await run(model)
    assert (result.text, result.answer) == (FIRST, "42")


async def test_an_unreadable_detector_does_not_end_a_solution() -> None:
    neither = spread({"Maybe": -0.1})
    with Script([FIRST, ""], detect=[neither, neither]) as model:
        result = await run(model)
    assert result.answer == "42"
    labels = [n["label"] for n in result.graph["nodes"]]
    assert "complete? unreadable" in labels


async def test_a_detector_that_fails_does_not_end_a_solution() -> None:
    with Script([FIRST, ""], detect=[DOWN]) as model:
        result = await run(model)
    assert result.answer == "42"
    assert "The server is down." in result.warnings


async def test_after_the_last_look_it_is_written_to_its_end() -> None:
    past = "Wait, a b c d e f g h"
    with Script(
        ["One. Wait", past, " Two. Wait, \\boxed{42} Wait"], detect=[complete(0.1)]
    ) as model:
        result = await run(model, max_pauses=1)
    assert model.solving()[-1].stop == ()
    assert result.text.endswith("\\boxed{42} Wait")


async def test_an_early_end_without_an_answer_is_made_to_answer() -> None:
    with Script(["17 + 25 is 42. Wait", "42}"]) as model:
        result = await run(model)
    assert result.answer == "42"
    assert model.solving()[-1].prefill.startswith("17 + 25 is 42. ")
    assert len(model.solving()) == 2


async def test_segments_together_keep_the_limit_of_a_solution() -> None:
    model = Script(
        ["a b c d e Wait", "Wait, f g h i j k l l l", "m n o p q r", "42}"],
        detect=[complete(0.1)],
        fast=["No"] * 4,
        slow=["Verdict: Yes"],
    )
    result = await run(model, max_tokens=16)
    segments = [c for c in model.solving() if c.sampling.temperature > 0]
    assert [c.max_tokens for c in segments] == [16, PAST, 3]
    assert result.candidates[0].output_tokens == 16


async def test_without_prefill_it_is_written_in_one_piece() -> None:
    able = ABLE.model_copy(update={"prefill": False})
    with Script(["Wait. " + FIRST], capabilities=able) as model:
        result = await run(model)
    assert result.text == "Wait. " + FIRST
    assert not model.asked(DETECT)
    assert [s.missing for s in result.substitutes] == ["prefill"]


async def test_without_keywords_nothing_is_detected() -> None:
    with Script(["Wait. " + FIRST]) as model:
        result = await run(model, keywords=[])
    assert result.text == "Wait. " + FIRST
    assert not model.asked(DETECT)


# -- verify ----------------------------------------------------------------------------


async def test_disagreement_goes_to_one_slow_verification() -> None:
    fast = ["Yes", "No", "Yes.", "**No**"]
    with Script(fast=fast, slow=["7 + 5 is 12. Right.\nVerdict: Yes"]) as model:
        result = await run(model)
    assert len(model.asked(SLOW)) == 1
    assert result.stop_reason is StopReason.VERIFIED
    assert result.verdict is not None
    assert result.verdict.feedback == "7 + 5 is 12. Right."
    assert result.confidence == pytest.approx(3 / 5)


async def test_what_the_slow_verification_finds_wrong_is_repaired_once() -> None:
    with Script(
        ["It is \\boxed{41}"],
        fast=["No"] * 4,
        slow=["The carry is lost.\nVerdict: No"],
        refine=["Now \\boxed{42}"],
    ) as model:
        result = await run(model)
    (call,) = model.asked(REFINE)
    assert call.messages[-2].content == "It is \\boxed{41}"
    assert "The carry is lost." in call.messages[-1].content
    assert (result.answer, result.confidence) == ("42", None)
    assert result.stop_reason is StopReason.FINISHED
    assert [c.id for c in result.candidates] == ["sample/0", "sample/1"]
    edges = {(e["source"], e["target"]) for e in result.graph["edges"]}
    assert {("question", "sample/0"), ("sample/0", "sample/1")} <= edges


async def test_the_slow_verification_may_overrule_the_fast_ones() -> None:
    with Script(fast=["No"] * 4, slow=["All right.\nVerdict: Yes"]) as model:
        result = await run(model)
    assert (result.answer, result.stop_reason) == ("42", StopReason.VERIFIED)
    assert result.confidence == pytest.approx(1 / 5)


async def test_unreadable_verdicts_are_neither_yes_nor_no() -> None:
    with Script(fast=["Hm"] * 4, slow=["I cannot tell."] * 2) as model:
        # The second time it is asked by a reminder in a turn of its own.
        model._rules.append(("Finish with one line", "Still not."))
        result = await run(model)
    assert (result.answer, result.confidence) == ("42", None)
    assert result.stop_reason is StopReason.FINISHED
    assert any("no verdict" in warning for warning in result.warnings)
    assert not model.asked(REFINE)


async def test_a_failed_fast_verdict_leaves_its_siblings() -> None:
    with Script(fast=["Yes", DOWN, "Yes", "Yes"]) as model:
        result = await run(model)
    assert (result.confidence, result.stop_reason) == (1.0, StopReason.VERIFIED)


async def test_a_failed_slow_verification_leaves_the_solution() -> None:
    with Script(fast=["Yes", "No"] * 2, slow=[DOWN]) as model:
        result = await run(model)
    assert (result.answer, result.confidence) == ("42", 0.5)
    assert result.stop_reason is StopReason.FINISHED


async def test_a_failed_repair_leaves_the_solution() -> None:
    with Script(fast=["No"] * 4, slow=["Bad.\nVerdict: No"], refine=[DOWN]) as model:
        result = await run(model)
    assert result.answer == "42"
    assert [c.id for c in result.candidates] == ["sample/0"]


async def test_a_repair_without_an_answer_does_not_take_the_place_of_one() -> None:
    with Script(
        fast=["No"] * 4, slow=["Bad.\nVerdict: No"], refine=["I give up."]
    ) as model:
        result = await run(model)
    assert (result.text, len(result.candidates)) == (FIRST, 2)


async def test_a_judge_of_the_run_names_the_model_of_both_verdicts() -> None:
    other = ScriptedModel(
        rules=[("Sure?", in_turn(["Yes", "No"])), (SLOW, "Fine.\nVerdict: Yes")]
    )
    judge = Judge(other, prompt="{question} {solution} Sure?")
    with Script(fast=()) as model:
        result = await run(model, judge, k=2)
    assert len(other.calls) == 3
    assert result.stop_reason is StopReason.VERIFIED


# -- a verifier of the run -------------------------------------------------------------


def is_42(task: Task, candidate: Candidate) -> bool:
    return candidate.answer == "42"


async def test_a_verifier_of_the_run_accepts_in_place_of_all_verdicts() -> None:
    with Script(fast=()) as model:
        result = await run(model, is_42)
    assert (result.confidence, result.stop_reason) == (1.0, StopReason.VERIFIED)
    assert "verifier" not in result.roles


async def test_what_a_verifier_of_the_run_refuses_is_repaired_and_verified() -> None:
    with Script(
        ["It is \\boxed{41}"], critic=["Mind the carry."], refine=[FIRST]
    ) as model:
        result = await run(model, is_42)
    assert "Mind the carry." in model.asked(REFINE)[0].messages[-1].content
    assert (result.answer, result.stop_reason) == ("42", StopReason.VERIFIED)
    assert result.roles["critic"].calls == 1


async def test_the_better_of_both_is_kept_by_a_verifier_that_scores() -> None:
    def check(task: Task, candidate: Candidate) -> Verdict:
        return Verdict(score=0.5 if candidate.answer == "41" else 0.2, feedback="Hm.")

    with Script(["It is \\boxed{41}"], refine=["It is \\boxed{40}"]) as model:
        result = await run(model, check)
    assert (result.answer, result.confidence) == ("41", 0.5)
    assert result.stop_reason is StopReason.FINISHED
    assert not model.asked(CRITIC)


@pytest.mark.parametrize(("stop_at", "repairs"), [(0.5, 0), (0.51, 1)])
async def test_a_score_alone_is_accepted_from_stop_at(
    stop_at: float, repairs: int
) -> None:
    with Script(critic=["Hm."], refine=[FIRST]) as model:
        await run(model, lambda task, candidate: 0.5, stop_at=stop_at)
    assert len(model.asked(REFINE)) == repairs


@pytest.mark.parametrize("broken", [lambda t, c: None, lambda t, c: 1 / 0])
async def test_a_verifier_that_cannot_tell_neither_accepts_nor_refuses(
    broken: Any,
) -> None:
    with Script() as model:
        result = await run(model, broken)
    assert (result.answer, result.confidence) == ("42", None)
    assert result.stop_reason is StopReason.FINISHED
    assert not model.asked(REFINE)


def test_a_repair_is_taken_unless_it_is_known_to_be_worse() -> None:
    def solution(answer: str | None, score: float | None) -> Candidate:
        return Candidate(id="c", text="t", answer=answer, verdict=Verdict(score=score))

    first = solution("1", 0.4)
    for refined in (solution("2", 0.4), solution("2", 0.9), solution("2", None)):
        assert better(first, refined) is refined
    for refined in (solution("2", 0.3), solution(None, 0.9)):
        assert better(first, refined) is first


async def test_a_repair_that_a_function_accepts_needs_no_answer() -> None:
    def check(task: Task, candidate: Candidate) -> bool:
        return "SELECT name" in candidate.text

    with Script(refine=["SELECT name FROM town"], critic=["Wrong."]) as model:
        result = await run(model, check)
    assert (result.text, result.answer) == ("SELECT name FROM town", None)
    assert result.stop_reason is StopReason.VERIFIED


async def test_all_who_judge_see_the_conversation() -> None:
    with Script(fast=["Yes", "No"] * 2, slow=["Verdict: Yes"]) as model:
        await asolve(
            "What is 17 + 25?",
            history=[user("In roman numbers, please."), assistant("Yes.")],
            strategy="solve_detect_verify",
            model=model,
            journal=Journal(":memory:"),
        )
    assert model.asked(FAST) and model.asked(SLOW)
    told = [[m.content for m in call.messages] for call in model.calls]
    assert all("In roman numbers, please." in turns for turns in told)


# -- limits ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calls", "answer", "confidence"),
    [(0, None, None), (1, "41", None), (2, "41", None), (4, "41", 0.0), (7, "41", 0.0)],
)
async def test_when_the_budget_ends_the_solution_is_the_answer(
    calls: int, answer: str | None, confidence: float | None
) -> None:
    model = Script(
        ["It is \\boxed{41}"],
        fast=["No"] * 4,
        slow=["The carry is lost.\nVerdict: No"],
        refine=[FIRST],
    )
    result = await run(model, budget=Budget(calls=calls, wrap_up=0.0))
    assert (result.answer, result.confidence) == (answer, confidence)
    assert result.stop_reason is StopReason.CALLS
    assert result.usage.calls == calls


async def test_a_solution_cut_by_a_failure_is_made_to_answer() -> None:
    with Script(["17 + 25 is 42. Wait", DOWN, "42}"], detect=[complete(0.1)]) as model:
        result = await run(model)
    assert result.answer == "42"
    assert "The server is down." in result.warnings


@pytest.mark.parametrize("limit", ["tokens", "output_tokens"])
async def test_a_solution_that_the_budget_cuts_short_says_so(limit: str) -> None:
    words = " ".join(["so"] * 90)
    model = Script([words, "42}"], fast=["No"] * 4, slow=["Bad.\nVerdict: No"] * 2)
    result = await run(model, budget=Budget(**{limit: 80, "wrap_up": 0.0}))
    assert result.stop_reason == limit
    assert result.text.startswith("so so")
    assert not model.asked(REFINE)


async def test_a_critic_that_fails_leaves_the_repair() -> None:
    with Script(["It is \\boxed{41}"], critic=[DOWN], refine=[FIRST]) as model:
        result = await run(model, is_42)
    assert (result.answer, result.stop_reason) == ("42", StopReason.VERIFIED)


async def test_a_dead_model_is_an_error() -> None:
    with pytest.raises(ModelError, match="The server is down"):
        await run(Script([DOWN]))


@pytest.mark.parametrize(
    "wrong", [{"k": 0}, {"tau": 0.5}, {"tau": 1.1}, {"theta": 0}, {"max_pauses": -1}]
)
def test_impossible_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match=f"Parameter {next(iter(wrong))}="):
        strategy("solve_detect_verify", wrong)


def test_an_empty_keyword_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="keywords"):
        strategy("solve_detect_verify", {"keywords": [""]})
