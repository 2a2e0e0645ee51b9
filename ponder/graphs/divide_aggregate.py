"""Divide-Then-Aggregate: rounds of sub-tasks that are done side by side."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field, field_validator

from ponder.agents.divider import Order, SubTask, divider, in_order
from ponder.agents.solver import STEP_BY_STEP, attempt, solver
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget, UnknownName
from ponder.graphs._answering import answered_directly, scarce, spoken, think
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.messages import Sampling, Value
from ponder.result import StopReason, Task
from ponder.tools.functions import MODEL, called, function

SUB_TASK = """\
This is a part of a larger problem:
{question}

{needed}Do only this part: {part}"""

NEEDED = """\
Results that it needs:
{results}

"""

AGGREGATE = """\
{question}

Parts of the problem are done already:
{results}"""


class Done(Value):
    """What came of a sub-task."""

    thought: str
    """Its id in the graph of the run."""
    sub_task: SubTask
    result: str = ""
    error: str = ""
    """Why there is no result."""

    @property
    def line(self) -> str:
        """The sub-task and its result, for the model."""
        what = self.sub_task.input
        if self.sub_task.tool != MODEL:
            what = f"{self.sub_task.tool}({what})"
        return f"- {what} -> {self.result or f'failed: {self.error}'}"


class DivideState(State, total=False):
    """The state; ``tried`` counts the rounds begun."""

    plan: tuple[SubTask, ...]
    """The sub-tasks of this round; empty: nothing is left to do."""
    order: list[list[int]]
    """Which of them are done together, one group after the other."""
    done: tuple[Done, ...]
    """Of all rounds."""


@register
class DivideThenAggregate(Strategy):
    """Divide a task into parallel sub-tasks, run them, and divide again or answer.

    Zhu et al. 2025. In every round the planner (the process) sees the task and all
    results so far, and writes sub-tasks for tools or for the model itself. They run
    side by side (the threads) and are joined; then the planner writes further ones, or
    none, and the answer is written in view of all results. A sub-task may need others
    of its round: these run before it. Sub-tasks that need each other in a circle, and
    those beyond the limit, are left out with a warning; one that fails does so alone.

    The paper trains a model to plan; here it is prompted. Not verified in the paper:
    its limits on rounds and sub-tasks.
    """

    name: ClassVar[str] = "divide_aggregate"
    source: ClassVar[str] = "https://arxiv.org/abs/2501.12432"
    wrap_up_share: ClassVar[float] = 0.25

    rounds: int = Field(default=3, ge=1)
    """Most rounds."""
    sub_tasks: int = Field(default=5, ge=1)
    """Most sub-tasks of a round."""
    tools: tuple[str, ...] = ("calculator",)
    """Functions of ``ponder.tools.functions`` that sub-tasks may name."""
    tool_seconds: float = Field(default=30.0, gt=0)
    """How long to wait for a tool."""
    temperature: float = Field(default=0.0, ge=0)
    """T of the sub-tasks that the model does."""
    sub_tokens: int = Field(default=384, ge=1)
    """Limit of such a sub-task."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of the answer."""

    @field_validator("tools")
    @classmethod
    def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                function(name)
            except UnknownName as error:
                raise ValueError(str(error)) from error
        return names

    def max_steps(self) -> int:
        """Two steps for each round, and both ends."""
        return 2 * self.rounds + 10

    def build(self) -> Graph:
        """START -> divide -> (invoke -> divide | aggregate) -> END."""
        graph = StateGraph(DivideState, context_schema=RunContext)
        graph.add_node("divide", self._divide)
        graph.add_node("invoke", self._invoke)
        graph.add_node("aggregate", self._aggregate)
        graph.add_edge(START, "divide")
        graph.add_conditional_edges("divide", _planned)
        graph.add_conditional_edges("invoke", self._more)
        graph.add_edge("aggregate", END)
        return graph

    # -- the nodes -------------------------------------------------------------------

    async def _divide(
        self, state: DivideState, runtime: Runtime[RunContext]
    ) -> DivideState:
        context, done = runtime.context, state.get("done", ())
        number = state.get("tried", 0)
        update: DivideState = {"plan": (), "order": [], "done": done}
        place = context.at("round", number)
        over = await scarce(state["task"], place.at("room"))
        if over is not None:
            return {**update, "stop_reason": over}
        divide = divider(
            tools={name: function(name).description for name in self.tools},
            most=self.sub_tasks,
        )
        try:
            plan = await divide(state["task"], _lines(done), place.at("divide"))
        except OutOfBudget as stop:
            return {**update, "stop_reason": StopReason(stop.dimension)}
        except ModelError as error:
            context.warn(f"The division failed, and the task stays whole: {error}")
            return update
        if plan is None:
            context.warn("The division could not be read: the task stays whole.")
            return update
        order = in_order(plan, self.sub_tasks)
        if order.circular or order.beyond:
            context.warn(_left_out(plan, order, self.sub_tasks))
        kept = [plan[i] for group in order.groups for i in group]
        if all(_is_done(sub_task, done) for sub_task in kept):
            return update
        parents = tuple(d.thought for d in done) or ("question",)
        think(place, f"divided into {len(kept)} sub-tasks", parents)
        return {**update, "plan": plan, "order": order.groups, "tried": number + 1}

    async def _invoke(
        self, state: DivideState, runtime: Runtime[RunContext]
    ) -> DivideState:
        context = runtime.context.at("round", state["tried"] - 1)
        made: dict[int, Done] = {}
        update: DivideState = {}
        for group in state["order"]:
            needed = [_needed(state["plan"][i], made) for i in group]
            with context.branches("task", group) as places:
                outcomes = await settle(
                    [
                        self._do(state["plan"][i], needs, state["task"], place)
                        for i, needs, place in zip(group, needed, places, strict=True)
                    ]
                )
            for i, needs, outcome in zip(group, needed, outcomes, strict=True):
                if isinstance(outcome, OutOfBudget):
                    update["stop_reason"] = StopReason(outcome.dimension)
                elif isinstance(outcome, Exception):
                    raise outcome
                else:
                    made[i] = outcome
                    _show(outcome, needs, context)
        update["done"] = (*state["done"], *(made[i] for i in sorted(made)))
        return update

    def _more(self, state: DivideState) -> Literal["divide", "aggregate"]:
        ended = state["tried"] >= self.rounds or "stop_reason" in state
        return "aggregate" if ended else "divide"

    async def _aggregate(
        self, state: DivideState, runtime: Runtime[RunContext]
    ) -> DivideState:
        context, done, task = runtime.context, state["done"], state["task"]
        if done:
            question = AGGREGATE.format(question=task.question, results=_lines(done))
            task = task.model_copy(update={"question": question})
        found, over = await answered_directly(
            task,
            context.at("aggregate").acting("aggregator"),
            parents=tuple(d.thought for d in done) or ("question",),
            max_tokens=self.max_tokens,
        )
        reason = over or state.get("stop_reason", StopReason.FINISHED)
        return {"outcome": spoken(found, reason, _lines(done))}

    # -- what the nodes are made of --------------------------------------------------

    async def _do(
        self,
        sub_task: SubTask,
        needs: Sequence[Done],
        task: Task,
        context: RunContext,
    ) -> Done:
        """Do one sub-task.

        Raises:
            OutOfBudget: The budget admits no such call.
        """
        done = Done(thought=context.id, sub_task=sub_task)
        if sub_task.tool == MODEL:
            return await self._ask(done, needs, task, context)
        if sub_task.tool not in self.tools:
            known = ", ".join((*self.tools, MODEL))
            error = f"there is no tool '{sub_task.tool}', only {known}"
            return done.model_copy(update={"error": error})

        async def compute() -> dict[str, str]:
            result, error = await called(
                sub_task.tool, sub_task.input, self.tool_seconds
            )
            return {"result": result, "error": error}

        content = f"{sub_task.tool}\n{sub_task.input}"
        value = await context.remember(content, compute, timed=True)
        return done.model_copy(update=value)

    async def _ask(
        self, done: Done, needs: Sequence[Done], task: Task, context: RunContext
    ) -> Done:
        results = NEEDED.format(results=_lines(needs)) if needs else ""
        question = SUB_TASK.format(
            question=task.question, needed=results, part=done.sub_task.input
        )
        solve = solver(
            instructions=STEP_BY_STEP,
            sampling=Sampling(temperature=self.temperature),
            max_tokens=self.sub_tokens,
            whole_text=True,
        )
        found = await attempt(solve, Task(question=question), context)
        return done.model_copy(
            update={
                "result": found.answer or "",
                "error": found.error or ("" if found.answer else "nothing was said"),
            }
        )


def _planned(state: DivideState) -> Literal["invoke", "aggregate"]:
    return "invoke" if state["plan"] else "aggregate"


def _lines(done: Sequence[Done]) -> str:
    return "\n".join(d.line for d in done)


def _needed(sub_task: SubTask, made: dict[int, Done]) -> list[Done]:
    return [made[n - 1] for n in sub_task.needs if n - 1 in made]


def _is_done(sub_task: SubTask, done: Sequence[Done]) -> bool:
    return any(
        (d.sub_task.tool, d.sub_task.input) == (sub_task.tool, sub_task.input)
        for d in done
    )


def _left_out(plan: Sequence[SubTask], order: Order, most: int) -> str:
    reasons = []
    if order.circular:
        reasons.append(f"{len(order.circular)} that need each other in a circle")
    if order.beyond:
        reasons.append(f"{len(order.beyond)} beyond the limit of {most}")
    return f"Of {len(plan)} sub-tasks were left out: {' and '.join(reasons)}."


def _show(done: Done, needs: Sequence[Done], context: RunContext) -> None:
    think(
        context,
        done.line.removeprefix("- "),
        tuple(d.thought for d in needs) or (context.id,),
        id=done.thought,
        evidence=done.sub_task.tool != MODEL,
        failed=bool(done.error),
    )
