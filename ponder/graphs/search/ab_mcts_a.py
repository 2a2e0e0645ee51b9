"""AB-MCTS-A: at each node go wider or deeper, by posteriors of aggregated nodes."""

import random
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ponder.graphs.search.policy import Policy, Wish
from ponder.graphs.search.tree import Expansion, Node, Tree

Floats = NDArray[np.float64]
GEN, CONT = 0, 1
"""Columns of a node's ``Sums`` in AB-MCTS-A; its children follow."""
MANY = 1000
"""Children from which on it pays not to turn all random numbers into draws."""


class Sums:
    """Number, sum and sum of squares of the scores of a growing row of arms."""

    def __init__(self, size: int = 0) -> None:
        """Start with arms that have no scores."""
        self.size = size
        self._data: Floats = np.zeros((3, max(4, size)))

    def append(self) -> int:
        """Add an arm without scores, and return its place."""
        if self.size == self._data.shape[1]:
            self._data = np.hstack([self._data, np.zeros_like(self._data)])
        self.size += 1
        return self.size - 1

    def add(self, place: int, score: float) -> None:
        """Take in a score of an arm."""
        data = self._data
        data[0, place] += 1.0
        data[1, place] += score
        data[2, place] += score * score

    def of(self, first: int = 0, last: int | None = None) -> tuple[Floats, ...]:
        """Return numbers, sums and sums of squares of some arms, by default of all."""
        n, s, q = self._data[:, first : self.size if last is None else last]
        return n, s, q


@dataclass(slots=True)
class Arms:
    """What is known at a node: of new answers, and of its children as arms."""

    sums: Sums
    nodes: list[Node] = field(default_factory=list)
    """Children in the order of their places."""


@dataclass
class Beliefs:
    """The memory of AB-MCTS."""

    rng: np.random.Generator
    arms: dict[int, Arms] = field(default_factory=dict)
    """By the id of the node."""
    places: dict[int, int] = field(default_factory=dict)
    """By the id of a child: its place among the arms of its parent."""
    told: list[tuple[Expansion, list[Node]]] = field(default_factory=list)
    """Not learned from yet."""
    failed: int = 0
    """Samples in a row that failed."""


B = TypeVar("B", bound=Beliefs)


class AbMctsPolicy(Policy[B], Generic[B]):
    """What both variants of AB-MCTS share (https://arxiv.org/abs/2503.04412).

    Nodes are whole answers. A child of the root is a fresh answer, a child of another
    node refines it. Each turn goes down from the root, at every node either to a child,
    to refine something below it, or to GEN, which asks for a new child: the number of
    children is not fixed. A child that is final or has no score is never entered.

    Thompson sampling spreads a batch by itself; what is open is not looked at.
    """

    patience: int = Field(default=16, ge=1)
    """Not in the paper: samples that may fail in a row before the search ends."""

    def memory(self, rng: random.Random) -> B:
        """Return beliefs without any score."""
        return cast(B, Beliefs(np.random.default_rng(rng.getrandbits(64))))

    @abstractmethod
    def choose(self, memory: B, node: Node) -> Node | None:
        """Return the child to go down to, or ``None`` for GEN."""

    @abstractmethod
    def observe(self, memory: B, born: Node, score: float) -> None:
        """Take in the score of a new node at all its ancestors."""

    def plan(self, tree: Tree[B]) -> Iterable[Wish]:
        """Learn from what was told, then go down to where to sample."""
        memory = tree.memory
        # Sums of floats depend on their order, so answers are taken in order of id.
        for expansion, born in sorted(memory.told, key=lambda one: one[0].first):
            memory.failed = 0 if born else memory.failed + expansion.n
            for child in born:
                if child.score is not None:
                    self.observe(memory, child, child.score)
        memory.told.clear()
        if memory.failed >= self.patience:
            return ()
        node = tree.root
        while (deeper := self.choose(memory, node)) is not None:
            node = deeper
        return [Wish(node)]

    def learn(self, tree: Tree[B], expansion: Expansion, born: Sequence[Node]) -> None:
        """Keep the answers for the next plan."""
        tree.memory.told.append((expansion, list(born)))

    def leaves(self, tree: Tree[B]) -> list[tuple[Node, float]]:
        """Return all answers that have a score, in order of id, with it as weight."""
        nodes = (tree.nodes[id] for id in sorted(tree.nodes))
        return [(node, node.score) for node in nodes if node.score is not None]


class AbMctsAPolicy(AbMctsPolicy[Beliefs]):
    """Adaptive branching MCTS with node aggregation (AB-MCTS-A).

    A node holds posteriors of GEN, of CONT, which stands for all its children, and of
    each child. GEN and CONT are compared by one draw each; after CONT, the children by
    one draw each. The score of a new node is an observation of GEN at its parent and of
    itself as an arm; at each node above, of CONT and of the child on the way. Draws are
    of the mean score, as in the authors' code (treequest 0.3.3, Apache-2.0), from which
    the defaults are too.
    """

    dist: Literal["gaussian", "beta"] = "gaussian"
    """Model of the scores: normal with unknown mean and variance, or Bernoulli."""
    m: float = Field(default=0.0, allow_inf_nan=False)
    """m, prior mean of the mean (gaussian)."""
    kappa: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """kappa, observations that the prior mean counts for (gaussian)."""
    nu: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """nu, observations that the prior variance counts for (gaussian)."""
    tau2: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    """tau^2, prior variance (gaussian)."""
    a: float = Field(default=0.5, gt=0, allow_inf_nan=False)
    """a of the prior (beta); 1/2 and 1/2 are Jeffreys' prior."""
    b: float = Field(default=0.5, gt=0, allow_inf_nan=False)
    """b of the prior (beta)."""

    def choose(self, memory: Beliefs, node: Node) -> Node | None:
        """Draw for GEN and CONT, and after CONT for each child."""
        arms = memory.arms.get(node.id)
        if arms is None or not arms.nodes:
            return None
        gen, cont = self.draw(memory.rng, *arms.sums.of(GEN, CONT + 1))
        if gen >= cont:
            return None
        n, s, q = arms.sums.of(CONT + 1)
        if self.dist == "gaussian" and n.size > MANY:
            return arms.nodes[largest(memory.rng, *self.student(n, s, q))]
        return arms.nodes[int(self.draw(memory.rng, n, s, q).argmax())]

    def observe(self, memory: Beliefs, born: Node, score: float) -> None:
        """Add the score to GEN at the parent, to CONT and the way above it."""
        assert born.parent is not None
        parent = born.parent
        arms = memory.arms.setdefault(parent.id, Arms(Sums(2)))
        arms.sums.add(GEN, score)
        if not born.final:
            place = memory.places[born.id] = arms.sums.append()
            arms.sums.add(place, score)
            arms.nodes.append(born)
        while parent.parent is not None:
            above = memory.arms[parent.parent.id].sums
            above.add(CONT, score)
            above.add(memory.places[parent.id], score)
            parent = parent.parent

    def draw(self, rng: np.random.Generator, n: Floats, s: Floats, q: Floats) -> Floats:
        """Return one draw of the mean score of each arm.

        Args:
            rng: Source of randomness.
            n: Number of scores of each arm, shape (arms,).
            s: Their sums.
            q: Sums of their squares.
        """
        if self.dist == "beta":
            return rng.beta(*beta(n, s, self.a, self.b))
        mean, scale, nu = self.student(n, s, q)
        return mean + scale * rng.standard_t(nu)

    def student(self, n: Floats, s: Floats, q: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the posteriors of the mean scores: mean + scale t_nu.

        It is sigma^2 ~ Inv-chi^2(nu_n, tau2_n), mu ~ N(m_n, sigma^2 / kappa_n), with
        sigma integrated out.
        """
        prior = (self.m, self.kappa, self.nu, self.tau2)
        mean, kappa, nu, tau2 = gaussian(n, s, q, *prior)
        return mean, np.sqrt(tau2 / kappa), nu


def gaussian(
    n: Floats, s: Floats, q: Floats, m: float, kappa: float, nu: float, tau2: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the posteriors under a normal-inverse-chi-squared prior.

    kappa_n = kappa + n, nu_n = nu + n, m_n = (kappa m + s) / kappa_n and
    nu_n tau2_n = nu tau2 + sum (x - mean)^2 + n kappa (m - mean)^2 / kappa_n (Murphy
    2023, Probabilistic Machine Learning: Advanced Topics, 3.4.3.3); the two last terms
    are q + kappa m^2 - kappa_n m_n^2.

    Args:
        n: Number of scores of each arm, shape (arms,).
        s: Their sums.
        q: Sums of their squares.
        m: Prior mean.
        kappa: What the prior mean counts for.
        nu: What the prior variance counts for.
        tau2: Prior variance.

    Returns:
        m_n, kappa_n, nu_n and tau2_n, each of shape (arms,).
    """
    kappa_n, nu_n = kappa + n, nu + n
    m_n = (kappa * m + s) / kappa_n
    spread = np.maximum(q + kappa * m * m - kappa_n * m_n * m_n, 0.0)
    return m_n, kappa_n, nu_n, (nu * tau2 + spread) / nu_n


def largest(rng: np.random.Generator, mean: Floats, scale: Floats, nu: Floats) -> int:
    """Return which arm has the largest of the draws mean + scale t_nu.

    A draw of t is costly, so a uniform number u stands for each, and only those are
    turned into draws that can win: if u is below the share of the heaviest, widest and
    highest distribution that lies under a draw known already, it cannot.

    Args:
        rng: Source of randomness.
        mean: Location of each arm, shape (arms,).
        scale: Scale of each arm.
        nu: Degrees of freedom of each arm.
    """
    from scipy.special import stdtr, stdtrit

    def drawn(at: NDArray[np.intp]) -> Floats:
        return np.asarray(mean[at] + scale[at] * stdtrit(nu[at], u[at]))

    u = rng.random(mean.size)
    known = drawn(np.flatnonzero(u >= min(1 - 32 / u.size, u.max()))).max()
    z = (known - mean.max()) / scale.max()
    # The margin is for rounding: the known draw itself must stay.
    cut = stdtr(nu.min(), z) - 1e-9 if z > 0 else 0.0
    left = np.flatnonzero(u >= cut)
    return int(left[drawn(left).argmax()])


def beta(n: Floats, s: Floats, a: float, b: float) -> tuple[Floats, Floats]:
    """Return a + sum of x and b + sum of (1 - x), the posteriors of a Beta prior.

    Args:
        n: Number of scores of each arm, shape (arms,); a score between 0 and 1 counts
            as that share of a success.
        s: Their sums.
        a: Prior successes.
        b: Prior failures.
    """
    return a + s, b + np.maximum(n - s, 0.0)
