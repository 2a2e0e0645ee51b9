"""Probing, over real HTTP against a server with a model whose skills are known."""

import json
from typing import Any

import pytest

from ponder.errors import ModelRejected, UnsupportedCapability
from ponder.messages import Completion, Request, TokenLogprob, Usage, user
from ponder.models.base import Capabilities, Model
from ponder.models.litellm import LiteLLMModel
from ponder.models.remote.probe import DAYS_BEGUN
from tests.support.faulty_server import chat, choice, error, faulty
from tests.support.openai_server import serve_model


class Skilled(Model):
    """Does, or silently leaves out, what its capabilities say."""

    name = "skilled"

    def __init__(self, capabilities: Capabilities, silent: bool = False) -> None:
        self.capabilities = capabilities
        self.silent = silent
        self.calls = 0

    async def generate(self, request: Request, **_: Any) -> list[Completion]:
        self.calls += 1
        able = self.capabilities
        text = "" if self.silent else f"Hello {self.calls}."
        if request.seed is not None and able.seed and not self.silent:
            text = f"Words of {request.seed}."
        if request.prefill and able.prefill:
            text = "day." if request.prefill == DAYS_BEGUN else ""
        if request.output_schema is not None and able.output_schema:
            text = json.dumps({"count": 3})
        logprobs = None
        if request.logprobs is not None and able.logprobs:
            logprobs = (TokenLogprob(token=text, logprob=-1.0),)
        made = Completion(
            text=text, logprobs=logprobs, usage=Usage(input_tokens=5, output_tokens=2)
        )
        return [made] * (request.n if able.n else 1)


SKILLS = ("n", "seed", "logprobs", "prefill", "output_schema")


@pytest.mark.parametrize("skill", [*SKILLS, "none"])
async def test_each_skill_is_told_from_its_lack(skill: str) -> None:
    skills = {name: name == skill for name in SKILLS}
    served = Skilled(Capabilities(**skills))
    async with serve_model(served) as server:
        model = LiteLLMModel("openai/skilled", api_base=server.url, api_key="k")
        found = await model.probe()
        assert {name: getattr(found, name) for name in SKILLS} == skills
        assert not found.tools
        assert served.calls == 8
        assert model.probe_usage == Usage(calls=8, **_tokens(server.requests, skill))
        assert await model.probe() is model.capabilities
        assert served.calls == 8
        await model.aclose()


def _tokens(requests: list[Request], skill: str) -> dict[str, int]:
    made = len(requests) + (skill == "n")
    return {"input_tokens": 5 * made, "output_tokens": 2 * made}


async def test_a_silent_reply_leaves_the_prior() -> None:
    async with serve_model(Skilled(Capabilities(), silent=True)) as server:
        model = LiteLLMModel("openai/skilled", api_base=server.url, api_key="k")
        before = model.capabilities
        found = await model.probe()
        await model.aclose()
    assert found == before.model_copy(update={"n": False})


async def test_prefill_works_once_it_was_found() -> None:
    request = Request(messages=(user("Days?"),), prefill=DAYS_BEGUN)
    async with serve_model(Skilled(Capabilities(prefill=True))) as server:
        model = LiteLLMModel("openai/skilled", api_base=server.url, api_key="k")
        with pytest.raises(UnsupportedCapability, match="probe"):
            await model.generate(request)
        await model.probe()
        [made] = await model.generate(request)
        await model.aclose()
    assert made.text == "day."


async def test_a_tool_call_is_found() -> None:
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
    }
    reply = chat(choice("", message={"tool_calls": [call]}))
    async with faulty(*[reply] * 8) as server:
        model = LiteLLMModel("openai/tiny", api_base=server.url, api_key="k")
        assert (await model.probe()).tools
        await model.aclose()


async def test_a_wrong_key_is_no_missing_skill() -> None:
    async with faulty(error(401), error(401)) as server:
        model = LiteLLMModel("openai/tiny", api_base=server.url, api_key="k")
        for _ in range(2):
            with pytest.raises(ModelRejected, match="key"):
                await model.probe()
        await model.aclose()


async def test_a_skill_that_the_server_refuses_is_missing() -> None:
    plain = chat(choice("Hello."))
    async with faulty(plain, *[error(400, "unknown parameter")] * 6) as server:
        model = LiteLLMModel("openai/tiny", api_base=server.url, api_key="k")
        found = await model.probe()
        await model.aclose()
    assert not any(getattr(found, name) for name in (*SKILLS, "tools"))
