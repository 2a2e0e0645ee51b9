"""The state machine that drives search policies."""

import asyncio
import inspect
import random
from pathlib import Path
from typing import Any

import pytest

from ponder.agents.verifier import FunctionVerifier
from ponder.budget import LEAST_OUTPUT, Budget
from ponder.context import RunContext
from ponder.errors import InvalidParameter, ModelError
from ponder.events import Event, TextDelta
from ponder.graphs.base import Strategy, strategies, strategy
from ponder.graphs.search.policy import Policy
from ponder.graphs.search.tree import Node, Tree
from ponder.graphs.tree_search import TreeSearch
from ponder.journal import Journal
from ponder.messages import Completion, Request, Usage
from ponder.models.base import Capabilities, Model
from ponder.models.scripted import ScriptedModel
from ponder.models.simulated import Problem, SimulatedModel
from ponder.result import Candidate, Result, StopReason, Task, Verdict
from ponder.run import areplay, aresume, asolve

SEARCHES = sorted(n for n, k in strategies().items() if issubclass(k, TreeSearch))


@pytest.mark.parametrize("name", SEARCHES)
def test_a_policy_and_its_machine_share_no_name(name: str) -> None:
    kind = strategies()[name]
    machine: set[str] = set()
    policy: set[str] = set()
    for cls in kind.__mro__[1:]:
        own = {n for n in (*vars(cls), *_fields(cls)) if not _private(n)}
        if issubclass(cls, Strategy):
            machine |= own
        elif issubclass(cls, Policy) and cls is not Policy and "[" not in cls.__name__:
            policy |= own

    assert not machine & policy


def _fields(cls: type[Any]) -> list[str]:
    return [n for n in inspect.get_annotations(cls) if n != "model_config"]


def _private(name: str) -> bool:
    pydantics = name.startswith(("__", "model_", "_abc_"))
    return pydantics or name in ("_calculate_keys", "_iter", "_copy_and_set_values")


QUESTION = "What is 17 + 25?"
KNOWN = {QUESTION: Problem(truth="42")}
LINES = {"delimiter": "\n"}
"""The simulated model writes its steps in lines."""


def model(**options: Any) -> SimulatedModel:
    return SimulatedModel(**{"problems": KNOWN, "accuracy": 0.5, "seed": 3, **options})


def right(task: Task, candidate: Candidate) -> bool:
    return candidate.answer == "42"


async def run(name: str, **options: Any) -> Result:
    parameters = LINES | options.pop("parameters", {})
    return await asolve(
        QUESTION,
        strategy=strategy(name, parameters),
        **{"model": model(), "budget": Budget(tokens=20_000), **options},
    )


STEPWISE = [n for n in SEARCHES if "delimiter" in strategies()[n].model_fields]


NARROW: dict[str, dict[str, Any]] = {"mindstar_levin": {"n": 3}}
"""Levin's cost doubles and more with each step, so that it is broad before deep."""


@pytest.mark.parametrize("name", STEPWISE)
async def test_a_search_goes_by_steps_and_stops_when_verified(name: str) -> None:
    result = await run(
        name,
        verifier=right,
        parameters=NARROW.get(name, {}),
        model=model(accuracy=0.8),
        budget=Budget(tokens=100_000),
    )

    assert result.answer == "42"
    assert result.verdict is not None and result.verdict.passed
    depths = [n["id"] for n in result.graph["nodes"] if n["id"].startswith("node/")]
    assert len(depths) > 2


async def test_the_first_verified_solution_ends_the_search() -> None:
    whole = await run("rebase", verifier=right, parameters={"stop_at": 1.1})
    early = await run("rebase", verifier=right)

    assert early.stop_reason is StopReason.VERIFIED
    assert early.answer == whole.answer == "42"
    assert early.usage.calls <= whole.usage.calls


async def test_scores_of_steps_steer_the_search() -> None:
    def only_right_paths(task: Task, candidate: Candidate) -> float:
        return 1.0 if "42" in candidate.text or candidate.answer is None else 0.0

    result = await run(
        "rebase",
        verifier=only_right_paths,
        parameters={"scorer": "verifier", "stop_at": 1.1},
        model=model(accuracy=0.3),
    )

    assert result.answer == "42"


@pytest.mark.parametrize("name", STEPWISE)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_answer_is_what_the_policy_ends_with(
    name: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``best``; policies differ in it, and not all go by the highest score."""
    ends: list[Node | None] = []

    def ending(self: TreeSearch, tree: Tree[Any]) -> str | None:
        ends.append(self.best(tree))
        return favourite(self, tree)

    favourite = TreeSearch.favourite
    monkeypatch.setattr(TreeSearch, "favourite", ending)
    result = await run(
        name,
        verifier=unalike,
        parameters={"scorer": "verifier", "select": "best", **SHORT.get(name, {})},
        model=model(seed=seed),
        seed=seed,
        budget=Budget(tokens=50_000),
    )

    (end,) = ends
    assert end is not None and end.value.candidate is not None
    assert result.text == end.value.candidate.text


def unalike(task: Task, candidate: Candidate) -> float:
    """Score every text differently, between 0 and 1."""
    return 0.1 + 0.8 * random.Random(candidate.text).random()


SHORT: dict[str, dict[str, Any]] = {
    "mindstar_levin": {"n": 3},
    "rain": {"q": 3, "t": 4, "t_more": 2, "q_max": 3},
}


async def test_beam_search_votes_by_the_scores_of_the_last_steps() -> None:
    verdicts = {"42": 0.6, "7": 0.7}
    answers = iter(["42", "7", "42", "42"])
    writer = ScriptedModel(rules=[("", lambda _: f"\\boxed{{{next(answers)}}}")])
    result = await run(
        "beam_search",
        model=writer,
        verifier=lambda task, candidate: verdicts[candidate.answer or ""],
        parameters={"n": 4, "m": 2},
    )

    assert result.answer == "42"


@pytest.mark.parametrize("name", ["rain", "particle_gibbs", "particle_filter"])
async def test_to_say_that_it_was_cut_short_changes_no_answer(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(**changes: Any) -> Any:
        parameters = {"max_rounds": 3, **SHORT.get(name, {}), **changes}
        return run(name, verifier=unalike, parameters=parameters)

    told = await ended()
    monkeypatch.setattr(TreeSearch, "_cut_short", lambda self, state: False)
    silent = await ended()

    assert any("max_rounds" in warning for warning in told.warnings)
    assert (told.text, told.confidence) == (silent.text, silent.confidence)


async def test_a_search_that_max_rounds_cuts_short_says_so() -> None:
    cut = await run("best_first", verifier=half, parameters={"max_rounds": 3})
    whole = await run("rebase", verifier=half, parameters={"n": 4})

    assert any("max_rounds=3" in warning for warning in cut.warnings)
    assert not any("max_rounds" in warning for warning in whole.warnings)


def half(task: Task, candidate: Candidate) -> float:
    return 0.5


async def test_a_call_that_fails_is_told_and_asked_for_again() -> None:
    class Stumbling(SimulatedModel):
        calls = 0

        async def generate(self, request: Request, **options: Any) -> list[Completion]:
            self.calls += 1
            if self.calls == 2:
                raise ModelError("The server stumbled.")
            return await super().generate(request, **options)

    stumbling = Stumbling(problems=KNOWN, accuracy=0.5, seed=3)
    result = await run("mindstar_beam", model=stumbling, verifier=half)

    assert "The server stumbled." in result.warnings
    assert [c.id for c in result.candidates if c.id.startswith("rescue")] == []
    assert result.answer is not None


async def test_a_solution_that_was_verified_is_not_written_anew() -> None:
    writer = Writer(problems=KNOWN, accuracy=0.5, seed=3)
    writer.reply = "Together they say \\boxed{13}."
    result = await run(
        "rebase", verifier=right, model=writer, parameters={"select": "synthesis"}
    )

    assert (result.answer, result.stop_reason) == ("42", StopReason.VERIFIED)
    assert result.verdict is not None and result.verdict.passed


async def test_an_opinion_of_a_cut_off_text_does_not_end_a_search() -> None:
    class Agreeing(FunctionVerifier):
        async def verify(
            self, task: Task, candidate: Candidate, context: RunContext
        ) -> Verdict:
            return Verdict(score=1.0, passed=True)

    result = await run(
        "rebase",
        verifier=Agreeing(right),
        model=model(steps=60),
        parameters={"n": 4, "max_tokens": 40},
    )

    assert result.answer is not None


async def test_what_a_function_passes_ends_a_search_whatever_its_score() -> None:
    def passing(task: Task, candidate: Candidate) -> Verdict:
        return Verdict(score=0.9, passed=candidate.answer == "42")

    result = await run("rebase", verifier=passing)
    assert (result.answer, result.stop_reason) == ("42", StopReason.VERIFIED)
    on = await run("rebase", verifier=passing, parameters={"stop_at": 1.1})
    assert on.stop_reason is StopReason.FINISHED


@pytest.mark.parametrize("name", ["best_of_n", "rebase"])
async def test_the_limit_that_refuses_a_verdict_is_the_reason(name: str) -> None:
    parameters = {"n": 1} if name == "best_of_n" else {"n": 1, "depth": 1}
    result = await asolve(
        QUESTION,
        strategy=strategy(name, parameters),
        model=model(steps=1),
        verifier="judge",
        budget=Budget(calls=1, wrap_up=0),
    )

    assert result.stop_reason is StopReason.CALLS
    assert result.answer is not None


async def test_without_any_score_the_vote_is_declared() -> None:
    result = await run("beam_search", verifier=lambda task, candidate: None)

    assert ("scores of the solutions", "a plain vote") in [
        (s.missing, s.used) for s in result.substitutes
    ]


@pytest.mark.parametrize("limit", [{"output_tokens": 16}, {"tokens": 60}])
async def test_many_samples_of_little_budget_do_not_overrun_it(
    limit: dict[str, int],
) -> None:
    budget = Budget.model_validate(limit)
    result = await run("rebase", parameters={"n": 40}, budget=budget)

    used = {
        "output_tokens": result.usage.output_tokens,
        "tokens": result.usage.total_tokens,
    }
    assert all(used[kind] <= most for kind, most in limit.items())


async def test_a_model_without_n_is_called_for_each_sample() -> None:
    poor = model(capabilities=Capabilities(prefill=True, logprobs=True, seed=True))
    journal = Journal(":memory:")
    result = await run("rebase", model=poor, verifier=right, journal=journal)

    assert ("n", "a call for each sample") in [
        (s.missing, s.used) for s in result.substitutes
    ]
    assert result.answer is not None
    assert await areplay(result.run_id, journal=journal) == result


async def test_a_scorer_that_cannot_score_is_told_before_anything_is_paid() -> None:
    scripted = ScriptedModel([])
    with pytest.raises(InvalidParameter, match="needs the run's own verifier"):
        await run("rebase", model=scripted, parameters={"scorer": "verifier"})
    assert not scripted.calls


async def test_thoughts_of_a_level_can_be_voted_on() -> None:
    class Voting(SimulatedModel):
        """Votes for the second beginning, whatever it is."""

        async def generate(self, request: Request, **options: Any) -> list[Completion]:
            if '"choice"' not in request.messages[-1].content:
                return await super().generate(request, **options)
            usage = Usage(calls=1, input_tokens=90, output_tokens=9)
            return [Completion(text='{"choice": 2}', usage=usage)]

    parameters = {"evaluate": "vote", "votes": 3, "b": 1, "k": 3, "t": 2}
    voting = Voting(problems=KNOWN, seed=3)
    journal = Journal(":memory:")
    result = await run(
        "tree_of_thoughts", model=voting, parameters=parameters, journal=journal
    )

    assert result.answer is not None
    scores = {n["id"]: n["score"] for n in result.graph["nodes"]}
    assert [scores[f"node/{i}"] for i in (1, 2, 3)] == [0.0, 1.0, 0.0]
    gone_on_from = {e["source"] for e in result.graph["edges"]} & scores.keys()
    assert {"node/2", "node/5"} <= gone_on_from
    assert not {"node/1", "node/3", "node/4", "node/6"} & gone_on_from
    assert result.roles["verifier"].calls == 2 * 3
    assert all(c.verdict is None for c in result.candidates)
    assert await areplay(result.run_id, journal=journal) == result


async def test_thoughts_that_say_the_same_share_their_votes() -> None:
    """A, A and B: who votes for A votes for both, and one of them is gone on from."""
    voted: list[str] = []

    class Repeating(SimulatedModel):
        async def generate(self, request: Request, **options: Any) -> list[Completion]:
            asked = request.messages[-1].content
            if '"choice"' in asked:
                voted.append(asked)
                return [Completion(text='{"choice": 1}')]
            if request.prefill:
                return [Completion(text="\\boxed{42}") for _ in range(request.n)]
            return [Completion(text=text) for text in ("A.", "A.", "B.")]

    parameters = {"evaluate": "vote", "votes": 2, "b": 1, "k": 3, "t": 1}
    result = await run(
        "tree_of_thoughts", model=Repeating(problems=KNOWN), parameters=parameters
    )

    assert all("2 beginnings" in asked for asked in voted)
    scores = {n["id"]: n["score"] for n in result.graph["nodes"]}
    assert [scores[f"node/{i}"] for i in (1, 2, 3)] == [1.0, 1.0, 0.0]


async def test_a_vote_that_the_budget_refuses_ends_the_search() -> None:
    parameters = {"evaluate": "vote", "b": 1, "k": 3, "t": 2}
    result = await run(
        "tree_of_thoughts", parameters=parameters, budget=Budget(calls=2)
    )

    assert result.stop_reason is StopReason.CALLS
    assert result.answer is not None


async def test_a_verifier_that_raises_leaves_solutions_unscored() -> None:
    def broken(task: Task, candidate: Candidate) -> bool:
        raise RuntimeError("no disk")

    result = await run("particle_filter", verifier=broken)

    assert result.answer is not None
    assert all(c.verdict is None or c.verdict.score is None for c in result.candidates)
    assert any("no disk" in warning for warning in result.warnings)


async def test_without_prefill_the_next_step_is_asked_for() -> None:
    poor = model(capabilities=Capabilities(n=True, seed=True, logprobs=True))
    result = await run("step_beam", model=poor)

    assert [s.missing for s in result.substitutes] == ["prefill"]
    assert result.answer is not None


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("best_first", "the step scorer's scores"),
        ("phi_decoding", "the agreement of the roll-outs alone"),
        ("rain", "the same p for all candidates"),
        ("self_evaluation_beam", "the self-evaluation alone (lambda = 1)"),
    ],
)
async def test_without_logprobs_a_substitute_is_declared(name: str, used: str) -> None:
    poor = model(capabilities=Capabilities(n=True, seed=True, prefill=True))
    result = await run(name, model=poor, verifier=right, parameters={})

    assert ("logprobs", used) in [(s.missing, s.used) for s in result.substitutes]
    assert result.answer is not None


async def test_a_delimiter_that_never_comes_is_told_and_does_no_harm() -> None:
    result = await run(
        "rebase", parameters={"delimiter": "@@@", "step_tokens": 5, "n": 4}
    )

    assert any("'@@@'" in w and "step_tokens" in w for w in result.warnings)
    assert result.answer is not None


async def test_a_search_without_a_solution_writes_its_best_partial_one_on() -> None:
    journal = Journal(":memory:")
    result = await run(
        "rebase",
        budget=Budget(tokens=2000),
        parameters={"n": 24},
        journal=journal,
    )

    assert result.stop_reason is StopReason.TOKENS
    assert result.usage.total_tokens <= 2000
    assert [c.id for c in result.candidates] == ["rescue/rest"]
    assert result.text.count("Step 1") == 1 and "The answer is" in result.text
    again = await areplay(result.run_id, journal=journal)
    assert (again.text, again.usage.calls) == (result.text, result.usage.calls)


@pytest.mark.parametrize("name", ["rebase", "particle_filter", "a_star", "beam_search"])
async def test_what_a_limit_has_stopped_is_written_on_while_a_function_checks(
    name: str,
) -> None:
    journal = Journal(":memory:")
    options: dict[str, Any] = {
        "budget": Budget(output_tokens=400, wrap_up=0.4),
        "parameters": {"n": 12} if name != "a_star" else {"k": 4},
        "model": model(steps=8),
    }
    wrong = await run(
        name, verifier=lambda task, one: False, journal=journal, **options
    )

    ids = [c.id.split("/")[0] for c in wrong.candidates]
    assert ids[0] == "rescue" and ids.count("stopped") >= 1
    assert len({c.text for c in wrong.candidates}) == len(ids)
    assert wrong.usage.output_tokens <= 400
    assert (
        await areplay(wrong.run_id, journal=journal, verifier=lambda task, one: False)
        == wrong
    )

    last = wrong.candidates[-1].text
    found = await run(name, verifier=lambda task, one: one.text == last, **options)
    assert (found.stop_reason, found.text) == (StopReason.VERIFIED, last)
    assert len(found.candidates) == len(ids)

    for verifier in (None, "judge"):
        alone = await run(name, verifier=verifier, **options)
        assert [c.id.split("/")[0] for c in alone.candidates] == ["rescue"]


async def test_where_there_is_no_room_to_write_on_the_answer_is_asked_for() -> None:
    result = await run(
        "rebase", budget=Budget(output_tokens=200, wrap_up=0.25), parameters={"n": 24}
    )

    assert [c.id for c in result.candidates] == ["rescue"]
    assert "\\boxed{" in result.text and result.answer is not None


async def test_what_was_written_on_may_be_cut_off_and_still_has_an_answer() -> None:
    result = await run(
        "rebase",
        model=model(steps=30),
        budget=Budget(output_tokens=600, wrap_up=0.2),
        parameters={"n": 24},
    )

    assert [c.id for c in result.candidates] == ["rescue"]
    assert result.answer is not None
    assert result.text.count("Step") > 4


async def test_a_step_search_keeps_no_more_than_half_a_solution_and_an_answer() -> None:
    journal = Journal(":memory:")
    result = await run(
        "rebase",
        model=model(steps=30),
        budget=Budget(output_tokens=2000, wrap_up=0.4),
        parameters={"n": 24, "max_tokens": 200},
        journal=journal,
    )

    entries = journal.read(result.run_id).entries
    last = [e.usage.output_tokens for e in entries if e.path.startswith("rescue")]
    assert sum(last) <= 100 + 48
    searched = sum(e.usage.output_tokens for e in entries) - sum(last)
    assert 2000 - 148 - LEAST_OUTPUT <= searched <= 2000 - 148


class Bounding(SimulatedModel):
    """A model that cannot count tokens, and gives an upper bound: bytes."""

    count_tokens = Model.count_tokens


@pytest.mark.parametrize("kind", ["tokens", "input_tokens"])
@pytest.mark.parametrize("limit", range(2600, 6000, 700))
async def test_what_is_written_on_leaves_room_for_the_answer(
    kind: str, limit: int
) -> None:
    """The last call reads all that was written, so it costs more than it did before."""
    journal = Journal(":memory:")
    result = await run(
        "rebase",
        model=Bounding(problems=KNOWN, accuracy=0.5, seed=3, steps=100),
        budget=Budget.model_validate({kind: limit}),
        parameters={"n": 24},
        journal=journal,
    )

    places = [e.path for e in journal.read(result.run_id).entries]
    assert places[-2:] == ["rescue/rest", "rescue"]
    assert result.answer is not None


async def test_a_solution_that_the_budget_has_cut_is_written_on() -> None:
    parameters = {"t": 1, "k": 2, "b": 1}
    result = await run(
        "tree_of_thoughts",
        model=model(steps=40),
        budget=Budget(output_tokens=500, wrap_up=0.4),
        parameters=parameters,
    )

    assert [c.id for c in result.candidates] == ["node/3", "rescue/rest"]
    assert result.candidates[1].text.startswith(result.candidates[0].text)


async def test_what_was_written_on_is_judged_where_a_verifier_was_given() -> None:
    budget, parameters = Budget(output_tokens=200), {"n": 8, "select": "best"}
    result = await run("rebase", budget=budget, parameters=parameters, verifier=unsure)

    assert result.candidates[0].id.startswith("rescue")
    assert result.verdict is not None and result.confidence == 0.5


async def test_no_attempt_is_counted_twice_where_no_answer_can_be_had() -> None:
    for limit in range(20, 60, 3):
        budget = Budget(output_tokens=limit, wrap_up=0.0)
        parameters = {"t": 1, "k": 2, "b": 1}
        result = await run("tree_of_thoughts", budget=budget, parameters=parameters)
        ids = [c.id for c in result.candidates]
        assert len(ids) == len(set(ids))


async def test_a_call_that_is_lost_does_not_cost_the_answer(tmp_path: Path) -> None:
    """What a cancelled call used is charged, so the next try gets less to write."""
    journal = Journal(tmp_path / "journal.sqlite")
    options: dict[str, Any] = {
        "parameters": {"n": 24},
        "budget": Budget(tokens=2000),
    }

    def cancel(event: Event) -> None:
        if isinstance(event, TextDelta) and event.path == "rescue/rest":
            if event.output_tokens > 60:
                task.cancel()

    slow = model(steps=100, latency_per_token=0.0002)
    task = asyncio.ensure_future(
        run("rebase", model=slow, journal=journal, on_event=cancel, **options)
    )
    with pytest.raises(asyncio.CancelledError):
        await task
    (record,) = journal.runs()
    resumed = await aresume(record.run_id, model=model(steps=100), journal=journal)

    assert resumed.answer is not None
    assert resumed.usage.total_tokens <= 2000


@pytest.mark.parametrize("limit", [300, 600])
async def test_a_search_inside_another_leaves_what_that_one_has_kept(
    limit: int,
) -> None:
    inner = strategy("ab_mcts_a").as_model(model(steps=8))
    result = await asolve(
        QUESTION,
        strategy=strategy("mcts", {"select": "synthesis", "k": 1}),
        model=inner,
        verifier=unsure,
        budget=Budget(output_tokens=limit, wrap_up=0.4),
    )

    assert result.answer is not None
    assert result.usage.output_tokens <= 0.6 * limit


def unsure(task: Task, candidate: Candidate) -> float:
    return 0.5


@pytest.mark.parametrize(
    ("verifier", "kept"), [(unsure, False), (None, True)], ids=["function", "model"]
)
async def test_what_is_kept_back_is_free_once_a_solution_was_checked(
    verifier: Any, kept: bool
) -> None:
    """Where a model judges it is not: what was found last has to be judged, too."""
    budget = Budget(output_tokens=600, wrap_up=0.5)
    options = {"budget": budget, "verifier": verifier, "model": model()}
    result = await asolve(QUESTION, strategy=strategy("ab_mcts_a"), **options)

    assert result.stop_reason is StopReason.OUTPUT_TOKENS
    written = result.roles["generator"].output_tokens
    assert written <= 300 if kept else written > 500


class Writer(SimulatedModel):
    """Writes one solution from all that it is shown."""

    reply = "Together they say \\boxed{42}."

    async def generate(self, request: Request, **options: Any) -> list[Completion]:
        completions = await super().generate(request, **options)
        if all(m.content.count("Step 1") < 2 for m in request.messages):
            return completions
        return [c.model_copy(update={"text": self.reply}) for c in completions]


async def test_solutions_can_be_made_into_a_new_one() -> None:
    writer = Writer(problems=KNOWN, accuracy=0.2, seed=3)
    result = await run(
        "rebase", model=writer, parameters={"select": "synthesis", "n": 4}
    )

    assert result.answer == "42"
    assert result.candidates[-1].id == "synthesis"
    assert result.roles["synthesizer"].calls == 1


async def test_where_nothing_can_be_written_the_vote_counts_and_says_so() -> None:
    writer = Writer(problems=KNOWN, accuracy=0.2, seed=3)
    writer.reply = "I cannot tell."
    parameters = {"select": "synthesis", "n": 4}
    vote = await run("rebase", model=writer, parameters=parameters | {"select": "vote"})
    result = await run("rebase", model=writer, parameters=parameters)

    assert result.answer == vote.answer
    assert ("synthesis", "a vote of the solutions") in [
        (s.missing, s.used) for s in result.substitutes
    ]


@pytest.mark.parametrize("wrong", [{"answers": False}, {"rollout": True}])
def test_answers_that_are_refined_have_no_steps(wrong: dict[str, bool]) -> None:
    with pytest.raises(InvalidParameter, match="take coat"):
        strategy("mcts", wrong)


def test_impossible_parameters_are_named() -> None:
    with pytest.raises(InvalidParameter, match="Parameter n=0 of strategy 'rebase'"):
        strategy("rebase", {"n": 0})
    with pytest.raises(InvalidParameter, match="t_b"):
        strategy("rebase", {"t_b": 0})


async def test_a_solution_that_is_at_its_limit_is_no_fault_of_the_delimiter() -> None:
    cut = "within 16 tokens"
    short = await run(
        "rebase", model=model(steps=60), parameters={"n": 1, "max_tokens": 42}
    )
    assert not any("No step ended" in warning for warning in short.warnings)
    steps = {"n": 2, "step_tokens": 16, "delimiter": "never"}
    never = await run("rebase", model=model(steps=30), parameters=steps)
    assert any(cut in warning for warning in never.warnings)
