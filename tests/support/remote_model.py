"""A remote model that talks to a scripted server and waits for nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ponder.messages import Request, ToolSpec, user
from ponder.models.litellm import LiteLLMModel
from tests.support.faulty_server import FaultyServer, Reply, choice, faulty

ASK = Request(messages=(user("What is 48 + 24?"),), max_tokens=32)
WEATHER = ToolSpec(
    name="weather", description="Weather.", parameters={"type": "object"}
)
KEY = "sk-very-secret-0123456789"


class Waits:
    """Takes the place of sleeping, and records for how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@asynccontextmanager
async def remote(
    *replies: Reply, **settings: Any
) -> AsyncIterator[tuple[LiteLLMModel, FaultyServer, Waits]]:
    """A model that talks to a server with this script, and waits for nothing."""
    waits = Waits()
    async with faulty(*replies) as server:
        model = LiteLLMModel(
            settings.pop("model_id", "openai/tiny"),
            api_base=server.url,
            api_key=KEY,
            sleep=waits,
            jitter=lambda bound: bound,
            **settings,
        )
        try:
            yield model, server, waits
        finally:
            await model.aclose()


def with_logprobs(text: str = "72") -> dict[str, Any]:
    top = [
        {"token": text, "logprob": -0.25, "bytes": None},
        {"token": "71", "logprob": -2.5, "bytes": None},
    ]
    content = [{**top[0], "top_logprobs": top}]
    return choice(text, logprobs={"content": content})


class Heard:
    def __init__(self) -> None:
        self.deltas: list[tuple[int, str, int]] = []

    def __call__(self, index: int, text: str, tokens: int) -> None:
        self.deltas.append((index, text, tokens))
