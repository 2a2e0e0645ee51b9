"""How a thought of AGoT is answered: directly, or by a graph nested in it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ponder.agents.complexity import ComplexityJudge
from ponder.agents.thought_evaluator import ThoughtEvaluator
from ponder.agents.thought_planner import SubThought, listed
from ponder.context import RunContext
from ponder.errors import ModelError, OutOfBudget
from ponder.graphs._agot import AGoTState, Answered, answered, show
from ponder.graphs.shares import kept_back, priced
from ponder.messages import Usage
from ponder.result import StopReason, Task

COMPLEX = 0.5
"""P(Yes) above which a thought is complex: yes is then the likelier word."""
LEAST_THOUGHT = 64
"""Output tokens without which it is no use to begin with a thought."""


@dataclass(frozen=True)
class Answering:
    """How thoughts are answered; the fields are those of the strategy."""

    judge: ComplexityJudge
    evaluate: ThoughtEvaluator
    run: Callable[[AGoTState, RunContext], Awaitable[AGoTState]]
    """Runs a graph from the state that it begins with to its end."""
    d_max: int
    thought_tokens: int

    async def costs(self, state: AGoTState, place: RunContext) -> list[Usage]:
        """Return what a thought of the planned layer takes at least, and at most."""
        requests = [
            self.evaluate.request(
                state["task"],
                thought.question,
                background=_around(state),
                strategy=thought.strategy,
            )
            for thought in state["planned"]
        ]
        return await priced(requests, [LEAST_THOUGHT, self.thought_tokens], place)

    async def answer(
        self,
        thought: SubThought,
        state: AGoTState,
        place: RunContext,
        room: int,
        each: Usage,
    ) -> Answered:
        """Answer one thought, by a graph of its own if it is complex.

        Args:
            thought: The thought.
            state: Of the graph that it stands in.
            place: Its place, with its part of the budget.
            room: Thoughts that graphs nested in it may have.
            each: What it takes to answer it directly.
        """
        nested = False
        try:
            nested = room > 0 and await self._is_complex(thought, state, place, each)
            if nested:
                return await self._nested(thought, state, place, room)
            said = await self.evaluate(
                state["task"],
                thought.question,
                place.at("answer"),
                background=_around(state),
                strategy=thought.strategy,
            )
        except (OutOfBudget, ModelError) as error:
            show(thought, place, kind="graph" if nested else "thought", failed=True)
            # How many thoughts a graph had that failed is lost with it: all it might.
            lost = Answered(thought, nodes=room if nested else 0)
            if isinstance(error, OutOfBudget):
                return lost._replace(stop=StopReason(error.dimension))
            place.warn(f"The thought '{thought.title}' was not answered: {error}")
            return lost
        done = thought.model_copy(update={"answer": said})
        show(done, place, failed=said is None)
        return Answered(done)

    async def _is_complex(
        self, thought: SubThought, state: AGoTState, place: RunContext, each: Usage
    ) -> bool:
        """Ask for the complexity, if that leaves enough to answer the thought."""
        if state.get("depth", 0) >= self.d_max:
            return False
        with kept_back(place, each) as tight:
            if tight is not None:
                return False
            try:
                chance = await self.judge(
                    thought.question, place.at("complex"), background=_around(state)
                )
            except OutOfBudget:
                return False
            except ModelError as error:
                place.warn(f"A thought could not be checked for complexity: {error}")
                return False
        if chance is None:
            place.substitute("a complexity check that can be read", "a direct answer")
        return chance is not None and chance > COMPLEX

    async def _nested(
        self, thought: SubThought, state: AGoTState, place: RunContext, room: int
    ) -> Answered:
        """Answer a thought by a graph of its own."""
        show(thought, place, kind="graph")
        inner: AGoTState = {
            "task": Task(question=thought.question, history=state["task"].history),
            "candidates": [],
            "depth": state.get("depth", 0) + 1,
            "background": _around(state),
            "room": room,
        }
        ended = await self.run(inner, place)
        outcome = ended["outcome"]
        done = thought.model_copy(update={"answer": outcome.text.strip() or None})
        missing = done.answer is None
        show(done, place, kind="graph", failed=missing)
        ends = outcome.stop_reason
        stop = ends if missing and ends is not StopReason.FINISHED else None
        inside = next((c.id for c in outcome.candidates), None)
        return Answered(done, nodes=room - ended["room"], stop=stop, place=inside)


def _around(state: AGoTState) -> str:
    """Return what a thought is told of the graph that it stands in."""
    above = state.get("background", "")
    parts = [above] if above else []
    parts.append(f"The problem that it is part of:\n{state['task'].question}")
    known = answered(state.get("thoughts", []))
    if known:
        parts.append(f"Known so far:\n{listed(known)}")
    return "\n\n".join(parts)
