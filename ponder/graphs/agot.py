"""Adaptive Graph of Thoughts: layers of thoughts, and graphs inside complex ones."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.complexity import ComplexityJudge, complexity_judge
from ponder.agents.concluder import Concluder, concluder
from ponder.agents.solver import forced_answer
from ponder.agents.thought_evaluator import ThoughtEvaluator, thought_evaluator
from ponder.agents.thought_planner import (
    Layer,
    SubThought,
    ThoughtPlanner,
    thought_planner,
)
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._agot import (
    LEAST_OUTPUT,
    LEAST_THOUGHT,
    Answered,
    admitted,
    answered,
    around,
    fitting,
    show,
    show_conclusion,
    sinks,
)
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.shares import kept_back, priced, shared_out, tightest
from ponder.messages import Request, Sampling, Usage
from ponder.result import Candidate, Outcome, StopReason, Task

COMPLEX = 0.5
"""P(Yes) above which a thought is complex: yes is then the likelier word."""


class AGoTState(State, total=False):
    """The state of one graph; ``task`` is what it is to answer."""

    depth: int
    """d: 0 for the outermost graph."""
    background: str
    """What it knows of the graphs around it."""
    room: int
    """Thoughts that may still be added here and in nested graphs."""
    layer: int
    """l: layers that are finished."""
    thoughts: list[SubThought]
    """Of the finished layers."""
    places: dict[int, str]
    """Where thoughts stand in the graph of the run, by their numbers."""
    planned: list[SubThought]
    """The layer that is worked on; empty if there is none."""
    last: Usage
    """What it takes to answer the question of the graph directly."""


@register
class AGoT(Strategy):
    """Break a question into a graph of thoughts, and complex thoughts into graphs.

    Pandey et al. 2025. A planner writes layers of thoughts, each with a strategy, whose
    edges come from earlier layers. All thoughts of a layer are worked on side by side:
    one that the complexity check finds complex becomes a nested graph, whose final
    answer is its answer; another one is answered directly. A graph ends when its
    planner says so or after ``l_max`` layers, with a final answer.

    Every graph keeps back what its final answer takes, and gives each nested graph a
    part of the rest: docs/design/agot.md, also for what the paper leaves open here.
    """

    name: ClassVar[str] = "agot"
    source: ClassVar[str] = "https://arxiv.org/abs/2502.05078"
    wrap_up_share: ClassVar[float] = 0.2

    d_max: int = Field(default=1, ge=0, le=8)
    """Depth of nesting; 0 is one graph alone. The paper's values of d_max, l_max and
    n_max could not be verified; these are those of copies of the authors' package."""
    l_max: int = Field(default=2, ge=1)
    """Most layers of a graph."""
    n_max: int = Field(default=3, ge=1)
    """Most thoughts of a layer."""
    max_thoughts: int = Field(default=60, ge=1)
    """Most thoughts of all graphs together; not in the paper."""
    temperature: float = Field(default=0.0, ge=0)
    """T of answers; not given here by the paper. Plans and checks are made at T = 0."""
    thought_tokens: int = Field(default=256, ge=1)
    """Limit of the answer of a thought, and of the final answer of a nested graph."""
    plan_tokens: int = Field(default=512, ge=1)
    """Limit of the plan of a layer."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of the final answer."""

    @cached_property
    def planner(self) -> ThoughtPlanner:
        """T_0 and T_e."""
        return thought_planner(n_max=self.n_max, max_tokens=self.plan_tokens)

    @cached_property
    def judge(self) -> ComplexityJudge:
        """C."""
        return complexity_judge()

    @cached_property
    def evaluate(self) -> ThoughtEvaluator:
        """Eval."""
        sampling = Sampling(temperature=self.temperature)
        return thought_evaluator(sampling=sampling, max_tokens=self.thought_tokens)

    def conclude(self, depth: int) -> Concluder:
        """Return Phi."""
        limit = self.thought_tokens if depth else self.max_tokens
        return concluder(
            sampling=Sampling(temperature=self.temperature), max_tokens=limit
        )

    def max_steps(self) -> int:
        """Return a bound on the steps of one graph."""
        return 2 * self.l_max + 5

    def build(self) -> Graph:
        """START -> plan -> (think -> (plan | conclude) | conclude) -> END."""

        def planned(state: AGoTState) -> Literal["think", "conclude"]:
            return "think" if state["planned"] else "conclude"

        def more(state: AGoTState) -> Literal["plan", "conclude"]:
            ended = "stop_reason" in state or state["layer"] >= self.l_max
            return "conclude" if ended else "plan"

        graph = StateGraph(AGoTState, context_schema=RunContext)
        graph.add_node("plan", self._plan)
        graph.add_node("think", self._think)
        graph.add_node("conclude", self._conclude)
        graph.add_edge(START, "plan")
        graph.add_conditional_edges("plan", planned)
        graph.add_conditional_edges("think", more)
        graph.add_edge("conclude", END)
        return graph

    # -- the nodes ---------------------------------------------------------------------

    async def _plan(
        self, state: AGoTState, runtime: Runtime[RunContext]
    ) -> dict[str, Any]:
        context, layer = runtime.context, state.get("layer", 0)
        known = state.get("thoughts", [])
        place = context.at(f"L{layer}", "plan")
        last = state.get("last") or await self._last(state, context)
        update: dict[str, Any] = {
            "layer": layer,
            "thoughts": known,
            "planned": [],
            "last": last,
        }
        if state.get("room", self.max_thoughts) < 1:
            context.warn(f"No thoughts may be added to the {self.max_thoughts} there.")
            return update
        with kept_back(context, last) as tight:
            if tight is not None:
                return update | {"stop_reason": tight}
            try:
                plan = await self.planner(
                    state["task"], known, place, background=state.get("background", "")
                )
            except OutOfBudget as stop:
                return update | {"stop_reason": StopReason(stop.dimension)}
            except ModelError as error:
                context.warn(f"A layer could not be planned: {error}")
                return update
        if plan is None:
            place.substitute("a plan that can be read", "an answer without it")
            return update
        return update | self._added(plan, state, context)

    async def _think(
        self, state: AGoTState, runtime: Runtime[RunContext]
    ) -> dict[str, Any]:
        context, layer = runtime.context, state["layer"]
        least, each = await self._costs(state, context)
        with kept_back(context, state["last"]) as tight:
            payable, limit = self._payable(state, context, least, tight)
            if not payable:
                return _joined([], state, limit)
            places = [context.at(f"L{layer}", i) for i in range(len(payable))]
            layers = self.l_max - layer
            room = state["room"] // (len(payable) * layers)
            with shared_out(context, places, layers, each) as given:
                outcomes = await settle(
                    [
                        self._answer(thought, state, place, room, each)
                        for thought, place in zip(payable, given, strict=True)
                    ]
                )
        return _joined(outcomes, state, limit)

    async def _conclude(
        self, state: AGoTState, runtime: Runtime[RunContext]
    ) -> dict[str, Any]:
        context, reason = runtime.context, state.get("stop_reason", StopReason.FINISHED)
        outermost = state.get("depth", 0) == 0
        try:
            candidate = await self._final(state, context.wrap_up())
        except OutOfBudget as stop:
            return {"outcome": _unconcluded(state, StopReason(stop.dimension))}
        except ModelError as error:
            if not answered(state["thoughts"]):
                raise
            context.warn(f"The final answer failed: {error}")
            return {"outcome": _unconcluded(state, reason)}
        if outermost:
            context.found(candidate)
            place = context.wrap_up().at("conclude", "forced")
            candidate = await _with_an_answer(state["task"], candidate, place)
        outcome = Outcome(
            answer=candidate.answer,
            text=candidate.text,
            candidates=(candidate,),
            stop_reason=reason,
        )
        return {"outcome": outcome}

    # -- what the nodes are made of ----------------------------------------------------

    def _added(
        self, plan: Layer, state: AGoTState, context: RunContext
    ) -> dict[str, Any]:
        """Return the update for a plan: what of it the graph can hold."""
        known, layer = state.get("thoughts", []), state.get("layer", 0)
        room = state.get("room", self.max_thoughts)
        planned, warnings = admitted(plan, known, min(self.n_max, room))
        for warning in warnings:
            context.warn(warning)
        places = dict(state.get("places", {}))
        for i, thought in enumerate(planned):
            place = context.at(f"L{layer}", i)
            needed = [places[n] for n in thought.needs]
            show(thought, place, needed or [_opening(state, context)])
            places[thought.number] = place.id
        return {"planned": planned, "room": room - len(planned), "places": places}

    def _payable(
        self,
        state: AGoTState,
        context: RunContext,
        least: Usage,
        tight: StopReason | None,
    ) -> tuple[list[SubThought], StopReason | None]:
        """Return the planned thoughts that can be answered, and what limits them."""
        planned = state["planned"]
        most, limit = (0, tight) if tight else tightest(context.ledger, least)
        if most >= len(planned):
            return planned, None
        context.warn("The budget does not pay for all thoughts of a layer.")
        for i, thought in enumerate(planned[int(most) :], int(most)):
            show(thought, context.at(f"L{state['layer']}", i), failed=True)
        return planned[: int(most)], StopReason(limit)

    async def _answer(
        self,
        thought: SubThought,
        state: AGoTState,
        place: RunContext,
        room: int,
        each: Usage,
    ) -> Answered:
        """Answer one thought, by a graph of its own if it is complex."""
        nested = False
        try:
            nested = room > 0 and await self._is_complex(thought, state, place, each)
            if nested:
                return await self._nested(thought, state, place, room)
            said = await self.evaluate(
                state["task"],
                thought.question,
                place.at("answer"),
                background=self._around(state),
                strategy=thought.strategy,
            )
        except (OutOfBudget, ModelError) as error:
            show(thought, place, kind="graph" if nested else "thought", failed=True)
            # How many thoughts a graph had that failed is lost with it: all it might.
            lost = Answered(thought, nodes=room if nested else 0)
            if isinstance(error, OutOfBudget):
                return lost._replace(stop=StopReason(error.dimension))
            place.warn(f"The thought '{thought.title}' was not answered: {error}")
            return lost
        done = thought.model_copy(update={"answer": said})
        show(done, place, failed=said is None)
        return Answered(done)

    async def _is_complex(
        self, thought: SubThought, state: AGoTState, place: RunContext, each: Usage
    ) -> bool:
        """Ask for the complexity, if that leaves enough to answer the thought."""
        if state.get("depth", 0) >= self.d_max:
            return False
        with kept_back(place, each) as tight:
            if tight is not None:
                return False
            try:
                chance = await self.judge(
                    thought.question,
                    place.at("complex"),
                    background=self._around(state),
                )
            except OutOfBudget:
                return False
            except ModelError as error:
                place.warn(f"A thought could not be checked for complexity: {error}")
                return False
        if chance is None:
            place.substitute("a complexity check that can be read", "a direct answer")
        return chance is not None and chance > COMPLEX

    async def _nested(
        self, thought: SubThought, state: AGoTState, place: RunContext, room: int
    ) -> Answered:
        """Answer a thought by a graph of its own."""
        show(thought, place, kind="graph")
        inner: AGoTState = {
            "task": Task(question=thought.question, history=state["task"].history),
            "candidates": [],
            "depth": state.get("depth", 0) + 1,
            "background": self._around(state),
            "room": room,
        }
        ended: AGoTState = await self.compiled.ainvoke(
            inner, context=place, config={"recursion_limit": self.max_steps()}
        )
        outcome = ended["outcome"]
        done = thought.model_copy(update={"answer": outcome.text.strip() or None})
        missing = done.answer is None
        show(done, place, kind="graph", failed=missing)
        ends = outcome.stop_reason
        stop = ends if missing and ends is not StopReason.FINISHED else None
        inside = next((c.id for c in outcome.candidates), None)
        return Answered(done, nodes=room - ended["room"], stop=stop, place=inside)

    async def _final(self, state: AGoTState, context: RunContext) -> Candidate:
        """Write the final answer, from the question alone if that fails once."""
        task, above = state["task"], state.get("background", "")
        place, conclude = context.at("conclude"), self.conclude(state.get("depth", 0))

        def request(shown: Sequence[SubThought]) -> Request:
            return conclude.request(task, shown, place, background=above)

        shown = await fitting(state["thoughts"], request, context.at("fitting"))
        if len(shown) < len(answered(state["thoughts"])):
            place.warn("The budget does not pay for a final answer from all thoughts.")
        try:
            candidate = await conclude(task, shown, place, background=above)
        except ModelError as error:
            place.warn(f"A final answer failed and was asked for again: {error}")
            candidate = await conclude(task, (), place.at("again"), background=above)
            shown = []
        ends = sinks(state.get("places", {}), shown)
        show_conclusion(candidate, place, ends or [_opening(state, context)])
        return candidate

    def _around(self, state: AGoTState) -> str:
        thoughts, above = state.get("thoughts", []), state.get("background", "")
        return around(state["task"], thoughts, above)

    async def _costs(self, state: AGoTState, context: RunContext) -> list[Usage]:
        """Return what a thought of the layer takes at least, and at most."""
        requests = [
            self.evaluate.request(
                state["task"],
                thought.question,
                background=self._around(state),
                strategy=thought.strategy,
            )
            for thought in state["planned"]
        ]
        place = context.at(f"L{state['layer']}", "price")
        return await priced(requests, [LEAST_THOUGHT, self.thought_tokens], place)

    async def _last(self, state: AGoTState, context: RunContext) -> Usage:
        request = self.conclude(state.get("depth", 0)).request(
            state["task"], (), context, background=state.get("background", "")
        )
        (usage,) = await priced([request], [LEAST_OUTPUT], context.at("price"))
        return usage


def _opening(state: AGoTState, context: RunContext) -> str:
    """Return the place of what a graph begins with."""
    return context.id if state.get("depth", 0) else "question"


def _joined(
    outcomes: Sequence[Answered | Exception],
    state: AGoTState,
    limit: StopReason | None,
) -> dict[str, Any]:
    """Return the update for a layer that is finished."""
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    done = [outcome for outcome in outcomes if isinstance(outcome, Answered)]
    thoughts = [outcome.thought for outcome in done]
    # Later thoughts rest on what a nested graph came to, not on its beginning.
    moved = {o.thought.number: o.place for o in done if o.place is not None}
    # The rest could not be paid; it keeps its numbers.
    thoughts += state["planned"][len(done) :]
    update: dict[str, Any] = {
        "layer": state["layer"] + 1,
        "thoughts": [*state["thoughts"], *thoughts],
        "planned": [],
        "places": state["places"] | moved,
        "room": state["room"] - sum(outcome.nodes for outcome in done),
    }
    stops = [outcome.stop for outcome in done if outcome.stop] + (
        [limit] if limit else []
    )
    return update | ({"stop_reason": stops[0]} if stops else {})


async def _with_an_answer(
    task: Task, candidate: Candidate, place: RunContext
) -> Candidate:
    if candidate.answer is not None or not candidate.text.strip():
        return candidate
    return await forced_answer(task, candidate, place) or candidate


def _unconcluded(state: AGoTState, reason: StopReason) -> Outcome:
    """Return the outcome of a graph without a final answer: its last thought."""
    known = answered(state["thoughts"])
    text = known[-1].answer or "" if known else ""
    return Outcome(answer=None, text=text, stop_reason=reason)
