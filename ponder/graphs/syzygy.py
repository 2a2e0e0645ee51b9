"""Syzygy of Thoughts: conditions, parallel solutions, exactness, minimality."""

from dataclasses import replace
from typing import ClassVar

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.answers import Equality
from ponder.agents.auxiliary_conditions import condition_finder, numbered, used
from ponder.agents.solver import STEP_BY_STEP
from ponder.agents.verifier import Judge
from ponder.context import RunContext, Verifier
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.choosing import Select, choose
from ponder.graphs.operations.judging import Score
from ponder.graphs.operations.vertex import Thoughts
from ponder.graphs.operations.writing import Generate, Job
from ponder.graphs.pool import rescue
from ponder.result import Candidate, Outcome, StopReason, Task
from ponder.thoughts import Thought

MAPPING_PROMPT = """\
{question}

Auxiliary conditions:
{conditions}

Solve the question from start to finish, with as few of these conditions as you need. \
Write the number of a condition in brackets wherever you use it, like this: [2]. \
Finish with one line that gives only the final answer, in the form \\boxed{{answer}}."""

EXACTNESS_PROMPT = """\
Check whether a solution is complete.

Auxiliary conditions that it may use by their numbers:
{conditions}

Question:
{question}

Proposed solution:
{solution}

Does every step follow from the question, from a condition or from an earlier step, \
and is nothing missing on the way to the answer? Answer with one word: Yes or No."""


class SyzygyState(State, total=False):
    """The state of a resolution."""

    conditions: tuple[str, ...]
    solutions: Thoughts


@register
class SyzygyOfThoughts(Strategy):
    """Solve by auxiliary conditions, keep what is exact, and take the minimal solution.

    Li et al. 2025 borrow their terms from the minimal free resolution of a module. What
    they stand for here:

    - *module* M: the question.
    - *freeness*: auxiliary conditions, each of use on its own; the model writes them,
      and one that repeats the words of another is dropped. That none follows from
      others is asked for, not checked.
    - *Betti number* b: how many conditions are asked for. Of a solution, it is how many
      different ones it names; one that names none counts as using all, since which it
      used is not known.
    - *mapping*: s solutions, written side by side, each from start to finish, with the
      conditions they use marked by numbers.
    - *exactness*: the probability that a judge, shown the conditions, says that every
      step follows and nothing is missing; at least tau is exact. The run's verifier,
      where there is one, takes the judge's place.
    - *minimality*: of the exact solutions, the one that uses the fewest conditions;
      then the more exact one, then the shorter one. If none is exact, the one of the
      highest score; if none has a score, the answer given most often.

    The terms are analogies: no module, map or resolution is computed, and "exact" is an
    opinion of a model. The authors' program is one prompt whose reply holds conditions,
    solutions and selection at once, without a test of exactness; the paper gives no
    operational test either. Prompts, the exactness check, tau and the order of ties are
    ours. In the paper conditions may be generated anew until the Betti number is small;
    how is not said, so here they are generated once.
    """

    name: ClassVar[str] = "syzygy_of_thoughts"
    source: ClassVar[str] = "https://arxiv.org/abs/2504.09566"
    wrap_up_share: ClassVar[float] = 0.1
    judge_share: ClassVar[float] = 0.2
    needs_verifier: ClassVar[bool] = True

    b: int = Field(default=10, ge=1)
    """Betti number, conditions asked for; 10 as in the authors' configuration."""
    s: int = Field(default=5, ge=1)
    """Solutions; 5 as in the authors' configuration."""
    tau: float = Field(default=0.5, ge=0, le=1)
    """Score from which a solution is exact."""
    temperature: float = Field(default=0.7, ge=0)
    """T of the solutions. The authors' 0 is for one reply that holds them all."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of each solution."""
    equality: Equality = "math"
    """How answers are compared where there are no scores: ``math`` or ``exact``."""

    def build(self) -> Graph:
        """START -> free -> map -> exact -> minimal -> END."""
        graph = StateGraph(SyzygyState, context_schema=RunContext)
        graph.add_node("free", self._free)
        graph.add_node("map", self._map)
        graph.add_node("exact", self._exact)
        graph.add_node("minimal", self._minimal)
        graph.add_edge(START, "free")
        graph.add_edge("free", "map")
        graph.add_edge("map", "exact")
        graph.add_edge("exact", "minimal")
        graph.add_edge("minimal", END)
        return graph

    async def _free(
        self, state: SyzygyState, runtime: Runtime[RunContext]
    ) -> SyzygyState:
        context = runtime.context.at("conditions")
        calls = context.ledger.left("calls", wrap_up=True)
        if calls is not None and calls < 2:
            context.warn("The budget leaves no call for conditions.")
            return {"conditions": ()}
        try:
            found = await condition_finder(b=self.b)(state["task"], context)
        except OutOfBudget as stop:
            context.warn("The budget leaves no room for conditions.")
            return {"conditions": (), "stop_reason": StopReason(stop.dimension)}
        except ModelError as error:
            context.warn(f"There are no conditions: {error}")
            found = ()
        if found:
            _show(found, context)
        return {"conditions": found}

    async def _map(
        self, state: SyzygyState, runtime: Runtime[RunContext]
    ) -> SyzygyState:
        context, conditions = runtime.context, state["conditions"]
        prompt = _mapping(state["task"], conditions)
        origin = context.at("conditions").id if conditions else "question"
        job = Job(state["task"], prompt, (origin,), None)
        writer = Generate(
            instructions=STEP_BY_STEP,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )
        written, notes = await writer.write([job] * self.s, context.at("map"))
        found = [v for v in written if v is not None]
        if not found:
            place = context.wrap_up().at("map", "last")
            written, last = await writer.write([job], place)
            found = [v for v in written if v is not None]
            if not found and (notes.errors or last.errors):
                raise context.shared.failures[0]
        for vertex in found:
            numbers = used(vertex.text, conditions)
            context.keep(
                vertex.candidate,
                tuple(context.at("conditions", n).id for n in numbers),
            )
        return {"solutions": notes.but(found)}

    async def _exact(
        self, state: SyzygyState, runtime: Runtime[RunContext]
    ) -> SyzygyState:
        context = runtime.context
        judge = self._judge(context.verifier, state["conditions"])
        place = replace(context.at("exact"), verifier=judge)
        return {"solutions": await Score()(state["solutions"], place)}

    async def _minimal(
        self, state: SyzygyState, runtime: Runtime[RunContext]
    ) -> SyzygyState:
        context, solutions = runtime.context, state["solutions"]
        pool = [v.candidate for v in solutions.items]
        reason = solutions.stop_reason or state.get("stop_reason")
        if not any(c.answer is not None for c in pool):
            rescued = await rescue(state["task"], pool, context)
            pool = [*pool, rescued] if rescued else pool
        outcome = self.select(
            pool, state["conditions"], reason or StopReason.FINISHED, context
        )
        return {"outcome": outcome}

    def select(
        self,
        pool: list[Candidate],
        conditions: tuple[str, ...],
        reason: StopReason,
        context: RunContext,
    ) -> Outcome:
        """Return the outcome of solutions that were checked for exactness.

        Args:
            pool: The solutions.
            conditions: Those that they could use.
            reason: Why the run ended.
            context: Told if there are no scores.

        Returns:
            An outcome whose confidence is the score of the solution or, where none has
            a score, the share of the votes.
        """
        scores = {c.id: s for c in pool if (s := _score(c)) is not None}
        exact = [c for c in pool if c.answer is not None and self._is_exact(c)]
        if exact:
            best = min(
                exact,
                key=lambda c: (_betti(c, conditions), -scores[c.id], c.output_tokens),
            )
            # The others have no say any more.
            scores = {best.id: scores[best.id]}
        elif pool and not scores:
            context.substitute("verifier scores", "majority vote")
        how: Select = "best" if scores else "vote"
        return choose(pool, scores, how, self.equality, reason)

    def _is_exact(self, candidate: Candidate) -> bool:
        verdict = candidate.verdict
        if verdict is None or verdict.score is None:
            return False
        return verdict.score >= self.tau and verdict.passed is not False

    def _judge(
        self, verifier: Verifier | None, conditions: tuple[str, ...]
    ) -> Verifier:
        if verifier is not None and not isinstance(verifier, Judge):
            return verifier
        listed = numbered(conditions) or "(none)"
        prompt = EXACTNESS_PROMPT.replace("{conditions}", _escaped(listed))
        model = verifier.model if verifier else None
        return Judge(model, threshold=self.tau, prompt=prompt)


def _mapping(task: Task, conditions: tuple[str, ...]) -> str:
    if not conditions:
        return task.question
    return MAPPING_PROMPT.format(
        question=task.question, conditions=numbered(conditions)
    )


def _betti(candidate: Candidate, conditions: tuple[str, ...]) -> int:
    """Return how many conditions a solution uses; all, if it does not say which."""
    return len(used(candidate.text, conditions)) or len(conditions)


def _score(candidate: Candidate) -> float | None:
    return candidate.verdict.score if candidate.verdict else None


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _show(conditions: tuple[str, ...], context: RunContext) -> None:
    """Put the conditions into the graph of the run, below a thought of their own."""
    label = f"{len(conditions)} auxiliary conditions"
    context.think(Thought(id=context.id, kind="thought", label=label), ("question",))
    for number, text in enumerate(conditions, 1):
        place = context.at(number)
        thought = Thought(id=place.id, kind="thought", label=f"[{number}] {text}")
        context.think(thought, (context.id,))
