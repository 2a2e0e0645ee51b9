"""Iterative agent decoding: sample, verify, and refine the best solution so far."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.critic import criticise
from ponder.agents.refiner import refine
from ponder.agents.solver import Solver, attempt
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs.base import Graph, State, register, rounds
from ponder.graphs.batches import HOPELESS, Sampled, with_an_answer
from ponder.graphs.best_of_n import score
from ponder.graphs.pool import choosable, judge_all, raise_if_all_failed, vouched
from ponder.graphs.self_consistency import majority
from ponder.messages import Sampling
from ponder.result import Candidate, Outcome, StopReason, Task

Run = Runtime[RunContext]


class RoundState(State, total=False):
    """The state of the loop; ``candidates`` are those that have been verified."""

    drawn: list[Candidate]
    """The samples of this round."""
    incumbent: Candidate
    """The best solution so far; there is none before one has a score."""
    critique: tuple[str, str]
    """What a critic said, and the id of the solution of which it did."""
    stale: int
    """Rounds since the incumbent was found."""


@register
class IterativeDecoding(Sampled):
    """Refine the best solution so far by what the verifier says of it.

    Chakraborty et al. 2025 (iterative agent decoding, IAD). The first n samples are
    fresh. In every later round the model sees its best solution with its score, the
    worst one with its score, and a critique, and n refinements are sampled; one takes
    the incumbent's place only if its score is higher.

    The defaults of n, N, p and the threshold are our choice: N as in ``best_of_n``, so
    that both can be compared at equal samples, in four rounds. The critique is the
    verifier's feedback, or a critic's where the verifier gives a score alone.

    A candidate without a score is no incumbent, nor is one without an answer that no
    function accepted while one with an answer has a score. As long as nothing has a
    score there is nothing to refine, and a round samples afresh.
    """

    name: ClassVar[str] = "iad"
    source: ClassVar[str] = "https://arxiv.org/abs/2504.01931"
    wrap_up_share: ClassVar[float] = 0.05
    judge_share: ClassVar[float] = 0.35
    needs_verifier: ClassVar[bool] = True

    n: int = Field(default=4, ge=1)
    """Samples in each round."""
    N: int = Field(default=16, ge=1)
    """Most samples in all, to compare with best-of-N at the same N."""
    p: int = Field(default=2, ge=1)
    """Patience: end after so many rounds in a row without a better solution."""
    threshold: float = Field(default=1.0, gt=0)
    """The verifier's score that ends the loop; above 1: none does."""
    critic: bool = True
    """Ask the model for a critique where the verifier gives a score alone."""

    def max_steps(self) -> int:
        """Two steps for each round, and the end."""
        return 2 * rounds(self.N, self.n) + 10

    def build(self) -> Graph:
        """START -> sample -> verify -> (refine -> verify | finish) -> END."""
        graph = StateGraph(RoundState, context_schema=RunContext)
        graph.add_node("sample", self._sample)
        graph.add_node("verify", self._verify)
        graph.add_node("refine", self._refine)
        graph.add_node("finish", self._finish)
        graph.add_edge(START, "sample")
        graph.add_edge("sample", "verify")
        graph.add_conditional_edges("verify", self._more)
        graph.add_edge("refine", "verify")
        graph.add_edge("finish", END)
        return graph

    # -- the nodes -------------------------------------------------------------------

    async def _sample(self, state: RoundState, runtime: Run) -> RoundState:
        return await self._drawn(self.solver(), state, runtime.context, "question")

    async def _verify(self, state: RoundState, runtime: Run) -> RoundState:
        context, incumbent = runtime.context, state.get("incumbent")
        drawn = await self._with_an_answer(state, context)
        verified, refused = await judge_all(state["task"], drawn, context, ())
        pool = [*state["candidates"], *verified]
        if state["tried"] >= min(HOPELESS, self.N):
            raise_if_all_failed(pool, context)
        best = accepted(incumbent, verified)
        update: RoundState = {"candidates": pool, "stale": state.get("stale", 0) + 1}
        if refused is not None:
            update["stop_reason"] = refused
        if best is not None and best is not incumbent:
            update["incumbent"], update["stale"] = best, 0
            reached = (score(best) or 0.0) >= self.threshold
            if reached or (self.threshold <= 1 and vouched(best)):
                update["stop_reason"] = StopReason.VERIFIED
        return update

    def _more(self, state: RoundState) -> Literal["refine", "finish"]:
        tired = state["stale"] >= self.p or state["tried"] >= self.N
        return "finish" if tired or "stop_reason" in state else "refine"

    async def _refine(self, state: RoundState, runtime: Run) -> RoundState:
        context, best = runtime.context, state.get("incumbent")
        if best is None:
            return await self._sample(state, runtime)
        try:
            feedback = await self._feedback(best, state, context)
        except OutOfBudget as stop:
            return {"drawn": [], "stop_reason": StopReason(stop.dimension)}
        improve = self._improver(best, feedback, worst(best, state["candidates"]))
        drawn = await self._drawn(improve, state, context, best.id)
        return {**drawn, "critique": (best.id, feedback)}

    async def _finish(self, state: RoundState, runtime: Run) -> RoundState:
        context, best = runtime.context, state.get("incumbent")
        reason = state.get("stop_reason", StopReason.FINISHED)
        raise_if_all_failed(state["candidates"], context)
        if best is not None:
            return {"outcome": _outcome(best, state["candidates"], reason)}
        if state["candidates"]:
            context.substitute("verifier scores", "majority vote")
        return {"outcome": majority(state["candidates"], self.equality, reason)}

    # -- what the nodes are made of --------------------------------------------------

    async def _drawn(
        self, solve: Solver, state: RoundState, context: RunContext, parent: str
    ) -> RoundState:
        """Sample the candidates of one round side by side."""
        tried = state.get("tried", 0)
        indices = range(tried, min(self.N, tried + self.n))
        update: RoundState = {"drawn": [], "tried": tried + len(indices)}
        with context.branches("sample", indices) as places:
            outcomes = await settle(
                [attempt(solve, state["task"], place) for place in places]
            )
        for outcome in outcomes:
            if isinstance(outcome, OutOfBudget):
                update["stop_reason"] = StopReason(outcome.dimension)
            elif isinstance(outcome, Exception):
                raise outcome
            else:
                context.keep(outcome, (parent,))
                update["drawn"].append(outcome)
        return update

    async def _with_an_answer(
        self, state: RoundState, context: RunContext
    ) -> list[Candidate]:
        """Return the samples of a round; without any answer so far, one is made to."""
        if any(c.answer for c in state["candidates"]):
            return state["drawn"]
        drawn: State = {"task": state["task"], "candidates": state["drawn"]}
        return await with_an_answer(drawn, context.at("round", state["tried"]))

    def _improver(
        self, best: Candidate, feedback: str, rejected: Candidate | None
    ) -> Solver:
        async def improve(task: Task, context: RunContext) -> Candidate:
            return await refine(
                task,
                best,
                feedback,
                context,
                worst=rejected,
                sampling=Sampling(temperature=self.temperature),
                max_tokens=self.max_tokens,
            )

        return improve

    async def _feedback(
        self, best: Candidate, state: RoundState, context: RunContext
    ) -> str:
        """Return what is wrong with the incumbent: the verifier's words, or a critic's.

        Raises:
            OutOfBudget: The budget admits no critique.
        """
        said = best.verdict.feedback if best.verdict else ""
        if said or not self.critic:
            return said
        of, critique = state.get("critique", ("", ""))
        if of == best.id:
            return critique
        try:
            place = context.at("critique", best.id)
            return await criticise(state["task"], best, place, best.verdict)
        except ModelError as error:
            context.warn(str(error))
            return ""


def accepted(
    incumbent: Candidate | None, challengers: Sequence[Candidate]
) -> Candidate | None:
    """Return the incumbent, or the best challenger if it is better.

    Better is one with an answer, or that a function accepted, than one without, then
    one of a higher score; at equal scores the incumbent stays, then the one that came
    first. Candidates without a score do not take part.
    """
    best = incumbent
    for challenger in challengers:
        if score(challenger) is None:
            continue
        if best is None or _rank(challenger) > _rank(best):
            best = challenger
    return best


def worst(best: Candidate, pool: Sequence[Candidate]) -> Candidate | None:
    """Return the worst candidate that has a score, if it is worse than the best."""
    scored = [c for c in pool if score(c) is not None]
    lowest = min(scored, key=_rank, default=None)
    return lowest if lowest is not None and _rank(lowest) < _rank(best) else None


def _outcome(best: Candidate, pool: Sequence[Candidate], reason: StopReason) -> Outcome:
    return Outcome(
        answer=best.answer,
        text=best.text,
        confidence=score(best),
        candidates=tuple(pool),
        stop_reason=reason,
        verdict=best.verdict,
    )


def _rank(candidate: Candidate) -> tuple[bool, float]:
    return choosable(candidate), score(candidate) or 0.0
