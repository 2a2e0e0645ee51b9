from collections.abc import Sequence
from typing import Any

import pytest

from ponder.errors import CannotRestore, InvalidInput, PonderError
from ponder.tools.environment import Environment, Observation, Snapshot, Trail


class Counter(Environment):
    """Counts up and down; ends at 3. It can only be played, not copied."""

    name = "counter"

    def __init__(self) -> None:
        self.n = 0

    async def start(self) -> Observation:
        self.n = 0
        return Observation(text="0")

    async def act(self, action: str) -> Observation:
        self.n += {"up": 1, "down": -1}[action]
        return Observation(text=str(self.n), done=self.n == 3)


class Copied(Counter):
    """The same, with a state that can be copied."""

    async def save(self) -> Any:
        return self.n

    async def load(self, state: Any) -> None:
        self.n = state


class Drifting(Counter):
    """Its first state is another one each time."""

    def __init__(self, drift: int = 1) -> None:
        super().__init__()
        self.starts, self.drift = 0, drift

    async def start(self) -> Observation:
        self.starts += 1
        return Observation(text=f"start {self.starts * self.drift}")


async def played(environment: Environment, actions: Sequence[str]) -> Snapshot:
    await environment.reset()
    for action in actions:
        await environment.step(action)
    return await environment.snapshot()


async def test_an_episode_is_a_trail_of_actions_and_observations() -> None:
    environment = Counter()
    snapshot = await played(environment, ["up", "up"])

    assert environment.observe().text == "2"
    assert snapshot.trail.actions == ["up", "up"]
    assert snapshot.trail.transcript() == (
        "Observation: 0\nAction: up\nObservation: 1\nAction: up\nObservation: 2"
    )
    assert Trail.model_validate_json(snapshot.trail.model_dump_json()) == snapshot.trail


@pytest.mark.parametrize("kind", [Counter, Copied])
async def test_it_goes_back_to_where_it_was(kind: type[Counter]) -> None:
    environment = kind()
    snapshot = await played(environment, ["up", "up"])
    await environment.step("down")
    await environment.step("down")

    assert (await environment.restore(snapshot)).text == "2"
    assert environment.trail == snapshot.trail
    assert (await environment.step("up")).done


async def test_what_can_be_copied_is_not_played() -> None:
    copied, other = Copied(), Counter()
    for environment in (copied, other):
        snapshot = await played(environment, ["up", "up"])
        await environment.step("down")
        await environment.restore(snapshot)

    assert (copied.played, other.played) == (3, 5)


async def test_a_state_is_restored_from_its_trail_alone() -> None:
    snapshot = await played(Copied(), ["up", "up"])
    environment = Copied()

    assert (await environment.restore(Snapshot(snapshot.trail))).text == "2"
    assert environment.played == 2


async def test_only_the_rest_of_a_longer_episode_is_played() -> None:
    environment = Counter()
    longer = await played(environment, ["up", "up", "down"])
    await played(environment, ["up"])
    before = environment.played
    await environment.restore(longer)
    await environment.restore(longer)

    assert environment.played - before == 2


async def test_what_starts_otherwise_cannot_be_restored() -> None:
    environment = Drifting()
    snapshot = await played(environment, ["up"])
    await environment.step("up")

    with pytest.raises(CannotRestore, match="'start 2' after a new start.*'start 1'"):
        await environment.restore(snapshot)
    with pytest.raises(InvalidInput, match="Reset it first"):
        environment.observe()


async def test_what_answers_otherwise_cannot_be_restored() -> None:
    environment = Counter()
    snapshot = await played(environment, ["up"])
    other = Snapshot(
        Trail(start=snapshot.trail.start).after("up", Observation(text="7"))
    )
    await environment.reset()

    with pytest.raises(CannotRestore, match="'1' after action 'up'.*'7' before"):
        await environment.restore(other)


async def test_an_environment_that_raises_is_named() -> None:
    environment = Counter()
    await environment.reset()

    with pytest.raises(PonderError, match="'counter' raised KeyError at action 'jump'"):
        await environment.step("jump")
    with pytest.raises(InvalidInput, match="No episode"):
        await environment.step("up")


async def test_loading_that_fails_is_no_restoring() -> None:
    class Broken(Copied):
        async def load(self, state: Any) -> None:
            raise OSError("disk full")

    environment = Broken()
    snapshot = await played(environment, ["up"])
    await environment.step("up")

    with pytest.raises(CannotRestore, match="OSError at its loading: disk full"):
        await environment.restore(snapshot)


async def test_what_is_no_observation_is_refused() -> None:
    class Sloppy(Counter):
        async def act(self, action: str) -> Observation:
            return "you went up"  # type: ignore[return-value]

    environment = Sloppy()
    await environment.reset()

    with pytest.raises(PonderError, match="no Observation"):
        await environment.step("up")


async def test_nothing_can_be_done_before_the_start_and_after_the_end() -> None:
    environment = Counter()
    with pytest.raises(InvalidInput, match="No episode"):
        await environment.step("up")
    await played(environment, ["up", "up", "up"])
    with pytest.raises(InvalidInput, match="has ended"):
        await environment.step("up")
