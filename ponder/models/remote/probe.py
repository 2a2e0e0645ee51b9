"""Find out with tiny calls what a remote model can do."""

import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from ponder.concurrency import settle
from ponder.errors import ModelError
from ponder.messages import GREEDY, Request, ToolSpec, Usage, user
from ponder.models.base import Capabilities
from ponder.models.remote.reply import Choice, Reply

Ask = Callable[[Request], Awaitable[Reply]]

WORDS = "Write five unusual words that have nothing to do with each other."
DAYS = "Name the days of the week in order."
DAYS_BEGUN, DAYS_REST = "Monday, Tuesday, Wednes", "day"
"""Broken inside a word: a model that begins a turn of its own does not go on so."""
WEATHER = ToolSpec(
    name="get_weather",
    description="Return the present weather of a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
COUNT = {
    "type": "object",
    "properties": {"count": {"type": "integer"}},
    "required": ["count"],
    "additionalProperties": False,
}


@dataclass
class Probe:
    """One try of every capability, in eight calls at most.

    ``None`` from a check means that the reply does not tell (a thinking model that
    spent its few tokens on thought); then the prior stands.
    """

    ask: Ask
    usage: Usage = field(default_factory=Usage)

    async def run(self, prior: Capabilities, taken: frozenset[str]) -> dict[str, bool]:
        """Try what the provider takes at all.

        Args:
            prior: What was believed before.
            taken: Parameters that the provider takes, in OpenAI's names.

        Returns:
            What was found, by field of ``Capabilities``.

        Raises:
            ModelError: The model does not answer a plain question.
        """
        # A wrong key or address must not pass for missing capabilities.
        await self._choices(Request(messages=(user("Say hi."),), max_tokens=8))
        checks: dict[str, tuple[str, Callable[[], Coroutine[Any, Any, bool | None]]]]
        checks = {
            "n": ("n", self._n),
            "seed": ("seed", self._seed),
            "logprobs": ("logprobs", self._logprobs),
            "prefill": ("max_tokens", self._prefill),
            "output_schema": ("response_format", self._schema),
            "tools": ("tools", self._tools),
        }
        tried = [name for name, (param, _) in checks.items() if param in taken]
        outcomes = await settle([checks[name][1]() for name in tried])
        found = dict.fromkeys(checks, False)
        for name, outcome in zip(tried, outcomes, strict=True):
            if isinstance(outcome, Exception):
                if not isinstance(outcome, ModelError):
                    raise outcome
                outcome = False
            found[name] = getattr(prior, name) if outcome is None else outcome
        return found

    async def _choices(self, request: Request) -> list[Choice]:
        reply = await self.ask(request)
        self.usage = self.usage + (reply.usage or Usage(calls=1))
        return reply.choices

    async def _n(self) -> bool:
        request = Request(messages=(user("Say hi."),), n=2, max_tokens=8)
        return len(await self._choices(request)) == 2

    async def _seed(self) -> bool | None:
        request = Request(messages=(user(WORDS),), seed=7, max_tokens=24)
        first, second = (await self._choices(request))[0], await self._choices(request)
        if not first.text:
            return None
        return first.text == second[0].text

    async def _logprobs(self) -> bool | None:
        request = Request(messages=(user("Say hi."),), logprobs=0, max_tokens=8)
        choice = (await self._choices(request))[0]
        return bool(choice.logprobs) if choice.text else None

    async def _prefill(self) -> bool | None:
        # What a model can do must not be drawn by lot.
        request = Request(
            messages=(user(DAYS),),
            prefill=DAYS_BEGUN,
            max_tokens=8,
            sampling=GREEDY,
        )
        choice = (await self._choices(request))[0]
        return choice.text.startswith(DAYS_REST) if choice.text else None

    async def _schema(self) -> bool | None:
        # The prompt does not mention JSON: only a held model answers with it.
        request = Request(
            messages=(user("Greet me."),), output_schema=COUNT, max_tokens=48
        )
        choice = (await self._choices(request))[0]
        if not choice.text:
            return None
        try:
            value = json.loads(choice.text)
        except ValueError:
            return False
        return isinstance(value, dict) and isinstance(value.get("count"), int)

    async def _tools(self) -> bool | None:
        request = Request(
            messages=(user("Look up the weather in Paris with your tool."),),
            tools=(WEATHER,),
            max_tokens=48,
            sampling=GREEDY,
        )
        choice = (await self._choices(request))[0]
        if choice.tool_calls:
            return any(name == WEATHER.name for _, name, _ in choice.tool_calls)
        return False if choice.text else None
