"""Self-Discover: compose a reasoning structure once per kind of task, follow it."""

import asyncio
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.choice import plain_model
from ponder.agents.discoverer import Discovery, Step, discoverer
from ponder.agents.follower import Form, follower
from ponder.agents.reasoning_modules import MODULES
from ponder.agents.solver import STEP_BY_STEP, Solver, attempt, solver
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._plans import FOLDER, digest, instruction, load, save
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.pool import raise_if_all_failed, rescue, unanswered
from ponder.messages import Sampling
from ponder.result import Candidate, Outcome, StopReason, Task
from ponder.settings import load_settings
from ponder.thoughts import Thought

Text = Annotated[str, Field(min_length=1)]


class DiscoveryState(State, total=False):
    """The state, with the plan."""

    steps: tuple[Step, ...]
    """Empty where there is no plan."""
    kept: bool
    """Whether the plan comes from an earlier run."""


@register
class SelfDiscover(Strategy):
    """Select and adapt ways of reasoning, make a plan of them, and fill it in.

    Zhou et al. 2024. Stage 1, once for each kind of task: SELECT modules of reasoning
    that are of use, ADAPT them to the kind of task, IMPLEMENT them as a structure of
    keys and what each is to hold. Stage 2, for each task: follow the structure. That is
    three calls for a kind of task and one for a task.

    The paper shows stage 1 a few tasks without their answers: give them as
    ``examples``. Without any it sees the question alone, and the plan is made for it.
    The plan of a named kind of ``task`` is kept on disk for later runs with the same
    model, modules and examples, and a run journals which plan it found, so that replay
    and resume do not depend on what is kept by then. Runs that begin at the same time
    may each make a plan; the last one stays. The wording of modules and prompts is
    ours, and so are the limits on modules and steps.

    Where the budget or the model gives no plan, or the plan leads to no answer, the
    question is solved step by step without one, and the result says so.
    """

    name: ClassVar[str] = "self_discover"
    source: ClassVar[str] = "https://arxiv.org/abs/2402.03620"
    wrap_up_share: ClassVar[float] = 0.4

    task: str = ""
    """Name of the kind of task, the signature under which its plan is kept."""
    keep: bool | None = None
    """Keep plans, and use those that are kept; by default if ``task`` is given. Without
    a name the signature is the instruction that the question begins with: all but its
    last paragraph."""
    examples: tuple[Text, ...] = ()
    """t_i, tasks of the kind, without answers."""
    modules: tuple[Text, ...] = Field(default=MODULES, min_length=1)
    """D, the ways of reasoning."""
    most: int = Field(default=5, ge=1)
    """Most modules that are selected."""
    longest: int = Field(default=8, ge=1)
    """Most steps of a plan."""
    form: Form = "json"
    """``json`` fills the plan in as the paper does, ``text`` follows it in words."""
    temperature: float = Field(default=0.0, ge=0)
    """T of the solution."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of the solution."""
    folder: Path | None = Field(default=None, exclude=True)
    """Where plans are kept; by default in the data folder of the settings."""

    def build(self) -> Graph:
        """START -> recall -> (discover ->) follow -> END."""
        graph = StateGraph(DiscoveryState, context_schema=RunContext)
        graph.add_node("recall", self._recall)
        graph.add_node("discover", self._discover)
        graph.add_node("follow", self._follow)
        graph.add_edge(START, "recall")
        graph.add_conditional_edges("recall", _known)
        graph.add_edge("discover", "follow")
        graph.add_edge("follow", END)
        return graph

    def signature(self, task: Task, model: str) -> dict[str, Any] | None:
        """Return what a plan is kept under, ``None`` if it is not kept.

        Args:
            task: The task at hand.
            model: Name of the model that makes the plan.
        """
        wanted = bool(self.task) if self.keep is None else self.keep
        if not wanted:
            return None
        return {
            "task": self.task or instruction(task),
            "model": model,
            "examples": self.examples,
            "modules": self.modules,
            "most": self.most,
            "longest": self.longest,
        }

    @cached_property
    def _folder(self) -> Path:
        return self.folder or load_settings().data_dir / FOLDER

    async def _recall(
        self, state: DiscoveryState, runtime: Runtime[RunContext]
    ) -> DiscoveryState:
        context = runtime.context
        signature = self.signature(state["task"], plain_model(context.model).name)
        if signature is None:
            return {"steps": ()}
        key = digest(signature)

        async def look() -> dict[str, Any]:
            try:
                steps = await asyncio.to_thread(load, self._folder, key)
            except ValueError as error:
                return {"steps": [], "warning": str(error)}
            return {"steps": [s.model_dump() for s in steps or ()]}

        found = await context.at("recall").remember(f"recall {key}", look)
        if "warning" in found:
            context.warn(found["warning"])
        steps = tuple(Step.model_validate(s) for s in found["steps"])
        if steps:
            label = "a plan of an earlier run"
            _show_plan(steps, label, context.at("plan"), "question")
        return {"steps": steps, "kept": bool(steps)}

    async def _discover(
        self, state: DiscoveryState, runtime: Runtime[RunContext]
    ) -> DiscoveryState:
        context, task = runtime.context, state["task"]
        calls = context.ledger.left("calls", wrap_up=True)
        if calls is not None and calls < 2:
            context.warn("The budget leaves no call for a plan.")
            return {"steps": ()}
        discover = discoverer(
            modules=self.modules, most=self.most, longest=self.longest
        )
        shown_tasks = self.examples or (task.question,)
        try:
            found = await discover(shown_tasks, context.at("discover"))
        except OutOfBudget as stop:
            context.warn("The budget leaves no room for a plan.")
            return {"steps": (), "stop_reason": StopReason(stop.dimension)}
        except ModelError as error:
            context.warn(f"There is no plan: {error}")
            return {"steps": ()}
        _show(found, context.at("discover"))
        # A makeshift plan must not outlive its run.
        if found.whole:
            await self._save(found.steps, task, context)
        return {"steps": found.steps}

    async def _save(
        self, steps: tuple[Step, ...], task: Task, context: RunContext
    ) -> None:
        signature = self.signature(task, plain_model(context.model).name)
        if signature is None:
            return
        key = digest(signature)

        async def write() -> dict[str, Any]:
            try:
                await asyncio.to_thread(save, self._folder, key, steps, signature)
            except OSError as error:
                return {"warning": f"The plan could not be kept: {error}"}
            return {}

        done = await context.at("keep").remember(f"keep {key}", write)
        if "warning" in done:
            context.warn(done["warning"])

    async def _follow(
        self, state: DiscoveryState, runtime: Runtime[RunContext]
    ) -> DiscoveryState:
        context, task = runtime.context.wrap_up(), state["task"]
        tried: list[Candidate] = []
        reason = state.get("stop_reason")
        for name, solve, parent in self._attempts(state, context):
            if any(c.answer is not None for c in tried):
                break
            if tried:
                context.warn("The plan led to no answer: it is done without.")
            place = context.at(name)
            try:
                tried += await _attempted(solve, task, place, parent)
            except OutOfBudget as stop:
                reason = reason or StopReason(stop.dimension)
        raise_if_all_failed(tried, context)
        return {"outcome": _outcome(tried, reason or StopReason.FINISHED)}

    def _attempts(
        self, state: DiscoveryState, context: RunContext
    ) -> list[tuple[str, Solver, str]]:
        """Return attempts in their order, each with its place and its parent."""
        steps = state["steps"]
        sampling = Sampling(temperature=self.temperature)
        follow = follower(form=self.form, sampling=sampling, max_tokens=self.max_tokens)
        plain = solver(
            instructions=STEP_BY_STEP, sampling=sampling, max_tokens=self.max_tokens
        )

        async def planned(task: Task, context: RunContext) -> Candidate:
            return await follow(task, steps, context)

        origin = context.at("plan" if state.get("kept") else "discover/implement").id
        attempts: list[tuple[str, Solver, str]] = [("plain", plain, "question")]
        if steps:
            attempts.insert(0, ("follow", planned, origin))
        return attempts


async def _attempted(
    solve: Solver, task: Task, context: RunContext, parent: str
) -> list[Candidate]:
    """Attempt a task, again if the model fails, and to an answer if it is cut off."""
    found = await attempt(solve, task, context)
    context.keep(found, (parent,))
    tried = [found]
    if found.error is not None:
        found = await attempt(solve, task, context.at("again"))
        context.keep(found, (parent,))
        tried.append(found)
    if found.answer is None and (rescued := await rescue(task, [found], context)):
        tried.append(rescued)
    return tried


def _known(state: DiscoveryState) -> Literal["discover", "follow"]:
    return "follow" if state["steps"] else "discover"


def _outcome(tried: list[Candidate], reason: StopReason) -> Outcome:
    for candidate in tried:
        if candidate.answer is not None:
            return Outcome(
                answer=candidate.answer,
                text=candidate.text,
                candidates=tuple(tried),
                stop_reason=reason,
            )
    return unanswered(tried, reason)


def _show(found: Discovery, context: RunContext) -> None:
    """Put what the three actions made into the graph of the run."""
    stages = (
        ("select", f"{len(found.selected)} ways of reasoning", found.selected),
        ("adapt", "adapted to the task", found.adapted),
    )
    parent = "question"
    for name, label, texts in stages:
        place = context.at(name)
        data = {"modules": list(texts)}
        thought = Thought(id=place.id, kind="thought", label=label, data=data)
        context.think(thought, (parent,))
        parent = place.id
    _show_plan(found.steps, "a plan", context.at("implement"), parent)


def _show_plan(
    steps: tuple[Step, ...], what: str, context: RunContext, parent: str
) -> None:
    label = f"{what}: {', '.join(step.name for step in steps)}"
    data = {"steps": [step.model_dump() for step in steps]}
    thought = Thought(id=context.id, kind="thought", label=label, data=data)
    context.think(thought, (parent,))
