"""What each strategy selects, checked against the equation it follows."""

import math
from collections.abc import Callable

import pytest

from ponder import Journal, Result, ScriptedModel, StopReason, asolve, strategy
from ponder.agents.verifier import Check
from ponder.context import Verifier
from ponder.graphs.coverage import pass_at_k
from ponder.graphs.posterior import beta_stop
from ponder.messages import Completion, TokenLogprob
from ponder.models.simulated import SimulatedModel
from ponder.result import Candidate, Task

SCORES = {"a": 0.5, "b": 0.4, "c": 0.9}


def by_text(task: Task, candidate: Candidate) -> float:
    """Score a candidate by the last word of its text."""
    return SCORES[candidate.text.split()[-1]]


def equals(truth: str) -> Callable[[Task, Candidate], bool]:
    return lambda task, candidate: candidate.answer == truth


def says(word: str) -> Callable[[Task, Candidate], bool]:
    return lambda task, candidate: word in candidate.text


def sampled(text: str, *logprobs: float) -> Completion:
    tokens = tuple(TokenLogprob(token="t", logprob=p) for p in logprobs)
    return Completion(text=text, logprobs=tokens)


async def run(
    name: str,
    replies: list[str | Completion],
    verifier: Verifier | Check | None = None,
    **parameters: object,
) -> Result:
    model = ScriptedModel(replies)
    result = await asolve(
        "Which?",
        strategy=strategy(name, parameters),
        model=model,
        verifier=verifier or by_text,
        journal=Journal(":memory:"),
    )
    model.assert_consumed()
    return result


async def test_self_consistency_takes_the_mode_by_mathematical_equality() -> None:
    replies: list[str | Completion] = [
        "\\boxed{1/2}",
        "\\boxed{3}",
        "\\boxed{0.5}",
        "no answer",
        "\\boxed{\\frac{1}{2}}",
    ]
    result = await run("self_consistency", replies, n=5, criterion="none")
    assert result.answer == "1/2"
    # Wang et al. 2022: the marginal over paths; a path without an answer has no vote.
    assert result.confidence == pytest.approx(3 / 4)


async def test_a_tie_goes_to_the_answer_that_came_first() -> None:
    replies: list[str | Completion] = ["\\boxed{x}", "\\boxed{y}"]
    result = await run("self_consistency", replies, n=2, criterion="none")
    assert result.answer == "x"


async def test_sampling_stops_when_the_beta_posterior_exceeds_the_threshold() -> None:
    """Aggarwal et al. 2023: P(p1 > 1/2 | v1, v2) under Beta(v1 + 1, v2 + 1)."""
    answers = ["x", "y", *"x" * 20]
    counts = {"x": 0, "y": 0}
    expected = 0
    for answer in answers:
        expected += 1
        counts[answer] += 1
        if beta_stop([c for c in counts.values() if c]) >= 0.95:
            break
    model = ScriptedModel([f"\\boxed{{{a}}}" for a in answers])
    result = await asolve(
        "Which?",
        strategy=strategy("self_consistency", {"batch": 1}),
        model=model,
        journal=Journal(":memory:"),
    )
    assert result.stop_reason is StopReason.AGREED
    assert len(result.candidates) == len(model.calls) == expected


async def test_the_leaders_posterior_decides_within_a_batch_too() -> None:
    model = SimulatedModel(accuracy=1.0, seed=1)
    result = await asolve(
        "Which?",
        strategy=strategy("self_consistency", {"batch": 8}),
        model=model,
        journal=Journal(":memory:"),
    )
    assert result.stop_reason is StopReason.AGREED
    # Beta(v + 1, 1) exceeds 0.95 at v = 4: 1 - 0.5**5 = 0.969, 1 - 0.5**4 = 0.938.
    assert len(result.candidates) == 4


async def test_best_of_n_takes_the_highest_score() -> None:
    replies: list[str | Completion] = ["\\boxed{1} a", "\\boxed{2} c", "\\boxed{1} b"]
    result = await run("best_of_n", replies, n=3)
    assert (result.answer, result.confidence) == ("2", 0.9)
    assert result.verdict is not None
    assert result.verdict.score == 0.9


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("best_of_n", {"n": 2}), ("ab_mcts_a", {"max_rounds": 2})],
)
async def test_what_a_verifier_accepts_wins_even_if_no_answer_is_read_from_it(
    name: str, parameters: dict[str, object]
) -> None:
    replies: list[str | Completion] = ["\\boxed{7}", "It is eight"]

    result = await run(name, replies, says("eight"), **parameters)
    assert (result.text, result.answer) == ("It is eight", None)


async def test_a_score_alone_does_not_stand_for_an_answer_that_is_not_there() -> None:
    replies: list[str | Completion] = ["\\boxed{a} a", "no box c"]
    result = await run("best_of_n", replies, n=2)
    assert result.answer == "a"


@pytest.mark.parametrize("name", ["best_of_n", "weighted_vote"])
async def test_a_text_without_an_answer_does_not_outrank_one_that_was_not_scored(
    name: str,
) -> None:
    def check(task: Task, candidate: Candidate) -> float | None:
        return None if candidate.answer else 0.6

    result = await run(name, ["\\boxed{5}", "It is"], check, n=2)
    assert (result.answer, result.confidence) == ("5", 1.0)
    assert result.substitutes[0].used == "majority vote"


async def test_weighted_vote_sums_the_scores_of_each_answer() -> None:
    """Li et al. 2022, eq. 2: 0.5 + 0.4 + 0.4 for 1 against 0.9 for 2."""
    replies: list[str | Completion] = [
        "\\boxed{1} a",
        "\\boxed{2} c",
        "\\boxed{1} b",
        "\\boxed{1.0} b",
    ]
    result = await run("weighted_vote", replies, n=4)
    assert result.answer == "1"
    assert result.confidence == pytest.approx(1.3 / 2.2)


async def test_repeated_sampling_stops_at_the_first_that_passes() -> None:
    model = ScriptedModel([f"\\boxed{{{i}}}" for i in range(9)])
    result = await asolve(
        "Which?",
        strategy=strategy("repeated_sampling", {"batch": 1}),
        model=model,
        verifier=lambda task, candidate: candidate.answer == "4",
        journal=Journal(":memory:"),
    )
    assert result.answer == "4"
    assert result.stop_reason is StopReason.VERIFIED
    assert len(model.calls) == 5


async def test_repeated_sampling_covers_as_pass_at_k_predicts() -> None:
    """Brown et al. 2024: coverage at k of a model of 0.2 accuracy is 1 - 0.8^k."""
    solved = 0
    for seed in range(60):
        model = SimulatedModel(accuracy=0.2, seed=seed)
        check = equals(model.truth("Which?"))
        result = await asolve(
            "Which?",
            strategy=strategy("repeated_sampling", {"k": 5}),
            model=model,
            verifier=check,
            journal=Journal(":memory:"),
        )
        solved += result.stop_reason is StopReason.VERIFIED
    expected = 1 - 0.8**5
    error = math.sqrt(expected * (1 - expected) / 60)
    assert abs(solved / 60 - expected) < 3 * error
    assert pass_at_k(100, 20, 1) == pytest.approx(0.2)


async def test_rpc_weighs_answers_by_the_probability_of_their_paths() -> None:
    """Zhou et al. 2025: one likely path outweighs two unlikely ones."""
    replies: list[str | Completion] = [
        sampled("\\boxed{1}", -2.0, -2.0),
        sampled("so \\boxed{1}", -2.0, -2.0),
        sampled("\\boxed{2}", -0.1, -0.1),
    ]
    result = await run("rpc", replies, n=3, pruning=False)
    assert result.answer == "2"
    weights = [2 * math.exp(-2.0), math.exp(-0.1)]
    assert result.confidence == pytest.approx(weights[1] / sum(weights))


async def test_rpc_counts_a_path_once_however_often_it_was_drawn() -> None:
    replies: list[str | Completion] = [
        sampled("\\boxed{1}", -0.5),
        sampled("\\boxed{1}", -0.5),
        sampled("\\boxed{2}", -0.3),
    ]
    result = await run("rpc", replies, n=3, pruning=False)
    assert result.answer == "2"


async def test_rpc_without_logprobs_votes_and_says_so() -> None:
    replies: list[str | Completion] = ["\\boxed{1}", "\\boxed{2}", "\\boxed{1}"]
    result = await run("rpc", replies, n=3)
    assert result.answer == "1"
    assert [(s.missing, s.used) for s in result.substitutes] == [("logprobs", "votes")]
