"""What an agent acts in: it can be started anew, acted upon, and taken back.

An environment needs two methods, ``start`` and ``act``. It is taken back to an earlier
state by starting anew and playing the same actions, which must show the same again.
One whose state can be copied says so by ``save`` and ``load``, and is taken back
without playing.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import Field

from ponder.errors import CannotRestore, InvalidInput, PonderError
from ponder.messages import Value

T = TypeVar("T")


class Observation(Value):
    """What an environment shows after an action."""

    text: str
    done: bool = False
    """Whether the episode has ended: no action is possible any more."""
    reward: float | None = Field(default=None, ge=0, le=1)
    """How good the environment says the state is, where it says so."""
    answer: str | None = None
    """What the episode has come to; by default its actions are the answer."""


class Move(Value):
    """An action and what it led to."""

    action: str
    observation: Observation


class Trail(Value):
    """An episode up to some point."""

    start: Observation
    moves: tuple[Move, ...] = ()

    @property
    def last(self) -> Observation:
        """What is seen at its end."""
        return self.moves[-1].observation if self.moves else self.start

    @property
    def actions(self) -> list[str]:
        """The actions, in order."""
        return [move.action for move in self.moves]

    def after(self, action: str, observation: Observation) -> "Trail":
        """Return this episode with one more action."""
        move = Move(action=action, observation=observation)
        return Trail(start=self.start, moves=(*self.moves, move))

    def begins_with(self, other: "Trail") -> bool:
        """Whether this episode goes on from where ``other`` ends."""
        same = self.start == other.start
        return same and self.moves[: len(other.moves)] == other.moves

    def transcript(self) -> str:
        """Return the episode as a model reads it."""
        lines = [f"Observation: {self.start.text}"]
        for move in self.moves:
            lines += [f"Action: {move.action}", f"Observation: {move.observation.text}"]
        return "\n".join(lines)


@dataclass(frozen=True)
class Snapshot:
    """A state that an environment can be taken back to."""

    trail: Trail
    """How it was reached."""
    state: Any = None
    """A copy of it, as ``save`` returned it; ``None``: only playing leads there."""


class Environment(ABC):
    """Something to act in, by one caller at a time."""

    name: str = "environment"
    """Identity; a journaled step is of the environment of that name."""
    instructions: str = ""
    """What a model is told about the possible actions."""
    played: int = 0
    """Actions executed so far, those of restoring included."""

    _trail: Trail | None = None

    # -- what an environment writes --------------------------------------------------

    @abstractmethod
    async def start(self) -> Observation:
        """Put everything into its first state, and return what is seen there."""

    @abstractmethod
    async def act(self, action: str) -> Observation:
        """Execute an action; one that makes no sense is answered in the text.

        The environment bounds the time that an action takes.
        """

    async def save(self) -> Any:
        """Return a copy of the state, ``None`` if it cannot be copied."""
        return None

    async def load(self, state: Any) -> None:
        """Go to a state that ``save`` returned."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Free what the environment holds."""
        return None

    # -- what a caller uses ----------------------------------------------------------

    async def reset(self) -> Observation:
        """Begin a new episode.

        Raises:
            PonderError: The environment failed.
        """
        self._trail = None
        self._trail = Trail(start=await self._shown(self.start(), "its start"))
        return self._trail.start

    async def step(self, action: str) -> Observation:
        """Execute an action.

        Raises:
            InvalidInput: There is no episode, or it has ended.
            PonderError: The environment failed; only ``reset`` or ``restore`` help.
        """
        before = self.trail
        if before.last.done:
            raise InvalidInput(
                f"The episode in '{self.name}' has ended. Reset or restore it first."
            )
        self._trail = None
        self.played += 1
        observation = await self._shown(self.act(action), f"action {action!r}")
        self._trail = before.after(action, observation)
        return observation

    def observe(self) -> Observation:
        """Return what was seen last.

        Raises:
            InvalidInput: There is no episode.
        """
        return self.trail.last

    @property
    def trail(self) -> Trail:
        """The episode so far.

        Raises:
            InvalidInput: There is none.
        """
        if self._trail is None:
            raise InvalidInput(f"No episode goes on in '{self.name}'. Reset it first.")
        return self._trail

    async def snapshot(self) -> Snapshot:
        """Return the present state, to be restored as often as wanted.

        Raises:
            PonderError: There is no episode, or the environment failed.
        """
        return Snapshot(self.trail, await self._guarded(self.save(), "its saving"))

    async def restore(self, snapshot: Snapshot) -> Observation:
        """Go to a state of before, by loading it or by playing its actions again.

        Actions that the present episode has already played are not played again.

        Returns:
            What is seen there.

        Raises:
            CannotRestore: Loading failed, or the same actions showed something else.
        """
        try:
            if self._trail != snapshot.trail:
                await self._return(snapshot)
        except CannotRestore:
            self._trail = None
            raise
        except PonderError as error:
            self._trail = None
            raise CannotRestore(f"'{self.name}' was not restored: {error}") from error
        return self.observe()

    async def _return(self, snapshot: Snapshot) -> None:
        if snapshot.state is not None:
            await self._guarded(self.load(snapshot.state), "its loading")
            self._trail = snapshot.trail
            return
        wanted = snapshot.trail
        if self._trail is None or not wanted.begins_with(self._trail):
            self._compare(await self.reset(), wanted.start, "a new start")
        for move in wanted.moves[len(self.trail.moves) :]:
            seen = await self.step(move.action)
            self._compare(seen, move.observation, f"action {move.action!r}")

    def _compare(self, seen: Observation, before: Observation, after: str) -> None:
        if seen != before:
            raise CannotRestore(
                f"'{self.name}' showed {_short(seen.text)} after {after}, where it "
                f"showed {_short(before.text)} before. Only what always shows the same "
                "after the same actions can be searched; or give it save and load."
            )

    async def _shown(self, work: Awaitable[Observation], what: str) -> Observation:
        shown: object = await self._guarded(work, what)
        if not isinstance(shown, Observation):
            raise PonderError(
                f"Environment '{self.name}' returned {shown!r} at {what}, which is no "
                "Observation."
            )
        return shown

    async def _guarded(self, work: Awaitable[T], what: str) -> T:
        try:
            return await work
        except PonderError:
            raise
        except Exception as error:
            raise PonderError(
                f"Environment '{self.name}' raised {type(error).__name__} at {what}: "
                f"{error}"
            ) from error


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
