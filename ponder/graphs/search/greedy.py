"""Heuristic greedy search: go on from the first good step, resample, backtrack."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from pydantic import Field, model_validator

from ponder.graphs.search.policy import PATIENCE, Policy, Wish, rank
from ponder.graphs.search.tree import Expansion, Node, Tree

Feedback = Literal["positive", "neutral", "negative"]
"""What the process-supervised reward model (PRM) says of a step."""


@dataclass
class State:
    """A step on the current path."""

    node: Node
    tried: int = 0
    """Next steps sampled from here."""
    neutral: list[Node] = field(default_factory=list)
    """Next steps called neutral that were not followed yet."""


@dataclass
class Walk:
    """Where the search stands."""

    path: list[State] = field(default_factory=list)
    """From the root to the step that is gone on from."""
    born: list[Node] = field(default_factory=list)
    """Told and not judged yet."""
    iterations: int = 0
    """Steps sampled so far."""
    answer: Node | None = None
    """The finished solution that was accepted."""
    closing: int = 0
    """How often the search, which has given up, has asked for its end."""
    closed: bool = False
    """Whether it has that, or gets none."""


class GreedyPolicy(Policy[Walk]):
    """HGS-PRM (Ma et al. 2023, https://arxiv.org/abs/2310.10080).

    One step at a time is sampled and judged by the PRM. After a positive one the search
    goes on from it at once; a negative one is thrown away and another one sampled; a
    neutral one waits. If no step of a state is positive it goes on from a neutral one,
    and if all are negative it backtracks to the state before. The first finished
    solution that it goes on to is the answer.

    The paper's PRM is a classifier of three classes, like its training data; here the
    class is read off a score (deviation: ``positive``, ``negative``). A step without a
    score counts as neutral and comes after all neutral ones that have one. The numbers
    of tries and iterations, the order of neutral steps (by score) and what happens at
    the limits are choices of this implementation: only the abstract, summaries and
    reviews of the paper could be read, not its algorithm box.
    """

    positive: float = Field(default=2 / 3, ge=0, le=1)
    """Deviation: a score of at least this is positive."""
    negative: float = Field(default=1 / 3, ge=0, le=1)
    """Deviation: a score below this is negative."""
    k: int = Field(default=5, ge=1)
    """Next steps sampled from a state, at most."""
    iterations: int = Field(default=100, ge=1)
    """Steps sampled in all, at most."""
    depth: int = Field(default=16, ge=1)
    """Most steps of a solution; a path that reaches it unfinished is a dead end."""
    close: bool = True
    """Where no solution was accepted at the limits, write one to its end without the
    PRM, from where the search stands (from the root if every step was rejected)."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.negative > self.positive:
            raise ValueError(
                f"No score can be called both: take negative <= positive, not "
                f"negative={self.negative} and positive={self.positive}."
            )
        return self

    def memory(self, rng: random.Random) -> Walk:
        """Return an empty path."""
        return Walk()

    def plan(self, tree: Tree[Walk]) -> Iterable[Wish]:
        """Judge the last step and sample the next one."""
        walk = tree.memory
        if tree.open or walk.closed:
            return ()
        if walk.iterations == 0:
            walk.path.append(State(tree.root))
        for node in walk.born:
            self._judge(walk, node)
        walk.born = []
        state = self._stand(walk)
        if walk.answer is not None:
            return ()
        if state is None or walk.iterations >= self.iterations:
            walk.closing += 1
            walk.closed = not self.close or walk.closing > PATIENCE
            node = walk.path[-1].node if walk.path else tree.root
            return () if walk.closed else [Wish(node, whole=True)]
        state.tried += 1
        walk.iterations += 1
        return [Wish(state.node)]

    def learn(
        self, tree: Tree[Walk], expansion: Expansion, born: Sequence[Node]
    ) -> None:
        """Keep the step until the next plan."""
        walk = tree.memory
        walk.born.extend(born)
        walk.closed = bool(walk.closing and born)

    def best(self, tree: Tree[Walk]) -> Node | None:
        """Return the accepted solution, else the finished one of the highest score.

        An accepted solution without a score gives way to one that has a score.
        """
        answer = tree.memory.answer
        if answer is None or (answer.score is None and self.leaves(tree)):
            return super().best(tree)
        return answer

    def _judge(self, walk: Walk, node: Node) -> None:
        match feedback(node.score, self.positive, self.negative):
            case "positive":
                self._follow(walk, node)
            case "neutral":
                walk.path[-1].neutral.append(node)

    def _follow(self, walk: Walk, node: Node) -> None:
        if node.final:
            walk.answer = node
        elif node.depth < self.depth:
            walk.path.append(State(node))

    def _stand(self, walk: Walk) -> State | None:
        """Return the state to sample from, gone on or backtracked to if need be."""
        while walk.path and walk.answer is None:
            state = walk.path[-1]
            if state.tried < self.k:
                return state
            if state.neutral:
                node = min(state.neutral, key=lambda s: (-rank(s), s.id))
                state.neutral.remove(node)
                self._follow(walk, node)
            else:
                walk.path.pop()
        return None


def feedback(score: float | None, positive: float, negative: float) -> Feedback:
    """Return the class of a step.

    Args:
        score: 0 to 1; unknown is neutral, since nothing says that the step is wrong.
        positive: From here on a score is positive.
        negative: Below this a score is negative.
    """
    if score is None:
        return "neutral"
    if score >= positive:
        return "positive"
    return "negative" if score < negative else "neutral"
