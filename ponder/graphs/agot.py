"""Adaptive Graph of Thoughts: layers of thoughts, and graphs inside complex ones."""

from functools import cached_property
from typing import Any, ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.complexity import ComplexityJudge, complexity_judge
from ponder.agents.concluder import Concluder, concluder
from ponder.agents.thought_evaluator import ThoughtEvaluator, thought_evaluator
from ponder.agents.thought_planner import SubThought, ThoughtPlanner, thought_planner
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._agot import AGoTState, added, answered, joined, show
from ponder.graphs._concluding import (
    concluded,
    direct_price,
    unconcluded,
    with_an_answer,
)
from ponder.graphs._nesting import Answering
from ponder.graphs.base import Graph, Strategy, register
from ponder.graphs.shares import kept_back, shared_out, tightest
from ponder.messages import Sampling, Usage
from ponder.result import Outcome, StopReason


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

    @property
    def answering(self) -> Answering:
        """How one thought is answered."""
        return Answering(
            judge=self.judge,
            evaluate=self.evaluate,
            run=self._run_graph,
            d_max=self.d_max,
            thought_tokens=self.thought_tokens,
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
        room = state.get("room", self.max_thoughts)
        conclude = self.conclude(state.get("depth", 0))
        last = state.get("last") or await direct_price(state, conclude, context)
        update: dict[str, Any] = {
            "layer": layer,
            "thoughts": known,
            "planned": [],
            "last": last,
        }
        if room < 1:
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
        return update | added(plan, state, context, n_max=self.n_max, room=room)

    async def _think(
        self, state: AGoTState, runtime: Runtime[RunContext]
    ) -> dict[str, Any]:
        context, layer, answering = runtime.context, state["layer"], self.answering
        least, each = await answering.costs(state, context.at(f"L{layer}", "price"))
        with kept_back(context, state["last"]) as tight:
            payable, limit = _payable(state, context, least, tight)
            if not payable:
                return joined([], state, limit)
            places = [context.at(f"L{layer}", i) for i in range(len(payable))]
            layers = self.l_max - layer
            room = state["room"] // (len(payable) * layers)
            with shared_out(context, places, layers, each) as given:
                outcomes = await settle(
                    [
                        answering.answer(thought, state, place, room, each)
                        for thought, place in zip(payable, given, strict=True)
                    ]
                )
        return joined(outcomes, state, limit)

    async def _conclude(
        self, state: AGoTState, runtime: Runtime[RunContext]
    ) -> dict[str, Any]:
        context, reason = runtime.context, state.get("stop_reason", StopReason.FINISHED)
        depth = state.get("depth", 0)
        conclude = self.conclude(depth)
        try:
            candidate = await concluded(state, conclude, context.wrap_up())
        except OutOfBudget as stop:
            return {"outcome": unconcluded(state, StopReason(stop.dimension))}
        except ModelError as error:
            if not answered(state["thoughts"]):
                raise
            context.warn(f"The final answer failed: {error}")
            return {"outcome": unconcluded(state, reason)}
        if depth == 0:
            context.found(candidate)
            place = context.wrap_up().at("conclude", "forced")
            candidate = await with_an_answer(state["task"], candidate, place)
        outcome = Outcome(
            answer=candidate.answer,
            text=candidate.text,
            candidates=(candidate,),
            stop_reason=reason,
        )
        return {"outcome": outcome}

    # -- nested graphs -----------------------------------------------------------------

    async def _run_graph(self, state: AGoTState, place: RunContext) -> AGoTState:
        """Run the state machine once more, for a thought of another graph."""
        ended: AGoTState = await self.compiled.ainvoke(
            state, context=place, config={"recursion_limit": self.max_steps()}
        )
        return ended


def _payable(
    state: AGoTState, context: RunContext, least: Usage, tight: StopReason | None
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
