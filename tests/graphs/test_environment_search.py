"""Search in an environment: a maze and a database, with models that follow rules."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from ponder import Budget, Journal, Result, ScriptedModel, StopReason, asolve
from ponder.concurrency import settle
from ponder.errors import InvalidParameter, ModelError, ModelUnreachable, PonderError
from ponder.graphs.base import strategies
from ponder.graphs.environment_search import EnvironmentSearch
from ponder.messages import Request
from ponder.models.scripted import Reply, When
from ponder.result import Candidate, Task
from ponder.run import areplay, aresume
from ponder.tools.environment import Environment, Observation, Trail
from ponder.tools.maze import Maze
from ponder.tools.sql import SqlDatabase, gives_rows_of

SCRIPT = """
CREATE TABLE town (name TEXT, people INTEGER);
INSERT INTO town VALUES ('Ulm', 126), ('Jena', 110), ('Trier', 112);
"""
QUESTION = "Which town has the most people?"
RIGHT = "SELECT name FROM town ORDER BY people DESC LIMIT 1"
PLACE = re.compile(r"column (\d+), row (\d+); the exit is in column (\d+), row (\d+)")
BACK = {"north": "south", "south": "north", "east": "west", "west": "east"}


def asks_for_action(request: Request) -> bool:
    return "What is the next action?" in request.messages[-1].content


def last(request: Request, what: str) -> str:
    found: list[str] = re.findall(rf"{what}: (.*)", request.messages[-1].content)
    return found[-1] if found else ""


def walking(seed: int = 0) -> Callable[[Request], str]:
    """Return replies that go towards the exit as far as they see, never back."""
    rng = random.Random(seed)

    def move(request: Request) -> str:
        ways = last(request, "You can go").strip(".").split(", ")
        came_from = BACK.get(last(request, "Action").removeprefix("go "))
        onward = [way for way in ways if way != came_from] or ways
        likely = [6 if way in ("east", "south") else 1 for way in onward]
        return f"I go on.\nAction: go {rng.choices(onward, likely)[0]}"

    def judge(request: Request) -> str:
        if "left the maze" in last(request, "Observation"):
            return "It is out.\nStatus: success"
        near = rng.random() < closeness(last(request, "Observation"))
        return f"I look.\nStatus: {'on track' if near else 'failure'}"

    return lambda request: (move if asks_for_action(request) else judge)(request)


def always(reply: Reply) -> ScriptedModel:
    return ScriptedModel(rules=[(lambda request: True, reply)])


def walker() -> ScriptedModel:
    return always(walking())


def closeness(text: str) -> float:
    found = PLACE.search(text)
    assert found is not None
    x, y, u, v = map(int, found.groups())
    return 1 - (abs(u - x) + abs(v - y) + 1) / (u + v)


def near_the_exit(task: Task, trail: Trail) -> float:
    return 1.0 if trail.last.done else closeness(trail.last.text)


class Mazes:
    """Makes mazes, and remembers them."""

    def __init__(self, seed: int = 3, size: int = 4) -> None:
        self.seed, self.size, self.made = seed, size, list[Maze]()
        self.closed = 0

    def __call__(self) -> Maze:
        mazes = self

        class Counted(Maze):
            async def aclose(self) -> None:
                mazes.closed += 1

        self.made.append(Counted(self.size, self.size, seed=self.seed))
        return self.made[-1]


def in_maze(mazes: Mazes | None = None, **options: Any) -> EnvironmentSearch:
    given: dict[str, Any] = {
        "environment": mazes or Mazes(),
        "value_function": near_the_exit,
        "samples": 12,
        "d": 16,
        "max_actions": 16,
        "b": 3,
        "c": 60,
    }
    return EnvironmentSearch(**given | options)


async def leave(search: EnvironmentSearch, **options: Any) -> Result:
    given: dict[str, Any] = {"model": walker(), "journal": Journal(":memory:")}
    return await asolve("Leave the maze.", strategy=search, **given | options)


async def is_a_way_out(actions: list[str], maze: Maze) -> bool:
    await maze.reset()
    return [(await maze.step(action)).done for action in actions][-1]


def test_it_is_not_offered_where_there_is_no_environment() -> None:
    assert "environment_search" not in strategies()


async def test_it_leaves_a_maze_that_no_first_choice_leaves() -> None:
    limits = {"d": 20, "max_actions": 20, "c": 100}
    greedy = await leave(in_maze(Mazes(10, 5), b=1, **limits))
    searched = await leave(in_maze(Mazes(10, 5), b=3, **limits))

    assert greedy.answer is None and greedy.stop_reason is StopReason.FINISHED
    assert searched.stop_reason is StopReason.VERIFIED
    assert await is_a_way_out(searched.text.splitlines(), Mazes(10, 5)())
    assert searched.answer == ", ".join(searched.text.splitlines())
    # It left dead ends behind: states were tried that are not on the way.
    thoughts = [n for n in searched.graph["nodes"] if n["kind"] == "thought"]
    assert len(thoughts) > len(searched.text.splitlines())


@pytest.mark.parametrize("value", ["votes", "words"])
async def test_the_model_evaluates_by_votes_or_by_words(value: str) -> None:
    def word(request: Request) -> str:
        out = "left the maze" in last(request, "Observation")
        return "Success" if out else "Progress"

    rules: list[tuple[str, Reply]] = [("one word", word), ("", walking())]
    model = ScriptedModel(rules=rules)
    search = in_maze(value_function=None, value=value)
    result = await leave(search, model=model)

    assert await is_a_way_out(result.text.splitlines(), Mazes()())
    assert result.roles["verifier"].calls > 0
    votes = {r.n for r in model.calls if not asks_for_action(r)}
    assert votes == ({20} if value == "votes" else {1})


async def test_an_unfinished_search_gives_its_best_episode() -> None:
    result = await leave(in_maze(c=3, max_actions=1))

    assert result.answer is None
    assert len(result.text.splitlines()) == 1
    (best,) = result.candidates
    assert best.truncated and best.verdict is not None
    scores = [n["score"] for n in result.graph["nodes"] if n["kind"] == "thought"]
    assert best.verdict.score == max(scores)


async def test_a_replay_makes_no_step_and_is_identical() -> None:
    mazes, journal = Mazes(), Journal(":memory:")
    search = in_maze(mazes)
    result = await leave(search, journal=journal)
    replayed = await areplay(result.run_id, strategy=search, journal=journal)

    assert replayed == result
    assert mazes.made[0].played > 0 and mazes.made[1].played == 0
    assert mazes.closed == 2


@pytest.mark.parametrize("calls", [1, 2, 5])
async def test_a_resumed_run_plays_its_way_back_and_comes_to_the_same(
    calls: int,
) -> None:
    mazes, journal = Mazes(), Journal(":memory:")
    search = in_maze(mazes)

    def by_place() -> ScriptedModel:
        return always(lambda request: walking(request.seed or 0)(request))

    whole = await leave(search, model=by_place())
    stopped = await leave(
        search, model=by_place(), journal=journal, budget=Budget(calls=calls)
    )
    assert stopped.stop_reason is StopReason.CALLS and stopped.usage.calls == calls
    resumed = await aresume(
        stopped.run_id,
        strategy=search,
        model=by_place(),
        journal=journal,
        budget=Budget(calls=500),
    )

    assert resumed.text == whole.text and resumed.answer == whole.answer
    assert resumed.usage.calls == whole.usage.calls


@pytest.mark.parametrize("tokens", [0, 500, 2000, 6000])
async def test_no_budget_is_exceeded(tokens: int) -> None:
    result = await leave(
        in_maze(value_function=None), budget=Budget(tokens=tokens), model=walker()
    )

    assert result.usage.total_tokens <= tokens
    assert result.stop_reason is StopReason.TOKENS
    if tokens >= 2000:
        assert result.text


async def test_c_bounds_the_evaluations_and_several_at_once_the_waiting() -> None:
    for parallel in (1, 4):
        mazes = Mazes()
        search = in_maze(mazes, c=7, d=4, max_actions=4, parallel=parallel, theta=1)
        first, second = [await leave(search) for _ in range(2)]
        assert first.text == second.text
        shown = [n for n in first.graph["nodes"] if n["kind"] == "thought"]
        assert 4 <= len(shown) <= 7 * 4
        # A maze is copied, not walked again: one step for each state.
        assert mazes.made[0].played == len(shown)


class Drifting(Environment):
    """Shows another number at each start, so nothing can be restored."""

    name, starts = "drifting", 0

    async def start(self) -> Observation:
        self.starts += 1
        return Observation(text=f"start {self.starts}")

    async def act(self, action: str) -> Observation:
        return Observation(text=f"after {action}")


def says(*actions: str) -> ScriptedModel:
    cycle = iter(actions * 1000)
    return ScriptedModel(rules=[(asks_for_action, lambda r: f"Action: {next(cycle)}")])


async def test_what_cannot_be_restored_fails_and_the_rest_goes_on() -> None:
    def value(task: Task, trail: Trail) -> float:
        return {1: 0.6, 2: 0.3}[len(trail.moves)]

    search = EnvironmentSearch(
        environment=Drifting, value_function=value, samples=2, b=2, d=2, max_actions=2
    )
    result = await asolve(
        "Go.", strategy=search, model=says("x", "y"), journal=Journal(":memory:")
    )

    # x, then x again from there, without a way back; the rest is lost.
    assert result.answer is None and result.text == "x"
    assert any("'start 2' after a new start" in w for w in result.warnings)
    failed = [n for n in result.graph["nodes"] if n["failed"]]
    assert Counter(n["kind"] for n in failed) == {"thought": 2}


class Broken(Environment):
    """Fails at every action, or at once."""

    def __init__(self, at_once: bool = False) -> None:
        self.at_once = at_once

    async def start(self) -> Observation:
        if self.at_once:
            raise OSError("no such host")
        return Observation(text="ready")

    async def act(self, action: str) -> Observation:
        raise OSError("connection lost")


async def test_an_environment_that_fails_is_told_of() -> None:
    def search(at_once: bool) -> EnvironmentSearch:
        return EnvironmentSearch(environment=lambda: Broken(at_once), samples=2, b=2)

    journal = Journal(":memory:")
    result = await asolve(
        "Go.", strategy=search(False), model=says("x", "y"), journal=journal
    )
    assert result.answer is None and result.text == ""
    assert any("connection lost" in warning for warning in result.warnings)
    with pytest.raises(PonderError, match="OSError at its start: no such host"):
        await asolve("Go.", strategy=search(True), model=says("x"), journal=journal)


async def test_what_was_found_outlasts_an_environment_that_cannot_save_or_close() -> (
    None
):
    class Careless(Maze):
        async def save(self) -> Any:
            raise OSError("no space left")

        async def aclose(self) -> None:
            raise OSError("already gone")

    search, journal = (
        in_maze(environment=lambda: Careless(4, 4, seed=3)),
        Journal(":memory:"),
    )
    told: list[str] = []
    result = await leave(
        search,
        journal=journal,
        on_event=lambda e: told.append(e.message) if e.kind == "warned" else None,
    )

    assert result.answer is not None
    assert any("no space left" in w and "played again" in w for w in result.warnings)
    assert any("could not be closed: already gone" in said for said in told)
    assert await areplay(result.run_id, strategy=search, journal=journal) == result


async def test_no_action_outlasts_the_seconds_of_a_budget() -> None:
    class Slow(Drifting):
        async def act(self, action: str) -> Observation:
            await asyncio.sleep(60)
            return Observation(text="late")

    search = EnvironmentSearch(environment=Slow, samples=2, b=2)
    result = await asolve(
        "Go.",
        strategy=search,
        model=says("x", "y"),
        budget=Budget(seconds=0.5),
        journal=Journal(":memory:"),
    )

    assert result.usage.seconds < 30
    assert result.stop_reason is StopReason.SECONDS


async def test_a_model_that_proposes_nothing_is_asked_twice() -> None:
    model = always("I do not know.")
    result = await leave(in_maze(), model=model)

    assert result.answer is None and len(model.calls) == 2
    assert "End with one line" in model.calls[1].messages[-1].content


async def test_a_model_that_fails_ends_the_run_or_only_a_state() -> None:
    with pytest.raises(ModelError, match="down"):
        await leave(in_maze(), model=always(ModelUnreachable("down")))

    calls = iter(range(1000))

    def flaky(request: Request) -> str | Exception:
        return ModelUnreachable("down") if next(calls) == 30 else walk(request)

    walk = walking()
    result = await leave(in_maze(), model=always(flaky))
    assert await is_a_way_out(result.text.splitlines(), Mazes()())


@pytest.mark.parametrize("wrong", [2.0, "much", ValueError("no idea")])
async def test_a_value_function_that_fails_leaves_states_without_a_value(
    wrong: object,
) -> None:
    def value(task: Task, trail: Trail) -> Any:
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    result = await leave(in_maze(value_function=value, c=5))

    assert result.text and any("'value' failed" in w for w in result.warnings)
    shown = [n["score"] for n in result.graph["nodes"] if n["kind"] == "thought"]
    assert shown == [None] * 5


async def test_runs_side_by_side_have_environments_of_their_own() -> None:
    mazes = Mazes()
    search = in_maze(mazes)
    results = await settle([leave(search) for _ in range(3)])

    assert len({r.text for r in results if isinstance(r, Result)}) == 1
    assert len(mazes.made) == mazes.closed == 3


# -- a database ------------------------------------------------------------------------


def analyst(*first: tuple[When, Reply]) -> ScriptedModel:
    """Return a model that often guesses a column, and submits what it has seen."""
    drafts = iter(["SELECT city FROM town", "SELECT city FROM town", RIGHT] * 1000)

    def act(request: Request) -> str:
        seen, done = last(request, "Observation"), last(request, "Action")
        if not done or seen.startswith("Error"):
            return f"Action:\n```sql\n{next(drafts)}\n```"
        return f"That is it.\nAction: SUBMIT {done}"

    def judge(request: Request) -> str:
        seen = last(request, "Observation")
        status = {"Submitted.": "success"}.get(seen, "on track")
        return f"Status: {'failure' if seen.startswith('Error') else status}"

    return ScriptedModel(rules=[*first, (asks_for_action, act), ("", judge)])


def in_database(**options: Any) -> EnvironmentSearch:
    given: dict[str, Any] = {"environment": lambda: SqlDatabase(SCRIPT), "b": 2}
    return EnvironmentSearch(**given | options)


async def test_it_answers_a_question_by_a_query() -> None:
    result = await asolve(
        QUESTION,
        strategy=in_database(),
        model=analyst(),
        verifier=gives_rows_of(SCRIPT, RIGHT),
        journal=Journal(":memory:"),
    )

    assert result.answer == RIGHT and result.stop_reason is StopReason.VERIFIED
    assert result.text == f"{RIGHT}\nSUBMIT {RIGHT}"
    assert result.verdict is not None and result.verdict.passed
    # The wrong query, proposed more often, was tried first and left for the other.
    tried = [n["data"]["text"] for n in result.graph["nodes"] if n["kind"] == "thought"]
    assert tried[0].startswith("SELECT city") and "no such column" in tried[0]


async def test_a_verifier_refuses_what_the_model_takes_for_success() -> None:
    wrong = "SELECT name FROM town"
    model = analyst((asks_for_action, f"Action: SUBMIT {wrong}"))
    result = await asolve(
        QUESTION,
        strategy=in_database(),
        model=model,
        verifier=gives_rows_of(SCRIPT, RIGHT),
        journal=Journal(":memory:"),
    )

    assert result.answer == wrong and result.confidence == 0.0
    assert result.stop_reason is StopReason.FINISHED


async def test_a_goal_without_an_end_is_a_solution_unless_it_is_refused() -> None:
    def reached(task: Task, trail: Trail) -> float:
        return 1.0 if trail.actions == ["up", "up"] else 0.4

    def refuses(task: Task, candidate: Candidate) -> float:
        return 0.2

    search = EnvironmentSearch(
        environment=Endless, value_function=reached, samples=1, b=1, d=3, max_actions=3
    )
    journal = Journal(":memory:")
    accepted = await asolve("Go.", strategy=search, model=says("up"), journal=journal)
    refused = await asolve(
        "Go.", strategy=search, model=says("up"), verifier=refuses, journal=journal
    )

    assert accepted.answer == "up, up" and accepted.confidence == 1.0
    assert refused.answer is None and refused.text in ("up", "up\nup\nup")


class Endless(Environment):
    """Counts the actions, without an end."""

    n = 0

    async def start(self) -> Observation:
        self.n = 0
        return Observation(text="0")

    async def act(self, action: str) -> Observation:
        self.n += 1
        return Observation(text=str(self.n))


def test_impossible_parameters_are_refused() -> None:
    for wrong in ({"samples": 0}, {"value": "dice"}, {"top_p": 0}, {"d": 0}):
        with pytest.raises(ValueError):
            in_maze(**wrong)
    with pytest.raises(InvalidParameter):
        in_maze(environment=lambda: Maze(0, 0)).environment()
