import math
import statistics
from itertools import combinations
from typing import Any

import pytest

from ponder.agents.answers import extract
from ponder.agents.verifier import JUDGE_PROMPT, yes_probability
from ponder.errors import InvalidParameter, UnsupportedCapability
from ponder.messages import Completion, Request, Usage, assistant, system, user
from ponder.models.base import Capabilities
from ponder.models.simulated import (
    ErrorRates,
    Problem,
    Separation,
    SimulatedModel,
    expected_coverage,
)

QUESTIONS = [f"What is the value of number {i}?" for i in range(400)]


def ask(text: str = "How many?", /, **settings: Any) -> Request:
    return Request.model_validate({"messages": (user(text),), **settings})


async def answers(model: SimulatedModel, question: str, n: int = 1) -> list[str | None]:
    got = await model.generate(ask(question, n=n, seed=1))
    return [extract(c.text) for c in got]


async def rights(model: SimulatedModel, n: int) -> list[list[bool]]:
    """Which of n samples of each question are right."""
    return [
        [a == model.truth(q) for a in await answers(model, q, n)] for q in QUESTIONS
    ]


def judging(question: str, solution: str, **settings: Any) -> Request:
    prompt = JUDGE_PROMPT.format(question=question, solution=solution)
    greedy = {"sampling": {"temperature": 0.0}, "max_tokens": 1, "logprobs": 20}
    return ask(prompt, **{**greedy, **settings})


def p_yes(completion: Completion) -> float:
    assert completion.logprobs is not None
    probability = yes_probability(completion.logprobs[0].top)
    assert probability is not None
    return probability


@pytest.mark.parametrize("accuracy", [0.0, 0.1, 0.6, 1.0])
@pytest.mark.parametrize("steps", [1, 5])
async def test_accuracy_is_as_chosen(accuracy: float, steps: int) -> None:
    model = SimulatedModel(accuracy=accuracy, steps=steps, tokens_per_step=4)
    observed = [right for row in await rights(model, 4) for right in row]
    error = math.sqrt(accuracy * (1 - accuracy) / len(observed))
    assert statistics.mean(observed) == pytest.approx(accuracy, abs=3.5 * error + 1e-12)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.7, 0.999, 1.0])
async def test_correlation_and_coverage_are_as_chosen(rho: float) -> None:
    model = SimulatedModel(accuracy=0.4, correlation=rho, steps=1, tokens_per_step=4)
    rows = await rights(model, 6)
    pairs = [(a, b) for row in rows for a, b in combinations(row, 2)]
    both = statistics.mean(a and b for a, b in pairs)
    # E[ab] = a^2 + rho a (1 - a); questions are the independent units.
    error = 3.5 * 0.5 / math.sqrt(len(rows))
    assert both == pytest.approx(0.16 + rho * 0.24, abs=error)
    for k in (1, 2, 6):
        covered = statistics.mean(any(row[:k]) for row in rows)
        assert covered == pytest.approx(expected_coverage(0.4, rho, k), abs=error)
    agree = statistics.mean(a == b for a, b in pairs)
    assert agree == pytest.approx(1 - 2 * (1 - rho) * 0.24, abs=error)


def test_expected_coverage_by_hand() -> None:
    assert expected_coverage(0.4, 0.0, 3) == pytest.approx(1 - 0.6**3)
    assert expected_coverage(0.4, 1.0, 9) == pytest.approx(0.4)
    assert expected_coverage(0.4, 0.2, 0) == 0.0
    # Beta(1, 1), that is rho = 1/3 at accuracy 1/2: 1 - 1 / (k + 1).
    assert expected_coverage(0.5, 1 / 3, 4) == pytest.approx(0.8)


async def test_accuracy_follows_difficulty() -> None:
    problems = {
        q: Problem(truth="7", difficulty="easy" if i % 2 else "hard")
        for i, q in enumerate(QUESTIONS)
    }
    model = SimulatedModel(accuracy={"easy": 0.9, "hard": 0.2}, problems=problems)
    rows = await rights(model, 2)
    assert statistics.mean(r for row in rows[1::2] for r in row) > 0.8
    assert statistics.mean(r for row in rows[::2] for r in row) < 0.3
    by_function = SimulatedModel(
        accuracy=lambda d: 1.0 if d == "easy" else 0.0, problems=problems
    )
    assert await rights(by_function, 1) == [[bool(i % 2)] for i in range(400)]


async def test_wrong_answers_have_their_weights() -> None:
    problem = Problem(truth="Paris", wrong=("Rome", "New York"))
    model = SimulatedModel(
        accuracy=0.0, problems={"Capital?": problem}, wrong_weights=(3, 1)
    )
    given = await answers(model, "Capital?", 800)
    assert set(given) == {"Rome", "New York"}
    assert given.count("Rome") / 800 == pytest.approx(0.75, abs=0.06)


async def test_an_answer_depends_on_its_place_only() -> None:
    first, second = SimulatedModel(seed=5), SimulatedModel(seed=5)
    requests = [ask(q, seed=s, n=2) for q in QUESTIONS[:5] for s in (None, 1, 2)]
    forwards = [await first.generate(r) for r in requests]
    backwards = [await second.generate(r) for r in reversed(requests)]
    assert forwards == backwards[::-1]
    texts = [c.text for got in forwards for c in got]
    assert len(set(texts)) == len(texts)
    other = await SimulatedModel(seed=6).generate(requests[0])
    assert other != forwards[0]


async def test_the_question_is_recognised_in_a_prompt() -> None:
    known = {"2 + 2": Problem(truth="4"), "12 + 2 + 2": Problem(truth="16")}
    model = SimulatedModel(accuracy=1.0, problems=known)
    messages = (
        system("Think."),
        user("What is 12 + 2 + 2?"),
        assistant("The answer is 16"),
        user("Thanks. Please work out 2 + 2, step by step."),
    )
    for upto, truth in ((2, "16"), (4, "4")):
        got = await model.generate(Request(messages=messages[:upto]))
        assert extract(got[0].text) == truth


@pytest.mark.parametrize(
    "truth", ["72", "-3.5", "$1,000", "x^2 + 1", "St. Louis", "1/2"]
)
async def test_every_answer_can_be_extracted(truth: str) -> None:
    model = SimulatedModel(accuracy=1.0, problems={"Q": Problem(truth=truth)})
    (got,) = await model.generate(ask("Q"))
    assert extract(got.text) == truth
    assert got.text.splitlines()[-1].startswith("The answer is ")


@pytest.mark.parametrize("seed", range(6))
async def test_a_cut_solution_is_continued_to_the_same_end(seed: int) -> None:
    model = SimulatedModel(accuracy=0.5)
    (whole,) = await model.generate(ask(seed=seed, logprobs=0))
    for words in range(1, 28, 3):
        (head,) = await model.generate(ask(seed=seed, logprobs=0, max_tokens=words))
        assert head.finish_reason == "length"
        (tail,) = await model.generate(ask(seed=seed, logprobs=0, prefill=head.text))
        assert head.text + tail.text == whole.text
        assert head.logprob is not None and tail.logprob is not None
        assert head.logprob + tail.logprob == pytest.approx(whole.logprob)


async def test_a_wrong_step_is_never_mended() -> None:
    model = SimulatedModel(accuracy=0.5, steps=4)
    wrong = SimulatedModel(accuracy=0.0, steps=4)
    (bad,) = await wrong.generate(ask(stop=("The answer",)))
    for seed in range(20):
        (end,) = await model.generate(ask(seed=seed, prefill=bad.text))
        assert extract(end.text) != model.truth("How many?")


async def test_right_steps_make_a_right_answer_likelier() -> None:
    model = SimulatedModel(accuracy=0.2, steps=2)
    truths, found = [], []
    for question in QUESTIONS:
        sure = SimulatedModel(accuracy=1.0, steps=2)
        (step,) = await sure.generate(ask(question, stop=("\n",)))
        (end,) = await model.generate(ask(question, seed=3, prefill=step.text))
        truths.append(model.truth(question))
        found.append(extract(end.text))
    hits = statistics.mean(a == b for a, b in zip(truths, found, strict=True))
    assert hits == pytest.approx(math.sqrt(0.2), abs=0.09)


async def test_an_answer_can_be_forced() -> None:
    model = SimulatedModel(accuracy=1.0)
    (head,) = await model.generate(ask(max_tokens=10))
    (rest,) = await model.generate(ask(prefill=f"{head.text}\nSo \\boxed{{"))
    assert rest.text == f"{model.truth('How many?')}}}"
    turns = (user("How many?"), assistant(head.text), user("Answer now."))
    (told,) = await model.generate(Request(messages=turns))
    assert told.text == f"The answer is \\boxed{{{model.truth('How many?')}}}"


async def test_logprobs_are_those_of_the_distribution() -> None:
    model = SimulatedModel(accuracy=0.5, steps=1, tokens_per_step=5)
    got = await model.generate(ask(n=400, logprobs=20, seed=0))
    chances: dict[str, float] = {}
    for completion in got:
        assert completion.logprob is not None and completion.logprobs is not None
        assert "".join(t.token for t in completion.logprobs) == completion.text
        chances[completion.text] = math.exp(completion.logprob)
        for token in completion.logprobs:
            assert sum(map(math.exp, token.top.values())) == pytest.approx(1.0)
    # Eight fillers times four answers: nearly all solutions were seen.
    assert len(chances) <= 32
    assert sum(chances.values()) == pytest.approx(1.0, abs=0.05)
    counts = [sum(c.text == text for c in got) / 400 for text in chances]
    assert counts == pytest.approx([*chances.values()], abs=0.05)


@pytest.mark.parametrize(("positive", "negative"), [(0.0, 0.0), (0.3, 0.1)])
async def test_judge_errs_at_the_chosen_rates(positive: float, negative: float) -> None:
    judge = ErrorRates(false_positive=positive, false_negative=negative)
    model = SimulatedModel(judge=judge)
    for answer_is_right, yes_rate in ((True, 1 - negative), (False, positive)):
        said = []
        for question in QUESTIONS:
            truth = model.truth(question)
            solution = f"The answer is {truth if answer_is_right else truth + '1'}"
            (got,) = await model.generate(judging(question, solution))
            said.append(got.text == "Yes")
            assert p_yes(got) == pytest.approx(0.9 if said[-1] else 0.1)
        assert statistics.mean(said) == pytest.approx(yes_rate, abs=0.08)


@pytest.mark.parametrize("auc", [0.5, 0.8, 0.95])
async def test_judge_separates_at_the_chosen_auc(auc: float) -> None:
    model = SimulatedModel(judge=Separation(auc=auc))
    scores: dict[bool, list[float]] = {True: [], False: []}
    for question in QUESTIONS:
        truth = model.truth(question)
        for right in (True, False):
            solution = f"So \\boxed{{{truth if right else '-1'}}}"
            (got,) = await model.generate(judging(question, solution))
            scores[right].append(p_yes(got))
    wins = [a > b for a in scores[True] for b in scores[False]]
    assert statistics.mean(wins) == pytest.approx(auc, abs=0.06)


async def test_judge_reads_the_solution_and_not_the_instruction() -> None:
    exact = ErrorRates(false_positive=0, false_negative=0)
    model = SimulatedModel(accuracy=1.0, judge=exact)
    (right,) = await model.generate(ask("How many?"))
    half = "\n".join(right.text.splitlines()[:2])
    verdicts = {
        right.text: "Yes",
        f"The answer is 5. No: {right.text}": "Yes",
        half: "Yes",
        half.replace("gives ", "gives 1"): "No",
        "I do not know.": "No",
    }
    for solution, verdict in verdicts.items():
        (got,) = await model.generate(judging("How many?", solution))
        assert (got.text, got.usage.output_tokens) == (verdict, 1)


async def test_judge_votes_by_its_probability_and_the_seed() -> None:
    model = SimulatedModel(judge=ErrorRates(false_negative=0, certainty=0.7))
    solution = f"The answer is {model.truth('How many?')}"
    votes = [
        (
            await model.generate(
                judging(
                    "How many?",
                    solution,
                    seed=seed,
                    sampling={"temperature": 1.0},
                    logprobs=None,
                )
            )
        )[0]
        for seed in range(300)
    ]
    assert all(vote.logprobs is None for vote in votes)
    yes = statistics.mean(vote.text == "Yes" for vote in votes)
    assert yes == pytest.approx(0.7, abs=0.1)


async def test_time_is_per_call_and_per_token() -> None:
    model = SimulatedModel(latency=0.01, latency_per_token=0.0005)
    got = await model.generate(ask(n=3, seed=0))
    usage = sum((c.usage for c in got), Usage())
    assert (usage.calls, usage.input_tokens) == (1, 2)
    assert usage.output_tokens == sum(len(c.text.split()) for c in got) == 84
    assert usage.seconds == pytest.approx(0.01 + 0.0005 * 28)
    (short,) = await model.generate(ask(seed=0), max_seconds=0.012)
    assert short.finish_reason == "time"
    assert got[0].text.startswith(short.text)


async def test_streams_what_it_returns() -> None:
    heard: list[str] = []
    (got,) = await SimulatedModel().generate(
        ask(), on_delta=lambda _i, text, _n: heard.append(text)
    )
    assert "".join(heard) == got.text
    assert len(heard) == got.usage.output_tokens


async def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(UnsupportedCapability, match="output_schema"):
        await SimulatedModel().generate(ask(output_schema={}))
    with pytest.raises(UnsupportedCapability, match="logprobs"):
        await SimulatedModel(capabilities=Capabilities()).generate(ask(logprobs=1))


@pytest.mark.parametrize(
    "settings",
    [
        {"correlation": 1.5},
        {"steps": 0},
        {"tokens_per_step": 3},
        {"wrong_weights": ()},
        {"wrong_weights": (1, 0)},
        {"latency": -1},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(settings))):
        SimulatedModel(**settings)


async def test_accuracies_are_checked_where_they_are_used() -> None:
    with pytest.raises(InvalidParameter, match="accuracy is 2"):
        await SimulatedModel(accuracy=2).generate(ask())
    with pytest.raises(InvalidParameter, match=r"difficulty ''\. Known: 'easy'"):
        await SimulatedModel(accuracy={"easy": 0.5}).generate(ask())
