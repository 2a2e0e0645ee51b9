import asyncio
import math
from collections.abc import Callable
from fractions import Fraction

import pytest

from ponder import Budget, Capabilities, Journal, ScriptedModel, asolve, verifier
from ponder.agents.verifier import FunctionVerifier, Judge, yes_probability
from ponder.context import RunContext
from ponder.errors import InvalidInput, InvalidParameter, ReplayDrift, UnknownName
from ponder.graphs.base import strategy
from ponder.messages import Completion, TokenLogprob
from ponder.models.simulated import SimulatedModel
from ponder.result import Candidate, Result, StopReason, Task, Verdict
from ponder.run import areplay, aresume


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


# -- replays, objects and bad verifiers ------------------------------------------------

Nonsense = Callable[[Task, Candidate], object]


def raising(task: Task, candidate: Candidate) -> bool:
    raise RuntimeError("no disk")


VOTER = Capabilities(n=True, seed=True, prefill=True)

NONSENSE: dict[str, Nonsense] = {
    "raises": raising,
    "nan": lambda task, candidate: math.nan,
    "too much": lambda task, candidate: 2.0,
    "a word": lambda task, candidate: "yes",
}


class Object:
    """A verifier as a user may write one."""

    name = "object"

    def __init__(self, judge: Nonsense) -> None:
        self.judge = judge

    async def verify(
        self, task: Task, candidate: Candidate, context: RunContext
    ) -> Verdict:
        return self.judge(task, candidate)  # type: ignore[return-value]  # on purpose


@pytest.mark.parametrize("strategy_name", ["best_of_n", "tree_of_thoughts", "iad"])
@pytest.mark.parametrize("kind", NONSENSE)
@pytest.mark.parametrize("wrapped", [False, True], ids=["function", "object"])
async def test_a_bad_verifier_leaves_solutions_unscored_and_replays(
    strategy_name: str, kind: str, wrapped: bool
) -> None:
    journal = Journal(":memory:")
    bad = Object(NONSENSE[kind]) if wrapped else NONSENSE[kind]
    result = await asolve(
        "What is 17 + 25?",
        strategy=strategy_name,
        model=SimulatedModel(seed=1),
        verifier=bad,  # type: ignore[arg-type]  # it is nonsense
        budget=Budget(tokens=3_000),
        journal=journal,
    )

    assert result.answer is not None
    assert all(c.verdict is None or c.verdict.score is None for c in result.candidates)
    assert any("erifier" in warning for warning in result.warnings)
    assert await areplay(result.run_id, journal=journal) == result


class AsJudge(Object):
    """A verifier object around the model's own judge."""

    def __init__(self) -> None:
        super().__init__(raising)

    async def verify(
        self, task: Task, candidate: Candidate, context: RunContext
    ) -> Verdict:
        return await Judge().verify(task, candidate, context)


@pytest.mark.parametrize("strategy_name", ["best_of_n", "tree_of_thoughts", "mcts"])
async def test_an_object_that_asks_the_model_is_given_again_for_a_replay(
    strategy_name: str,
) -> None:
    journal = Journal(":memory:")
    result = await asolve(
        "What is 17 + 25?",
        strategy=strategy_name,
        model=SimulatedModel(seed=1, capabilities=VOTER),
        verifier=AsJudge(),
        budget=Budget(calls=120),
        journal=journal,
    )

    assert "logprobs" in [s.missing for s in result.substitutes]
    verdicts = [c.verdict for c in result.candidates if c.verdict]
    assert verdicts and not any(v.checked for v in verdicts)
    again = await areplay(result.run_id, verifier=AsJudge(), journal=journal)
    assert again == result
    with pytest.raises(ReplayDrift, match="Give it again"):
        await areplay(result.run_id, journal=journal)


async def test_what_an_object_has_asked_is_charged_when_a_run_is_resumed() -> None:
    journal = Journal(":memory:")
    whole = await asolve(
        "What is 17 + 25?",
        strategy=strategy("best_of_n", {"n": 4}),
        model=SimulatedModel(seed=1),
        verifier=AsJudge(),
        journal=journal,
    )
    resumed = await aresume(
        whole.run_id, model=SimulatedModel(seed=1), verifier=AsJudge(), journal=journal
    )

    assert resumed.usage.calls == whole.usage.calls == 8
    assert resumed.roles == whole.roles


async def test_what_an_object_says_without_a_model_it_vouches_for() -> None:
    class Silent(Object):
        async def verify(
            self, task: Task, candidate: Candidate, context: RunContext
        ) -> Verdict:
            return Verdict(passed=candidate.answer == "4")

    journal = Journal(":memory:")
    result = await asolve(
        "What is 2 + 2?",
        strategy=strategy("best_of_n", {"n": 2}),
        model=ScriptedModel(["\\boxed{5}", "\\boxed{4}"]),
        verifier=Silent(raising),
        journal=journal,
    )

    assert result.verdict == Verdict(score=1.0, passed=True, checked=True)
    assert await areplay(result.run_id, journal=journal) == result


async def test_a_function_named_judge_is_not_the_judge_of_the_model() -> None:
    def judge(task: Task, candidate: Candidate) -> bool:
        return candidate.answer == "4"

    journal = Journal(":memory:")
    result = await asolve(
        "What is 2 + 2?",
        strategy=strategy("best_of_n", {"n": 1}),
        model=ScriptedModel(["\\boxed{4}"]),
        verifier=judge,
        journal=journal,
    )

    assert await areplay(result.run_id, journal=journal) == result
    with pytest.raises(InvalidInput, match="Give it again"):
        await aresume(result.run_id, model=ScriptedModel([]), journal=journal)


async def test_an_array_is_no_judgement() -> None:
    class Array:
        def item(self) -> object:
            raise ValueError("can only convert an array of size 1")

    result = await best_of(
        1, ScriptedModel(["\\boxed{4}"]), lambda task, candidate: Array()
    )
    assert result.answer == "4"
    assert any("Return True or False" in warning for warning in result.warnings)


@pytest.mark.parametrize("strategy_name", ["best_of_n", "tree_of_thoughts", "plangen"])
async def test_a_run_that_named_the_judge_replays(strategy_name: str) -> None:
    journal = Journal(":memory:")
    result = await asolve(
        "What is 17 + 25?",
        strategy=strategy_name,
        model=SimulatedModel(seed=1),
        verifier="judge",
        budget=Budget(tokens=3_000),
        journal=journal,
    )

    assert await areplay(result.run_id, journal=journal) == result


async def test_a_judge_of_other_settings_is_given_again_for_a_replay() -> None:
    journal, strict = Journal(":memory:"), Judge(threshold=0.99)
    result = await asolve(
        "What is 17 + 25?",
        strategy="iad",
        model=SimulatedModel(seed=1),
        verifier=strict,
        budget=Budget(tokens=3_000),
        journal=journal,
    )

    assert strict.name != Judge().name
    with pytest.raises(ReplayDrift, match="verifier"):
        await areplay(result.run_id, journal=journal)
    again = await areplay(result.run_id, verifier=strict, journal=journal)
    assert again == result


async def test_numbers_and_bools_of_other_libraries_are_judgements() -> None:
    class Scalar:
        def __init__(self, value: object) -> None:
            self.value = value

        def item(self) -> object:
            return self.value

    async def confidence(value: object) -> float | None:
        model = ScriptedModel(["\\boxed{4}"])
        return (await best_of(1, model, lambda task, candidate: value)).confidence

    assert await confidence(Scalar(True)) == 1.0
    assert await confidence(Scalar(0.25)) == 0.25
    assert await confidence(Fraction(1, 4)) == 0.25


async def test_to_pass_or_fail_is_a_score() -> None:
    right = best_of(
        3,
        ScriptedModel(["\\boxed{5}", "\\boxed{4}", "\\boxed{6}"]),
        lambda task, candidate: Verdict(passed=candidate.answer == "4"),
    )
    assert (await right).answer == "4"


@pytest.mark.parametrize("wrong", [5, [], object()])
async def test_what_is_no_verifier_is_refused_at_the_start(wrong: object) -> None:
    with pytest.raises(InvalidInput, match="is no verifier"):
        await best_of(1, ScriptedModel([]), wrong)


@pytest.mark.parametrize(
    "wrong", [{"votes": 0}, {"threshold": 2}, {"threshold": math.nan}]
)
def test_a_judge_of_impossible_settings_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(wrong))):
        Judge(**wrong)  # type: ignore[arg-type]  # on purpose


def test_a_prompt_with_other_places_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="places for"):
        Judge(prompt='Reply {"v": 1} to {question}')


async def test_a_verdict_may_take_time_that_is_kept_back() -> None:
    async def slow(task: Task, candidate: Candidate) -> bool:
        await asyncio.sleep(0.4)
        return True

    result = await asolve(
        "What is 17 + 25?",
        strategy=strategy("rebase", {"n": 1, "depth": 1}),
        model=SimulatedModel(seed=1, steps=1),
        verifier=slow,
        budget=Budget(seconds=3, wrap_up=0.9),
    )

    assert result.stop_reason is StopReason.VERIFIED


async def test_no_verifier_outlasts_the_seconds_of_a_budget() -> None:
    async def slow(task: Task, candidate: Candidate) -> bool:
        await asyncio.sleep(60)
        return True

    result = await asolve(
        "What is 17 + 25?",
        strategy=strategy("best_of_n", {"n": 2}),
        model=SimulatedModel(seed=1),
        verifier=slow,
        budget=Budget(seconds=0.5),
        journal=(journal := Journal(":memory:")),
    )

    assert result.usage.seconds < 30
    assert result.stop_reason is StopReason.SECONDS
    assert result.answer is not None
    assert await areplay(result.run_id, journal=journal) == result
