"""Sample many chains of thought, and take the answer that most of them reach."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.answers import Equality, Group, group
from ponder.agents.solver import STEP_BY_STEP, Solver, solver
from ponder.context import RunContext
from ponder.graphs.base import Graph, State, Strategy, register, rounds
from ponder.graphs.pool import draw, raise_if_all_failed, rescue, unanswered
from ponder.graphs.posterior import beta_stop, dirichlet_stop
from ponder.messages import Sampling
from ponder.result import Candidate, Outcome, StopReason

Criterion = Literal["beta", "dirichlet", "none"]


@register
class SelfConsistency(Strategy):
    """Sample chains of thought and take the most frequent answer.

    Wang et al. 2022. Sampling stops early when the leader is unlikely to be overtaken
    (Adaptive-Consistency, Aggarwal et al. 2023, https://arxiv.org/abs/2305.11860);
    ``criterion="none"`` is the original algorithm.
    """

    name: ClassVar[str] = "self_consistency"
    source: ClassVar[str] = "https://arxiv.org/abs/2203.11171"
    wrap_up_share: ClassVar[float] = 0.05

    n: int = Field(default=40, ge=1)
    """Most samples (40 in both papers)."""
    temperature: float = Field(default=0.7, ge=0)
    """T, as in the papers."""
    criterion: Criterion = "beta"
    """Stopping rule of Adaptive-Consistency; ``none`` draws all samples."""
    threshold: float = Field(default=0.95, gt=0, le=1)
    """Stop when the leader leads with this probability (C_thresh)."""
    batch: int = Field(default=8, ge=1)
    """Samples in flight together; the paper draws one at a time."""
    equality: Equality = "math"
    """How answers are compared: ``math`` or ``exact``."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of each sample."""
    instructions: str = STEP_BY_STEP
    """System prompt."""

    def max_steps(self) -> int:
        """One step for each batch, and the vote."""
        return rounds(self.n, self.batch) + 10

    def build(self) -> Graph:
        """START -> sample -> (sample | vote) -> END."""
        solve = self.solver()

        async def sample(state: State, runtime: Runtime[RunContext]) -> State:
            pool = state["candidates"]
            tried = state.get("tried", 0)
            indices = range(tried, min(self.n, tried + self.batch))
            pool, reason = await draw(
                solve,
                state["task"],
                runtime.context,
                indices,
                so_far=pool,
                stop=self.agreed,
            )
            update: State = {"candidates": pool, "tried": tried + len(indices)}
            if reason is not None:
                update["stop_reason"] = reason
            return update

        def more(state: State) -> Literal["sample", "vote"]:
            ended = "stop_reason" in state or state["tried"] >= self.n
            return "vote" if ended else "sample"

        async def vote(state: State, runtime: Runtime[RunContext]) -> State:
            reason = state.get("stop_reason", StopReason.FINISHED)
            return {"outcome": await self._outcome(state, reason, runtime.context)}

        graph = StateGraph(State, context_schema=RunContext)
        graph.add_node("sample", sample)
        graph.add_node("vote", vote)
        graph.add_edge(START, "sample")
        graph.add_conditional_edges("sample", more)
        graph.add_edge("vote", END)
        return graph

    def solver(self) -> Solver:
        """Return who makes one attempt."""
        return solver(
            instructions=self.instructions,
            sampling=Sampling(temperature=self.temperature),
            max_tokens=self.max_tokens,
        )

    def select(
        self, pool: list[Candidate], reason: StopReason, context: RunContext
    ) -> Outcome:
        """Take the most frequent answer."""
        return majority(pool, self.equality, reason)

    def agreed(self, pool: list[Candidate]) -> StopReason | None:
        """Return ``AGREED`` when the leader is unlikely to be overtaken."""
        if self.criterion == "none":
            return None
        counts = [len(g.indices) for g in group(answers(pool), self.equality)]
        if not counts:
            return None
        rule = beta_stop if self.criterion == "beta" else dirichlet_stop
        return StopReason.AGREED if rule(counts) >= self.threshold else None

    async def _outcome(
        self, state: State, reason: StopReason, context: RunContext
    ) -> Outcome:
        pool, task = state["candidates"], state["task"]
        raise_if_all_failed(pool, context)
        if not any(c.answer for c in pool):
            rescued = await rescue(task, pool, context)
            pool = [*pool, rescued] if rescued else pool
        return self.select(pool, reason, context)


def answers(pool: Sequence[Candidate]) -> list[str]:
    """Return the answers of the candidates that have one."""
    return [c.answer for c in pool if c.answer is not None]


def majority(
    pool: Sequence[Candidate], equality: Equality, reason: StopReason
) -> Outcome:
    """Return the most frequent answer; ties go to the one that came first.

    The confidence is the leader's share of the votes that could be read.
    """
    voters = [c for c in pool if c.answer is not None]
    if not voters:
        return unanswered(pool, reason)
    groups = group(answers(voters), equality)
    leader: Group = max(groups, key=lambda g: len(g.indices))
    spokesman = voters[leader.indices[0]]
    return Outcome(
        answer=spokesman.answer,
        text=spokesman.text,
        confidence=len(leader.indices) / len(voters),
        candidates=tuple(pool),
        stop_reason=reason,
    )
