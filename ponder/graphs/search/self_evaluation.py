"""Stochastic beam search over steps, guided by the model's own evaluation."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import Field

from ponder.graphs.search.levels import Level, LevelPolicy, merged
from ponder.graphs.search.policy import Wish
from ponder.graphs.search.tree import Expansion, Node, Step, Tree

COLD = 5e-3
"""Below this temperature the authors' code takes the best k instead of drawing."""


class Chain(NamedTuple):
    """The scores of the steps up to a node, those that are known."""

    log_product: float = 0.0
    """Sum of the logarithms of their scores."""
    known: int = 0
    """How many they are."""

    def then(self, step: Step, lam: float) -> "Chain":
        """Return the chain with one more step; one of unknown score changes nothing."""
        score = step_score(step.score, step.logprob, step.tokens, lam)
        if score is None:
            return self
        log_score = math.log(score) if score > 0 else -math.inf
        return Chain(self.log_product + log_score, self.known + 1)

    @property
    def score(self) -> float:
        """E, the geometric mean; 0 if nothing is known."""
        return math.exp(self.log_product / self.known) if self.known else 0.0


@dataclass
class Beams(Level):
    """Where the beam search stands."""

    beams: list[Node] = field(default_factory=list)
    """Drawn at the last level, finished ones too."""
    chains: dict[int, "Chain"] = field(default_factory=dict)
    """What is known of the steps up to each node, by id."""


class SelfEvaluationPolicy(LevelPolicy[Beams]):
    """Self-evaluation guided beam search (Xie et al. 2023).

    https://arxiv.org/abs/2305.00633. From each of k beams n next steps are sampled.
    A step scores C^lambda P^(1 - lambda): C, the step's score, is the probability of
    the choice "correct" when the model is asked about it; P is its probability per
    token. A chain scores the geometric mean E of its steps. Of all chains, and the
    finished beams with them, k are drawn without replacement with probabilities
    proportional to exp(E / tau_t), tau_t = tau alpha^t. The search ends when all that
    were drawn are finished.

    Defaults are those of the authors' code (YuxiXie/SelfEval-Guided-Decoding) for
    GSM8K. Its additional rejection of low scores and its weighting against the
    probabilities of the samples are left out.

    Without log-probabilities a step scores C (lambda = 1). A step without C is left
    out of the mean, and its chain is drawn only after all chains that end in a step
    with C. Finished chains that are in no beam any more are no answer, unless there is
    no other.
    """

    k: int = Field(default=5, ge=1)
    """k, beams."""
    n: int = Field(default=16, ge=1)
    """n, steps sampled from each beam."""
    lam: float = Field(default=0.5, ge=0, le=1)
    """lambda: 1 trusts the self-evaluation alone, 0 the probability alone."""
    tau: float = Field(default=0.5, ge=0)
    """tau, temperature of the draw; 0 always takes the best k."""
    alpha: float = Field(default=1.0, ge=0, le=1)
    """alpha, decay of tau per step; 1 keeps it. The code for StrategyQA has 0.5."""
    depth: int = Field(default=16, ge=1)
    """Most steps of a chain."""

    def memory(self, rng: random.Random) -> Beams:
        """Return no beams yet."""
        return Beams(chains={0: Chain()})

    def next_level(self, tree: Tree[Beams], born: Sequence[Node]) -> Iterable[Wish]:
        """Draw the beams and expand those that are not finished."""
        memory = tree.memory
        if memory.number == 0:
            memory.beams = [tree.root]
        else:
            done = [node for node in memory.beams if node.final]
            memory.beams = self._draw(tree, merged(born) + done)
        live = [node for node in memory.beams if not node.final]
        n = samples(self.n, self.k, len(memory.beams))
        return [Wish(node, n) for node in live if node.depth < self.depth]

    def learn(
        self, tree: Tree[Beams], expansion: Expansion, born: Sequence[Node]
    ) -> None:
        """Keep what was born, and score the chains."""
        super().learn(tree, expansion, born)
        chains = tree.memory.chains
        for node in born:
            chain = chains[expansion.node.id]
            chains[node.id] = chain.then(node.step, self.lam)

    def leaves(self, tree: Tree[Beams]) -> list[tuple[Node, float]]:
        """Return the finished beams with their scores E as weights.

        Where none of the beams is finished, all finished chains.
        """
        beams, chains = set(tree.memory.beams), tree.memory.chains
        known = [node for node, _ in super().leaves(tree)]
        kept = [node for node in known if node in beams] or known
        return [(node, chains[node.id].score) for node in kept]

    def _draw(self, tree: Tree[Beams], nodes: Sequence[Node]) -> list[Node]:
        ordered = sorted(nodes, key=lambda node: node.id)
        tau = temperature(self.tau, self.alpha, tree.memory.number - 1)
        scored = [node for node in ordered if _known(node, tree.memory.chains)]
        others = [node for node in ordered if not _known(node, tree.memory.chains)]
        drawn: list[Node] = []
        for group in (scored, others):
            scores = [tree.memory.chains[node.id].score for node in group]
            chosen = draw(scores, self.k - len(drawn), tau, tree.rng)
            drawn.extend(group[i] for i in chosen)
        return drawn


def step_score(
    c: float | None, logprob: float | None, tokens: int, lam: float
) -> float | None:
    """Return C^lambda P^(1 - lambda), with P = exp(logprob / tokens).

    Args:
        c: C, probability that the step is right, 0 to 1; ``None``, where it could not
            be read, leaves the score unknown, but for lambda = 0, which needs no C.
        logprob: Sum of the log-probabilities (nats) of its tokens; ``None``, where
            the model gives none, makes lambda 1.
        tokens: How many tokens it has.
        lam: lambda, 0 to 1.
    """
    if logprob is None:
        return c
    p = math.exp(logprob / max(tokens, 1))
    if c is None:
        return p if lam == 0 else None
    return float(c**lam * p ** (1 - lam))


def temperature(tau: float, alpha: float, t: int) -> float:
    """Return tau alpha^t, the temperature of the draw after step t, from 0."""
    return tau * alpha**t


def draw(scores: Sequence[float], k: int, tau: float, rng: random.Random) -> list[int]:
    """Return k indices, drawn one by one with probabilities prop. to exp(score / tau).

    The k largest of score / tau plus Gumbel noise are such a draw without replacement
    (Kool et al. 2019, https://arxiv.org/abs/1903.06059), and no weight underflows.

    Args:
        scores: E of the candidates.
        k: How many to draw; all if there are fewer.
        tau: Temperature; the best are taken if it is below 0.005.
        rng: Where the noise comes from.
    """
    if tau < COLD:
        keys = list(scores)
    else:
        keys = [score / tau + _gumbel(rng) for score in scores]
    order = sorted(range(len(scores)), key=lambda i: (-keys[i], i))
    return order[: max(k, 0)]


def _known(node: Node, chains: Mapping[int, Chain]) -> bool:
    """Whether the score of the last step is known."""
    parent = chains[node.parent.id] if node.parent else Chain()
    return chains[node.id].known > parent.known


def samples(n: int, k: int, beams: int) -> int:
    """Return how many steps to sample from a beam.

    n, unless that would give no more candidates in all than there are beams to draw:
    then, as in the authors' code, enough for about two candidates for a beam.

    Args:
        n: Steps asked for.
        k: Beams to draw.
        beams: Beams there are now, finished ones included.
    """
    return n if n * beams > k else 2 * k // beams


def _gumbel(rng: random.Random) -> float:
    return -math.log(max(rng.expovariate(1.0), 1e-300))
