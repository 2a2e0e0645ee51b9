"""Selection-Inference: choose statements, infer one from them alone, and again."""

from typing import ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.forward import can_answer, infer, select
from ponder.agents.theory import premises
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._answering import answered_directly, scarce, spoken, think
from ponder.graphs._backward import same_goal
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.messages import GREEDY, Sampling, Value
from ponder.result import StopReason, Task

RETRY = Sampling(temperature=0.7)
"""How a selection is drawn after one that led to nothing new."""

PATIENCE = 2
"""Steps in a row without anything new that end the reasoning."""

DERIVED = """\
{question}

What is known to follow from the above, in the order of its derivation:
{derived}"""


class Known(Value):
    """A statement, and the thought that it is."""

    text: str
    thought: str
    """Its id in the graph of the run."""
    premises: tuple[str, ...] = ()
    """Texts that it was inferred from; none for what is given."""


class TraceState(State, total=False):
    """The state; ``tried`` counts the steps begun."""

    known: tuple[Known, ...]
    """What is given, then what was inferred, in order."""
    selected: tuple[int, ...]
    """The statements of the step under way."""
    used: tuple[tuple[int, ...], ...]
    """The selections of all steps."""
    stale: int
    """Steps in a row that led to nothing new."""


@register
class SelectionInference(Strategy):
    """Alternate between selecting statements and inferring one from them alone.

    Creswell et al. 2022. Each step selects statements among those given and inferred so
    far, by their numbers, and infers one new statement from the selection, without
    sight of anything else; it joins the statements. After a number of steps, or when
    the halter says that the answer is there, the question is answered in view of what
    was derived. The trace is causal: a step can rest on nothing but its selection.

    The given statements are the sentences of the question unless ``statements`` are
    given. A step that infers what is known already draws the next selection at T = 0.7,
    and two such steps in a row end the reasoning. A question without two statements is
    answered directly. Not verified in the paper: a number of steps for open tasks (it
    takes the depth that the problem is known to have), and its prompts (ours are
    zero-shot).
    """

    name: ClassVar[str] = "selection_inference"
    source: ClassVar[str] = "https://arxiv.org/abs/2205.09712"
    wrap_up_share: ClassVar[float] = 0.25

    H: int = Field(default=5, ge=1)
    """Most steps; ours, the deepest problems of ProofWriter have 5."""
    halt: Literal["steps", "halter"] = "steps"
    """When to stop: after H ``steps`` as in the paper, or when a ``halter``, a further
    call after each step, finds the answer among the statements."""
    most: int = Field(default=4, ge=1)
    """Most statements of a selection."""
    statements: tuple[str, ...] = ()
    """The statements to reason over, where they are not the sentences of the
    question."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of the answer."""

    def max_steps(self) -> int:
        """Three steps of the graph for each of the trace, and both ends."""
        return 3 * self.H + 10

    def build(self) -> Graph:
        """START -> read -> select -> infer -> halt -> (select | answer) -> END."""
        graph = StateGraph(TraceState, context_schema=RunContext)
        graph.add_node("read", self._read)
        graph.add_node("select", self._select)
        graph.add_node("infer", self._infer)
        graph.add_node("halt", self._halt)
        graph.add_node("answer", self._answer)
        graph.add_edge(START, "read")
        graph.add_conditional_edges("read", _begin)
        graph.add_conditional_edges("select", _goes_on)
        graph.add_edge("infer", "halt")
        graph.add_conditional_edges("halt", self._more)
        graph.add_edge("answer", END)
        return graph

    # -- the nodes -------------------------------------------------------------------

    async def _read(
        self, state: TraceState, runtime: Runtime[RunContext]
    ) -> TraceState:
        context = runtime.context
        given = list(self.statements or premises(state["task"].question))
        if len(given) < 2:
            context.warn("The question holds no statements to select from.")
            given = []
        known = [
            Known(text=text, thought=context.at("given", i).id)
            for i, text in enumerate(given)
        ]
        return {"known": tuple(known), "tried": 0, "used": (), "stale": 0}

    async def _select(
        self, state: TraceState, runtime: Runtime[RunContext]
    ) -> TraceState:
        context, known = runtime.context, state["known"]
        place = context.at("step", state["tried"])
        update: TraceState = {"tried": state["tried"] + 1, "selected": ()}
        over = await scarce(state["task"], place.at("room"))
        if over is not None:
            return {**update, "stop_reason": over}
        try:
            found = await select(
                state["task"],
                [k.text for k in known],
                place.at("select"),
                most=self.most,
                tried=state["used"],
                sampling=RETRY if state["stale"] else GREEDY,
            )
        except OutOfBudget as stop:
            return {**update, "stop_reason": StopReason(stop.dimension)}
        except ModelError as error:
            context.warn(f"A selection failed: {error}")
            return update
        if found is None:
            context.warn("A selection could not be read: the step is left out.")
            return update
        return {**update, "selected": found, "used": (*state["used"], found)}

    async def _infer(
        self, state: TraceState, runtime: Runtime[RunContext]
    ) -> TraceState:
        context, known = runtime.context, state["known"]
        place = context.at("step", state["tried"] - 1)
        chosen = [known[i] for i in state["selected"]]
        stale: TraceState = {"stale": state["stale"] + 1}
        if not chosen:
            return stale
        try:
            text = await infer([k.text for k in chosen], place.at("infer"))
        except OutOfBudget as over:
            return {"stop_reason": StopReason(over.dimension)}
        except ModelError as error:
            context.warn(f"An inference failed: {error}")
            return stale
        new = text is not None and same_goal(text) not in {
            same_goal(k.text) for k in known
        }
        # Only what a step rests on is shown: the rest stands in the question.
        for k in chosen:
            if not k.premises:
                think(context, k.text, ("question",), id=k.thought, evidence=True)
        parents = tuple(k.thought for k in chosen)
        think(place, text or "nothing was inferred", parents, failed=not new)
        if text is None or not new:
            return stale
        premises = tuple(k.text for k in chosen)
        step = Known(text=text, thought=place.id, premises=premises)
        return {"known": (*known, step), "stale": 0}

    async def _halt(
        self, state: TraceState, runtime: Runtime[RunContext]
    ) -> TraceState:
        if self.halt == "steps" or "stop_reason" in state or state["stale"]:
            return {}
        context = runtime.context
        place = context.at("step", state["tried"] - 1, "halt")
        try:
            texts = [k.text for k in state["known"]]
            enough = await can_answer(state["task"], texts, place)
        except OutOfBudget as over:
            return {"stop_reason": StopReason(over.dimension)}
        except ModelError as error:
            context.warn(f"The halter failed, and the reasoning goes on: {error}")
            return {}
        if enough is None:
            context.warn("The halter could not be read: the reasoning goes on.")
        return {"stop_reason": StopReason.FINISHED} if enough else {}

    def _more(self, state: TraceState) -> Literal["select", "answer"]:
        tired = state["stale"] >= PATIENCE or state["tried"] >= self.H
        return "answer" if tired or "stop_reason" in state else "select"

    async def _answer(
        self, state: TraceState, runtime: Runtime[RunContext]
    ) -> TraceState:
        context, derived = runtime.context, _derived(state)
        last = tuple(k.thought for k in derived) or ("question",)
        found, over = await answered_directly(
            _with_derived(state["task"], derived),
            context.at("answer"),
            parents=last,
            max_tokens=self.max_tokens,
        )
        reason = over or state.get("stop_reason", StopReason.FINISHED)
        return {"outcome": spoken(found, reason, "\n".join(map(_line, derived)))}


def _begin(state: TraceState) -> Literal["select", "answer"]:
    return "select" if state["known"] else "answer"


def _goes_on(state: TraceState) -> Literal["infer", "answer"]:
    return "answer" if "stop_reason" in state else "infer"


def _derived(state: TraceState) -> list[Known]:
    return [k for k in state["known"] if k.premises]


def _with_derived(task: Task, derived: list[Known]) -> Task:
    if not derived:
        return task
    listed = "\n".join(f"- {k.text}" for k in derived)
    question = DERIVED.format(question=task.question, derived=listed)
    return task.model_copy(update={"question": question})


def _line(known: Known) -> str:
    return f"{' '.join(known.premises)} Therefore: {known.text}"
