"""A place of a run, for tests of what works at one place."""

from ponder.budget import Budget, Ledger
from ponder.context import RunContext, Verifier
from ponder.journal import Journal, RunRecord
from ponder.messages import Completion, TokenLogprob
from ponder.models.base import Model
from ponder.passages import Retriever
from ponder.telling import Shared
from ponder.thoughts import ThoughtGraph


def place(
    model: Model,
    *,
    budget: Budget | None = None,
    verifier: Verifier | None = None,
    retriever: Retriever | None = None,
) -> RunContext:
    """Return the place ``here`` of a new run."""
    record = RunRecord(run_id="r", question="q", strategy="s", model=model.name)
    shared = Shared(
        run_id="r",
        log=Journal(":memory:").start(record),
        emit=lambda event: None,
        graph=ThoughtGraph(),
    )
    ledger = Ledger(budget or Budget())
    return RunContext(
        model, ledger, shared, verifier=verifier, retriever=retriever, path=("here",)
    )


def paths(context: RunContext) -> list[str]:
    """Return the places of all calls so far."""
    return [entry.path for entry in context.shared.log.entries]


def token(**logprobs: float) -> Completion:
    """Return a reply of one token, the likeliest one."""
    return spread(logprobs)


def spread(logprobs: dict[str, float]) -> Completion:
    """Return a reply of one token with log-probabilities of the alternatives."""
    best = max(logprobs, key=lambda word: logprobs[word])
    chosen = TokenLogprob(token=best, logprob=logprobs[best], top=logprobs)
    return Completion(text=best, logprobs=(chosen,))
