"""Tree search in an environment: try actions, look at what they do, go back."""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, cast

from pydantic import Field

from ponder.agents.actor import Actor, Suggestion, actor
from ponder.agents.proposer import Proposal
from ponder.agents.state_value import (
    StateValue,
    ValueFunction,
    by_function,
    state_value,
)
from ponder.agents.verifier import judged
from ponder.context import RunContext
from ponder.errors import CannotRestore, ModelError, OutOfBudget
from ponder.events import Warned
from ponder.graphs.search.environment_search import EnvironmentPolicy
from ponder.graphs.search.tree import Expansion, Node, Step, Tree
from ponder.graphs.tree_search import TreeSearch
from ponder.messages import Sampling
from ponder.result import Candidate, Outcome, StopReason, Task, Verdict
from ponder.thoughts import Thought
from ponder.tools.environment import Environment, Observation, Snapshot, Trail


@dataclass(eq=False)
class Session:
    """The environment of one run."""

    environment: Environment
    context: RunContext
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """An environment is in one state at a time."""

    async def aclose(self) -> None:
        """Close the environment; what was found is not lost if that fails.

        It is told, but is no part of the result: a replay closes what was never used.
        """
        try:
            await self.environment.aclose()
        except Exception as error:
            said = f"The environment could not be closed: {error}"
            self.context.shared.emit(Warned(message=said))


@dataclass(eq=False)
class Place:
    """What a node of the tree holds: a state of the environment."""

    session: Session
    trail: Trail | None = None
    """How it was reached; ``None`` at the root, before the first reset."""
    state: Any = None
    """A copy of it, where this process has been there and the environment can."""
    thought: str = "question"
    """Its place in the thought graph."""
    candidate: Candidate | None = None
    """The episode, where it came to its end or its goal."""
    slots: int = 0
    """Actions asked for so far."""
    proposed: dict[int, list[Suggestion]] = field(default_factory=dict)
    """Actions proposed here, by round of b."""
    lost: bool = False
    """It could not be restored."""

    @property
    def text(self) -> str:
        """The actions that led here, one a line."""
        return "\n".join(self.trail.actions) if self.trail else ""


@dataclass(frozen=True)
class Executed(Proposal):
    """An action, and the state it led to."""

    place: Place | None = None


class EnvironmentSearch(TreeSearch, EnvironmentPolicy):
    """Best-first search among the states of an environment (Koh et al. 2024).

        search = EnvironmentSearch(environment=Maze, d=20, max_actions=20)
        solve("Leave the maze.", strategy=search, model="local")

    The model proposes actions; each is executed in the environment, taken back to the
    state it was proposed in; the value function evaluates what came. Every step is
    journaled, so that a replay makes none; a resumed run plays the actions again that
    lead to where it goes on. Since it needs an environment it has no name on the
    command line, and ``replay`` and ``resume`` must be given the strategy again.

    An episode that ends, or reaches theta, is a solution; the run's verifier, where
    there is one, judges it instead of the value function. Its text is the actions, its
    answer what the environment says, or the actions. If there is no solution the text
    is the best episode so far, and the answer is ``None``; an episode that ended is the
    answer even beside an unfinished one of a higher value, which the paper would go on
    with. A search that starts where
    the one before has left actions untried goes on with these before it samples new
    ones. A state that cannot be restored is marked as failed, and not gone on from.
    """

    name: ClassVar[str] = "environment_search"
    source: ClassVar[str] = "https://arxiv.org/abs/2407.01476"
    wrap_up_share: ClassVar[float] = 0.0
    needs_verifier: ClassVar[bool] = False

    environment: Callable[[], Environment] = Field(exclude=True)
    """Makes the environment of a run."""
    samples: int | None = Field(default=None, ge=1)
    """Samples of which the b most frequent actions are tried; by default, as in the
    authors' program, max(2 b, 20)."""
    temperature: float = Field(default=1.0, ge=0)
    """T of actions."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Nucleus of actions."""
    max_tokens: int = Field(default=384, ge=1)
    """Limit of a sample, with what the model thinks before it acts."""
    value: Literal["votes", "words"] = "votes"
    """How the model evaluates: ``votes``, the paper's mean of reasoned judgements, or
    ``words``, the probabilities of one word without reasoning."""
    value_samples: int = Field(default=20, ge=1)
    """Votes of an evaluation."""
    value_tokens: int = Field(default=256, ge=1)
    """Limit of a vote."""
    value_function: ValueFunction | None = Field(default=None, exclude=True)
    """Evaluates in place of the model."""
    max_rounds: int = Field(default=10_000, ge=1)
    """Most actions of all searches; c and ``max_actions`` are the paper's limits."""

    @cached_property
    def actor(self) -> Actor:
        """Who proposes actions."""
        return actor(
            samples=self.samples,
            sampling=Sampling(temperature=self.temperature, top_p=self.top_p),
            max_tokens=self.max_tokens,
        )

    @cached_property
    def state_value(self) -> StateValue:
        """Who evaluates states."""
        if self.value_function is not None:
            return by_function(self.value_function)
        return state_value(
            by=self.value, samples=self.value_samples, max_tokens=self.value_tokens
        )

    async def run(self, task: Task, context: RunContext) -> Outcome:
        """Run the state machine with an environment of its own."""
        async with aclosing(Session(self.environment(), context)) as session:
            seed = context.derive_seed("search")
            state = await self.compiled.ainvoke(
                {"task": task, "tree": self.start(Place(session), seed=seed)},
                context=context,
                config={"recursion_limit": self.max_steps()},
            )
        outcome: Outcome = state["outcome"]
        return outcome

    # -- one action ------------------------------------------------------------------

    async def expand(
        self, task: Task, expansion: Expansion, context: RunContext
    ) -> list[Proposal]:
        """Execute the next action that the model proposes in a state."""
        place: Place = expansion.node.value
        async with place.session.lock:
            if place.lost:
                return []
            if place.trail is None:
                place.trail = Trail(start=await self._begun(place, context.at("reset")))
            suggestion = await self._next(task, place, context.at("propose"))
            if suggestion is None:
                return []
            executed = await self._executed(place, suggestion, context)
            return [executed] if executed else []

    async def _begun(self, place: Place, context: RunContext) -> Observation:
        async def compute() -> dict[str, Any]:
            return (await environment.reset()).model_dump(mode="json")

        environment = place.session.environment
        content = json.dumps([environment.name, "reset"])
        found = await context.remember(content, compute, timed=True)
        return Observation.model_validate(found)

    async def _next(
        self, task: Task, place: Place, context: RunContext
    ) -> Suggestion | None:
        """Return an action not tried yet; ``None`` if the model had fewer than b."""
        assert place.trail is not None
        turn, index = divmod(place.slots, self.b)
        place.slots += 1
        if turn not in place.proposed:
            instructions = place.session.environment.instructions
            place.proposed[turn] = await self.actor.propose(
                task, place.trail, instructions, self.b, context
            )
        proposed = place.proposed[turn]
        return proposed[index] if index < len(proposed) else None

    async def _executed(
        self, place: Place, suggestion: Suggestion, context: RunContext
    ) -> Executed | None:
        """Return what an action led to; ``None`` if it could not be executed."""
        assert place.trail is not None
        environment, before, action = (
            place.session.environment,
            Snapshot(place.trail, place.state),
            suggestion.action,
        )
        copies: list[Any] = []

        async def compute() -> dict[str, Any]:
            try:
                await environment.restore(before)
                seen = await environment.step(action)
            except Exception as error:
                lost = isinstance(error, CannotRestore)
                return {"error": str(error), "lost": lost}
            try:
                copies.append((await environment.snapshot()).state)
            except Exception as error:
                return {**seen.model_dump(mode="json"), "uncopied": str(error)}
            return seen.model_dump(mode="json")

        content = json.dumps([environment.name, *place.trail.actions, action])
        body = await context.at("step").remember(content, compute, timed=True)
        if "error" in body:
            place.lost = body["lost"]
            self._note_failure(place, action, body["error"], context)
            return None
        if uncopied := body.pop("uncopied", ""):
            context.warn(f"{uncopied} Its actions are played again instead.")
        seen = Observation.model_validate(body)
        return Executed(
            text=f"{action}\n{seen.text}",
            final=seen.done,
            output_tokens=suggestion.output_tokens,
            place=Place(
                place.session,
                place.trail.after(action, seen),
                copies[0] if copies else None,
                thought=context.id,
            ),
        )

    def _note_failure(
        self, place: Place, action: str, error: str, context: RunContext
    ) -> None:
        context.warn(error)
        thought = Thought(
            id=context.id,
            kind="thought",
            label=error,
            failed=True,
            data={"text": action},
        )
        context.think(thought, (place.thought,))

    # -- what it is worth ------------------------------------------------------------

    async def rate(
        self, task: Task, node: Node, proposal: Proposal, context: RunContext
    ) -> float | None:
        """Ask the value function."""
        place = _place(proposal)
        assert place.trail is not None
        instructions = place.session.environment.instructions
        return await self.state_value(task, place.trail, instructions, context)

    async def scored(
        self,
        task: Task,
        node: Node,
        proposal: Proposal,
        place: RunContext,
        *,
        at_end: bool = False,
    ) -> tuple[Step, StopReason | None]:
        """Return a state with its value, and why the search must end, if it must."""
        here, stop, score = _place(proposal), None, None
        tokens = node.tokens + proposal.output_tokens
        if proposal.final:
            here.candidate = _candidate(here, tokens, place)
        try:
            if not proposal.final or place.verifier is None:
                score = await self.rate(task, node, proposal, place.at("score"))
            if here.candidate is None and score is not None and score >= self.theta:
                here.candidate = _candidate(here, tokens, place)
            if here.candidate is not None:
                score = await self._verdict(task, here, score, place)
        except OutOfBudget as over:
            stop = StopReason(over.dimension)
        except ModelError as error:
            place.warn(str(error))
        return Step(
            value=here,
            score=score,
            tokens=proposal.output_tokens,
            final=here.candidate is not None,
            text=proposal.text,
        ), stop

    async def _verdict(
        self, task: Task, here: Place, score: float | None, place: RunContext
    ) -> float | None:
        """Judge a solution; one that only its value made a solution may be refused."""
        assert here.candidate is not None and here.trail is not None
        if place.verifier is None:
            verdict = Verdict(score=score)
            place.judged(here.candidate, verdict)
            here.candidate = here.candidate.model_copy(update={"verdict": verdict})
            return score
        solution = await judged(task, here.candidate, place.at("judge"))
        score = solution.verdict.score if solution.verdict else None
        refused = score is not None and score < self.theta
        here.candidate = None if refused and not here.trail.last.done else solution
        return score

    async def rescued(
        self, task: Task, tree: Tree[Any], context: RunContext
    ) -> list[Candidate]:
        """Return the best episode as it is: more words of the model do not end it."""
        node = self.best(tree)
        if node is None or node.value.candidate is not None:
            return []
        unfinished = Candidate(
            id=context.at("node", node.id).id,
            text=node.value.text,
            output_tokens=node.tokens,
            finish_reason="length",
            verdict=Verdict(score=node.score),
        )
        context.found(unfinished)
        return [unfinished]


def _place(proposal: Proposal) -> Place:
    place = cast(Executed, proposal).place
    assert place is not None
    return place


def _candidate(here: Place, output_tokens: int, context: RunContext) -> Candidate:
    assert here.trail is not None
    last = here.trail.last
    answer = last.answer or ", ".join(here.trail.actions)
    candidate = Candidate(
        id=context.id, text=here.text, answer=answer, output_tokens=output_tokens
    )
    context.found(candidate)
    return candidate
