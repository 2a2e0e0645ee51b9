"""Streams, limits of time, and cancelling, against a scripted server."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from ponder.errors import (
    ModelUnreachable,
    UnsupportedCapability,
)
from tests.support.faulty_server import (
    Reply,
    chat,
    choice,
    error,
    hang,
    stream,
)
from tests.support.remote_model import (
    ASK,
    WEATHER,
    Heard,
    remote,
    with_logprobs,
)


async def test_a_stream() -> None:
    heard = Heard()
    async with remote(stream("It ", "is ", "72")) as (model, server, _):
        [made] = await model.generate(ASK, on_delta=heard)
    assert made.text == "It is 72"
    assert heard.deltas == [(0, "It ", 1), (0, "is ", 2), (0, "72", 3)]
    assert (made.usage.input_tokens, made.usage.output_tokens) == (10, 4)
    assert server.bodies[0]["stream_options"] == {"include_usage": True}
    assert model.notes == ()


async def test_a_stream_with_thought_and_tool_calls() -> None:
    deltas: list[dict[str, Any]] = [
        {"reasoning_content": "hm"},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"ci'},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": 'ty": "Paris"}'}}]},
    ]
    reply = stream(deltas=deltas, finish="tool_calls")
    async with remote(reply) as (model, _, _w):
        request = ASK.model_copy(update={"tools": (WEATHER,)})
        [made] = await model.generate(request, on_delta=Heard())
    assert made.reasoning == "hm"
    assert made.tool_calls[0].arguments == {"city": "Paris"}
    assert made.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    "fault",
    [
        stream("It ", "is", drop=True),
        stream("It ", finish=None, usage=None, done=False),
        stream("It ", finish=None, done=False),
        Reply(events=['{"id": "c", "choices": [{']),
        error(500),
    ],
)
async def test_a_broken_stream_is_retried_as_a_whole(fault: Reply) -> None:
    heard = Heard()
    async with remote(fault, stream("It ", "is 72")) as (model, _, waits):
        [made] = await model.generate(ASK, on_delta=heard)
    assert made.text == "It is 72"
    assert heard.deltas[-2:] == [(0, "It ", 1), (0, "is 72", 2)]
    assert waits.seconds == [0.5]


async def test_a_stream_that_falls_silent_is_retried() -> None:
    faults = [stream("It ", hang=True), stream("72")]
    async with remote(*faults, timeout=0.2) as (model, server, _):
        [made] = await model.generate(ASK, on_delta=Heard())
        await asyncio.wait_for(server.cut.wait(), 5)
    assert made.text == "72"


async def test_a_stream_without_usage_is_estimated() -> None:
    async with remote(stream("72", usage=None)) as (model, _, _w):
        [made] = await model.generate(ASK, on_delta=Heard())
    assert made.usage.output_tokens > 0
    assert "estimated" in model.notes[0]


async def test_log_probabilities_of_a_stream() -> None:
    def piece(text: str) -> str:
        content = with_logprobs(text)["logprobs"]
        part = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1}
        return json.dumps(
            {**head, "model": "m", "choices": [{**part, "logprobs": content}]}
        )

    whole = stream(usage=None)
    events = [piece("7"), piece("2"), *list(whole.events or ())[1:]]
    async with remote(replace(whole, events=events)) as (model, _, _w):
        request = ASK.model_copy(update={"logprobs": 2})
        [made] = await model.generate(request, on_delta=Heard())
    assert (made.text, made.logprob) == ("72", -0.5)


async def test_missing_log_probabilities_of_a_stream() -> None:
    async with remote(stream("72")) as (model, _, _w):
        with pytest.raises(UnsupportedCapability, match="logprobs"):
            request = ASK.model_copy(update={"logprobs": 0})
            await model.generate(request, on_delta=Heard())


async def test_without_streams_deltas_come_at_the_end() -> None:
    heard = Heard()
    async with remote(chat(choice("a"), choice("b"))) as (model, _, _w):
        await model.generate(ASK.model_copy(update={"n": 2}), on_delta=heard)
    assert [(i, text) for i, text, _ in heard.deltas] == [(0, "a"), (1, "b")]


async def test_time_over_returns_what_there_is() -> None:
    async with remote(stream("It ", "is ", hang=True)) as (model, server, _):
        [made] = await model.generate(ASK, max_seconds=1.0)
        await asyncio.wait_for(server.cut.wait(), 5)
    assert (made.text, made.finish_reason) == ("It is ", "time")
    assert made.usage.input_tokens > 0
    assert made.usage.output_tokens > 0


async def test_time_over_keeps_the_finished_siblings() -> None:
    async with remote(stream("done"), stream("half", hang=True)) as (model, _, _w):
        model.learn("n", False)
        made = await model.generate(ASK.model_copy(update={"n": 2}), max_seconds=1.0)
    assert {(c.text, c.finish_reason) for c in made} == {
        ("done", "stop"),
        ("half", "time"),
    }


async def test_time_over_in_failures_alone_is_an_error() -> None:
    async def forever(_: float) -> None:
        await asyncio.Event().wait()

    async with remote(error(503, "overloaded")) as (model, _, _w):
        model.channel.policy = type(model.channel.policy)(sleep=forever)
        with pytest.raises(ModelUnreachable, match="limit of 0.5 s.*overloaded"):
            await model.generate(ASK, max_seconds=0.5)


async def test_cancelling_closes_the_connection() -> None:
    async with remote(hang()) as (model, server, _):
        task = asyncio.ensure_future(model.generate(ASK))
        await asyncio.wait_for(server.called.wait(), 5)
        task.cancel()
        await asyncio.wait_for(server.cut.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_no_more_calls_at_once_than_allowed() -> None:
    replies = [replace(chat(), delay=0.02) for _ in range(6)]
    async with remote(*replies, max_concurrency=2) as (model, server, _):
        model.learn("n", False)
        await model.generate(ASK.model_copy(update={"n": 6}))
    assert server.most_at_once == 2
