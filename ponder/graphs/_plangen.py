"""What PlanGEN needs beside its state machine: its reward, feedback and thoughts."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ponder.agents._scores import normalised
from ponder.agents.constraint_verifier import ConstraintVerifier, constraint_verifier
from ponder.agents.selector import UCB, Arm, bonus, ucb
from ponder.context import RunContext, Verifier
from ponder.errors import ModelError, OutOfBudget, VerifierError
from ponder.graphs.best_of_n import score
from ponder.result import Candidate, Outcome, StopReason, Task, Verdict
from ponder.thoughts import Thought

DESCRIPTIONS = {
    "best_of_n": "write several whole solutions independently and take the one that "
    "is verified best; suits problems that need few steps, or one good idea",
    "tree_of_thoughts": "write step by step, keep the best few beginnings after each "
    "step; suits problems in which an early choice decides whether the rest fits",
    "rebase": "write step by step, and continue beginnings the more often the better "
    "they are verified; suits long problems with many constraints acting together",
}
"""What the selection agent is told of each algorithm."""

VERIFY_STEP_PROMPT = """\
Check the beginning of a solution of a problem against the constraints that the whole \
solution has to satisfy. It is unfinished: what is still missing is no mistake.

Problem:
{question}

Constraints:
{constraints}

Beginning of a solution:
{solution}

First give feedback, in one short sentence: which constraint is violated by what is \
there, and where, or that none is. Then give a score, a whole number from -100 (what \
is there is wrong and cannot become right) to 100 (what is there is right and leads to \
a solution that satisfies every constraint).

Reply in JSON: {{"feedback": "<sentence>", "score": <number>}}"""

FEEDBACK_PROMPT = """\
{question}

An earlier solution was not good enough:
{solution}

What was said of it:
{feedback}

Solve the problem anew. Put right what was wrong, and give the answer in the form that \
is asked for above."""


VERIFY_TOKENS = 256
"""Limit of a verification: feedback of three short sentences, and a score. What it
could take is set aside while it runs, so that twice as much would hold up others."""


# -- the reward ------------------------------------------------------------------------


@dataclass(eq=False)
class Reward:
    """The verification agent, as all three algorithms see it: the verifier of a try.

    It judges by the task as it was asked, whatever feedback a try has added to it.
    A solution that was left off before it came to an answer is judged as a beginning.
    """

    task: Task
    whole: Verifier
    """Judges solutions: the user's verifier, or else the verification agent."""
    begun: ConstraintVerifier
    """Judges beginnings of solutions."""
    agent: ConstraintVerifier
    """Judges solutions, and says what is wrong with them."""
    name: str = field(init=False)
    journaled: ClassVar[bool] = True

    @property
    def asks_model(self) -> bool:
        """Whether a verdict on a solution costs something."""
        return bool(getattr(self.whole, "asks_model", False))

    def __post_init__(self) -> None:
        """Go by the name of whoever judges solutions."""
        self.name = self.whole.name

    async def verify(
        self, task: Task, candidate: Candidate, context: RunContext
    ) -> Verdict:
        """Judge a solution, or the beginning of one, which never passes."""
        if candidate.truncated and candidate.answer is None:
            verdict = await self.begun.verify(self.task, candidate, context)
            return verdict.model_copy(update={"passed": False})
        return await self.whole.verify(self.task, candidate, context)

    async def judged(self, plan: Candidate, place: RunContext) -> Candidate:
        """Return what a try came to with its verdict, one without a score on failure.

        Raises:
            OutOfBudget: The budget admits no verdict.
        """
        try:
            verdict = await self.verify(self.task, plan, place.at("verify").wrap_up())
        except (VerifierError, ModelError) as error:
            place.warn(str(error))
            verdict = Verdict(feedback=str(error))
        place.judged(plan, verdict)
        plan = plan.model_copy(update={"verdict": verdict})
        place.keep(plan, (place.id,))
        return plan

    def accepts(self, verdict: Verdict | None) -> bool:
        """Whether a plan is good enough."""
        if verdict is None or verdict.passed is not None:
            return verdict is not None and verdict.passed is True
        least = normalised(self.agent.threshold)
        return verdict.score is not None and verdict.score >= least

    async def feedback(self, plan: Candidate, place: RunContext) -> str:
        """Return what is wrong with a plan, if anybody says so.

        The verification agent is asked where the user's verifier says nothing.
        """
        verdict = plan.verdict or Verdict()
        if verdict.feedback and _judged(verdict):
            return verdict.feedback
        if self.whole is self.agent:
            return ""
        try:
            with lent(place.at("feedback")) as thinking:
                verdict = await self.agent.verify(self.task, plan, thinking)
        except OutOfBudget:
            return ""
        except ModelError as error:
            place.warn(str(error))
            return ""
        return verdict.feedback if _judged(verdict) else ""


def _judged(verdict: Verdict) -> bool:
    # Without either it was the verifier that failed, and not the plan.
    return verdict.score is not None or verdict.passed is not None


def reward(
    task: Task, constraints: Sequence[str], threshold: float, given: Verifier | None
) -> Reward:
    """Return the reward of a run.

    Args:
        task: The task as it was asked.
        constraints: Those of the task.
        threshold: Score of a plan that is good enough, -100 to 100.
        given: The user's verifier, if there is one.
    """
    agent = constraint_verifier(
        constraints=constraints, threshold=threshold, max_tokens=VERIFY_TOKENS
    )
    begun = constraint_verifier(
        constraints=constraints,
        threshold=threshold,
        max_tokens=VERIFY_TOKENS,
        prompt=VERIFY_STEP_PROMPT,
    )
    return Reward(task, given or agent, begun, agent)


def with_feedback(task: Task, plan: Candidate | None, feedback: str) -> Task:
    """Return a task that tells what is wrong with an earlier plan.

    It stands behind the question and not in a system prompt or in earlier turns:
    strategies in the place of a model get no system prompt, and some chat templates
    refuse two turns of the user in a row.
    """
    if plan is None or not feedback.strip():
        return task
    question = FEEDBACK_PROMPT.format(
        question=task.question, solution=plan.text.strip(), feedback=feedback.strip()
    )
    return task.model_copy(update={"question": question})


@contextmanager
def lent(context: RunContext, parts: int = 3) -> Iterator[RunContext]:
    """Lend one of ``parts`` equal parts of what is left of the budget.

    Agents that think about plans must not spend what the plans need. Who asks for
    more than the part is refused, and the journal knows it.
    """
    ledgers = context.ledger.split(parts)
    try:
        # The last part is the least where few calls are left: none of one call.
        yield replace(context, ledger=ledgers[-1])
    finally:
        for ledger in ledgers:
            ledger.close()


def chosen_of(outcome: Outcome) -> Candidate | None:
    """Return the candidate that an algorithm has chosen."""
    chosen = [c for c in outcome.candidates if c.text and c.text == outcome.text]
    return max(chosen, key=lambda c: score(c) or 0.0, default=None)


def accepted(plan: Candidate, pool: Sequence[Candidate]) -> Outcome:
    """Return the outcome of a run that has come to a plan that is good enough."""
    return Outcome(
        answer=plan.answer,
        text=plan.text,
        confidence=score(plan),
        candidates=tuple(pool),
        stop_reason=StopReason.VERIFIED,
        verdict=plan.verdict,
    )


# -- the thoughts ----------------------------------------------------------------------


def show_constraints(constraints: Sequence[str], context: RunContext) -> None:
    """Put the constraints into the thought graph."""
    label = f"{len(constraints)} found" if constraints else "none found"
    context.think(Thought(id=context.id, kind="thought", label=label), ("question",))
    for i, text in enumerate(constraints, 1):
        place = context.at(i).id
        context.think(Thought(id=place, kind="thought", label=text), (context.id,))


def show_choice(
    arms: Mapping[str, Arm],
    priors: Mapping[str, float],
    weights: UCB,
    context: RunContext,
) -> None:
    """Put the UCB of every algorithm into the thought graph, if there was a choice."""
    if len(arms) == 1:
        return
    trials = sum(arm.plays for arm in arms.values())
    bounds = {n: ucb(a, trials, priors[n], weights) for n, a in arms.items()}
    # An algorithm never played has no bound: what orders those is shown.
    new = {n: bonus(a, trials, priors[n], weights) for n, a in arms.items()}
    labels = [
        f"{n} {bounds[n]:.2f}" if arms[n].plays else f"{n} inf+{new[n]:.2f}"
        for n in arms
    ]
    data = {
        n: {
            "ucb": bounds[n] if arms[n].plays else None,
            "bonus": new[n],
            "prior": priors[n],
            "plays": arms[n].plays,
            "reward": arms[n].reward,
        }
        for n in arms
    }
    thought = Thought(
        id=context.at("UCB").id, kind="thought", label=", ".join(labels), data=data
    )
    context.think(thought, (context.id,))


def show_try(
    algorithm: str, context: RunContext, *, score: float | None = None
) -> None:
    """Put a try into the thought graph, or what is now known of it."""
    thought = Thought(id=context.id, kind="thought", label=algorithm, score=score)
    context.think(thought, ("question",))


def show_feedback(feedback: str, context: RunContext) -> None:
    """Put what was said of the plan of a try into the thought graph."""
    thought = Thought(
        id=context.at("feedback").id,
        kind="verdict",
        label=" ".join(feedback.split()),
        data={"feedback": feedback},
    )
    context.think(thought, (context.id,))


def adopt(context: RunContext) -> None:
    """Hang the thoughts of the algorithm below its try, not below the question."""
    graph = context.shared.graph.graph
    if "question" not in graph:
        return
    for id in list(graph.successors("question")):
        if id.startswith(f"{context.id}/"):
            graph.remove_edge("question", id)
            graph.add_edge(context.id, id)
