"""The parts of the mapping that no local server shows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import UnsupportedCapability
from ponder.messages import Completion, Request, Sampling, Usage, user
from ponder.models.base import Capabilities
from ponder.models.litellm import LiteLLMModel
from ponder.models.remote.reply import Choice, Reply, share_out, to_completions
from ponder.models.remote.request import (
    chat_messages,
    completion_arguments,
    is_strict,
    withheld_stops,
)
from ponder.models.remote.setup import Provider, find_provider

PREFILLED = Request(messages=(user("x"),), prefill="It is")


@given(st.integers(0, 10_000), st.lists(st.integers(0, 500), min_size=1))
def test_shares_add_up(total: int, weights: list[int]) -> None:
    shares = share_out(total, weights)
    assert sum(shares) == total
    assert len(shares) == len(weights)
    assert min(shares) >= 0


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (closed(x={"type": "integer"}), True),
        (closed(x=closed(y={})), True),
        (closed(x={"type": "object"}), False),
        (closed(x={"type": "array", "items": {"type": "object"}}), False),
        (closed(x={"anyOf": [closed(), {"type": "object"}]}), False),
        ({**closed(x={}), "$defs": {"A": {"type": "object"}}}, False),
        ({**closed(x={}), "required": []}, False),
        ({"type": "string"}, True),
    ],
)
def test_what_strict_mode_takes(schema: dict[str, Any], strict: bool) -> None:
    assert is_strict(schema) is strict


def test_prefill_is_marked_where_a_provider_wants_it() -> None:
    mistral = find_provider("mistral/mistral-large-latest", None)
    assert chat_messages(PREFILLED, mistral)[-1]["prefix"] is True
    claude = find_provider("anthropic/claude-sonnet-4-5", None)
    assert "prefix" not in chat_messages(PREFILLED, claude)[-1]
    blank = PREFILLED.model_copy(update={"prefill": "\n\n"})
    assert [turn["role"] for turn in chat_messages(blank, claude)] == ["user"]
    assert len(chat_messages(blank, mistral)) == 2


CLAUDE, GPT = "anthropic/claude-haiku-4-5", "openai/gpt-4o"


def completed(reply: Choice, request: Request, model_id: str) -> Completion:
    [made] = to_completions(
        Reply([reply], None),
        Usage(calls=1),
        request,
        withheld=withheld_stops(request, find_provider(model_id, None)),
        wasted=Usage(),
        model="m",
        provider=find_provider(model_id, None),
        price=lambda usage: None,
    )
    return made


@pytest.mark.parametrize(
    ("model_id", "text"),
    [("mistral/mistral-large-latest", " 72"), (GPT, "It is 72")],
)
def test_an_echoed_prefill_is_no_part_of_the_completion(
    model_id: str, text: str
) -> None:
    assert completed(Choice(text="It is 72"), PREFILLED, model_id).text == text


@pytest.mark.parametrize(
    ("model_id", "refused"),
    [
        (GPT, set()),
        (CLAUDE, {"\n\n"}),
        ("bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0", {"\n\n"}),
        ("openai/gpt-5", {"\n\n", "END"}),
        ("openai/o3", {"\n\n", "END"}),
    ],
)
def test_stops_that_a_provider_refuses(model_id: str, refused: set[str]) -> None:
    request = Request(messages=(user("x"),), stop=("\n\n", "END"))
    assert set(withheld_stops(request, find_provider(model_id, None))) == refused


@pytest.mark.parametrize(
    ("model_id", "prefill", "said", "text", "finish"),
    [
        (CLAUDE, "", "A\n\nB END", "A", "stop"),
        (CLAUDE, "", "A END", "A END", "length"),
        (CLAUDE, "Z\n\n", "\n\nA\n\nB", "A", "stop"),
        (CLAUDE, "Z", "\n\nA", "", "stop"),
        ("openai/gpt-5", "", "A END\n\nB", "A ", "stop"),
        (GPT, "", "A\n\nB", "A\n\nB", "length"),
        (GPT, "Z\n\n", "\n\nA", "\n\nA", "length"),
    ],
)
def test_replies_are_cut_at_stops_that_were_not_sent(
    model_id: str, prefill: str, said: str, text: str, finish: str
) -> None:
    request = Request(messages=(user("x"),), prefill=prefill, stop=("\n\n", "END"))
    made = completed(Choice(text=said, finish="length"), request, model_id)
    assert (made.text, made.finish_reason) == (text, finish)


@pytest.mark.parametrize(
    ("params", "missing"),
    [({"temperature"}, "max_tokens"), ({"max_tokens"}, "temperature")],
)
def test_a_provider_that_takes_little(params: set[str], missing: str) -> None:
    request = Request.model_validate(
        {"messages": [{"role": "user", "content": "x"}], "sampling": {"temperature": 0}}
    )
    provider = Provider("p/m", "p", "somewhere", frozenset(params))
    with pytest.raises(UnsupportedCapability) as caught:
        completion_arguments(request, provider, Capabilities(), owned_address=False)
    assert caught.value.missing.startswith(missing)


def test_a_temperature_that_nobody_set_may_be_left_out() -> None:
    provider = Provider("p/m", "p", "somewhere", frozenset({"max_tokens"}))
    request = Request(messages=(user("x"),))
    arguments = completion_arguments(
        request, provider, Capabilities(), owned_address=False
    )
    assert set(arguments) == {"messages", "max_tokens"}


@pytest.mark.parametrize(
    ("model_id", "able", "unable"),
    [
        (
            "openai/gpt-4o",
            "n seed logprobs tools output_schema stream",
            "prefill embed",
        ),
        ("anthropic/claude-sonnet-4-5", "prefill tools stream", "n seed logprobs"),
        ("openai/some-server", "n seed logprobs tools output_schema", "prefill embed"),
        ("openai/text-embedding-3-small", "embed", "prefill"),
        ("ollama/llama3", "seed stream", "n logprobs tools output_schema"),
    ],
)
def test_priors(model_id: str, able: str, unable: str) -> None:
    prior = find_provider(model_id, None).prior()
    assert all(getattr(prior, name) for name in able.split())
    assert not any(getattr(prior, name) for name in unable.split())


def test_a_model_with_a_temperature_of_its_own_gets_none() -> None:
    provider = find_provider("openai/gpt-5", None)

    def mapped(sampling: Sampling | None) -> dict[str, Any]:
        request = Request(messages=(user("x"),))
        if sampling is not None:
            request = request.model_copy(update={"sampling": sampling})
        return completion_arguments(
            request, provider, Capabilities(), owned_address=False
        )

    assert not provider.prior().temperature
    assert find_provider("openai/gpt-4o-mini", None).prior().temperature
    for sampling in (None, Sampling(temperature=1)):
        assert "temperature" not in mapped(sampling)
    with pytest.raises(UnsupportedCapability, match=r"temperature 0\.2.* 1 alone"):
        mapped(Sampling(temperature=0.2))


@pytest.mark.parametrize(
    "model_id",
    [
        "openai/gpt-5",
        "openai/o3",
        "anthropic/claude-opus-4-7",
        "anthropic/claude-sonnet-5",
    ],
)
def test_what_is_possible_is_taken_by_a_model_with_its_own_sampling(
    model_id: str,
) -> None:
    provider = find_provider(model_id, None)
    wish = Sampling(temperature=0.7, top_p=0.9)
    assert not (provider.prior().temperature or provider.prior().top_p)
    request = Request(messages=(user("x"),), sampling=provider.prior().sampling(wish))
    arguments = completion_arguments(
        request, provider, Capabilities(), owned_address=False
    )
    assert not {"temperature", "top_p"} & set(arguments)


def test_claude_takes_one_of_temperature_and_top_p() -> None:
    provider = find_provider(CLAUDE, None)

    def mapped(**sampling: float) -> dict[str, Any]:
        request = Request(messages=(user("x"),), sampling=Sampling(**sampling))
        return completion_arguments(
            request, provider, Capabilities(), owned_address=False
        )

    assert mapped(temperature=0.5)["temperature"] == 0.5
    both = mapped(temperature=1, top_p=0.9)
    assert both["top_p"] == 0.9
    assert "temperature" not in both
    with pytest.raises(UnsupportedCapability, match="top_p at a temperature of 1"):
        mapped(temperature=0.5, top_p=0.9)


@pytest.mark.parametrize(
    ("model_id", "lacking"),
    [
        ("groq/llama-3.3-70b-versatile", "n logprobs"),
        ("deepseek/deepseek-chat", "output_schema"),
        ("deepseek/deepseek-reasoner", "logprobs output_schema"),
        ("gemini/gemini-2.5-flash", "logprobs"),
        ("gemini/gemini-3-pro-preview", "n logprobs"),
        ("openai/gpt-5.5", "logprobs"),
        ("openai/gpt-5-pro", "n seed"),
    ],
)
def test_what_is_listed_and_refused_is_no_capability(
    model_id: str, lacking: str
) -> None:
    prior = find_provider(model_id, None).prior()
    assert not any(getattr(prior, name) for name in lacking.split())


@pytest.mark.parametrize(
    ("model_id", "thinks"),
    [
        ("openai/gpt-5", True),
        ("openai/gpt-5.1", False),  # unless it is told to
        ("openai/gpt-4o", False),
        ("gemini/gemini-2.5-flash", True),
        ("deepseek/deepseek-chat", False),
        ("deepseek/deepseek-reasoner", True),
        ("openai/tiny", False),
    ],
)
def test_who_is_known_to_think_first(model_id: str, thinks: bool) -> None:
    assert find_provider(model_id, None).prior().thinks is thinks


def test_ollama_gets_the_turns_of_a_conversation() -> None:
    model = LiteLLMModel("ollama/qwen3")
    assert (model.name, model.model_id) == ("ollama/qwen3", "ollama_chat/qwen3")
