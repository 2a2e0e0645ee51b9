"""LiteLLMModel over real HTTP: what is sent, what is read, what is refused."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ponder.errors import (
    InvalidParameter,
    MalformedReply,
    ModelError,
    UnsupportedCapability,
)
from ponder.messages import (
    Completion,
    Message,
    Request,
    Sampling,
    ToolCall,
    user,
)
from ponder.models.litellm import LiteLLMModel
from ponder.models.remote.setup import Clients, load_litellm
from ponder.models.remote.work import CUT_HERE
from tests.support.faulty_server import (
    USAGE,
    Reply,
    chat,
    choice,
    error,
    faulty,
    raw,
)
from tests.support.remote_model import (
    ASK,
    KEY,
    WEATHER,
    remote,
    with_logprobs,
)


async def test_a_plain_answer() -> None:
    async with remote(chat(choice("72"))) as (model, server, waits):
        [made] = await model.generate(ASK)
    assert made.text == "72"
    assert made.finish_reason == "stop"
    assert (made.usage.calls, made.usage.input_tokens) == (1, 10)
    assert (made.usage.output_tokens, made.usage.cached_tokens) == (4, 0)
    assert made.usage.cost is None
    assert made.usage.seconds > 0
    assert waits.seconds == []
    assert server.calls[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.bodies == [
        {
            "model": "tiny",
            "messages": [{"role": "user", "content": "What is 48 + 24?"}],
            "max_tokens": 32,
            "temperature": 0.7,
        }
    ]


async def test_every_part_of_a_request_is_sent() -> None:
    schema = {
        "type": "object",
        "properties": {"x": {"type": "integer"}},
        "required": ["x"],
        "additionalProperties": False,
    }
    call = ToolCall(id="c1", name="weather", arguments={"city": "Paris"})
    request = Request(
        messages=(
            Message(role="system", content="Be short."),
            user("Weather?"),
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content="rain", tool_call_id="c1"),
        ),
        sampling=Sampling(temperature=0.0, top_p=0.9, top_k=5, min_p=0.1),
        seed=7,
        stop=("END",),
        prefill="It is",
        output_schema=schema,
        tools=(WEATHER,),
        logprobs=2,
    )
    async with remote(chat(with_logprobs())) as (model, server, _):
        model.learn("prefill", True)
        await model.generate(request)
    [body] = server.bodies
    assert [m["role"] for m in body["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert body["messages"][2]["tool_calls"] == [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
        }
    ]
    assert body["messages"][3]["tool_call_id"] == "c1"
    assert body["messages"][4]["content"] == "It is"
    assert (body["seed"], body["stop"], body["top_p"]) == (7, ["END"], 0.9)
    assert (body["top_k"], body["min_p"], body["temperature"]) == (5, 0.1, 0.0)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["tools"][0]["function"]["name"] == "weather"
    known = "messages model max_tokens temperature top_p top_k min_p seed stop tools"
    assert set(body) == {
        *known.split(),
        "response_format",
        "logprobs",
        "top_logprobs",
    }


async def test_an_open_schema_is_not_called_strict() -> None:
    open_schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    async with remote(chat()) as (model, server, _):
        await model.generate(ASK.model_copy(update={"output_schema": open_schema}))
    form = server.bodies[0]["response_format"]["json_schema"]
    assert (form["schema"], form["strict"]) == (open_schema, False)


async def test_several_completions_share_one_prompt() -> None:
    reply = chat(
        choice("a" * 30), choice("b" * 10), usage={**USAGE, "completion_tokens": 8}
    )
    async with remote(reply) as (model, server, _):
        made = await model.generate(ASK.model_copy(update={"n": 2}))
    assert server.bodies[0]["n"] == 2
    assert [c.usage.input_tokens for c in made] == [10, 0]
    assert [c.usage.calls for c in made] == [1, 0]
    assert sum(c.usage.output_tokens for c in made) == 8
    assert made[0].usage.output_tokens > made[1].usage.output_tokens


async def test_cached_tokens_and_price_of_a_known_model() -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 600},
    }
    async with remote(chat(usage=usage), model_id="openai/gpt-4o-mini") as (
        model,
        _,
        _w,
    ):
        [made] = await model.generate(ASK)
    entry = load_litellm().model_cost["gpt-4o-mini"]
    expected = (
        400 * entry["input_cost_per_token"]
        + 600 * entry["cache_read_input_token_cost"]
        + 100 * entry["output_cost_per_token"]
    )
    assert made.usage.cached_tokens == 600
    assert made.usage.cost == pytest.approx(expected)


async def test_log_probabilities_are_read() -> None:
    async with remote(chat(with_logprobs())) as (model, _, _w):
        [made] = await model.generate(ASK.model_copy(update={"logprobs": 2}))
    assert made.logprob == -0.25
    assert made.logprobs is not None
    assert made.logprobs[0].top == {"72": -0.25, "71": -2.5}


@pytest.mark.parametrize(
    "replied",
    [
        choice("72", message={"reasoning_content": "48 + 24"}),
        choice("<think>48 + 24</think>\n72"),
        choice("48 + 24</think>72"),
    ],
)
async def test_thought_is_kept_apart(replied: dict[str, Any]) -> None:
    async with remote(chat(replied)) as (model, _, _w):
        [made] = await model.generate(ASK)
    assert (made.reasoning, made.text) == ("48 + 24", "72")


def tool_choice(arguments: str, finish: str = "tool_calls") -> dict[str, Any]:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "weather", "arguments": arguments},
    }
    return choice("", message={"tool_calls": [call]}, finish_reason=finish)


@pytest.mark.parametrize("finish", ["tool_calls", "stop"])
async def test_tool_calls_are_parsed(finish: str) -> None:
    reply = chat(tool_choice('{"city": "Paris"}', finish))
    async with remote(reply) as (model, _, _w):
        [made] = await model.generate(ASK.model_copy(update={"tools": (WEATHER,)}))
    assert made.tool_calls == (
        ToolCall(id="c1", name="weather", arguments={"city": "Paris"}),
    )
    assert made.finish_reason == "tool_calls"


@pytest.mark.parametrize("arguments", ['{"city": ', "[1]"])
async def test_unreadable_tool_arguments_name_the_tool(arguments: str) -> None:
    async with remote(chat(tool_choice(arguments))) as (model, _, _w):
        with pytest.raises(MalformedReply, match="tool 'weather'") as caught:
            await model.generate(ASK.model_copy(update={"tools": (WEATHER,)}))
    assert "10 input and 4 output tokens" in str(caught.value)


@pytest.mark.parametrize(
    ("sent", "read"),
    [("length", "length"), ("content_filter", "content_filter"), ("eos", "stop")],
)
async def test_finish_reasons(sent: str, read: str) -> None:
    async with remote(chat(choice("x", finish_reason=sent))) as (model, _, _w):
        [made] = await model.generate(ASK)
    assert made.finish_reason == read


async def test_missing_usage_is_estimated_and_said() -> None:
    async with remote(chat(choice("seventy two"), usage=None)) as (model, _, _w):
        [made] = await model.generate(ASK)
        assert made.usage.input_tokens == model.count_tokens(ASK)
    assert made.usage.output_tokens > 0
    assert model.notes == ("usage was not reported and is estimated by a tokenizer",)


@pytest.mark.parametrize(
    ("update", "missing"),
    [
        ({"prefill": "It is"}, "prefill"),
        ({"grammar": "start: 'x'"}, "grammar"),
    ],
)
async def test_what_is_not_supported_is_never_dropped(
    update: dict[str, Any], missing: str
) -> None:
    async with remote() as (model, _, _w):
        with pytest.raises(UnsupportedCapability) as caught:
            await model.generate(ASK.model_copy(update=update))
    assert caught.value.missing == missing


@pytest.mark.parametrize(
    ("model_id", "update", "missing"),
    [
        ("anthropic/claude-sonnet-4-5", {"seed": 1}, "seed"),
        ("openai/o3-mini", {"sampling": Sampling(temperature=0.0)}, "temperature 0"),
        ("anthropic/claude-sonnet-4-5", {"logprobs": 1}, "logprobs"),
        ("openai/o3-mini", {"sampling": Sampling(top_p=0.5)}, "top_p"),
        ("openai/gpt-4o", {"sampling": Sampling(top_k=5)}, "top_k"),
        ("gemini/gemini-2.5-flash", {"logprobs": 2}, "logprobs"),
    ],
)
async def test_providers_differ(
    model_id: str, update: dict[str, Any], missing: str
) -> None:
    model = LiteLLMModel(model_id, api_key=KEY)
    with pytest.raises(UnsupportedCapability) as caught:
        await model.generate(ASK.model_copy(update=update))
    await model.aclose()
    assert caught.value.missing.startswith(missing)


async def test_missing_log_probabilities_are_an_error_and_are_remembered() -> None:
    request = ASK.model_copy(update={"logprobs": 1})
    async with remote(chat(choice("72"))) as (model, server, _):
        assert model.capabilities.logprobs
        with pytest.raises(UnsupportedCapability, match="left them out"):
            await model.generate(request)
        assert model.capabilities.logprobs  # a run goes on as it began
        assert not model.known().logprobs
        assert not model.capabilities.logprobs
        with pytest.raises(UnsupportedCapability, match="probe"):
            await model.generate(request)
    assert len(server.calls) == 1


async def test_ignored_n_is_made_up_for_and_remembered() -> None:
    replies = [chat(choice(str(i))) for i in range(5)]
    again = [chat(choice(str(i))) for i in range(2)]
    async with remote(*replies, *again) as (model, server, _):
        made = await model.generate(ASK.model_copy(update={"n": 5, "seed": 100}))
        assert not model.known().n
        await model.generate(ASK.model_copy(update={"n": 2}))
    assert len(made) == 5
    assert {c.text for c in made} == {"0", "1", "2", "3", "4"}
    assert sum(c.usage.calls for c in made) == 5
    assert sum(c.usage.input_tokens for c in made) == 50
    assert server.bodies[0]["n"] == 5
    assert sorted(b["seed"] for b in server.bodies[:5]) == [100, 101, 102, 103, 104]
    assert all("n" not in b for b in server.bodies[1:])


async def test_closing_frees_the_clients() -> None:
    def cached() -> set[str]:
        return set(load_litellm().in_memory_llm_clients_cache.cache_dict)

    before = cached()
    async with remote(chat(), chat()) as (model, server, _):
        sibling = LiteLLMModel("openai/tiny", api_base=server.url, api_key=KEY)
        await sibling.generate(ASK)
        await sibling.aclose()
        await model.generate(ASK)
        assert cached() - before
        await model.aclose()
        assert cached() == before
        with pytest.raises(ModelError, match="was closed"):
            await model.generate(ASK)


async def test_closing_one_model_leaves_the_others_connected() -> None:
    async with remote(chat(), chat(), chat()) as (model, server, _):
        sibling = LiteLLMModel("openai/tiny", api_base=server.url, api_key=KEY)
        await model.generate(ASK)
        await sibling.generate(ASK)
        await sibling.aclose()
        await model.generate(ASK)
        assert Clients._users[asyncio.get_running_loop()] == 1


async def test_embeddings_have_unit_length() -> None:
    data = [
        {"object": "embedding", "index": 1, "embedding": [0.0, 2.0]},
        {"object": "embedding", "index": 0, "embedding": [3.0, 4.0]},
    ]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    body = json.dumps({"object": "list", "model": "e", "data": data, "usage": usage})
    few = json.dumps({"object": "list", "model": "e", "data": data[:1], "usage": usage})
    async with remote(error(500), raw(few.encode()), raw(body.encode())) as (m, s, _):
        vectors = await m.embed(["a", "b"])
        assert await m.embed([]) == []
    assert vectors == [[0.6, 0.8], [0.0, 1.0]]
    assert s.bodies[0]["input"] == ["a", "b"]


async def test_an_embedding_of_nothing_is_refused() -> None:
    data = [{"object": "embedding", "index": 0, "embedding": [0.0, 0.0]}]
    body = json.dumps({"object": "list", "model": "e", "data": data})
    async with remote(raw(body.encode())) as (model, _, _w):
        with pytest.raises(ModelError, match="direction"):
            await model.embed(["a"])


async def test_score_is_not_offered() -> None:
    with pytest.raises(UnsupportedCapability, match="score"):
        await LiteLLMModel("openai/tiny").score([user("x")], ["y"])


def test_the_key_is_never_shown() -> None:
    model = LiteLLMModel("openai/tiny", api_base="http://h/v1", api_key=KEY)
    attempts = model.channel.attempts(1, None)
    shown = repr(model) + repr(model.channel) + str(model) + repr(attempts)
    assert KEY not in shown
    assert repr(model) == "LiteLLMModel('openai/tiny', api_base='http://h/v1')"


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout": 0},
        {"max_retries": -1},
        {"max_concurrency": 0},
        {"extra": {"n": 3}},
        {"extra": {"temperature": 0.0}},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        LiteLLMModel("openai/tiny", **settings)


@pytest.mark.parametrize("text", ["Hello there.", "三百六十五天", "🎈" * 9, ""])
@pytest.mark.parametrize("model_id", ["openai/gpt-4o-mini", "openai/tiny"])
def test_tokens_are_counted_from_above(model_id: str, text: str) -> None:
    model = LiteLLMModel(model_id)
    request = Request(messages=(user(text),))
    counted = load_litellm().token_counter(model=model_id, text=text)
    assert counted < model.count_tokens(request) <= 64 + 2 * len(text.encode())
    with_tool = request.model_copy(update={"tools": (WEATHER,)})
    assert model.count_tokens(with_tool) > model.count_tokens(request)


def test_prices_come_from_the_local_map() -> None:
    from ponder.messages import Usage

    usage = Usage(input_tokens=1_000_000)
    assert LiteLLMModel("openai/tiny").price(usage) is None
    price = LiteLLMModel("gpt-4o-mini").price(usage)
    entry = load_litellm().model_cost["gpt-4o-mini"]
    assert price == pytest.approx(1_000_000 * entry["input_cost_per_token"])


async def test_one_model_serves_two_event_loops_in_turn() -> None:
    def run_apart(use: Callable[[], Completion]) -> Completion:
        return use()

    async with faulty(chat(choice("1")), chat(choice("2"))) as server:
        model = LiteLLMModel("openai/tiny", api_base=server.url, api_key=KEY)

        def elsewhere() -> Completion:
            return asyncio.run(model.generate(ASK))[0]

        first = await asyncio.to_thread(run_apart, elsewhere)
        second = await asyncio.to_thread(run_apart, elsewhere)
    assert (first.text, second.text) == ("1", "2")


def test_litellm_is_loaded_late_and_without_network() -> None:
    program = """
import socket, sys
def refuse(*args, **kwargs): raise AssertionError("network at import")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from ponder.models.litellm import LiteLLMModel
model = LiteLLMModel("openai/gpt-4o-mini")
repr(model)
assert "litellm" not in sys.modules
assert model.capabilities.context_length == 128000
assert "litellm" in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and done.stderr == ""


def claude_says(text: str) -> Reply:
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 4},
    }
    return Reply(body=json.dumps(body).encode())


async def test_claude_is_asked_for_steps_as_it_takes_them() -> None:
    step = ASK.model_copy(update={"stop": ("\n\n",), "prefill": "First.\n\n"})
    replies = [claude_says("\n\nSecond.\n\nThird.")] * 2
    model_id = "anthropic/claude-haiku-4-5"
    async with remote(*replies, model_id=model_id) as (model, server, _):
        [made] = await model.generate(step)
        await model.generate(step)
    assert made.text == "Second."
    assert made.usage.output_tokens == 4
    assert "stop_sequences" not in server.bodies[0]
    last = server.bodies[0]["messages"][-1]
    assert last["content"] == [{"type": "text", "text": "First."}]
    assert model.notes == (CUT_HERE,)
