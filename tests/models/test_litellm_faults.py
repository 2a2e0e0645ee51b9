"""LiteLLMModel against a server that misbehaves by script."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

import ponder
from ponder.errors import (
    ContextOverflow,
    InvalidParameter,
    ModelError,
    ModelRejected,
    ModelUnreachable,
    UnsupportedCapability,
)
from ponder.graphs.base import strategy
from ponder.models.litellm import LiteLLMModel
from ponder.run import areplay
from tests.support.faulty_server import (
    Reply,
    chat,
    choice,
    error,
    hang,
    raw,
    stream,
)
from tests.support.places import place
from tests.support.remote_model import (
    ASK,
    KEY,
    Heard,
    remote,
)


async def test_retry_after_is_obeyed() -> None:
    faults = [error(429, "slow down", Retry_After="7"), error(503, Retry_After="99")]
    async with remote(*faults, chat()) as (model, _, waits):
        await model.generate(ASK)
    assert waits.seconds == [7.0, 20.0]


async def test_retry_after_may_be_a_date() -> None:
    late = "Wed, 01 Jan 2200 00:00:00 GMT"
    past = "Wed, 01 Jan 2020 00:00:00 GMT"
    faults = [error(429, Retry_After=value) for value in (late, past, "soon")]
    async with remote(*faults, chat(), retry_cap=5.0) as (model, _, waits):
        await model.generate(ASK)
    assert waits.seconds == [5.0, 0.0, 2.0]


FAULTS: list[Reply] = [
    error(429),
    error(500),
    error(502),
    error(504),
    error(529),
    error(408),
    raw(b'{"id": "x", "choices": [{"index"', claimed_length=500),
    raw(b'{"id": "x", "choices": [{"index"'),
    raw(b"<html>Bad gateway</html>"),
    raw(b"[]"),
    chat(usage=None, choices=[]),
]


@pytest.mark.parametrize("fault", FAULTS)
async def test_passing_faults_are_retried_with_growing_delays(fault: Reply) -> None:
    async with remote(fault, fault, fault, chat(choice("72"))) as (model, _, waits):
        [made] = await model.generate(ASK)
    assert made.text == "72"
    assert waits.seconds == [0.5, 1.0, 2.0]


async def test_hanging_is_retried_after_the_timeout() -> None:
    async with remote(hang(), chat(choice("72")), timeout=0.2) as (model, server, _):
        [made] = await model.generate(ASK)
        await asyncio.wait_for(server.cut.wait(), 5)
    assert made.text == "72"


async def test_after_the_last_retry_it_says_what_was_tried() -> None:
    async with remote(*[error(503, "overloaded")] * 3, max_retries=2) as (
        model,
        s,
        waits,
    ):
        with pytest.raises(ModelUnreachable) as caught:
            await model.generate(ASK)
        message = str(caught.value)
        assert "'openai/tiny'" in message
        assert s.url in message
        assert "3 attempts" in message
        assert "overloaded" in message
        assert "max_retries" in message
    assert waits.seconds == [0.5, 1.0]


async def test_nobody_listens() -> None:
    async with remote() as (model, server, _):
        address = server.url
    other = LiteLLMModel("openai/tiny", api_base=address, api_key="k", max_retries=0)
    with pytest.raises(ModelUnreachable, match="1 attempts"):
        await other.generate(ASK)
    await other.aclose()


async def test_the_cost_of_finished_siblings_is_said_when_one_fails() -> None:
    slow = replace(error(404), delay=0.2)
    async with remote(chat(choice("72")), slow) as (model, _, _w):
        model.learn("n", False)
        with pytest.raises(ModelRejected) as caught:
            await model.generate(ASK.model_copy(update={"n": 2}))
    assert "10 input and 4 output tokens" in caught.value.__notes__[0]


async def test_what_failed_attempts_cost_is_not_lost() -> None:
    useless = chat(choices=[])
    async with remote(useless, useless, chat(choice("72"))) as (model, _, _w):
        [made] = await model.generate(ASK)
    assert (made.usage.calls, made.usage.input_tokens) == (3, 30)
    async with remote(useless, useless, max_retries=1) as (model, _, _w):
        with pytest.raises(ModelUnreachable, match="20 input and 8 output tokens"):
            await model.generate(ASK)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (error(400, "temperature is odd"), "temperature is odd"),
        (error(401, f"bad key {KEY}"), "OPENAI_API_KEY"),
        (error(403), "may not use this model"),
        (error(404, "no such model"), "name and the address"),
        (error(413, "too big"), "too large"),
        (error(422), "refuses a part"),
        (error(429, "You exceeded your current quota"), "no credit"),
    ],
)
async def test_refusals_are_final(fault: Reply, words: str) -> None:
    async with remote(fault) as (model, _, waits):
        with pytest.raises(ModelRejected) as caught:
            await model.generate(ASK)
    assert words in str(caught.value)
    assert KEY not in str(caught.value)
    assert waits.seconds == []


async def test_context_overflow_gives_both_numbers() -> None:
    words = "This model's maximum context length is 128 tokens, you asked for 500"
    async with remote(error(400, words)) as (model, _, _w):
        with pytest.raises(ContextOverflow) as caught:
            await model.generate(ASK)
        assert caught.value.needed == model.count_tokens(ASK) + ASK.max_tokens
    assert caught.value.available == 128


async def test_a_missing_key_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    model = LiteLLMModel("openai/gpt-4o-mini")
    with pytest.raises(ModelRejected, match="OPENAI_API_KEY"):
        await model.generate(ASK)
    await model.aclose()


async def test_a_context_of_unknown_size_is_no_number() -> None:
    async with remote(error(400, "context window exceeded")) as (model, _, _w):
        with pytest.raises(ModelRejected, match="size is unknown"):
            await model.generate(ASK)


async def test_a_refusal_tells_what_was_paid_before() -> None:
    async with remote(chat(choices=[]), error(404)) as (model, _, _w):
        with pytest.raises(ModelRejected) as caught:
            await model.generate(ASK)
    assert "10 input and 4 output tokens" in caught.value.__notes__[0]


async def test_an_error_of_the_listener_is_its_own() -> None:
    def listener(index: int, text: str, tokens: int) -> None:
        raise KeyError(text)

    async with remote(stream("72", hang=True)) as (model, server, _):
        with pytest.raises(KeyError, match="72"):
            await model.generate(ASK, on_delta=listener)
        await asyncio.wait_for(server.cut.wait(), 2)


async def test_an_unknown_provider_is_explained() -> None:
    with pytest.raises(InvalidParameter, match="provider/model"):
        await LiteLLMModel("nonsense").generate(ASK)


BIG = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}


def empty() -> Reply:
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "t"}
    return Reply(body=json.dumps({**body, "choices": [], "usage": BIG}).encode())


@pytest.mark.parametrize(
    ("replies", "update", "spent"),
    [
        ([empty()] * 5, {}, 5 * 1500),
        ([chat(choice("72"), usage=BIG)], {"logprobs": 1}, 1500),
        (
            [chat(choice("72"), usage=BIG), error(400, "no"), error(400, "no")],
            {"n": 3},
            1500,
        ),
    ],
)
async def test_what_a_failure_has_cost_is_booked(
    replies: list[Reply], update: dict[str, Any], spent: int
) -> None:
    async with remote(*replies) as (model, _, _):
        context = place(model)
        model.learn("stream", False)
        with pytest.raises(ModelError):
            await context.generate(ASK.model_copy(update=update))
    assert context.ledger.spent.total_tokens == spent
    (entry,) = context.shared.log.entries
    assert entry.kind == "failure" and entry.usage.total_tokens == spent


async def test_several_completions_that_a_provider_refuses_are_asked_for_singly() -> (
    None
):
    refusal = error(400, "Multiple candidates is not enabled for this model")
    replies = [refusal, *(chat(choice(text)) for text in "abc")]
    again = [chat(choice(text)) for text in "de"]
    async with remote(*replies, *again) as (model, server, _):
        made = await model.generate(ASK.model_copy(update={"n": 3}))
        await model.generate(ASK.model_copy(update={"n": 2}))
    assert sorted(c.text for c in made) == ["a", "b", "c"]
    assert [body.get("n", 1) for body in server.bodies] == [3, 1, 1, 1, 1, 1]


async def test_a_refusal_of_anything_else_is_not_taken_for_one_of_n() -> None:
    async with remote(error(401, "bad key")) as (model, _, _w):
        with pytest.raises(ModelRejected):
            await model.generate(ASK.model_copy(update={"n": 3}))
        assert model.known().n


@pytest.mark.parametrize(
    ("update", "words", "missing"),
    [
        ({"logprobs": 5}, "logprobs is not supported with this model", "logprobs"),
        (
            {"output_schema": {"type": "object", "properties": {}}},
            "This response_format type is unavailable now",
            "output_schema",
        ),
    ],
)
async def test_what_a_provider_names_in_a_refusal_is_missing(
    update: dict[str, Any], words: str, missing: str
) -> None:
    async with remote(error(400, words)) as (model, _, _w):
        assert getattr(model.known(), missing)
        with pytest.raises(UnsupportedCapability, match=words) as caught:
            await model.generate(ASK.model_copy(update=update))
        assert caught.value.missing == missing
        # A run goes on as it began, and finds it missing without a further call.
        assert getattr(model.capabilities, missing)
        with pytest.raises(UnsupportedCapability):
            await model.generate(ASK.model_copy(update=update))
        assert not getattr(model.known(), missing)


async def test_a_stream_that_is_refused_is_asked_for_whole() -> None:
    refusal = error(400, "Your organization must be verified to stream this model")
    async with remote(refusal, chat(choice("72"))) as (model, server, _):
        heard = Heard()
        [made] = await model.generate(ASK, on_delta=heard)
    assert made.text == "72"
    assert [body.get("stream", False) for body in server.bodies] == [True, False]
    assert heard.deltas == [(0, "72", 4)]


async def test_stop_strings_that_end_the_thoughts_are_cut_at_here() -> None:
    step = ASK.model_copy(update={"stop": ("\n\n",)})
    ended = choice("", message={"reasoning_content": "Hm."})
    whole = choice("7 * 10.\n\nIs 70.", message={"reasoning_content": "Hm.\n\nWell."})
    async with remote(chat(ended), chat(whole), chat(whole)) as (model, server, _):
        [made] = await model.generate(step)
        [then] = await model.generate(step)
    assert (made.text, then.text) == ("7 * 10.", "7 * 10.")
    assert [body.get("stop") for body in server.bodies] == [["\n\n"], None, None]
    assert [body["max_tokens"] for body in server.bodies] == [32, 28, 32]
    # What the first reply cost is charged.
    assert (made.usage.calls, made.usage.output_tokens) == (2, 8)
    assert (then.usage.calls, then.usage.output_tokens) == (1, 4)


async def test_a_run_goes_on_without_what_was_refused_and_replays() -> None:
    refusal = error(400, "logprobs is not supported with this model")
    drawn = [stream("The answer is \\boxed{42}.")] * 3
    # Two judges are on their way by then, and get a reply without what they asked for.
    votes = [stream("Yes")] * (2 + 15)
    journal = ponder.Journal(":memory:")
    async with remote(*drawn, refusal, *votes) as (model, _, _w):
        result = await ponder.asolve(
            "What is 17 + 25?",
            strategy=strategy("best_of_n", {"n": 3}),
            model=model,
            verifier="judge",
            journal=journal,
        )
    assert [note.missing for note in result.substitutes].count("logprobs") == 1
    assert result.candidates[0].verdict and result.candidates[0].verdict.score == 1.0
    assert await areplay(result.run_id, journal=journal) == result
