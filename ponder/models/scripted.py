"""A model that says what a script tells it to, for tests."""

from collections.abc import Callable, Iterable
from types import TracebackType

from ponder.errors import InvalidParameter, ScriptError
from ponder.messages import Completion, OnDelta, Request
from ponder.models._words import check, count_prompt, deliver
from ponder.models.base import Capabilities, Model

Said = str | Completion | Exception
Reply = Said | Callable[[Request], Said]
"""A text, a whole completion, an exception to raise, or a function that gives one."""
When = str | Callable[[Request], bool]
"""A part of the last message, or a predicate over the request."""


class ScriptedModel(Model):
    """Answers from rules and from a list of replies, and records every call.

    Each completion takes the reply of the first rule that fits. Where none does, it
    takes the next one of ``replies``; a request with ``n=3`` takes three. A call
    that the script does not foresee raises ``ScriptError``, and so does leaving the
    ``with`` block while replies are left:

        with ScriptedModel(["The answer is 72."]) as model:
            ...

    A token is a word between white space, in usage, ``max_tokens`` and streaming.
    Log-probabilities are never invented: a completion has those that its reply gives,
    if the request asks for them. Whether a reply fits a schema, a grammar or a seed
    is up to the script.
    """

    def __init__(
        self,
        replies: Iterable[Reply] = (),
        *,
        rules: Iterable[tuple[When, Reply]] = (),
        name: str = "scripted",
        capabilities: Capabilities | None = None,
        delay: float = 0.0,
    ) -> None:
        """Write the script.

        Args:
            replies: Consumed in order. A ``Completion`` keeps the usage that it
                states; in any other the words are counted.
            rules: ``(when, reply)`` pairs, tried in order before ``replies``; each
                may answer any number of calls, or none.
            name: Identity of the model.
            capabilities: What it claims to do; ``UnsupportedCapability`` is raised
                for the rest. By default everything that a script can honour, with
                log-probabilities if any reply has them.
            delay: Seconds that each call takes.

        Raises:
            InvalidParameter: The delay is negative.
        """
        if delay < 0:
            raise InvalidParameter(f"delay is {delay}: give 0 or more seconds.")
        self.name = name
        self.calls: list[Request] = []
        """Every request, in order of arrival, those that raised included."""
        self._replies = list(replies)
        self._rules = list(rules)
        self._delay = delay
        self._used = 0
        self.capabilities = capabilities or self._honoured()

    @property
    def unconsumed(self) -> list[Reply]:
        """The replies that no call has taken yet."""
        return self._replies[self._used :]

    def count_tokens(self, request: Request) -> int:
        """Return the words of messages and prefill: exactly what is charged."""
        return count_prompt(request)

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        """Answer with what the script says; see ``Model.generate``.

        Raises:
            ScriptError: The script does not foresee this call.
        """
        self.calls.append(request)
        check(self.name, self.capabilities, request)
        drafts = [self._say(request) for _ in range(request.n)]
        return await deliver(
            drafts,
            request,
            seconds=self._delay,
            on_delta=on_delta,
            max_seconds=max_seconds,
        )

    def assert_consumed(self) -> None:
        """Raise ``ScriptError`` if replies are left."""
        if self.unconsumed:
            raise ScriptError(
                f"{len(self.unconsumed)} of {len(self._replies)} replies of "
                f"'{self.name}' were not consumed: {_listed(self.unconsumed)}. "
                f"It was called {len(self.calls)} times."
            )

    def __enter__(self) -> "ScriptedModel":
        """Return the model itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise ``ScriptError`` if replies are left, unless an error is under way."""
        if kind is None:
            self.assert_consumed()

    def _say(self, request: Request) -> Completion:
        reply = self._reply(request)
        said = reply(request) if callable(reply) else reply
        if isinstance(said, Exception):
            raise said
        return Completion(text=said) if isinstance(said, str) else said

    def _reply(self, request: Request) -> Reply:
        for when, reply in self._rules:
            if _fits(when, request):
                return reply
        if self._used == len(self._replies):
            raise ScriptError(
                f"'{self.name}' met a call that its script does not foresee: call "
                f"{len(self.calls)}, after {self._used} of {len(self._replies)} "
                f"replies. Its last message: {_short(request.messages[-1].content)}"
            )
        self._used += 1
        return self._replies[self._used - 1]

    def _honoured(self) -> Capabilities:
        replies = [*self._replies, *(reply for _, reply in self._rules)]
        return Capabilities(
            n=True,
            seed=True,
            logprobs=any(
                isinstance(r, Completion) and r.logprobs is not None for r in replies
            ),
            prefill=True,
            output_schema=True,
            grammar=True,
            tools=True,
            stream=True,
        )


def _fits(when: When, request: Request) -> bool:
    if isinstance(when, str):
        return when in request.messages[-1].content
    return when(request)


def _listed(replies: list[Reply]) -> str:
    shown = ", ".join(_short(reply) for reply in replies[:3])
    return f"{shown} ..." if len(replies) > 3 else shown


def _short(value: object) -> str:
    shown = repr(value.text if isinstance(value, Completion) else value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
