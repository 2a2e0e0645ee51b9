"""MindStar (M*): beam search and Levin tree search over rewarded steps."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from ponder.graphs.search._frontier import (
    Frontier,
    FrontierPolicy,
    families,
    filled,
)
from ponder.graphs.search.beam import top
from ponder.graphs.search.levels import Level, LevelPolicy
from ponder.graphs.search.policy import Wish
from ponder.graphs.search.tree import Expansion, Node, Tree


@dataclass
class Beam(Level):
    """Where the beam search stands."""

    answer: Node | None = None
    """The finished solution that was chosen."""
    finished: list[Node] = field(default_factory=list)
    """Solutions in the beam that something unfinished is ahead of."""
    tokens: int = 0
    """Tokens of all steps told."""


class MindstarBeamPolicy(LevelPolicy[Beam]):
    """M* with beam search (Kang et al. 2024, https://arxiv.org/abs/2405.16265).

    N next steps are sampled from a node, a process reward model scores each, and the
    one of the highest reward is expanded next. The search ends when the chosen step
    finishes a solution, or when the tokens are spent. Steps without a reward are
    chosen after all that have one, equal ones in the order of their ids.
    """

    n: int = Field(default=16, ge=1)
    """N, steps sampled from a node. The paper's value could not be checked."""
    k: int = Field(default=1, ge=1)
    """Steps kept at a level. The paper's greedy choice is 1; with more, a finished one
    stays in the beam until nothing unfinished has a higher reward."""
    max_tokens_total: int | None = Field(default=None, ge=1)
    """Maximum consumption: nothing is expanded once so many tokens are sampled; the
    unit is chosen here. ``None``: no end."""

    def memory(self, rng: random.Random) -> Beam:
        """Return an empty beam."""
        return Beam()

    def next_level(self, tree: Tree[Beam], born: Sequence[Node]) -> Iterable[Wish]:
        """Expand the k steps of the highest rewards."""
        if tree.memory.number == 0:
            return [Wish(tree.root, self.n)]
        beam = tree.memory
        kept = top([*beam.finished, *born], self.k)
        beam.answer = kept[0] if kept and kept[0].final else None
        if beam.answer or _spent(beam.tokens, self.max_tokens_total):
            return []
        beam.finished = [node for node in kept if node.final]
        return [Wish(node, self.n) for node in kept if not node.final]

    def learn(
        self, tree: Tree[Beam], expansion: Expansion, born: Sequence[Node]
    ) -> None:
        """Keep what was born, and count what it cost."""
        super().learn(tree, expansion, born)
        tree.memory.tokens += sum(node.step.tokens for node in born)

    def best(self, tree: Tree[Beam]) -> Node | None:
        """Return the chosen solution, but never one without a reward before others."""
        answer = tree.memory.answer
        if answer is not None and (answer.score is not None or not self.leaves(tree)):
            return answer
        return super().best(tree)


@dataclass
class LevinFrontier(Frontier):
    """The heap, and the probability of each path."""

    log_pi: dict[int, float] = field(default_factory=dict)
    """ln pi(n), by id."""
    r: dict[int, float | None] = field(default_factory=dict)
    """Reward by id, with a stand-in where it is unknown."""


class LevinPolicy(FrontierPolicy[LevinFrontier]):
    """M* with Levin tree search (Kang et al. 2024, https://arxiv.org/abs/2405.16265).

    The node of lowest d_0(n) / pi(n) is expanded, wherever it is in the tree: Levin
    tree search (Orseau et al. 2018, https://arxiv.org/abs/1811.10928, Algorithm 1)
    with d_0 the depth plus one and pi(n) the probability of its path. The first
    finished solution that is taken ends the search, or the tokens do.

    That M* weighs the rewards against the depth is known; its exact cost could not be
    checked. Here a step's reward, the probability that it is right, is its factor of
    pi(n); ``tau`` makes proper probabilities of the rewards instead.

    A step without a reward is taken after all that have one; in the paths of its
    descendants it counts as the lowest of its siblings, else as its parent.
    """

    n: int = Field(default=16, ge=1)
    """N, steps sampled from a node. The paper's value could not be checked."""
    tau: float | None = Field(default=None, gt=0)
    """Temperature of a softmax over the rewards of siblings. With it the children
    share their parent's pi, so the number of expansions is at most d_0(n) / pi(n) of
    any solution n in the tree (Orseau et al., Theorem 3). ``None``: plain rewards."""
    max_tokens_total: int | None = Field(default=None, ge=1)
    """Maximum consumption: nothing is expanded once so many tokens are sampled; the
    unit is chosen here. ``None``: no end."""

    def memory(self, rng: random.Random) -> LevinFrontier:
        """Return an empty heap."""
        return LevinFrontier(log_pi={0: 0.0}, r={0: None})

    def width(self) -> int:
        """Return N."""
        return self.n

    def room(self, tree: Tree[LevinFrontier]) -> float:
        """Return 0 when the tokens are spent."""
        return 0 if _spent(tree.memory.tokens, self.max_tokens_total) else math.inf

    def enter(self, tree: Tree[LevinFrontier], born: Sequence[Node]) -> None:
        """Put all on the heap by their Levin cost, finished solutions too."""
        memory = tree.memory
        for parent, nodes in families(born).items():
            rewards = filled([n.score for n in nodes], memory.r[parent.id])
            steps = log_policy(rewards, self.tau)
            for node, reward, log_p in zip(nodes, rewards, steps, strict=True):
                memory.r[node.id] = reward
                memory.log_pi[node.id] = memory.log_pi[parent.id] + log_p
                cost = log_levin_cost(node.depth, memory.log_pi[node.id])
                memory.push((node.score is None, cost), node)


def log_levin_cost(depth: int, log_pi: float) -> float:
    """Return ln(d_0(n) / pi(n)), with d_0 = depth + 1 (Orseau et al. 2018).

    Args:
        depth: Steps from the root.
        log_pi: ln pi(n).
    """
    return math.log(depth + 1) - log_pi


def log_policy(rewards: Sequence[float | None], tau: float | None) -> list[float]:
    """Return the logarithms of the factors that siblings add to pi.

    Args:
        rewards: 0 to 1; ``None`` only if no reward is known on the way to them.
        tau: Temperature of the softmax; ``None`` takes the rewards themselves.
    """
    if tau is None:
        return [_log(1.0 if r is None else r) for r in rewards]
    logits = [(r or 0.0) / tau for r in rewards]
    top = max(logits)
    log_sum = top + math.log(math.fsum(math.exp(x - top) for x in logits))
    return [x - log_sum for x in logits]


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _spent(tokens: int, most: int | None) -> bool:
    return most is not None and tokens >= most
