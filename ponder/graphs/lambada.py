"""LAMBADA: prove a statement backwards, from the goal to the facts."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents import backward
from ponder.agents.backward import Verdict
from ponder.agents.theory import (
    Theory,
    answer_words,
    by_form,
    read_theory,
    stated,
)
from ponder.context import RunContext
from ponder.errors import OutOfBudget
from ponder.graphs._answering import answered_directly, scarce, spoken, think
from ponder.graphs._backward import (
    Frame,
    Proof,
    Proofs,
    explained,
    is_under_way,
    known,
    place_of,
    same_goal,
    show,
    tried,
    with_proof,
)
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.result import Candidate, Outcome, StopReason

Step = Literal[
    "fact_check",
    "rule_selection",
    "goal_decomposition",
    "sign_agreement",
    "backtrack",
    "conclude",
]


class ProofState(State, total=False):
    """The state of the prover."""

    theory: Theory
    """There is none if the question holds none."""
    concluded: tuple[str, ...]
    """What each rule concludes; read when it is needed first."""
    stack: tuple[Frame, ...]
    """The goals under way, the innermost last."""
    proofs: Proofs
    """Goals that have been decided."""
    verdict: Verdict
    """Of the goal that was left last."""
    step: Step
    """What comes next."""
    tried: int
    """Goals visited."""
    broken: bool
    """Whether a call failed, so that an unknown may be for want of it."""


@register
class Lambada(Strategy):
    """Prove or disprove a statement by backward chaining over facts and rules.

    Kazemi et al. 2023. A goal is checked against the facts (Fact Check); if they do not
    decide it, the rules whose conclusion fits are selected (Rule Selection); for each,
    the shortest first, the conditions become sub-goals (Goal Decomposition) that are
    proved one after the other with one depth less. If all hold, Sign Agreement says
    whether the rule proves or disproves the goal. Otherwise the goal is unknown.

    Goals that were decided are remembered, and a goal that is met again below itself is
    unknown there; an unknown that rests on such a cut, or on less depth, is not
    remembered. A statement that stands among the facts word for word is proved without
    a call, and so is the conclusion of a rule read that has the form "if ..., then
    ...". Facts, rules and goal are read out of the question (``theory_reader``), unless
    ``facts`` or ``rules`` are given: then the question is the goal. Rules count as
    shorter by their words. A question without a theory is answered directly.

    Not verified in the paper: its depth limits, its prompts (ours are zero-shot), and
    in which order rules of equal length are tried.
    """

    name: ClassVar[str] = "lambada"
    source: ClassVar[str] = "https://arxiv.org/abs/2212.13894"
    wrap_up_share: ClassVar[float] = 0.2

    D: int = Field(default=5, ge=0, le=20)
    """Depth: how many rules a proof may have one below the other; ours, the deepest
    proofs of ProofWriter have 5."""
    fact_tries: int = Field(default=2, ge=1)
    """How many facts are looked at for one goal: the next one if a fact decides
    nothing."""
    max_goals: int = Field(default=64, ge=1)
    """Most goals visited, repeated ones included."""
    facts: tuple[str, ...] = ()
    """The facts, where they are not part of the question."""
    rules: tuple[str, ...] = ()
    """The rules, where they are not part of the question."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of an answer that is given without a proof."""

    def max_steps(self) -> int:
        """Six steps for each goal, and both ends."""
        return 6 * self.max_goals + 10

    def build(self) -> Graph:
        """START -> read -> the four modules and backtrack, in a loop -> conclude."""
        graph = StateGraph(ProofState, context_schema=RunContext)
        nodes: dict[str, tuple[Node, tuple[Step, ...]]] = {
            "read": (self._read, ("fact_check",)),
            "fact_check": (self._fact_check, ("rule_selection", "backtrack")),
            "rule_selection": (self._rule_selection, ("goal_decomposition",)),
            "goal_decomposition": (
                self._goal_decomposition,
                ("fact_check", "backtrack"),
            ),
            "sign_agreement": (
                self._sign_agreement,
                ("goal_decomposition", "backtrack"),
            ),
            "backtrack": (
                self._backtrack,
                ("fact_check", "goal_decomposition", "sign_agreement"),
            ),
        }
        for name, (node, successors) in nodes.items():
            graph.add_node(name, _within_budget(node))
            graph.add_conditional_edges(name, _next, [*successors, "conclude"])
        graph.add_node("conclude", self._conclude)
        graph.add_edge(START, "read")
        graph.add_edge("conclude", END)
        return graph

    # -- the nodes -------------------------------------------------------------------

    async def _read(self, state: ProofState, context: RunContext) -> ProofState:
        over = await scarce(state["task"], context.at("room"))
        if over is not None:
            return {"stop_reason": over, "step": "conclude"}
        theory, broken = await self._theory(state, context)
        if theory is None:
            return {"step": "conclude"}
        if not theory.goal or not (theory.facts or theory.rules):
            context.warn("No statement was found that facts and rules could decide.")
            return {"step": "conclude"}
        root = Frame(number=0, goal=theory.goal, depth=self.D)
        show(root, "goal", context)
        return {
            "theory": theory,
            "proofs": {},
            "broken": broken,
            "stack": (root,),
            "tried": 1,
            "step": "fact_check",
        }

    async def _fact_check(self, state: ProofState, context: RunContext) -> ProofState:
        stack, theory = state["stack"], state["theory"]
        top, above = stack[-1], stack[:-1]
        if is_under_way(top.goal, above):
            cut = top.model_copy(update={"cut": True})
            return {"stack": (*above, cut), "verdict": "unknown", "step": "backtrack"}
        before = known(top.goal, top.depth, state["proofs"])
        if before is not None:
            return {"verdict": before.verdict, "step": "backtrack"}
        proof, broken = await self._by_a_fact(top, theory.facts, context)
        update: ProofState = {"verdict": proof.verdict, "step": "backtrack"}
        if broken:
            update["broken"] = True
        if proof.verdict != "unknown":
            update["proofs"] = with_proof(state["proofs"], proof)
        elif top.depth > 0 and theory.rules:
            update["step"] = "rule_selection"
        return update

    async def _rule_selection(
        self, state: ProofState, context: RunContext
    ) -> ProofState:
        *above, top = state["stack"]
        rules, failed = state["theory"].rules, False
        concluded = state.get("concluded", ())
        if not concluded:
            place = context.at("consequents").acting("prover")
            read = backward.consequents(rules, place)
            concluded, failed = await tried(read, rules, context)
        place = _asking(top, context, "select")
        call = backward.select_rules(top.goal, concluded, place)
        chosen, broken = await tried(call, (), context)
        # The sort is stable: at equal length, the order of the theory.
        ranked = tuple(sorted(chosen, key=lambda i: len(rules[i].split())))
        top = top.model_copy(update={"rules": ranked})
        update: ProofState = {
            "stack": (*above, top),
            "concluded": concluded,
            "step": "goal_decomposition",
        }
        return {**update, "broken": True} if broken or failed else update

    async def _goal_decomposition(
        self, state: ProofState, context: RunContext
    ) -> ProofState:
        *above, top = state["stack"]
        update: ProofState = {"verdict": "unknown", "step": "backtrack"}
        for i, index in enumerate(top.rules):
            rule = state["theory"].rules[index]
            place = _asking(top, context, "rule", index)
            call = backward.decompose(top.goal, rule, place)
            sub_goals, broken = await tried(call, (), context)
            think(place, rule, (place_of(top, context).id,), failed=not sub_goals)
            if broken:
                update["broken"] = True
            if sub_goals:
                stack = (*above, top.trying(i, sub_goals))
                return {**update, **self._pushed(stack, state, context)}
        return update

    async def _sign_agreement(
        self, state: ProofState, context: RunContext
    ) -> ProofState:
        top = state["stack"][-1]
        assert top.rule is not None
        rule = state["theory"].rules[top.rule]
        place = _asking(top, context, "sign", top.rule)
        agrees, broken = await tried(
            backward.sign_agrees(top.goal, rule, place), None, context
        )
        if agrees is None:
            update: ProofState = {"step": "goal_decomposition"}
            return {**update, "broken": True} if broken else update
        verdict: Verdict = "proved" if agrees else "disproved"
        proof = Proof(
            goal=top.goal,
            verdict=verdict,
            depth=top.depth,
            because=rule,
            needs=top.sub_goals,
        )
        proofs = with_proof(state["proofs"], proof)
        return {"verdict": verdict, "proofs": proofs, "step": "backtrack"}

    async def _backtrack(self, state: ProofState, context: RunContext) -> ProofState:
        *above, top = state["stack"]
        verdict, proofs = state["verdict"], state["proofs"]
        show(top, verdict, context)
        if verdict == "unknown" and not top.cut:
            found = Proof(goal=top.goal, verdict=verdict, depth=top.depth)
            proofs = with_proof(proofs, found)
        update: ProofState = {"proofs": proofs, "stack": tuple(above)}
        if not above:
            return {**update, "step": "conclude"}
        cut = above[-1].cut or (top.cut and verdict == "unknown")
        proved = above[-1].done + (verdict == "proved")
        parent = above[-1].model_copy(update={"cut": cut, "done": proved})
        update["stack"] = (*above[:-1], parent)
        if verdict != "proved":
            return {**update, "step": "goal_decomposition"}
        if proved == len(parent.sub_goals):
            return {**update, "step": "sign_agreement"}
        return {**update, **self._pushed(update["stack"], state, context)}

    async def _conclude(
        self, state: ProofState, runtime: Runtime[RunContext]
    ) -> ProofState:
        context, theory = runtime.context, state.get("theory")
        reason = state.get("stop_reason", StopReason.FINISHED)
        ended = theory is not None and not state["stack"]
        verdict = state["verdict"] if ended else "unknown"
        # An unknown for want of budget, or of a call that failed, says nothing.
        unsure = "stop_reason" in state or state.get("broken", False)
        if theory is not None and (verdict != "unknown" or not unsure):
            return {"outcome": self._concluded(state, theory, verdict, context)}
        found, over = await answered_directly(
            state["task"], context.at("direct"), max_tokens=self.max_tokens
        )
        if theory is not None:
            if found is None or found.answer is None:
                return {"outcome": self._concluded(state, theory, "unknown", context)}
            context.substitute("a proof", "an answer without one")
        return {"outcome": spoken(found, over or reason)}

    # -- what the nodes are made of --------------------------------------------------

    async def _theory(
        self, state: ProofState, context: RunContext
    ) -> tuple[Theory | None, bool]:
        """Return the theory, if there is one; say whether reading it failed."""
        question = state["task"].question
        if self.facts or self.rules:
            goal = question.strip()
            return Theory(facts=self.facts, rules=self.rules, goal=goal), False
        if len(stated(question)) < 2:
            context.warn("The question holds no facts and rules to prove it by.")
            return None, False
        call = read_theory(state["task"], context.at("theory"))
        return await tried(call, by_form(question), context)

    async def _by_a_fact(
        self, frame: Frame, facts: Sequence[str], context: RunContext
    ) -> tuple[Proof, bool]:
        """Look for a fact that decides a goal; say whether a call failed."""
        undecided = Proof(goal=frame.goal, verdict="unknown", depth=frame.depth)
        left = list(facts)
        for fact in facts:
            if same_goal(fact) == same_goal(frame.goal):
                return self._by(fact, "proved", frame, context), False
        for i in range(min(self.fact_tries, len(facts))):
            place = _asking(frame, context, "fact", i)
            chosen, broken = await tried(
                backward.select_fact(frame.goal, left, place), None, context
            )
            if chosen is None:
                return undecided, broken
            fact = left.pop(chosen)
            call = backward.check_fact(frame.goal, fact, place.at("check"))
            verdict, broken = await tried(call, "unknown", context)
            if verdict != "unknown" or broken:
                return self._by(fact, verdict, frame, context), broken
        return undecided, False

    def _by(
        self, fact: str, verdict: Verdict, frame: Frame, context: RunContext
    ) -> Proof:
        if verdict != "unknown":
            place = place_of(frame, context, "evidence")
            think(place, fact, (place_of(frame, context).id,), evidence=True)
        return Proof(goal=frame.goal, verdict=verdict, depth=frame.depth, because=fact)

    def _pushed(
        self, stack: tuple[Frame, ...], state: ProofState, context: RunContext
    ) -> ProofState:
        """Go on with the next sub-goal of the innermost goal."""
        top, number = stack[-1], state["tried"]
        if number >= self.max_goals:
            context.warn(f"The proof was given up after {number} goals (max_goals).")
            return {"stack": stack, "step": "conclude"}
        assert top.rule is not None
        frame = Frame(
            number=number,
            goal=top.sub_goals[top.done],
            depth=top.depth - 1,
            parent=place_of(top, context, "rule", top.rule).id,
        )
        show(frame, "goal", context)
        return {"stack": (*stack, frame), "step": "fact_check", "tried": number + 1}

    def _concluded(
        self,
        state: ProofState,
        theory: Theory,
        verdict: Verdict,
        context: RunContext,
    ) -> Outcome:
        """Answer by a verdict, in the word that the question wants, with the proof."""
        proved, disproved, neither = answer_words(state["task"].question)
        word = {"proved": proved, "disproved": disproved, "unknown": neither}[verdict]
        lines = explained(theory.goal, state["proofs"])
        if verdict == "unknown":
            lines = [f"Neither '{theory.goal}' nor its opposite could be proved."]
        text = "\n".join([*lines, f"\\boxed{{{word}}}"])
        place = context.at("conclusion")
        candidate = Candidate(id=place.id, text=text, answer=word)
        place.found(candidate)
        place.keep(candidate, (context.at("goal", 0).id,))
        reason = state.get("stop_reason", StopReason.FINISHED)
        return spoken(candidate, reason)


Node = Callable[[ProofState, RunContext], Awaitable[ProofState]]


def _within_budget(node: Node) -> Any:
    """Return a node that goes to the end where the budget admits no further call."""

    async def guarded(state: ProofState, runtime: Runtime[RunContext]) -> ProofState:
        try:
            return await node(state, runtime.context)
        except OutOfBudget as over:
            return {"stop_reason": StopReason(over.dimension), "step": "conclude"}

    return guarded


def _next(state: ProofState) -> Step:
    return state["step"]


def _asking(frame: Frame, context: RunContext, *parts: str | int) -> RunContext:
    return place_of(frame, context, *parts).acting("prover")
