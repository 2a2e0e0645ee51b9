"""LiteLLMModel over HTTP against a server that runs a real small model."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import platformdirs
import pytest

from ponder.messages import GREEDY, Completion, Request, Usage, user
from ponder.models.litellm import LiteLLMModel
from ponder.models.llama import LlamaModel
from tests.support.openai_server import ModelServer, serve_model

pytestmark = pytest.mark.engine
SKY = Request(
    messages=(user("What colour is the sky on a clear day?"),),
    max_tokens=24,
    sampling=GREEDY,
)


def gguf() -> Path:
    cached = platformdirs.user_cache_path("ponder") / "models" / "smollm2-135m.gguf"
    path = Path(os.environ.get("PONDER_TEST_GGUF") or cached)
    if not path.exists():
        pytest.skip(f"smollm2-135m is not here: {path} (set PONDER_TEST_GGUF)")
    return path


@asynccontextmanager
async def served() -> AsyncIterator[tuple[LiteLLMModel, ModelServer]]:
    local = LlamaModel(gguf(), n_ctx=2048, profile=False)
    async with serve_model(local) as server:
        remote = LiteLLMModel("openai/smollm2-135m", api_base=server.url, api_key="k")
        yield remote, server
        await remote.aclose()
    await local.aclose()


async def test_the_way_over_http_changes_nothing() -> None:
    asked = SKY.model_copy(update={"n": 2, "seed": 5, "logprobs": 2, "stop": ("!",)})
    async with served() as (remote, server):
        there = await remote.generate(asked)
        [streamed] = await remote.generate(SKY, on_delta=lambda i, text, n: None)
    assert server.requests == [asked, SKY]
    here = server.answers[0]
    assert [c.text for c in there] == [c.text for c in here]
    assert all(c.text.strip() for c in there)
    assert [c.finish_reason for c in there] == [c.finish_reason for c in here]
    assert [c.logprobs for c in there] == [c.logprobs for c in here]
    assert _tokens(there) == _tokens(here)
    assert (streamed.text, _tokens([streamed])) == (
        server.answers[1][0].text,
        _tokens(server.answers[1]),
    )


def _tokens(completions: list[Completion]) -> tuple[int, int]:
    total = sum((c.usage for c in completions), Usage())
    return total.input_tokens, total.output_tokens


async def test_probing_finds_what_the_engine_can() -> None:
    async with served() as (remote, _):
        found = await remote.probe()
    assert (found.n, found.logprobs) == (True, True)
    assert (found.prefill, found.output_schema) == (True, True)


async def test_tokens_are_never_counted_too_low() -> None:
    async with served() as (remote, _):
        for text in ("The sky is blue.", "三百六十五天", "def f(x):\n    return x"):
            request = Request(messages=(user(text),), max_tokens=1)
            [made] = await remote.generate(request)
            assert remote.count_tokens(request) >= made.usage.input_tokens
