"""A model that never computes the same reply twice, over runs and processes.

For studies: the first four of eight samples are the samples that a run with half the
budget would draw, and best-of-N judges the same samples that self-consistency counts.
A reply is charged to every run that asks for it, as if it had been made for it; only
the work is done once. Requests without a seed, and not greedy, are never banked.
"""

import asyncio
import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ponder.errors import JournalError
from ponder.messages import Completion, Message, OnDelta, Request, Usage
from ponder.models.base import Capabilities, Model

_SCHEMA = """
CREATE TABLE IF NOT EXISTS reply (key TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS maker (name TEXT PRIMARY KEY, identity TEXT NOT NULL);
"""


class Banked(Model):
    """A model in front of a file of its earlier replies."""

    def __init__(self, model: Model, path: Path) -> None:
        """Open the file, or begin it.

        Args:
            model: Who answers what is not in the file. It is not closed with this.
            path: The file; its folder is made.

        Raises:
            JournalError: The file is no such bank, cannot be written, or was made by
                another model of the same name.
        """
        self.model, self.name = model, model.name
        self.capabilities = model.capabilities
        self.served = 0
        """Replies that came from the file."""
        self._busy: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, isolation_level=None)
            # A reply that a power cut takes is asked for again: no harm is done.
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(
                f"The bank of replies {path} cannot be used: {error}. Move it away, or "
                "choose another folder."
            ) from error
        self._check_maker()

    def _check_maker(self) -> None:
        """Refuse replies of another model that goes by the same name."""
        made = (self.name, self.model.identity)
        self._run("INSERT OR IGNORE INTO maker VALUES (?, ?)", *made)
        row = self._run("SELECT identity FROM maker WHERE name = ?", self.name)
        if row is not None and row[0] != self.model.identity:
            raise JournalError(
                f"The bank of replies {self._path} holds those of {row[0]}, and "
                f"'{self.name}' is {self.model.identity} now. Choose another folder "
                "with --out, or name the model that made them."
            )

    async def prepare(self) -> None:
        """Prepare the model."""
        await self.model.prepare()

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        """Answer from the file, or ask the model and keep what it says."""
        if request.seed is None and request.sampling.temperature > 0:
            return await self.model.generate(
                request, on_delta=on_delta, max_seconds=max_seconds
            )
        asked = self._with_logprobs(request)
        key = self._key(asked)
        # Who asks for the same while it is computed waits, and finds it in the file.
        async with self._busy[key]:
            kept = self._find(key)
            if kept is None:
                made = await self.model.generate(
                    asked, on_delta=on_delta, max_seconds=max_seconds
                )
                self._keep(key, made)
                return _as_asked(made, request)
        self.served += 1
        for index, completion in enumerate(kept if on_delta else ()):
            assert on_delta is not None
            on_delta(index, completion.text, completion.usage.output_tokens)
        return _as_asked(kept, request)

    def _with_logprobs(self, request: Request) -> Request:
        # Costs little, and lets who wants log-probabilities share replies with who
        # does not.
        if request.logprobs is None and self.capabilities.logprobs:
            return request.model_copy(update={"logprobs": 0})
        return request

    def _key(self, request: Request) -> str:
        content = f"{self.name}\x00{request.model_dump_json(exclude_defaults=True)}"
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def _find(self, key: str) -> list[Completion] | None:
        row = self._run("SELECT body FROM reply WHERE key = ?", key)
        if row is None:
            return None
        return [Completion.model_validate(c) for c in json.loads(row[0])]

    def _keep(self, key: str, made: Sequence[Completion]) -> None:
        # What was cut off by the clock is no reply: another run may have more time.
        if any(c.finish_reason == "time" for c in made):
            return
        body = [c.model_dump(mode="json", exclude_defaults=True) for c in made]
        self._run("INSERT OR REPLACE INTO reply VALUES (?, ?)", key, json.dumps(body))

    def _run(self, statement: str, *values: str) -> tuple[str, ...] | None:
        try:
            row: tuple[str, ...] | None = self._file.execute(
                statement, values
            ).fetchone()
        except sqlite3.Error as error:
            raise JournalError(
                f"The bank of replies {self._path} cannot be read or written: {error}."
            ) from error
        return row

    def count_tokens(self, request: Request) -> int:
        """Count as the model does."""
        return self.model.count_tokens(request)

    def price(self, usage: Usage) -> float | None:
        """Charge as the model does."""
        return self.model.price(usage)

    async def probe(self) -> Capabilities:
        """Probe the model."""
        self.capabilities = await self.model.probe()
        return self.capabilities

    async def score(
        self, messages: Sequence[Message], continuations: Sequence[str]
    ) -> list[float]:
        """Score by the model; not banked."""
        return await self.model.score(messages, continuations)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Embed by the model; not banked."""
        return await self.model.embed(texts)

    async def aclose(self) -> None:
        """Close the file; the model stays open."""
        self._file.close()


def _as_asked(made: Sequence[Completion], request: Request) -> list[Completion]:
    if request.logprobs is not None:
        return list(made)
    return [c.model_copy(update={"logprobs": None}) for c in made]
