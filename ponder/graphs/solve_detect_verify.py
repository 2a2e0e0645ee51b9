"""Solve-detect-verify: stop a solution that is complete, check it, repair it once."""

from functools import cached_property
from typing import Annotated, ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.critic import criticise
from ponder.agents.fast_slow_verifier import (
    Votes,
    brings_verifier,
    by_run_verifier,
    consensus,
    fast_verifier,
    slow_verifier,
)
from ponder.agents.refiner import refine
from ponder.agents.solver import STEP_BY_STEP
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._drafting import Draft, Drafter, finished
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.best_of_n import score
from ponder.graphs.pool import choosable, rescue, unanswered
from ponder.messages import Sampling
from ponder.result import Candidate, Outcome, StopReason, Task, Verdict

Run = Runtime[RunContext]


class PipelineState(State, total=False):
    """The state of the pipeline."""

    draft: Draft
    solution: Candidate
    votes: Votes
    """Absent if a verifier of the run stands for the fast verdicts."""
    refined: Candidate


@register
class SolveDetectVerify(Strategy):
    """Write until the solution is complete, check it fast or slowly, repair it once.

    Zhong et al. 2025. *Solve* writes one solution, which pauses at hesitation keywords.
    *Detect* asks the model, at each pause, whether the solution is complete, and ends
    it if P(yes) is at least theta. *Fast verification* samples k verdicts of one word;
    if the share that agrees is at least tau and says yes, the solution is accepted.
    Otherwise one *slow verification* reasons about it, and from what that finds wrong
    one *refined* solution is made, which is not verified again.

    Deviations. The paper's verifier is trained to name the first wrong paragraph, and
    its fast verdicts agree on that; here a verifier is prompted, and the fast verdicts
    are yes or no. Those do not say what is wrong, so agreement on no goes to the slow
    verification as well, which may overrule it. k is that of the command which the
    authors publish; theta, tau and the keywords are our choice.

    A verifier of the run takes the place of fast and slow verdicts: what it accepts is
    accepted, what it refuses is refined by its feedback (a critic's, where it gives
    none), and the better of both solutions is returned. A ``Judge`` does not: it names
    the model, and the prompt, of the verdicts. Without prefill, the solution is written
    in one piece, and nothing is detected.
    """

    name: ClassVar[str] = "solve_detect_verify"
    source: ClassVar[str] = "https://arxiv.org/abs/2505.11966"
    wrap_up_share: ClassVar[float] = 0.05
    judge_share: ClassVar[float] = 0.35
    needs_verifier: ClassVar[bool] = True

    keywords: tuple[Annotated[str, Field(min_length=1)], ...] = (
        "Wait",
        "But wait",
        "Hmm",
        "Alternatively",
    )
    """Hesitation keywords; many interfaces take no more than four stop strings."""
    theta: float = Field(default=0.5, gt=0, le=1)
    """P(complete) from which a solution is ended."""
    max_pauses: int = Field(default=8, ge=0)
    """Most looks at a solution; after them it is written to its end."""
    k: int = Field(default=4, ge=1)
    """Fast verdicts."""
    tau: float = Field(default=0.75, gt=0.5, le=1)
    """Share of the k fast verdicts that must agree; fewer make a slow one necessary."""
    stop_at: float = Field(default=1.0, gt=0)
    """The score from which the run's verifier accepts, where it gives a score alone."""
    temperature: float = Field(default=0.7, ge=0)
    """T of both solutions."""
    fast_temperature: float = Field(default=1.0, gt=0)
    """T of the fast verdicts, which would all be the same at 0."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of each solution."""
    slow_tokens: int = Field(default=512, ge=1)
    """Limit of the slow verdict."""
    instructions: str = STEP_BY_STEP
    """System prompt of the first solution."""

    @cached_property
    def drafter(self) -> Drafter:
        """Who writes the first solution, and looks whether it is complete."""
        return Drafter(
            instructions=self.instructions,
            keywords=self.keywords,
            theta=self.theta,
            max_pauses=self.max_pauses,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )

    def max_steps(self) -> int:
        """Two steps for each pause, and the rest."""
        return 2 * self.max_pauses + 15

    def build(self) -> Graph:
        """START -> solve <-> detect -> fast_verify -> slow_verify -> refine -> END."""
        graph = StateGraph(PipelineState, context_schema=RunContext)
        graph.add_node("solve", self._solve)
        graph.add_node("detect", self._detect)
        graph.add_node("fast_verify", self._fast_verify)
        graph.add_node("slow_verify", self._slow_verify)
        graph.add_node("refine", self._refine)
        graph.add_node("finish", self._finish)
        graph.add_edge(START, "solve")
        graph.add_edge("solve", "detect")
        graph.add_conditional_edges("detect", self._after_detect)
        graph.add_conditional_edges("fast_verify", self._after_fast)
        graph.add_conditional_edges("slow_verify", self._after_slow)
        graph.add_edge("refine", "finish")
        graph.add_edge("finish", END)
        return graph

    # -- the nodes, and where they lead ----------------------------------------------

    async def _solve(self, state: PipelineState, runtime: Run) -> PipelineState:
        draft, place = state.get("draft", Draft()), runtime.context.at("sample", 0)
        draft, stop = await self.drafter.write(state["task"], draft, place)
        return _stopped({"draft": draft}, stop)

    async def _detect(self, state: PipelineState, runtime: Run) -> PipelineState:
        task, place = state["task"], runtime.context.at("sample", 0)
        draft, stop = await self.drafter.detect(task, state["draft"], place)
        update: PipelineState = {"draft": draft}
        if draft.ended and draft.text:
            update["solution"] = await finished(task, draft, place)
        return _stopped(update, stop)

    def _after_detect(
        self, state: PipelineState
    ) -> Literal["solve", "fast_verify", "finish"]:
        if not state["draft"].ended:
            return "solve"
        return "fast_verify" if "solution" in state else "finish"

    async def _fast_verify(self, state: PipelineState, runtime: Run) -> PipelineState:
        context, solution = runtime.context, state["solution"]
        update: PipelineState = {}
        if brings_verifier(context):
            solution, stop = await self._verified(state["task"], solution, context)
        else:
            place = context.wrap_up().at("judge", solution.id)
            verify = fast_verifier(k=self.k, temperature=self.fast_temperature)
            votes, stop = await verify(state["task"], solution, place)
            verdict = consensus(votes, k=self.k, tau=self.tau)
            solution = _judged(solution, verdict, context)
            update["votes"] = votes
        context.keep(solution, ())
        update["solution"] = solution
        return _stopped(update, stop)

    def _after_fast(
        self, state: PipelineState
    ) -> Literal["slow_verify", "refine", "finish"]:
        if "votes" in state and not _passed(state["solution"]):
            return "slow_verify"
        return self._after_slow(state)

    async def _slow_verify(self, state: PipelineState, runtime: Run) -> PipelineState:
        context, solution = runtime.context, state["solution"]
        place = context.wrap_up().at("judge", solution.id, "slow")
        verify = slow_verifier(max_tokens=self.slow_tokens)
        try:
            verdict = await verify(state["task"], solution, state["votes"], place)
        except OutOfBudget as over:
            return {"stop_reason": StopReason(over.dimension)}
        except ModelError as error:
            context.warn(str(error))
            return {}
        if verdict is None:
            return {}
        solution = _judged(solution, verdict, context)
        context.keep(solution, ())
        return {"solution": solution}

    def _after_slow(self, state: PipelineState) -> Literal["refine", "finish"]:
        refused = _passed(state["solution"]) is False
        return "refine" if refused and "stop_reason" not in state else "finish"

    async def _refine(self, state: PipelineState, runtime: Run) -> PipelineState:
        context, task = runtime.context, state["task"]
        try:
            refined = await self._refined(task, state["solution"], context)
        except OutOfBudget as over:
            return {"stop_reason": StopReason(over.dimension)}
        except ModelError as error:
            context.warn(str(error))
            return {}
        stop: StopReason | None = None
        if brings_verifier(context):
            refined, stop = await self._verified(task, refined, context)
        context.keep(refined, (state["solution"].id,))
        return _stopped({"refined": refined}, stop)

    async def _finish(self, state: PipelineState, runtime: Run) -> PipelineState:
        reason = state.get("stop_reason", StopReason.FINISHED)
        solution, refined = state.get("solution"), state.get("refined")
        if solution is None:
            return {"outcome": unanswered([], reason)}
        best = solution if refined is None else better(solution, refined)
        if _passed(best):
            reason = StopReason.VERIFIED
        outcome = Outcome(
            answer=best.answer,
            text=best.text,
            confidence=score(best),
            candidates=(solution,) if refined is None else (solution, refined),
            stop_reason=reason,
            verdict=best.verdict,
        )
        return {"outcome": outcome}

    # -- a verifier of the run, and the repair ---------------------------------------

    async def _verified(
        self, task: Task, solution: Candidate, context: RunContext
    ) -> tuple[Candidate, StopReason | None]:
        place = context.wrap_up().at("judge", solution.id)
        return await by_run_verifier(task, solution, place, stop_at=self.stop_at)

    async def _refined(
        self, task: Task, solution: Candidate, context: RunContext
    ) -> Candidate:
        verdict, place = solution.verdict, context.at("sample", 1)
        feedback = verdict.feedback if verdict else ""
        if not feedback and brings_verifier(context):
            feedback = await _criticised(task, solution, context)
        refined = await refine(
            task,
            solution,
            feedback,
            place,
            sampling=Sampling(temperature=self.temperature),
            max_tokens=self.max_tokens,
        )
        if refined.answer is not None:
            return refined
        context.keep(refined, (solution.id,))
        return await rescue(task, [refined], place) or refined


def better(solution: Candidate, refined: Candidate) -> Candidate:
    """Return the refined solution, unless it is known to be worse.

    Worse is one without an answer that no function accepted, if the other is not so,
    and one of a lower score.
    """
    if choosable(solution) and not choosable(refined):
        return solution
    before, after = score(solution), score(refined)
    worse = before is not None and after is not None and after < before
    return solution if worse else refined


def _stopped(update: PipelineState, stop: StopReason | None) -> PipelineState:
    return update if stop is None else {**update, "stop_reason": stop}


def _passed(candidate: Candidate) -> bool | None:
    return candidate.verdict.passed if candidate.verdict else None


def _judged(solution: Candidate, verdict: Verdict, context: RunContext) -> Candidate:
    context.judged(solution, verdict)
    return solution.model_copy(update={"verdict": verdict})


async def _criticised(task: Task, solution: Candidate, context: RunContext) -> str:
    place = context.at("critique", solution.id)
    try:
        return await criticise(task, solution, place, solution.verdict)
    except ModelError as error:
        context.warn(str(error))
        return ""
