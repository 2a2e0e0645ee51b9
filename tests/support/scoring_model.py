"""A model that answers by script, and scores texts by a function."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from ponder.messages import Message
from ponder.models.base import Capabilities
from ponder.models.scripted import ScriptedModel

Likelihood = Callable[[str, str], float | Exception]
"""From the last message and a text to the text's log-likelihood (nats)."""


class ScoringModel(ScriptedModel):
    """A scripted model that can score; what it scored is in ``scored``."""

    def __init__(
        self, likelihood: Likelihood, *replies: str, delay: float = 0.0, **options: Any
    ) -> None:
        options.setdefault(
            "capabilities", Capabilities(seed=True, output_schema=True, score=True)
        )
        super().__init__(replies, **options)
        self.likelihood, self.score_delay = likelihood, delay
        self.scored: list[tuple[str, str]] = []

    async def score(
        self, messages: Sequence[Message], continuations: Sequence[str]
    ) -> list[float]:
        await asyncio.sleep(self.score_delay)
        prompt = messages[-1].content
        self.scored += [(prompt, text) for text in continuations]
        found = [self.likelihood(prompt, text) for text in continuations]
        for value in found:
            if isinstance(value, Exception):
                raise value
        return [value for value in found if not isinstance(value, Exception)]
