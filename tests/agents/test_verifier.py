import math
from collections.abc import Callable

import pytest

from ponder import Budget, Capabilities, Journal, ScriptedModel, asolve, verifier
from ponder.agents.verifier import FunctionVerifier, Judge, yes_probability
from ponder.errors import UnknownName
from ponder.graphs.base import strategy
from ponder.messages import Completion, TokenLogprob
from ponder.result import Candidate, Result, Task, Verdict


def judgement(**logprobs: float) -> Completion:
    best = max(logprobs, key=lambda word: logprobs[word])
    token = TokenLogprob(token=best, logprob=logprobs[best], top=logprobs)
    return Completion(text=best, logprobs=(token,))


async def best_of(
    n: int, model: ScriptedModel, check: object = None, **parameters: object
) -> Result:
    return await asolve(
        "What is 2 + 2?",
        strategy=strategy("best_of_n", {"n": n, **parameters}),
        model=model,
        verifier=check,  # type: ignore[arg-type]  # tests hand in nonsense, too
        journal=Journal(":memory:"),
    )


def test_yes_probability_is_the_share_of_yes_among_yes_and_no() -> None:
    top = {"Yes": math.log(0.3), " yes": math.log(0.3), "No": math.log(0.2)}
    top |= {"Maybe": math.log(0.2)}
    assert yes_probability(top) == pytest.approx(0.6 / 0.8)


def test_neither_yes_nor_no_is_no_score() -> None:
    assert yes_probability({"Perhaps": -0.1}) is None


async def test_the_judge_picks_by_probability() -> None:
    model = ScriptedModel(
        [
            "It is \\boxed{5}",
            "It is \\boxed{4}",
            judgement(Yes=math.log(0.2), No=math.log(0.8)),
            judgement(Yes=math.log(0.9), No=math.log(0.1)),
        ]
    )
    result = await best_of(2, model)
    model.assert_consumed()
    assert result.answer == "4"
    assert result.confidence == pytest.approx(0.9)
    assert [c.verdict.score for c in result.candidates if c.verdict] == [
        pytest.approx(0.2),
        pytest.approx(0.9),
    ]


async def test_an_unreadable_judgement_is_no_score_and_never_zero() -> None:
    model = ScriptedModel(
        [
            "It is \\boxed{5}",
            "It is \\boxed{4}",
            judgement(Hmm=-0.1),
            judgement(Yes=math.log(0.05), No=math.log(0.95)),
            judgement(Well=-0.1),
        ]
    )
    result = await best_of(2, model)
    model.assert_consumed()
    assert result.candidates[0].verdict == Verdict(
        feedback="The judge answered neither yes nor no."
    )
    # The candidate that was scored wins, however low its score.
    assert result.answer == "4"


async def test_an_unreadable_judge_is_asked_again() -> None:
    model = ScriptedModel(
        ["\\boxed{4}", judgement(Hmm=-0.1), judgement(Yes=math.log(0.7), No=-1.2)]
    )
    result = await best_of(1, model)
    model.assert_consumed()
    assert result.confidence == pytest.approx(0.7 / (0.7 + math.exp(-1.2)))
    assert "Yes, No" in model.calls[-1].messages[-1].content


async def test_without_any_score_the_majority_decides_and_the_result_says_so() -> None:
    model = ScriptedModel(["\\boxed{5}", "\\boxed{4}", "\\boxed{4}"])
    result = await best_of(3, model, lambda task, candidate: None)
    assert result.answer == "4"
    (note,) = result.substitutes
    assert (note.missing, note.used) == ("verifier scores", "majority vote")


async def test_a_judge_without_logprobs_votes_and_the_result_says_so() -> None:
    replies = ["\\boxed{4}", "Yes", "No", "yes.", "Perhaps", "Yes"]
    model = ScriptedModel(replies, capabilities=Capabilities(seed=True))
    result = await best_of(1, model)
    assert result.confidence == pytest.approx(3 / 4)
    assert result.substitutes[0].used == "5 sampled votes of the judge"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, Verdict(score=1.0, passed=True)),
        (False, Verdict(score=0.0, passed=False)),
        (0.25, Verdict(score=0.25)),
        (None, None),
        (Verdict(score=0.5, feedback="so so"), Verdict(score=0.5, feedback="so so")),
    ],
)
async def test_functions_may_return_any_judgement(
    value: object, expected: Verdict | None
) -> None:
    model = ScriptedModel(["\\boxed{4}"])
    result = await best_of(1, model, lambda task, candidate: value)
    checked = expected and expected.model_copy(update={"checked": True})
    assert result.candidates[0].verdict == (checked or Verdict())


async def test_functions_may_be_async() -> None:
    async def check(task: Task, candidate: Candidate) -> bool:
        return candidate.answer == "4"

    result = await best_of(2, ScriptedModel(["\\boxed{5}", "\\boxed{4}"]), check)
    assert result.answer == "4"


def explode(task: Task, candidate: Candidate) -> bool:
    if candidate.answer == "5":
        raise KeyError("no such thing")
    return True


def nonsense(task: Task, candidate: Candidate) -> object:
    return 7.5 if candidate.answer == "5" else True


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (explode, "Verifier 'explode' raised KeyError"),
        (nonsense, "Verifier 'nonsense' returned 7.5"),
    ],
)
async def test_a_failing_verifier_leaves_the_candidate_unscored(
    check: Callable[[Task, Candidate], object], said: str
) -> None:
    model = ScriptedModel(["\\boxed{5}", "\\boxed{4}"])
    result = await best_of(2, model, check)
    assert result.answer == "4"
    first = result.candidates[0].verdict
    assert first is not None
    assert first.score is None
    assert any(said in warning for warning in result.warnings)


async def test_the_judge_of_a_nested_strategy_is_the_plain_model() -> None:
    model = ScriptedModel(
        ["\\boxed{4}", judgement(Yes=math.log(0.7), No=math.log(0.3))]
    )
    result = await asolve(
        "What is 2 + 2?",
        strategy=strategy("best_of_n", {"n": 1}),
        model=strategy("chain_of_thought").as_model(model),
        journal=Journal(":memory:"),
        budget=Budget(calls=10),
    )
    assert result.confidence == pytest.approx(0.7)


def test_verifiers_by_name() -> None:
    assert isinstance(verifier("judge"), Judge)
    assert isinstance(verifier(explode), FunctionVerifier)
    with pytest.raises(UnknownName, match="Did you mean judge"):
        verifier("jugde")
