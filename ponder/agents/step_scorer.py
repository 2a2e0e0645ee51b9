"""The role that says how good a partial solution is: the port of process rewards."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from ponder.agents.answers import extract
from ponder.agents.choice import choose
from ponder.agents.proposer import Proposal
from ponder.context import RunContext, Verifier
from ponder.errors import InvalidParameter, ModelError, UnknownName, VerifierError
from ponder.messages import Message, assistant, system, user
from ponder.models.base import Model
from ponder.result import Candidate, Task

ScorerName = Literal["judge", "turn", "digit", "self_evaluation", "logprob", "verifier"]

JUDGE_STEP_PROMPT = """\
Decide whether a solution that may be unfinished is on the way to the right answer.

Question:
{question}

Proposed solution:
{solution}

Is everything in it correct so far, and does it lead to the right answer? Answer with \
one word: Yes or No."""

TURN_PROMPT = """\
Is everything in your solution correct so far, and does it lead to the right answer? \
Answer with one word: Yes or No."""

DIGIT_PROMPT = """\
Rate a solution that may be unfinished.

Question:
{question}

Solution so far:
{solution}

How good is it, from 0 (wrong, or leading nowhere) to 9 (certainly right so far, and \
the best way to the answer)? Answer with one digit."""

SELF_EVALUATION_PROMPT = """\
Check one step of a solution. Do not check the steps before it.

Question:
{question}

Steps before it:
{steps}

Step to check:
{step}

Does the step follow from the question and the steps before it?
(A) The step is correct.
(B) The step is incorrect.

Answer with one letter: A or B."""

NO_STEPS = "(none)"
DIGITS = tuple("0123456789")


class StepScorer(Protocol):
    """Scores partial solutions. See ``step_scorer``."""

    name: str

    async def score(
        self, task: Task, prefix: str, proposal: Proposal, context: RunContext
    ) -> float | None:
        """Return how good the partial solution ``prefix + proposal.text`` is, 0 to 1.

        Args:
            task: What is to be solved.
            prefix: The solution before the proposal.
            proposal: The step to score.
            context: The place of the call.

        Returns:
            ``None`` if no score could be had: never read it as 0.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def step_scorer(
    kind: ScorerName,
    *,
    model: Model | None = None,
    votes: int = 5,
    prompt: str | None = None,
    instructions: str = "",
) -> StepScorer:
    """Return a step scorer.

    Args:
        kind: Who scores: ``judge``, P(yes) of a model asked whether the solution is on
            the way to the answer; ``turn``, the same asked as a further turn of the
            conversation in which the solution is written, so that a model with a
            prefix cache has read all of it already; ``digit``, its expected rating from
            0 to 9 over 9 (the scale of SpecReason, https://arxiv.org/abs/2504.07891);
            ``self_evaluation``, its probability of the choice "correct" when it is
            asked about the last step alone (https://arxiv.org/abs/2305.00633);
            ``logprob``, the probability per token of the step, without a call;
            ``verifier``, the verifier of the run, such as a process reward model
            behind a Python function, which is given the unfinished solution.
        model: Who is asked; by default the model of the run.
        votes: Sampled answers where a model gives no log-probabilities.
        prompt: By default the constant of this file. With places for ``{question}``
            and ``{solution}``, or ``{steps}`` and ``{step}`` for ``self_evaluation``.
        instructions: System prompt of that conversation, for ``turn``.

    Raises:
        UnknownName: There is no such scorer.
    """
    if kind == "judge":
        return _Judge(model, votes, prompt or JUDGE_STEP_PROMPT)
    if kind == "turn":
        return _Turn(model, votes, prompt or TURN_PROMPT, instructions=instructions)
    if kind == "digit":
        return _Digit(model, votes, prompt or DIGIT_PROMPT)
    if kind == "self_evaluation":
        return _SelfEvaluation(model, votes, prompt or SELF_EVALUATION_PROMPT)
    if kind == "logprob":
        return _LogProb()
    if kind == "verifier":
        return _RunVerifier()
    raise UnknownName("step scorer", kind, get_args(ScorerName))


@dataclass
class _Asking:
    """A model that is asked for one word."""

    model: Model | None
    votes: int
    prompt: str
    name: str = ""
    words: tuple[str, ...] = ()

    async def score(
        self, task: Task, prefix: str, proposal: Proposal, context: RunContext
    ) -> float | None:
        chances = await choose(
            self.prompt.format(
                question=task.question,
                solution=(prefix + proposal.text).strip(),
                steps=prefix.strip() or NO_STEPS,
                step=proposal.text.strip(),
            ),
            self.words,
            context.acting("verifier"),
            before=self.before(task, prefix + proposal.text),
            model=self.model,
            votes=self.votes,
            voter="step scorer",
        )
        return None if chances is None else self.read(chances)

    def before(self, task: Task, solution: str) -> tuple[Message, ...]:
        """Return the conversation that the question is asked in: the task's own."""
        return task.history

    def read(self, chances: Mapping[str, float]) -> float:
        """Return the probability of the first word."""
        return chances[self.words[0]]


@dataclass
class _Judge(_Asking):
    name: str = "judge"
    words: tuple[str, ...] = ("Yes", "No")


@dataclass
class _Turn(_Judge):
    name: str = "turn"
    instructions: str = ""

    def before(self, task: Task, solution: str) -> tuple[Message, ...]:
        head = (system(self.instructions),) if self.instructions else ()
        written = assistant((task.prefill + solution).rstrip())
        return (
            *head, *task.examples, *task.history, user(task.question), written,
        )  # fmt: skip


@dataclass
class _SelfEvaluation(_Asking):
    name: str = "self_evaluation"
    words: tuple[str, ...] = ("A", "B")


@dataclass
class _Digit(_Asking):
    name: str = "digit"
    words: tuple[str, ...] = DIGITS

    def read(self, chances: Mapping[str, float]) -> float:
        return expected_digit(chances) / 9


def expected_digit(chances: Mapping[str, float]) -> float:
    """Return the mean of the digits 0 to 9 under their probabilities."""
    return math.fsum(int(digit) * p for digit, p in chances.items())


@dataclass
class _LogProb:
    name: str = "logprob"

    async def score(
        self, task: Task, prefix: str, proposal: Proposal, context: RunContext
    ) -> float | None:
        if proposal.logprob is None:
            context.substitute("logprobs", "steps without a score")
            return None
        if not proposal.text.strip():
            # What is not there is neither likely nor unlikely.
            return None
        return math.exp(min(0.0, proposal.logprob / max(1, proposal.output_tokens)))


@dataclass
class _RunVerifier:
    name: str = "verifier"

    async def score(
        self, task: Task, prefix: str, proposal: Proposal, context: RunContext
    ) -> float | None:
        verifier = require_verifier(context)
        text, ended = prefix + proposal.text, proposal.final and not proposal.truncated
        partial = Candidate(
            id=context.id,
            text=text,
            answer=extract(text) if proposal.final else None,
            logprob=proposal.logprob,
            output_tokens=proposal.output_tokens,
            finish_reason="stop" if ended else "length",
        )
        try:
            verdict = await verifier.verify(task, partial, context)
        except (VerifierError, ModelError) as error:
            context.warn(str(error))
            return None
        return verdict.score


def require_verifier(context: RunContext) -> Verifier:
    """Return the verifier of the run, which the scorer ``verifier`` goes by.

    Raises:
        InvalidParameter: The run has none.
    """
    if context.verifier is None:
        raise InvalidParameter(
            "The step scorer 'verifier' needs the run's own verifier, and there is "
            "none: give verifier=, or choose the scorer judge, turn, digit, "
            "self_evaluation or logprob."
        )
    return context.verifier
