import asyncio
from pathlib import Path
from typing import Any

import pytest

import ponder
from ponder import (
    Budget,
    Capabilities,
    Journal,
    ScriptedModel,
    SimulatedModel,
    Task,
)
from ponder.agents.constraint_verifier import constraint_verifier
from ponder.errors import (
    ContextOverflow,
    InvalidInput,
    InvalidParameter,
    ModelError,
    ModelFileError,
    PonderError,
    UnknownName,
    UnsupportedCapability,
    VerifierError,
    revived,
)
from ponder.graphs.base import strategy
from ponder.messages import Completion, Request, Usage, assistant, user
from ponder.models.litellm import LiteLLMModel
from ponder.result import Candidate, StopReason
from ponder.run import areplay

QUESTION = "What is 17 + 25?"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def is_42(task: Task, candidate: Candidate) -> bool:
    return candidate.answer == "42"


def test_solve_is_the_same_behind_a_sync_door(journal: Journal) -> None:
    model = ScriptedModel(["The answer is 42."])
    result = ponder.solve(
        QUESTION, strategy="chain_of_thought", model=model, journal=journal
    )
    assert result.answer == "42"
    assert result.stop_reason is StopReason.FINISHED
    model.assert_consumed()


async def test_the_sync_door_opens_inside_a_running_loop(journal: Journal) -> None:
    result = ponder.solve(
        QUESTION, strategy="direct", model=ScriptedModel(["42"]), journal=journal
    )
    assert result.answer == "42"


async def test_errors_come_through_the_sync_door_inside_a_loop() -> None:
    with pytest.raises(UnknownName):
        ponder.solve(QUESTION, strategy="nope", model=ScriptedModel([]))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"strategy": "best_of"}, UnknownName, "Did you mean best_of_n"),
        ({"strategy": "direct{"}, InvalidParameter, "no JSON"),
        (
            {"strategy": "best_of_n", "parameters": {"m": 3}},
            InvalidParameter,
            "Unknown parameter of best_of_n 'm'",
        ),
        (
            {"strategy": "best_of_n", "parameters": {"n": 0}},
            InvalidParameter,
            "Parameter n=0 of strategy 'best_of_n': input should be greater",
        ),
        ({"verifier": "jury"}, UnknownName, "Unknown verifier 'jury'"),
        ({"model": "lokal"}, UnknownName, "Did you mean"),
    ],
)
async def test_bad_names_and_parameters_are_named(
    options: dict[str, object],
    error: type[PonderError],
    said: str,
    journal: Journal,
) -> None:
    given: dict[str, object] = {"model": ScriptedModel([]), "journal": journal}
    with pytest.raises(error, match=said):
        await ponder.asolve(QUESTION, **(given | options))  # type: ignore[arg-type]
    assert journal.runs() == []


async def test_an_empty_question_is_refused(journal: Journal) -> None:
    with pytest.raises(InvalidInput, match="The question is empty"):
        await ponder.asolve("  \n", model=ScriptedModel([]), journal=journal)


async def test_history_reaches_the_model(journal: Journal) -> None:
    model = ScriptedModel(["Ada"])
    await ponder.asolve(
        "What is my name?",
        strategy="direct",
        model=model,
        history=[user("I am Ada."), assistant("Hello Ada.")],
        journal=journal,
    )
    assert [m.content for m in model.calls[0].messages] == [
        "I am Ada.",
        "Hello Ada.",
        "What is my name?",
    ]


async def test_a_model_with_a_temperature_of_its_own_takes_any_strategy(
    journal: Journal,
) -> None:
    verdict = '{"feedback": "Fine.", "score": 100}'
    replies = ["The answer is 42."] * 3 + [verdict] * 3
    model = ScriptedModel(
        replies, capabilities=Capabilities(n=True, temperature=False, top_p=False)
    )
    result = await ponder.asolve(
        QUESTION,
        strategy=strategy("best_of_n", {"n": 3, "temperature": 0.7}),
        model=model,
        verifier=constraint_verifier(constraints=["It is 42."]),
        journal=journal,
    )
    model.assert_consumed()
    noted = [note.missing for note in result.substitutes]
    assert noted.count("temperature") == 1
    drawn = [call.sampling.model_fields_set for call in model.calls]
    assert drawn == [set()] * len(drawn)


async def test_log_probabilities_that_a_provider_refuses_are_done_without(
    journal: Journal,
) -> None:
    refused = UnsupportedCapability("m", "logprobs")
    model = ScriptedModel(
        rules=[
            (lambda request: request.logprobs is not None, refused),
            (lambda request: True, "The answer is 42."),
        ],
        capabilities=Capabilities(logprobs=True),
    )
    result = await ponder.asolve(
        QUESTION, strategy=strategy("rpc", {"n": 3}), model=model, journal=journal
    )
    assert result.answer == "42"
    assert "logprobs" in [note.missing for note in result.substitutes]
    assert await areplay(result.run_id, journal=journal) == result


async def test_calls_in_flight_cannot_pass_a_limit_of_cached_tokens(
    journal: Journal,
) -> None:
    usage = Usage(calls=1, input_tokens=33, cached_tokens=33, output_tokens=4)
    reply = Completion(text="The answer is 42.", usage=usage)
    result = await ponder.asolve(
        QUESTION,
        strategy=strategy("self_consistency", {"n": 8, "criterion": "none"}),
        model=ScriptedModel(rules=[(lambda _: True, reply)], delay=0.01),
        budget=Budget(cached_tokens=150),
        journal=journal,
    )
    assert 0 < result.usage.cached_tokens <= 150
    assert result.stop_reason is StopReason.CACHED_TOKENS


async def test_no_budget_at_all_is_a_result_without_an_answer(
    journal: Journal,
) -> None:
    result = await ponder.asolve(
        QUESTION,
        strategy="self_consistency",
        model=ScriptedModel([]),
        budget=Budget(calls=0),
        journal=journal,
    )
    assert result.answer is None
    assert result.stop_reason is StopReason.CALLS
    assert result.usage.calls == 0


async def test_a_text_that_is_cut_off_is_made_to_answer(journal: Journal) -> None:
    model = ScriptedModel(["one two three four five six seven eight", "42"])
    result = await ponder.asolve(
        QUESTION,
        strategy=strategy("chain_of_thought", {"max_tokens": 5}),
        model=model,
        journal=journal,
    )
    assert model.calls[1].prefill.startswith("one two three four five")
    assert model.calls[1].prefill.endswith("\\boxed{")
    assert result.answer == "42"


async def test_time_ends_a_run_with_what_there_is(journal: Journal) -> None:
    model = SimulatedModel(accuracy=1.0, seed=1, latency_per_token=0.01)
    async with asyncio.timeout(5):
        result = await ponder.asolve(
            QUESTION,
            strategy="chain_of_thought",
            model=model,
            budget=Budget(seconds=0.15),
            journal=journal,
        )
    assert result.stop_reason is StopReason.SECONDS
    assert result.usage.seconds < 1.0
    assert await ponder.areplay(result.run_id, journal=journal) == result


async def test_fork_shares_the_first_steps_with_another_model(
    journal: Journal,
) -> None:
    plan = strategy("self_consistency", {"n": 4, "batch": 1, "criterion": "none"})
    model = ScriptedModel([f"\\boxed{{{i}}}" for i in (1, 1, 2, 2)])
    first = await ponder.asolve(QUESTION, strategy=plan, model=model, journal=journal)
    other = ScriptedModel(["\\boxed{9}", "\\boxed{9}"], name="other")
    forked = await ponder.afork(first.run_id, at=2, model=other, journal=journal)
    other.assert_consumed()
    assert [c.answer for c in forked.candidates] == ["1", "1", "9", "9"]
    assert forked.run_id != first.run_id
    assert journal.run(forked.run_id).record.forked_from == f"{first.run_id}@2"


async def test_resume_with_a_new_budget_asks_again_what_was_refused(
    journal: Journal,
) -> None:
    plan = strategy("self_consistency", {"n": 4, "batch": 1, "criterion": "none"})
    first = await ponder.asolve(
        QUESTION,
        strategy=plan,
        model=ScriptedModel(["\\boxed{1}", "\\boxed{2}"]),
        budget=Budget(calls=2, wrap_up=0),
        journal=journal,
    )
    assert first.stop_reason is StopReason.CALLS
    more = ScriptedModel(["\\boxed{2}", "\\boxed{2}"], name="more")
    second = await ponder.aresume(
        first.run_id, model=more, budget=Budget(calls=9), journal=journal
    )
    more.assert_consumed()
    assert second.answer == "2"
    assert second.usage.calls == 4


async def test_resume_needs_a_verifier_that_is_code_again(journal: Journal) -> None:
    first = await ponder.asolve(
        QUESTION,
        strategy=strategy("best_of_n", {"n": 1}),
        model=ScriptedModel(["\\boxed{42}"]),
        verifier=is_42,
        journal=journal,
    )
    with pytest.raises(InvalidInput, match=r"verified by 'is_42', which is code"):
        await ponder.aresume(first.run_id, model=ScriptedModel([]), journal=journal)


async def test_a_run_without_a_result_cannot_be_replayed(journal: Journal) -> None:
    with pytest.raises(PonderError, match="unexpected|script"):
        await ponder.asolve(QUESTION, model=ScriptedModel([]), journal=journal)
    with pytest.raises(InvalidInput, match="ponder resume"):
        await ponder.areplay(journal.runs()[0].run_id, journal=journal)


async def test_a_changed_strategy_is_a_drift_in_replay(journal: Journal) -> None:
    result = await ponder.asolve(
        QUESTION, strategy="direct", model=ScriptedModel(["42"]), journal=journal
    )
    with pytest.raises(PonderError, match="holds no call at 'sample/0'"):
        await ponder.areplay(
            result.run_id, strategy=strategy("chain_of_thought"), journal=journal
        )


async def test_strategies_stand_before_models_in_names(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ScriptedModel(["\\boxed{42}"], name="local")
    monkeypatch.setattr("ponder.plan.open_plain_model", lambda name, settings: model)
    result = await ponder.asolve(
        QUESTION, strategy="direct", model="chain_of_thought/local", journal=journal
    )
    assert journal.run(result.run_id).record.model == "chain_of_thought/local"
    assert await ponder.areplay(result.run_id, journal=journal) == result


async def test_a_remote_name_is_no_nested_strategy() -> None:
    from ponder.plan import open_model
    from ponder.settings import load_settings

    model = open_model("openai/gpt-4o-mini", load_settings())
    assert isinstance(model, LiteLLMModel)


async def test_a_strategy_as_model_refuses_to_work_outside_a_run() -> None:
    model = strategy("direct").as_model(ScriptedModel(["42"]))
    with pytest.raises(InvalidParameter, match=r"pass it as the model of ponder.solve"):
        await model.generate(ponder.Request(messages=(user("Hi"),)))


async def test_two_calls_at_one_place_are_refused(journal: Journal) -> None:
    from langgraph.graph import END, START, StateGraph
    from langgraph.runtime import Runtime

    from ponder.context import RunContext
    from ponder.graphs.base import Graph, State, Strategy

    class Twice(Strategy):
        name = "twice"
        source = "baseline"

        def build(self) -> Graph:
            async def node(state: State, runtime: Runtime[RunContext]) -> State:
                request = ponder.Request(messages=(user("Hi"),))
                await runtime.context.generate(request)
                await runtime.context.generate(request)
                return {}

            graph = StateGraph(State, context_schema=RunContext)
            graph.add_node("node", node)
            graph.add_edge(START, "node")
            graph.add_edge("node", END)
            return graph

    with pytest.raises(PonderError, match="a place of its own"):
        await ponder.asolve(
            QUESTION,
            strategy=Twice(),
            model=ScriptedModel(["a", "b"]),
            journal=journal,
        )


async def test_the_result_divides_usage_by_role_and_knows_the_longest_chain(
    journal: Journal,
) -> None:
    # Two samples side by side, then two judges side by side, of five votes in a row.
    model = ScriptedModel(
        ["so \\boxed{1}", "and therefore also \\boxed{1}"],
        rules=[("proposed solution", "Yes")],
    )
    result = await ponder.asolve(
        QUESTION,
        strategy='best_of_n{"n": 2}',
        model=model,
        verifier="judge",
        journal=journal,
    )

    assert {role: usage.calls for role, usage in result.roles.items()} == {
        "generator": 2,
        "verifier": 10,
    }
    total = sum(usage.total_tokens for usage in result.roles.values())
    assert total == result.usage.total_tokens
    assert result.critical_tokens == 4 + 1
    replayed = await ponder.areplay(result.run_id, journal=journal)
    assert replayed == result


class Unloadable(SimulatedModel):
    """A model whose file turns out to be missing when it is first needed."""

    def count_tokens(self, request: Request) -> int:
        raise ModelFileError("model.gguf is not there. Pull it first.")


@pytest.mark.parametrize("name", ["direct", "best_of_n", "tree_of_thoughts", "plangen"])
async def test_a_model_that_cannot_count_fails_with_its_own_error(name: str) -> None:
    with pytest.raises(ModelFileError, match="Pull it first"):
        await ponder.asolve(QUESTION, strategy=name, model=Unloadable(seed=1))


async def test_answers_that_were_paid_outlast_a_refused_one() -> None:
    """A strategy in the place of a model is asked for several at once."""
    inner = strategy("best_of_n", {"n": 2, "max_tokens": 64})
    result = await ponder.asolve(
        QUESTION,
        strategy=strategy("rebase", {"n": 8, "select": "vote"}),
        model=inner.as_model(SimulatedModel(seed=1)),
        verifier=is_42,
        budget=Budget(calls=5),
    )

    assert result.candidates
    assert result.answer is not None


async def test_a_result_does_not_depend_on_which_branch_warned_first(
    journal: Journal,
) -> None:
    class Uneven(SimulatedModel):
        async def generate(self, request: Request, **options: Any) -> list[Completion]:
            if "Yes or No" in request.messages[-1].content:
                slow = (request.seed or 0) % 2
                await asyncio.sleep(0.02 * slow)
                raise ModelError(f"The judge has left by door {slow}.")
            return await super().generate(request, **options)

    result = await ponder.asolve(
        QUESTION,
        strategy=strategy("best_of_n", {"n": 6}),
        model=Uneven(seed=1),
        journal=journal,
    )

    assert len(result.warnings) == 2
    assert await ponder.areplay(result.run_id, journal=journal) == result


async def test_a_run_that_went_on_with_another_budget_replays(journal: Journal) -> None:
    model = SimulatedModel(seed=1, steps=30)
    first = await ponder.asolve(
        QUESTION,
        strategy=strategy("rebase", {"n": 4, "delimiter": "\n"}),
        model=model,
        budget=Budget(output_tokens=150),
        journal=journal,
    )
    on = await ponder.aresume(
        first.run_id, model=model, budget=Budget(output_tokens=600), journal=journal
    )

    assert on.usage.output_tokens > first.usage.output_tokens
    again = await ponder.areplay(first.run_id, journal=journal)
    # What was asked anew has changed, which the resumed run says.
    assert on.warnings and all("has changed" in warning for warning in on.warnings)
    assert again == on


def test_a_failure_of_before_is_raised_as_what_it_was() -> None:
    error = revived("ContextOverflow", "The request needs 900 tokens.")
    assert isinstance(error, ContextOverflow)
    assert str(error) == "The request needs 900 tokens."
    assert type(revived("VerifierError", "no")) is VerifierError
    assert type(revived("SomethingOld", "no")) is ModelError
