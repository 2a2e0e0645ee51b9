"""The life of a branch: one sequence of tokens that wants rows of logits."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import Enum

from ponder.messages import FinishReason, TokenLogprob
from ponder.models.llama.bindings import Row
from ponder.models.llama.grammar import Constraint
from ponder.models.llama.sampler import Sampler, log_normaliser, top_tokens
from ponder.models.llama.text import TextStream


class State(Enum):
    """Where a branch is in its life."""

    WAITING = "waiting"
    """For room, or for another branch that computes the same prefix."""
    PREFILL = "prefill"
    """Its known tokens are being computed."""
    DECODE = "decode"
    """One new token per step."""
    DONE = "done"


class Branch(ABC):
    """What the scheduler runs. It calls; a branch never calls back."""

    def __init__(self, tokens: Sequence[int], limit: int) -> None:
        """Start a branch.

        Args:
            tokens: Known tokens.
            limit: Most cells that it can ever need.
        """
        self.tokens = list(tokens)
        self.prompt_length = len(self.tokens)
        self.limit = limit
        self.state = State.WAITING
        self.sequence: int | None = None
        """Its sequence in the context while it has one."""
        self.computed = 0
        """How many of its tokens are in the cache."""
        self.reused: int | None = None
        """Prompt tokens that others had computed, once it was admitted."""
        self.order = 0
        """Place in the order of arrival."""
        self.deadline: float | None = None
        """When to end, on the clock of ``time.monotonic``."""
        self.error: Exception | None = None

    @property
    def brief(self) -> bool:
        """Whether it ends with its known tokens, without a step of its own."""
        return self.limit <= self.prompt_length

    @property
    @abstractmethod
    def first_output(self) -> int:
        """First position whose logits are wanted; all later ones are too."""

    @abstractmethod
    def receive(self, position: int, logits: Row) -> None:
        """Take the logits at a position (a view, valid during the call)."""

    @abstractmethod
    def expire(self) -> None:
        """End now with what there is, because the time is over."""

    def fail(self, error: Exception) -> None:
        """End with an error."""
        self.error, self.state = error, State.DONE


class Generation(Branch):
    """A branch that draws its own continuation."""

    def __init__(
        self,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        sampler: Sampler,
        eog: frozenset[int],
        piece: Callable[[int], bytes],
        stops: Sequence[str] = (),
        logprobs: int | None = None,
        constraint: Constraint | None = None,
        deadline: float | None = None,
        thinking: bool = False,
    ) -> None:
        """Describe a completion to be.

        Args:
            prompt: Tokens to continue.
            max_tokens: Most tokens to generate.
            sampler: Draws them.
            eog: Tokens that end a generation.
            piece: Gives the bytes of a token.
            stops: Strings that end the text before them.
            logprobs: Alternatives to report per token; ``None`` reports nothing.
            constraint: The grammar, if any.
            deadline: When it ends as it is, on the clock of ``time.monotonic``.
            thinking: The prompt has opened a thought, in which nothing is a stop.
        """
        # The last token drawn is never computed.
        super().__init__(prompt, len(prompt) + max_tokens - 1)
        self._max_tokens, self._sampler, self._eog = max_tokens, sampler, eog
        self._piece, self._top, self._constraint = piece, logprobs, constraint
        self._stream = TextStream(piece, stops, thinking=thinking)
        self.logprobs: list[TokenLogprob] = []
        self.finish_reason: FinishReason | None = None
        self.output_tokens = 0
        """Tokens drawn, the one that ended it included."""
        self.deadline = deadline

    @property
    def first_output(self) -> int:
        """The last known token."""
        return len(self.tokens) - 1

    @property
    def text(self) -> str:
        """What it has written, without a stop string."""
        return self._stream.text

    @property
    def generated(self) -> list[int]:
        """Tokens drawn, without the one that ended the generation."""
        return self.tokens[self.prompt_length :]

    def receive(self, position: int, logits: Row) -> None:
        """Draw the next token."""
        constraint = self._constraint
        token = self._sampler.draw(logits, constraint.allowed() if constraint else None)
        self.output_tokens += 1
        if token in self._eog:
            if self._top is not None and not self.logprobs:
                # Nothing was written, but who asked still learns how likely what was.
                self.logprobs.append(self._logprob(token, logits, self._top))
            return self._finish("stop")
        self.tokens.append(token)
        if self._top is not None:
            self.logprobs.append(self._logprob(token, logits, self._top))
        if constraint:
            constraint.accept(token)
        self._stream.push(token)
        if self._stream.stopped or (constraint and constraint.complete):
            self._finish("stop")
        elif self.output_tokens >= self._max_tokens:
            self._finish("length")

    def _finish(self, reason: FinishReason) -> None:
        self.finish_reason, self.state = reason, State.DONE

    def _logprob(self, token: int, logits: Row, top: int) -> TokenLogprob:
        normaliser = log_normaliser(logits)
        best: dict[str, float] = {}
        for other in top_tokens(logits, top) if top else ():
            # Different tokens can spell alike; the likelier one keeps the name.
            best.setdefault(self._name(int(other)), float(logits[other]) - normaliser)
        return TokenLogprob(
            token=self._name(token), logprob=float(logits[token]) - normaliser, top=best
        )

    def _name(self, token: int) -> str:
        return self._piece(token).decode("utf-8", "replace")

    def expire(self) -> None:
        """End with the text so far."""
        self._finish("time")

    def take_delta(self) -> str:
        """Return the text that is new since the last call."""
        return self._stream.take(final=self.state is State.DONE)


class Scoring(Branch):
    """A branch that reads how likely given tokens are."""

    def __init__(self, prefix: Sequence[int], continuation: Sequence[int]) -> None:
        """Describe what to score.

        Args:
            prefix: Tokens before, at least one.
            continuation: Tokens whose log-likelihood is wanted, at least one.
        """
        known = [*prefix, *continuation[:-1]]
        super().__init__(known, len(known))
        self._first, self._wanted = len(prefix) - 1, list(continuation)
        # By place, because rows come again if the branch had to give up its cells.
        self._parts = [0.0] * len(self._wanted)

    @property
    def score(self) -> float:
        """Log-likelihood of the continuation (nats)."""
        return sum(self._parts)

    @property
    def first_output(self) -> int:
        """The last token of the prefix."""
        return self._first

    def receive(self, position: int, logits: Row) -> None:
        """Add the log-probability of the token that follows."""
        index = position - self._first
        token = self._wanted[index]
        self._parts[index] = float(logits[token]) - log_normaliser(logits)
        if index == len(self._wanted) - 1:
            self.state = State.DONE

    def expire(self) -> None:
        """Scoring has no partial result."""
        self.fail(TimeoutError("scoring took too long"))
