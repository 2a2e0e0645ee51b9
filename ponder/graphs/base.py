"""The contract of a strategy, and the registry that finds strategies by name."""

import inspect
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from pydantic import BaseModel, ConfigDict

from ponder.context import Composite, RunContext, Verifier
from ponder.errors import InvalidParameter, ModelError, OutOfBudget
from ponder.messages import Completion, Message, Request
from ponder.models.base import Capabilities, Model
from ponder.registry import Registry
from ponder.result import Candidate, Outcome, StopReason, Task


class State(TypedDict, total=False):
    """What the graph of a strategy carries; a strategy may add fields of its own."""

    task: Task
    candidates: list[Candidate]
    outcome: Outcome
    stop_reason: StopReason
    tried: int
    """Attempts begun, failed ones included."""


if TYPE_CHECKING:
    from langgraph.graph.state import StateGraph

    Graph = StateGraph[Any, RunContext, Any, Any]
else:
    # `import ponder` must stay quick: only the strategies themselves load LangGraph.
    Graph = Any


class Strategy(BaseModel, ABC):
    """An algorithm: its fields are the parameters, with the source's defaults."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    name: ClassVar[str]
    source: ClassVar[str]
    """Where the algorithm is published."""
    wrap_up_share: ClassVar[float] = 0.0
    """Share of the budget kept back for the last steps."""
    judge_share: ClassVar[float] = 0.0
    """Further share kept back where the verifier is a model that must be paid."""
    needs_verifier: ClassVar[bool] = False
    """Whether it goes by the run's verifier."""
    without_verifier: ClassVar[str] = "the model judges itself"
    """What happens where the run has none."""
    own_verifier: ClassVar[bool] = False
    """Whether it brings a verifier, which the run's takes the place of."""
    needs_retriever: ClassVar[bool] = False
    """Whether it cannot work without documents."""

    @abstractmethod
    def build(self) -> Graph:
        """Return the state machine; it ends with ``outcome`` in its state."""

    def kept_back(self, verifier: Verifier | None) -> float:
        """Return the share of the budget that it keeps back for its end.

        Args:
            verifier: The run's; one that says that it asks a model has to be paid for,
                and so has the judge where there is none.
        """
        paid = verifier is None or getattr(verifier, "asks_model", False)
        return self.wrap_up_share + (self.judge_share if paid else 0.0)

    def max_steps(self) -> int:
        """Return a bound on the steps of the graph; LangGraph has none of use."""
        return 25

    @cached_property
    def compiled(self) -> Any:
        """The graph, compiled once: a nested strategy runs once for each branch.

        It keeps no checkpoints of its own in those of an application around it.
        """
        return self.build().compile(name=self.name, checkpointer=False)

    async def run(self, task: Task, context: RunContext) -> Outcome:
        """Run the state machine at one place of a run."""
        state = await self.compiled.ainvoke(
            {"task": task, "candidates": []},
            context=context,
            config={"recursion_limit": self.max_steps()},
        )
        outcome: Outcome = state["outcome"]
        return outcome

    def as_model(self, model: Model) -> "StrategyModel":
        """Return a model that answers every request by this strategy."""
        return StrategyModel(self, model)

    def spec(self) -> str:
        """Return name and changed parameters, as ``strategy`` reads them."""
        changed = self.model_dump(mode="json", exclude_defaults=True)
        return self.name + (json.dumps(changed, sort_keys=True) if changed else "")


class StrategyModel(Composite):
    """A strategy over a model, in the place of a model."""

    def __init__(self, strategy: Strategy, model: Model) -> None:
        """Use ``Strategy.as_model``."""
        self.strategy, self.model = strategy, model
        self.name = f"{strategy.spec()}/{model.name}"
        self.capabilities = Capabilities(
            n=True, seed=True, context_length=model.capabilities.context_length
        )

    @property
    def base(self) -> Model:
        """The model that the strategy calls."""
        return self.model

    async def generate_within(
        self, context: RunContext, request: Request
    ) -> list[Completion]:
        """Answer by running the strategy once for each completion.

        Those that failed, or that the budget refused, are left out.

        Raises:
            OutOfBudget: The budget admits none of them.
            ModelError: All of them failed.
        """
        task = _task(request.messages, request.prefill)
        if request.n == 1:
            return [await self._answer(task, context)]
        made, failures = list[Completion](), list[Exception]()
        for i in range(request.n):
            try:
                made.append(await self._answer(task, context.at(i)))
            except (OutOfBudget, ModelError) as error:
                failures.append(error)
        if not made:
            raise failures[0]
        return made

    async def _answer(self, task: Task, context: RunContext) -> Completion:
        outcome = await self.strategy.run(task, context.inside(self.model))
        if not outcome.text and outcome.answer is None:
            raise OutOfBudget(outcome.stop_reason.value)
        text = outcome.text or outcome.answer or ""
        done = outcome.answer is not None
        return Completion(text=text, finish_reason="stop" if done else "length")

    async def aclose(self) -> None:
        """Close the model below."""
        await self.model.aclose()


def _task(messages: Sequence[Message], prefill: str) -> Task:
    *history, last = messages
    return Task(question=last.content, history=tuple(history), prefill=prefill)


_REGISTRY: Registry[Strategy] = Registry("strategy", __name__.rpartition(".")[0])

register = _REGISTRY.register
"""Class decorator: make a strategy known by its name."""


def strategies() -> dict[str, type[Strategy]]:
    """Return all known strategies, by name.

    Modules of ``ponder.graphs`` register themselves on import; other packages ship
    strategies through the entry-point group ``ponder.strategies``.
    """
    return _REGISTRY.classes()


def strategy(spec: str, parameters: dict[str, Any] | None = None) -> Strategy:
    """Return a strategy from its name, with parameters.

    Args:
        spec: A name, or a name with JSON parameters: ``best_of_n{"n": 4}``.
        parameters: Further parameters; they win.

    Raises:
        UnknownName: There is no such strategy.
        InvalidParameter: A parameter is unknown or outside its range.
    """
    name, brace, rest = spec.partition("{")
    try:
        given = json.loads(brace + rest) if brace else {}
    except ValueError as error:
        raise InvalidParameter(f"The parameters in '{spec}' are no JSON.") from error
    return _REGISTRY.make(name, given | (parameters or {}))


def describe(kind: type[Strategy]) -> dict[str, Any]:
    """Return name, summary, source and parameters with defaults, as JSON data."""
    schema = kind.model_json_schema()
    return {
        "name": kind.name,
        "summary": (inspect.getdoc(kind) or "").partition("\n")[0],
        "source": kind.source,
        "needs_verifier": kind.needs_verifier,
        "without_verifier": kind.without_verifier,
        "parameters": {
            name: {
                "default": field.get_default(call_default_factory=True),
                "type": schema["properties"][name].get("type", "any"),
                "description": field.description or "",
            }
            for name, field in kind.model_fields.items()
        },
    }


def rounds(total: int, batch: int) -> int:
    """Return how many batches make up a total."""
    return math.ceil(total / batch)
