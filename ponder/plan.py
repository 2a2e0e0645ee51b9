"""From names to things: what a run needs before it can start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ponder.agents.verifier import Check, Judge, plain_model, remembered
from ponder.agents.verifier import verifier as as_verifier
from ponder.budget import Budget
from ponder.context import RunContext, Verifier
from ponder.errors import InvalidInput, PonderError, ReplayDrift, UnknownName
from ponder.graphs.base import Strategy, strategies
from ponder.graphs.base import strategy as as_strategy
from ponder.journal import RunRecord
from ponder.messages import Message, readable
from ponder.models.base import Capabilities, Model
from ponder.models.load import NamedModel
from ponder.models.load import open_model as open_plain_model
from ponder.passages import Passage, Retriever
from ponder.result import Candidate, Task, Verdict
from ponder.retrieval.opening import open_retriever
from ponder.settings import Settings


@dataclass(frozen=True)
class Plan:
    """Everything a run needs, with names turned into things."""

    record: RunRecord
    strategy: Strategy
    model: Model
    verifier: Verifier | None
    budget: Budget
    retriever: Retriever | None = None

    @property
    def task(self) -> Task:
        """The task of the run."""
        return Task(
            question=self.record.question,
            history=tuple(map(Message.model_validate, self.record.history)),
            examples=tuple(map(Message.model_validate, self.record.examples)),
        )


def open_model(model: Model | str, settings: Settings) -> Model:
    """Return a model from its name; strategies may stand before it.

    Args:
        model: A model, or a name such as ``local`` or ``best_of_n/local``.
        settings: Where model files are kept.
    """
    if isinstance(model, Model):
        return model
    outer, slash, inner = model.partition("/")
    if slash and outer.partition("{")[0] in strategies():
        return as_strategy(outer).as_model(open_model(inner, settings))
    return open_plain_model(model, settings)


def named_strategy(
    strategy: Strategy | str, parameters: dict[str, Any] | None = None
) -> Strategy:
    """Return a strategy from what a caller gave."""
    if isinstance(strategy, str):
        return as_strategy(strategy, parameters)
    if parameters:
        raise InvalidInput("Give parameters with a strategy's name, or a Strategy.")
    return strategy


def checked_question(question: str) -> str:
    """Return the question, refusing an empty one."""
    if not question.strip():
        raise InvalidInput("The question is empty. Give some text to answer.")
    return readable(question)


def limits_for(budget: Budget, strategy: Strategy, verifier: Verifier | None) -> Budget:
    """Return the budget with the strategy's own wrap-up share filled in."""
    if budget.wrap_up is not None:
        return budget
    return budget.model_copy(update={"wrap_up": strategy.kept_back(verifier)})


def plan_new(
    question: str,
    *,
    run_id: str,
    settings: Settings,
    strategy: Strategy | str | None,
    parameters: dict[str, Any] | None,
    model: Model | str | None,
    verifier: Verifier | Check | str | None,
    budget: Budget | None,
    seed: int,
    history: Sequence[Message],
    examples: Sequence[Message],
    retriever: Retriever | None,
) -> Plan:
    """Turn what a caller asked for into a plan; see ``ponder.run.asolve``."""
    chosen = named_strategy(strategy or settings.strategy, parameters)
    if chosen.needs_retriever and retriever is None:
        raise InvalidInput(
            f"Strategy '{chosen.name}' searches documents: give a retriever to "
            "ponder.solve(...), or --docs FOLDER."
        )
    opened = open_model(model or settings.model, settings)
    judge = as_verifier(verifier) if verifier is not None else None
    limits = limits_for(budget or default_budget(settings), chosen, judge)
    record = RunRecord(
        run_id=run_id,
        question=checked_question(question),
        history=plain(history),
        examples=plain(examples),
        strategy=chosen.spec(),
        model=opened.name,
        capabilities=plain_model(opened).known().model_dump(mode="json"),
        verifier=judge.name if judge else None,
        retriever=retriever.name if retriever else None,
        budget=limits.model_dump(mode="json", exclude_none=True),
        seed=seed,
    )
    return Plan(record, chosen, opened, judge, limits, retriever)


def plain(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return messages as a record has them."""
    return [m.model_dump(mode="json", exclude_defaults=True) for m in messages]


def default_budget(settings: Settings) -> Budget:
    """Return the budget of the settings."""
    return Budget(
        tokens=settings.budget_tokens,
        seconds=settings.budget_seconds,
        calls=settings.budget_calls,
        cost=settings.budget_cost,
    )


def plan_again(
    record: RunRecord,
    settings: Settings,
    strategy: Strategy | None,
    model: Model | str | None,
    verifier: Verifier | Check | str | None,
    budget: Budget | None,
    retriever: Retriever | None,
) -> Plan:
    """Turn the record of a run into a plan; arguments win over the record."""
    if verifier is None and record.verifier not in (None, "judge"):
        raise InvalidInput(
            f"Run {record.run_id} was verified by '{record.verifier}', which is code. "
            "Give it again: resume(run_id, verifier=...)."
        )
    if retriever is None and record.retriever is not None:
        retriever = _retriever_again(record, settings)
    chosen = strategy or as_strategy(record.strategy)
    wanted = verifier if verifier is not None else record.verifier
    judge = as_verifier(wanted) if wanted is not None else None
    limits = Budget.model_validate(record.budget)
    if budget is not None:
        limits = limits_for(budget, chosen, judge)
    opened = open_model(model or record.model, settings)
    return Plan(
        record.model_copy(
            update={
                "strategy": chosen.spec(),
                "model": opened.name,
                "verifier": judge.name if judge else None,
                "retriever": retriever.name if retriever else None,
                "capabilities": plain_model(opened).known().model_dump(),
                "budget": limits.model_dump(mode="json", exclude_none=True),
            }
        ),
        chosen,
        opened,
        judge,
        limits,
        retriever,
    )


def _retriever_again(record: RunRecord, settings: Settings) -> Retriever:
    """Return the retriever that a run had, if it can be opened by its name."""
    name = record.retriever or ""
    try:
        return open_retriever(name, settings)
    except UnknownName:
        raise InvalidInput(
            f"Run {record.run_id} searched '{name}', which is code. Give it again: "
            "resume(run_id, retriever=...)."
        ) from None


def plan_replay(
    record: RunRecord,
    strategy: Strategy | None,
    verifier: Verifier | Check | str | None = None,
) -> Plan:
    """Turn the record of a run into a plan that can call nothing."""
    return Plan(
        record,
        strategy or as_strategy(record.strategy),
        _replayed_model(record.model, Capabilities.model_validate(record.capabilities)),
        _replayed_verifier(record) if verifier is None else as_verifier(verifier),
        Budget.model_validate(record.budget),
        _ReplayedRetriever(record.retriever) if record.retriever else None,
    )


class _ReplayedRetriever(Retriever):
    """Stands for documents in a replay, which searches nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def search(self, query: str, k: int) -> list[Passage]:
        raise PonderError(f"A replay searched '{self.name}'.")


def _replayed_model(name: str, capabilities: Capabilities) -> Model:
    outer, slash, inner = name.partition("/")
    if slash and outer.partition("{")[0] in strategies():
        return as_strategy(outer).as_model(_replayed_model(inner, capabilities))
    return NamedModel(name, capabilities)


def _replayed_verifier(record: RunRecord) -> Verifier | None:
    if record.verifier is None:
        return None
    if record.verifier == "judge":
        return Judge()
    return _ReplayedVerifier(record)


class _ReplayedVerifier:
    """Stands for code that is not there: what it said is in the journal."""

    journaled = True

    def __init__(self, record: RunRecord) -> None:
        self.name, self._run = str(record.verifier), record.run_id

    async def verify(
        self, task: Task, candidate: Candidate, context: RunContext
    ) -> Verdict:
        async def compute() -> dict[str, Any]:
            raise ReplayDrift(self._missing())

        value = await remembered(self.name, task, candidate, context, compute)
        if value.get("asked"):
            raise ReplayDrift(self._missing())
        return Verdict.model_validate(value.get("verdict", value))

    def _missing(self) -> str:
        return (
            f"Run {self._run} was verified by '{self.name}', which asks a model in a "
            "way of its own. Give it again: replay(run_id, verifier=...)."
        )
