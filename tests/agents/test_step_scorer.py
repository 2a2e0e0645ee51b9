import math
from typing import get_args

import pytest

from ponder import Budget, Candidate, Capabilities, ScriptedModel, Task, verifier
from ponder.agents.proposer import Proposal
from ponder.agents.step_scorer import (
    ScorerName,
    StepScorer,
    expected_digit,
    step_scorer,
)
from ponder.context import RunContext
from ponder.errors import InvalidParameter, OutOfBudget, UnknownName
from ponder.messages import assistant, user
from ponder.result import Verdict
from tests.support.places import paths, place, spread, token

TASK = Task(question="What is 2 + 2?")
PREFIX = "Take two.\n\n"
STEP = Proposal(text="Add two.\n\n", final=False, logprob=-6.0, output_tokens=3)
ASKING: list[ScorerName] = ["judge", "turn", "digit", "self_evaluation"]


async def score(kind: ScorerName, context: RunContext) -> float | None:
    return await step_scorer(kind).score(TASK, PREFIX, STEP, context)


async def test_the_judge_scores_p_yes_of_the_solution_so_far() -> None:
    with ScriptedModel([token(Yes=math.log(0.3), No=math.log(0.1))]) as model:
        context = place(model)
        assert await score("judge", context) == pytest.approx(0.75)
    assert "Take two.\n\nAdd two." in model.calls[0].messages[-1].content
    assert set(context.shared.roles) == {"verifier"}


async def test_a_turn_asks_in_the_conversation_that_wrote_the_solution() -> None:
    task = TASK.model_copy(update={"examples": (user("q"), assistant("a"))})
    scorer = step_scorer("turn", instructions="Solve it.")
    with ScriptedModel([token(Yes=math.log(0.3), No=math.log(0.1))]) as model:
        context = place(model)
        assert await scorer.score(task, PREFIX, STEP, context) == pytest.approx(0.75)
    head, *turns = model.calls[0].messages
    assert (head.role, head.content) == ("system", "Solve it.")
    assert [t.content for t in turns[:-1]] == [
        "q", "a", TASK.question, "Take two.\n\nAdd two.",
    ]  # fmt: skip
    assert turns[-1].role == "user"


def test_the_expected_digit_is_the_mean() -> None:
    assert expected_digit({"2": 0.25, "6": 0.75}) == pytest.approx(5.0)


async def test_the_digit_scores_its_expected_value_over_nine() -> None:
    digits = {"9": math.log(0.2), "0": math.log(0.2), "ten": math.log(0.6)}
    with ScriptedModel([spread(digits)]) as model:
        assert await score("digit", place(model)) == pytest.approx(0.5)


async def test_self_evaluation_scores_the_choice_correct_of_the_step_alone() -> None:
    with ScriptedModel([token(A=math.log(0.1), B=math.log(0.3))]) as model:
        assert await score("self_evaluation", place(model)) == pytest.approx(0.25)
    asked = model.calls[0].messages[-1].content
    before, step = asked.index("Take two."), asked.index("Step to check:\nAdd two.")
    assert before < step


async def test_logprob_scores_the_probability_per_token_without_a_call() -> None:
    with ScriptedModel() as model:
        assert await score("logprob", place(model)) == pytest.approx(math.exp(-2))


async def test_without_logprobs_a_step_has_no_score_and_the_result_says_so() -> None:
    unknown = Proposal(text="Add.", final=False, output_tokens=1)
    with ScriptedModel() as model:
        context = place(model)
        for _ in range(2):
            found = await step_scorer("logprob").score(TASK, "", unknown, context)
            assert found is None
    (note,) = context.shared.substitutes.values()
    assert (note.missing, note.used) == ("logprobs", "steps without a score")


def seen_by(task: Task, candidate: Candidate) -> float:
    """A process reward model: a plain function of the text so far."""
    assert (candidate.answer, candidate.truncated) == (None, True)
    return 0.25 if candidate.text == PREFIX + STEP.text else 1.0


async def test_the_runs_own_verifier_is_given_the_partial_solution() -> None:
    with ScriptedModel() as model:
        context = place(model, verifier=verifier(seen_by))
        assert await score("verifier", context) == 0.25
    (entry,) = context.shared.log.entries
    assert (entry.path, entry.kind) == ("here", "value")
    assert entry.body["score"] == 0.25


async def test_a_finished_solution_has_its_answer() -> None:
    seen: list[Candidate] = []

    def check(task: Task, candidate: Candidate) -> Verdict:
        seen.append(candidate)
        return Verdict()

    last = Proposal(text="\\boxed{4}", final=True, output_tokens=1)
    with ScriptedModel() as model:
        context = place(model, verifier=verifier(check))
        scorer = step_scorer("verifier")
        assert await scorer.score(TASK, PREFIX, last, context) is None
    assert (seen[0].answer, seen[0].truncated) == ("4", False)


def explode(task: Task, candidate: Candidate) -> bool:
    raise KeyError("no such thing")


def nonsense(task: Task, candidate: Candidate) -> float:
    return 7.5


@pytest.mark.parametrize(
    ("check", "said"), [(explode, "raised KeyError"), (nonsense, "returned 7.5")]
)
async def test_a_failing_verifier_leaves_the_step_unscored(
    check: object, said: str
) -> None:
    with ScriptedModel() as model:
        context = place(model, verifier=verifier(check))  # type: ignore[arg-type]
        assert await score("verifier", context) is None
    (warning,) = context.shared.warnings
    assert said in warning


async def test_a_run_without_verifier_is_told_which_scorers_work() -> None:
    with ScriptedModel() as model:
        with pytest.raises(
            InvalidParameter, match="judge, turn, digit, self_evaluation"
        ):
            await score("verifier", place(model))


@pytest.mark.parametrize("kind", ASKING)
async def test_unreadable_twice_is_no_score(kind: ScorerName) -> None:
    with ScriptedModel([token(Hmm=-0.1), token(Hmm=-0.1)]) as model:
        context = place(model)
        assert await score(kind, context) is None
    assert paths(context) == ["here", "here/again"]


@pytest.mark.parametrize(
    ("kind", "votes", "expected"),
    [
        ("judge", ["Yes", "Yes", "No", "No", "Yes"], 0.6),
        ("digit", ["9", "0", "9", "what", "0"], 0.5),
        ("self_evaluation", ["A", "(B)", "A", "A", "A"], 0.8),
    ],
)
async def test_votes_where_a_model_gives_no_probabilities(
    kind: ScorerName, votes: list[str], expected: float
) -> None:
    with ScriptedModel(votes, capabilities=Capabilities()) as model:
        context = place(model)
        assert await score(kind, context) == pytest.approx(expected)
    used = {note.used for note in context.shared.substitutes.values()}
    assert "5 sampled votes of the step scorer" in used


@pytest.mark.parametrize("kind", ASKING)
async def test_out_of_budget_passes_through(kind: ScorerName) -> None:
    with ScriptedModel() as model:
        with pytest.raises(OutOfBudget):
            await score(kind, place(model, budget=Budget(calls=0)))


def test_every_scorer_has_its_name() -> None:
    for kind in get_args(ScorerName):
        scorer: StepScorer = step_scorer(kind)
        assert scorer.name == kind
    with pytest.raises(UnknownName, match="Did you mean judge"):
        step_scorer("jugde")  # type: ignore[arg-type]


async def test_the_prompt_can_be_replaced() -> None:
    with ScriptedModel([token(A=-0.1)]) as model:
        scorer = step_scorer("self_evaluation", prompt="{step} after {steps}: A or B?")
        assert await scorer.score(TASK, "", STEP, place(model)) == 1.0
    assert model.calls[0].messages[-1].content == "Add two. after (none): A or B?"
