"""Solve-detect-verify: stop a solution that is complete, check it, repair it once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents._structured import ask
from ponder.agents.answers import extract
from ponder.agents.choice import choose, plain_model
from ponder.agents.critic import criticise
from ponder.agents.refiner import refine
from ponder.agents.solver import STEP_BY_STEP, forced_answer, solver
from ponder.agents.verifier import Judge, verified
from ponder.budget import Dimension
from ponder.concurrency import settle
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.best_of_n import score
from ponder.graphs.pool import rescue, unanswered
from ponder.messages import Completion, FinishReason, Request, Sampling, system, user
from ponder.result import Candidate, Outcome, StopReason, Task, Verdict
from ponder.thoughts import Thought

Run = Runtime[RunContext]

COMPLETE_PROMPT = """\
Decide whether a solution has come to its end.

Question:
{question}

Proposed solution:
{solution}

Does the proposed solution already give a final answer to the question? Answer with \
one word: Yes or No."""

SLOW_PROMPT = """\
Check a proposed solution.

Question:
{question}

Proposed solution:
{solution}

Go through the proposed solution one step at a time, and work out every result anew. \
If a step is wrong, name the first one that is, say why, and what should stand there. \
Then finish with a line of its own: "Verdict: Yes" if the proposed solution is \
correct, "Verdict: No" if it is not."""

SLOW_REMINDER = 'Finish with one line: "Verdict: Yes" or "Verdict: No".'

PAST = 8
"""Tokens written after a pause without looking for the next one: they hold the word at
which the solution paused, which a stop string swallows."""
FAST_TOKENS = 4
"""Limit of a fast verdict: one word, and what may stand around it."""

_FAST = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_SLOW = re.compile(r"^\W*(?:verdict\W+)?(yes|no)\W*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Draft:
    """The first solution while it is written."""

    text: str = ""
    tokens: int = 0
    pauses: tuple[float | None, ...] = ()
    """P(complete) at each pause; ``None`` where it could not be read."""
    ended: bool = False
    complete: bool = False
    """Whether it was ended by the detector."""
    finish_reason: FinishReason = "stop"


class PipelineState(State, total=False):
    """The state of the pipeline."""

    draft: Draft
    solution: Candidate
    votes: tuple[int, int]
    """How many fast verdicts say yes, and no; absent if a verifier stands for them."""
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
        context, draft = runtime.context, state.get("draft", Draft())
        place = context.at("sample", 0)
        try:
            if not context.model.capabilities.prefill:
                return {"draft": await self._in_one_piece(state["task"], place)}
            place = place.at("segment", len(draft.pauses))
            if draft.pauses:
                draft = await self._past_the_keyword(state["task"], draft, place)
            if not draft.ended:
                draft = await self._to_the_next_pause(state["task"], draft, place)
        except OutOfBudget as stop:
            return {"draft": _cut(draft), "stop_reason": StopReason(stop.dimension)}
        except ModelError as error:
            if not draft.text:
                raise
            context.warn(str(error))
            draft = _cut(draft)
        return {"draft": draft}

    async def _detect(self, state: PipelineState, runtime: Run) -> PipelineState:
        context, draft = runtime.context, state["draft"]
        update: PipelineState = {}
        if not draft.ended:
            try:
                draft = await self._looked_at(state["task"], draft, context)
            except OutOfBudget as stop:
                draft, update["stop_reason"] = _cut(draft), StopReason(stop.dimension)
        update["draft"] = draft
        limit = self._limit_met(draft, context)
        if limit is not None:
            update["stop_reason"] = limit
        if draft.ended and draft.text:
            update["solution"] = await _solution(state["task"], draft, context)
        return update

    def _after_detect(
        self, state: PipelineState
    ) -> Literal["solve", "fast_verify", "finish"]:
        if not state["draft"].ended:
            return "solve"
        return "fast_verify" if "solution" in state else "finish"

    async def _fast_verify(self, state: PipelineState, runtime: Run) -> PipelineState:
        context, solution = runtime.context, state["solution"]
        update: PipelineState = {}
        if _own_verifier(context):
            solution, stop = await self._verified(state["task"], solution, context)
        else:
            place = context.wrap_up().at("judge", solution.id)
            votes, stop = await self._votes(state["task"], solution, place)
            solution = _judged(solution, self.consensus(*votes), context)
            update["votes"] = votes
        context.keep(solution, ())
        update["solution"] = solution
        if stop is not None:
            update["stop_reason"] = stop
        return update

    def _after_fast(
        self, state: PipelineState
    ) -> Literal["slow_verify", "refine", "finish"]:
        if "votes" in state and not _passed(state["solution"]):
            return "slow_verify"
        return self._after_slow(state)

    async def _slow_verify(self, state: PipelineState, runtime: Run) -> PipelineState:
        context, solution = runtime.context, state["solution"]
        place = context.wrap_up().at("judge", solution.id, "slow")
        try:
            found = await self._slow_verdict(state["task"], solution, place)
        except OutOfBudget as stop:
            return {"stop_reason": StopReason(stop.dimension)}
        except ModelError as error:
            context.warn(str(error))
            return {}
        if found is None:
            context.warn("The slow verification came to no verdict, twice.")
            return {}
        right, reasons = found
        yes, no = state["votes"]
        verdict = Verdict(
            score=(yes + right) / (yes + no + 1), passed=right, feedback=reasons
        )
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
        if _own_verifier(context):
            refined, stop = await self._verified(task, refined, context)
        context.keep(refined, (state["solution"].id,))
        update: PipelineState = {"refined": refined}
        if stop is not None:
            update["stop_reason"] = stop
        return update

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

    # -- solve and detect ------------------------------------------------------------

    async def _in_one_piece(self, task: Task, place: RunContext) -> Draft:
        place.substitute("prefill", "solutions in one piece, ended by the model alone")
        solve = solver(
            instructions=self.instructions,
            sampling=Sampling(temperature=self.temperature),
            max_tokens=self.max_tokens,
        )
        whole = await solve(task, place)
        return Draft(
            whole.text, whole.output_tokens, (), True, False, whole.finish_reason
        )

    async def _past_the_keyword(
        self, task: Task, draft: Draft, place: RunContext
    ) -> Draft:
        """Write on over the keyword; a solution that stops before it is at its end."""
        if draft.tokens >= self.max_tokens:
            return _cut(draft)
        completion = await self._written(task, draft, place.at("past"), PAST, ())
        draft = _longer(draft, completion)
        if draft.tokens >= self.max_tokens:
            return _cut(draft)
        reason = completion.finish_reason
        return replace(draft, ended=reason != "length", finish_reason=reason)

    async def _to_the_next_pause(
        self, task: Task, draft: Draft, place: RunContext
    ) -> Draft:
        """Write to the next hesitation keyword, or to the end, which looks the same."""
        stop = self.keywords if len(draft.pauses) < self.max_pauses else ()
        completion = await self._written(task, draft, place, self.max_tokens, stop)
        draft, reason = _longer(draft, completion), completion.finish_reason
        ended = reason != "stop" or not stop
        return replace(draft, ended=ended, finish_reason=reason)

    async def _written(
        self,
        task: Task,
        draft: Draft,
        place: RunContext,
        most: int,
        stop: tuple[str, ...],
    ) -> Completion:
        head = (system(self.instructions),) if self.instructions else ()
        request = Request(
            messages=(*head, *task.examples, *task.history, user(task.question)),
            prefill=task.prefill + draft.text,
            sampling=Sampling(temperature=self.temperature),
            max_tokens=min(most, self.max_tokens - draft.tokens),
            stop=stop,
        )
        (completion,) = await place.generate(request)
        return completion

    def _limit_met(self, draft: Draft, context: RunContext) -> StopReason | None:
        """Return the limit of the budget that cut a draft short, if one did."""
        if draft.finish_reason == "time":
            return StopReason.SECONDS
        if draft.finish_reason != "length" or draft.tokens >= self.max_tokens:
            return None
        limits: tuple[Dimension, ...] = ("tokens", "output_tokens")
        left = {limit: context.ledger.left(limit) for limit in limits}
        met = [limit for limit, rest in left.items() if rest is not None and rest < 1]
        return StopReason(met[0]) if met else None

    async def _looked_at(self, task: Task, draft: Draft, context: RunContext) -> Draft:
        """Return the draft with one more pause, ended if it is complete there."""
        place = context.at("sample", 0, "detect", len(draft.pauses))
        prompt = COMPLETE_PROMPT.format(
            question=task.question, solution=task.prefill + draft.text
        )
        try:
            chances = await choose(
                prompt, ("Yes", "No"), place.acting("detector"), voter="detector"
            )
        except ModelError as error:
            context.warn(str(error))
            chances = None
        p = chances["Yes"] if chances else None
        complete = p is not None and p >= self.theta
        return replace(
            draft, pauses=(*draft.pauses, p), ended=complete, complete=complete
        )

    # -- verify ----------------------------------------------------------------------

    def consensus(self, yes: int, no: int) -> Verdict:
        """Return the verdict of the fast verification.

        Args:
            yes: How many of the k fast verdicts say that the solution is right.
            no: How many say that it is wrong; the rest could not be read, and agree
                with nobody.

        Returns:
            ``passed`` is what max(yes, no) / k >= tau of them say, ``None`` if they do
            not agree; the score is yes / (yes + no).
        """
        readable = yes + no
        agreed = max(yes, no) / self.k >= self.tau
        return Verdict(
            score=yes / readable if readable else None,
            passed=yes > no if agreed else None,
        )

    async def _verified(
        self, task: Task, solution: Candidate, context: RunContext
    ) -> tuple[Candidate, StopReason | None]:
        """Return a solution as the run's verifier judges it, and any limit met."""
        place = context.wrap_up().at("judge", solution.id)
        solution, stop = await verified(task, solution, place)
        verdict = solution.verdict
        if verdict is None or verdict.score is None or verdict.passed is not None:
            return solution, stop
        passed = verdict.score >= self.stop_at
        verdict = verdict.model_copy(update={"passed": passed})
        return solution.model_copy(update={"verdict": verdict}), stop

    async def _votes(
        self, task: Task, solution: Candidate, place: RunContext
    ) -> tuple[tuple[int, int], StopReason | None]:
        """Sample k fast verdicts; return how many say yes and no, and any limit met."""
        outcomes = await settle(
            [self._vote(task, solution, place.at("fast", i)) for i in range(self.k)]
        )
        stop: StopReason | None = None
        for outcome in outcomes:
            if isinstance(outcome, OutOfBudget):
                stop = StopReason(outcome.dimension)
            elif isinstance(outcome, ModelError):
                place.warn(str(outcome))
            elif isinstance(outcome, Exception):
                raise outcome
        return (outcomes.count("yes"), outcomes.count("no")), stop

    async def _vote(
        self, task: Task, solution: Candidate, place: RunContext
    ) -> str | None:
        judge = _judge(place)
        prompt = judge.prompt.format(question=task.question, solution=solution.text)
        request = Request(
            messages=(user(prompt),),
            sampling=Sampling(temperature=self.fast_temperature),
            max_tokens=FAST_TOKENS,
        )
        model = judge.model or plain_model(place.model)
        (completion,) = await place.acting("verifier").generate(request, model)
        said = _FAST.match(completion.text)
        return said[1].lower() if said else None

    async def _slow_verdict(
        self, task: Task, solution: Candidate, place: RunContext
    ) -> tuple[bool, str] | None:
        return await ask(
            task,
            SLOW_PROMPT.format(question=task.question, solution=solution.text),
            read_slow_verdict,
            place.acting("verifier"),
            reminder=SLOW_REMINDER,
            max_tokens=self.slow_tokens,
            model=_judge(place).model,
        )

    # -- repair ----------------------------------------------------------------------

    async def _refined(
        self, task: Task, solution: Candidate, context: RunContext
    ) -> Candidate:
        verdict, place = solution.verdict, context.at("sample", 1)
        feedback = verdict.feedback if verdict else ""
        if not feedback and _own_verifier(context):
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


def read_slow_verdict(completion: Completion) -> tuple[bool, str] | None:
    """Return the verdict of the last line that gives one, and the reasons before it."""
    said = list(_SLOW.finditer(completion.text))
    if not said:
        return None
    return said[-1][1].lower() == "yes", completion.text[: said[-1].start()].strip()


def better(solution: Candidate, refined: Candidate) -> Candidate:
    """Return the refined solution, unless it is known to be worse.

    Worse is one without an answer, if the other has one, and one of a lower score.
    """
    if refined.answer is None and solution.answer is not None:
        return solution
    before, after = score(solution), score(refined)
    worse = before is not None and after is not None and after < before
    return solution if worse else refined


def _own_verifier(context: RunContext) -> bool:
    """Whether the run has a verifier that is more than a model to be asked."""
    return not isinstance(context.verifier or Judge(), Judge)


def _judge(context: RunContext) -> Judge:
    return context.verifier if isinstance(context.verifier, Judge) else Judge()


def _passed(candidate: Candidate) -> bool | None:
    return candidate.verdict.passed if candidate.verdict else None


def _judged(solution: Candidate, verdict: Verdict, context: RunContext) -> Candidate:
    context.judged(solution, verdict)
    return solution.model_copy(update={"verdict": verdict})


def _cut(draft: Draft) -> Draft:
    return replace(draft, ended=True, finish_reason="length")


def _longer(draft: Draft, completion: Completion) -> Draft:
    tokens = draft.tokens + completion.usage.output_tokens
    return replace(draft, text=draft.text + completion.text, tokens=tokens)


async def _criticised(task: Task, solution: Candidate, context: RunContext) -> str:
    place = context.at("critique", solution.id)
    try:
        return await criticise(task, solution, place, solution.verdict)
    except ModelError as error:
        context.warn(str(error))
        return ""


async def _solution(task: Task, draft: Draft, context: RunContext) -> Candidate:
    """Return the finished draft; one that was ended early is made to answer."""
    place = context.at("sample", 0)
    solution = Candidate(
        id=place.id,
        text=draft.text,
        answer=extract(draft.text),
        output_tokens=draft.tokens,
        finish_reason=draft.finish_reason,
    )
    context.found(solution)
    context.keep(solution, ("question",))
    _keep_pauses(place, draft.pauses)
    if solution.answer is not None or not (solution.truncated or draft.complete):
        return solution
    forced = await forced_answer(task, solution, place.wrap_up().at("rescue"))
    return forced or solution


def _keep_pauses(place: RunContext, pauses: Sequence[float | None]) -> None:
    for i, p in enumerate(pauses):
        label = "complete? unreadable" if p is None else f"complete? {p:.2f}"
        id = place.at("detect", i).id
        place.think(Thought(id=id, kind="verdict", label=label, score=p), (place.id,))
