"""PlanGEN: extract constraints, choose an algorithm, plan, verify, choose again."""

from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents._scores import HIGHEST, LOWEST, normalised
from ponder.agents.answers import Equality
from ponder.agents.constraints import extract, extracted
from ponder.agents.selector import UCB, UNIFORM, Arm, priors, select
from ponder.agents.solver import STEP_BY_STEP, attempt, solver
from ponder.agents.step_scorer import ScorerName
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._plangen import (
    DESCRIPTIONS,
    Reward,
    accepted,
    adopt,
    chosen_of,
    lent,
    reward,
    show_choice,
    show_constraints,
    show_feedback,
    show_try,
    with_feedback,
)
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.best_of_n import BestOfN, score
from ponder.graphs.choosing import choose
from ponder.graphs.pool import raise_if_all_failed
from ponder.graphs.rebase import Rebase
from ponder.graphs.tree_of_thoughts import TreeOfThoughts
from ponder.messages import Sampling
from ponder.result import Candidate, StopReason, Task

ENDS = (StopReason.FINISHED, StopReason.VERIFIED, StopReason.AGREED)
"""How an algorithm ends that no limit of the budget has ended."""


class PlanState(State, total=False):
    """The state of PlanGEN; ``tried`` counts the tries begun."""

    constraints: tuple[str, ...]
    arms: dict[str, Arm]
    priors: dict[str, float]
    chosen: str
    plan: Candidate | None
    """What the last try came to."""
    before: float | None
    """Score of the plan before."""
    feedback: str
    """What was said of it."""
    accepted: bool


@register
class PlanGEN(Strategy):
    """Choose an algorithm per problem, with a constraint verifier as its reward.

    Parmar et al. 2025. A constraint agent reads out of the problem what a solution must
    satisfy; a selection agent chooses best-of-N, Tree of Thoughts or REBASE by a bandit
    rule (``ponder.agents.selector.ucb``); the verification agent, which checks against
    the constraints, is the reward inside the algorithm and of what it comes to. Below
    the threshold, its feedback goes into the next try, and the choice is made again.

    The run's verifier, where there is one, judges solutions in place of the
    verification agent. The agent then judges beginnings of solutions, and says what is
    wrong with a solution if the verifier does not and the budget admits it. What could
    not be verified in the paper: docs/design/plangen.md.
    """

    name: ClassVar[str] = "plangen"
    source: ClassVar[str] = "https://arxiv.org/abs/2502.16111"
    wrap_up_share: ClassVar[float] = 0.1
    judge_share: ClassVar[float] = 0.2
    own_verifier: ClassVar[bool] = True

    variant: Literal["mixture", "best_of_n", "tree_of_thoughts", "rebase"] = "mixture"
    """The paper's four variants: ``mixture`` chooses, the others are one algorithm."""
    threshold: float = Field(default=95, gt=LOWEST, le=HIGHEST)
    """Score of a plan that is good enough, on the paper's scale from -100 to 100."""
    max_iterations: int = Field(default=4, ge=1)
    """Most tries. The paper's number is not known: 4 is each algorithm once, and the
    best of them again."""
    lambda_prior: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """lambda_0 of the weight of the model's priors, lambda_prior = lambda_0/(1 + T)."""
    alpha_diversity: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Weight of an algorithm's having been chosen little."""
    alpha_recovery: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Weight of an algorithm's having improved on the plan before."""
    temperature: float = Field(default=0.7, ge=0)
    """T of what the algorithms sample; the agents work at T = 0."""
    n: int = Field(default=5, ge=1)
    """N of best-of-N."""
    k: int = Field(default=3, ge=1)
    """Children of a node in Tree of Thoughts."""
    b: int = Field(default=5, ge=1)
    """Breadth of Tree of Thoughts; Yao et al.'s, the paper's is not known."""
    t: int = Field(default=3, ge=1)
    """Steps of Tree of Thoughts; Yao et al.'s, the paper's is not known."""
    width: int = Field(default=10, ge=1)
    """Width at which REBASE starts."""
    shrink: int = Field(default=1, ge=0)
    """How much of its width REBASE loses after each expansion."""
    t_b: float = Field(default=0.1, gt=0)
    """T_b, balance temperature of REBASE; Wu et al.'s, the paper's is not known."""
    depth: int = Field(default=16, ge=1)
    """Most steps of a solution in REBASE; with ``width`` and ``shrink`` as they are, it
    has no more than 10."""
    scorer: ScorerName = "verifier"
    """Who scores unfinished solutions: ``verifier``, which is the verification agent as
    in the paper, or one of the others of ``StepSearch``, which cost less."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of a solution."""
    step_tokens: int = Field(default=256, ge=1)
    """Limit of a step in Tree of Thoughts and REBASE."""
    delimiter: str = Field(default="\n\n", min_length=1)
    """Text that ends such a step."""
    equality: Equality = "math"
    """How answers are compared where none has a score: ``math`` or ``exact``."""

    @cached_property
    def algorithms(self) -> dict[str, Strategy]:
        """What can be chosen, by name."""
        steps: dict[str, Any] = {
            "scorer": self.scorer,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "step_tokens": self.step_tokens,
            "delimiter": self.delimiter,
            "select": "best",
            "stop_at": normalised(self.threshold),
            "equality": self.equality,
        }
        made: list[Strategy] = [
            BestOfN(
                n=self.n,
                temperature=self.temperature,
                max_tokens=self.max_tokens,
                equality=self.equality,
            ),
            TreeOfThoughts(k=self.k, b=self.b, t=self.t, **steps),
            Rebase(
                n=self.width,
                shrink=self.shrink,
                t_b=self.t_b,
                depth=self.depth,
                **steps,
            ),
        ]
        return {s.name: s for s in made if self.variant in ("mixture", s.name)}

    @property
    def weights(self) -> UCB:
        """The weights of the bandit rule."""
        return UCB(self.lambda_prior, self.alpha_diversity, self.alpha_recovery)

    def max_steps(self) -> int:
        """Four steps for each try, and both ends."""
        return 4 * self.max_iterations + 10

    def build(self) -> Graph:
        """START -> constraints -> select -> run -> verify -> (accept | feedback)."""
        graph = StateGraph(PlanState, context_schema=RunContext)
        graph.add_node("constraints", self._constraints)
        graph.add_node("select", self._select)
        graph.add_node("run", self._run)
        graph.add_node("verify", self._verify)
        graph.add_node("feedback", self._feedback)
        graph.add_node("accept", self._accept)
        graph.add_edge(START, "constraints")
        graph.add_edge("constraints", "select")
        graph.add_edge("select", "run")
        graph.add_edge("run", "verify")
        graph.add_conditional_edges("verify", self._more)
        graph.add_edge("feedback", "select")
        graph.add_edge("accept", END)
        return graph

    # -- the nodes -------------------------------------------------------------------

    async def _constraints(
        self, state: PlanState, runtime: Runtime[RunContext]
    ) -> PlanState:
        place = runtime.context.at("constraints")
        with lent(place) as thinking:
            found = await extracted(extract, state["task"], thinking)
        show_constraints(found, place)
        arms = {name: Arm() for name in self.algorithms}
        return {"constraints": found, "arms": arms, "tried": 0, "plan": None}

    async def _select(
        self, state: PlanState, runtime: Runtime[RunContext]
    ) -> PlanState:
        place, arms = runtime.context.at("try", state["tried"]), state["arms"]
        known = await self._priors(state, place.at("select"))
        chosen = select(arms, known, self.weights)
        show_try(chosen, place)
        show_choice(arms, known, self.weights, place)
        return {"priors": known, "chosen": chosen, "tried": state["tried"] + 1}

    async def _run(self, state: PlanState, runtime: Runtime[RunContext]) -> PlanState:
        place, before = _place(state, runtime.context), state["plan"]
        task = with_feedback(state["task"], before, state.get("feedback", ""))
        judging = replace(place, verifier=self._reward(state, place))
        update: PlanState = {"plan": None, "before": score(before) if before else None}
        algorithm = self.algorithms[state["chosen"]]
        try:
            with judging.nested(algorithm.kept_back(judging.verifier)) as inner:
                outcome = await algorithm.run(task, inner)
        except OutOfBudget as over:
            return {**update, "stop_reason": StopReason(over.dimension)}
        except ModelError as error:
            place.warn(str(error))
            return update
        finally:
            adopt(place)
        update["candidates"] = [*state["candidates"], *outcome.candidates]
        update["plan"] = chosen_of(outcome)
        if outcome.stop_reason not in ENDS:
            update["stop_reason"] = outcome.stop_reason
        return update

    async def _verify(
        self, state: PlanState, runtime: Runtime[RunContext]
    ) -> PlanState:
        place, plan = _place(state, runtime.context), state["plan"]
        update: PlanState = {}
        if plan is not None and plan.verdict is None:
            try:
                plan = await self._reward(state, place).judged(plan, place)
            except OutOfBudget as over:
                met = StopReason(over.dimension)
                update["stop_reason"] = state.get("stop_reason", met)
        reached = score(plan) if plan else None
        arm = state["arms"][state["chosen"]].played(reached, state["before"])
        show_try(state["chosen"], place, score=reached)
        return {
            **update,
            "plan": plan,
            "candidates": [
                plan if plan and c.id == plan.id else c for c in state["candidates"]
            ],
            "arms": {**state["arms"], state["chosen"]: arm},
            "accepted": plan is not None
            and self._reward(state, place).accepts(plan.verdict),
        }

    def _more(self, state: PlanState) -> Literal["accept", "feedback"]:
        ended = state["tried"] >= self.max_iterations or "stop_reason" in state
        return "accept" if ended or state["accepted"] else "feedback"

    async def _feedback(
        self, state: PlanState, runtime: Runtime[RunContext]
    ) -> PlanState:
        place, said = _place(state, runtime.context), ""
        if state["plan"] is not None:
            said = await self._reward(state, place).feedback(state["plan"], place)
        if said:
            show_feedback(said, place)
        return {"feedback": said}

    async def _accept(
        self, state: PlanState, runtime: Runtime[RunContext]
    ) -> PlanState:
        context, plan, pool = runtime.context, state["plan"], state["candidates"]
        if plan is not None and state["accepted"]:
            return {"outcome": accepted(plan, pool)}
        reason = state.get("stop_reason", StopReason.FINISHED)
        if not any(c.text for c in pool):
            try:
                pool = [*pool, await self._last(state["task"], context)]
            except OutOfBudget as over:
                reason = StopReason(over.dimension)
        raise_if_all_failed(pool, context)
        scores = {c.id: score(c) for c in pool}
        weights = {id: s for id, s in scores.items() if s is not None}
        return {"outcome": choose(pool, weights, "best", self.equality, reason)}

    # -- what the nodes are made of --------------------------------------------------

    async def _priors(self, state: PlanState, place: RunContext) -> dict[str, float]:
        described = {name: DESCRIPTIONS[name] for name in self.algorithms}
        try:
            with lent(place) as thinking:
                return await priors(
                    state["task"],
                    state["constraints"],
                    described,
                    thinking,
                    state.get("feedback", ""),
                )
        except OutOfBudget:
            if "priors" not in state:
                place.substitute("the model's priors", "the same prior for all")
        except ModelError as error:
            place.warn(str(error))
        return state.get("priors") or dict.fromkeys(described, UNIFORM)

    def _reward(self, state: PlanState, context: RunContext) -> Reward:
        return reward(
            state["task"], state["constraints"], self.threshold, context.verifier
        )

    async def _last(self, task: Task, context: RunContext) -> Candidate:
        """Attempt the task once where no algorithm came to a word."""
        solve = solver(
            instructions=STEP_BY_STEP,
            sampling=Sampling(temperature=self.temperature),
            max_tokens=self.max_tokens,
        )
        found = await attempt(solve, task, context.wrap_up().at("last"))
        context.keep(found, ("question",))
        return found


def _place(state: PlanState, context: RunContext) -> RunContext:
    return context.at("try", state["tried"] - 1)
