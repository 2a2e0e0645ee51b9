"""RAIN: search ahead, evaluate, rewind; then commit to the step most gone to."""

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from pydantic import Field, model_validator

from ponder.graphs.search.policy import PATIENCE, Policy, Wish
from ponder.graphs.search.tree import Expansion, Node, Tree


@dataclass
class Visits:
    """Attributes of a step."""

    p: float = 1.0
    """Probability among its siblings."""
    n: float = 0.0
    """Visits, with the shares that similar siblings gave."""
    own: int = 0
    """Visits of its own."""
    weight: float = 0.0
    """How much of ``n`` came with a readable evaluation."""
    v: float | None = None
    """Mean evaluation, -1 to 1; unknown before the first one."""
    next: list[Node] = field(default_factory=list)
    """Candidates for the step after it, no two of the same text."""
    asked: int = 0
    """Samples asked for from it."""
    lost: int = 0
    """How often all of them failed."""

    def add(self, s: float | None, weight: float = 1.0) -> None:
        """Count a visit and, if it was evaluated, take s into the mean."""
        self.n += weight
        if s is not None:
            self.v = blend(self.v or 0.0, self.weight, s, weight)
            self.weight += weight


@dataclass
class Rewinding:
    """Where the search stands."""

    base: Node | None = None
    """The last step committed to."""
    visits: dict[int, Visits] = field(default_factory=dict)
    """By the id of the node."""
    growing: Node | None = None
    """What the open samples go on from."""
    born: list[Node] = field(default_factory=list)
    """Told and not taken in yet."""
    ran: int = 0
    """Iterations since the last commitment."""
    limit: int = 0
    """Most iterations until the next one."""
    over: bool = False


class RainPolicy(Policy[Rewinding]):
    """RAIN at step level (Li et al. 2023, https://arxiv.org/abs/2309.07124).

    Inner loop: from the last commitment go down to a leaf by the largest
    v + c p sqrt(sum n) / (1 + n), sample q candidates after it, take its evaluation
    into the means v of all on the way, rewind. Outer loop: after T iterations, or as
    soon as the step gone to most has more than T_m visits and v > V_t, commit to that
    step; what is committed stays. The search ends when a finished solution is
    committed to.

    c = 2 and gamma = 0.2 are the paper's; other numbers are from the authors' code
    (SafeAILab/RAIN, experiments on HH), and so are the uniform share of p, v scaled to
    0..1 for the choice and 0 while unvisited, and the commitment to the most visits
    (the paper calls their shares probabilities of the next step).

    Deviations, all due to steps in place of sets of 1 to 10 tokens: a step is scored
    when it is born, and its evaluation counts from its first visit on; the paper's
    embeddings are not available, so ``gamma`` is 0 and, where it is set, similarity is
    the cosine of the word counts of two steps; a candidate is added where all values
    are low, whatever the variance of embeddings.

    Steps without a score count as visits and leave v as it is; in the choice they are
    as good as their worst sibling, and they are committed to only if no candidate has a
    value. Without log-probabilities all candidates have the same p.
    """

    c: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    """Weight of exploration."""
    q: int = Field(default=10, ge=1)
    """Candidates sampled after a leaf."""
    q_max: int = Field(default=20, ge=1)
    """Samples taken after one step at most, additions included."""
    v_add: float = Field(default=0.0, ge=-1, le=1)
    """If all candidates were visited and all have v below this, one is added."""
    t: int = Field(default=50, ge=1)
    """T, iterations before a commitment at most, visits inherited included."""
    t_more: int = Field(default=15, ge=1)
    """New iterations that are allowed however many visits are inherited."""
    t_min: int = Field(default=6, ge=0)
    """T_m: an early commitment needs more visits than this."""
    v_t: float = Field(default=0.8, ge=-1, le=1)
    """V_t: an early commitment needs a larger v than this, on the scale -1 to 1."""
    epsilon: float = Field(default=0.25, ge=0, le=1)
    """Share of the uniform distribution in p, right after the last commitment."""
    gamma: float = Field(default=0.0, ge=0, le=1)
    """Weight of an evaluation for similar siblings; 0.2 in the paper."""
    similar: float = Field(default=0.95, ge=0, le=1)
    """Similarity above which siblings share evaluations."""
    per_token: bool = False
    """Deviation: take p from the mean log-probability of a token, so that long steps
    are not held back. The paper's sets of one level have the same length."""
    depth: int = Field(default=16, ge=1)
    """Most steps of a solution."""

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.q_max < self.q:
            raise ValueError(
                f"q={self.q} candidates are more than q_max={self.q_max} samples: take "
                f"q_max >= q."
            )
        return self

    def memory(self, rng: random.Random) -> Rewinding:
        """Return a search without commitment."""
        return Rewinding()

    def plan(self, tree: Tree[Rewinding]) -> Iterable[Wish]:
        """Iterate until an iteration needs samples."""
        memory = tree.memory
        if tree.open:
            return ()
        base = memory.base
        if base is None:
            base = tree.root
            self._commit(memory, base)
        self._take_in(memory)
        while not memory.over:
            if memory.ran and self._ready(memory, base):
                base = self._choice(memory, base)
                self._commit(memory, base)
            elif wish := self._iterate(memory, base):
                memory.growing = wish.node
                memory.visits[wish.node.id].asked += wish.n
                return [wish]
        return ()

    def learn(
        self, tree: Tree[Rewinding], expansion: Expansion, born: Sequence[Node]
    ) -> None:
        """Keep the candidates until all of them are told."""
        tree.memory.born.extend(born)

    def best(self, tree: Tree[Rewinding]) -> Node | None:
        """Return the solution committed to, else the finished one of highest score.

        Those below what is committed come first. A commitment without a score gives way
        to a solution that has one.
        """
        base, leaves = tree.memory.base, self.leaves(tree)
        if base is not None and base.final and not leaves:
            return base
        below = [leaf for leaf in leaves if base in leaf[0].path()]
        return max(below, key=lambda leaf: leaf[1])[0] if below else super().best(tree)

    # -- inner loop ------------------------------------------------------------------

    def _iterate(self, memory: Rewinding, base: Node) -> Wish | None:
        """Go down, evaluate and rewind; return what to sample, if anything."""
        node = base
        while here := memory.visits[node.id].next:
            if self._poor(memory, node):
                return Wish(node)
            node = self._select(memory, node, here, node is base)
        memory.ran += 1
        self._update(memory, base, node)
        if not self._ends(node) and memory.visits[node.id].asked == 0:
            return Wish(node, self.q)
        memory.over = node is base
        return None

    def _select(
        self, memory: Rewinding, node: Node, here: list[Node], mixed: bool
    ) -> Node:
        seen = [memory.visits[child.id] for child in here]
        total = math.fsum(visits.n for visits in seen)
        low = min((scaled(x.v) for x in seen if x.v is not None), default=0.0)
        uniform = (self.epsilon if mixed else 0.0) / len(here)
        keep = 1 - self.epsilon if mixed else 1.0

        def key(at: int) -> tuple[float, float, int]:
            x = seen[at]
            p = keep * x.p + uniform
            value = scaled(x.v) if x.v is not None else low if x.own else 0.0
            return value + self.c * exploration(p, x.n, total), p, -at

        return here[max(range(len(here)), key=key)]

    def _update(self, memory: Rewinding, base: Node, leaf: Node) -> None:
        s = None if leaf.score is None else evaluation(leaf.score)
        node = leaf
        memory.visits[node.id].own += 1
        memory.visits[node.id].add(s)
        while node is not base and node.parent is not None:
            self._share(memory, node, s)
            node = node.parent
            memory.visits[node.id].own += 1
            memory.visits[node.id].add(s)

    def _share(self, memory: Rewinding, node: Node, s: float | None) -> None:
        """Give siblings that say nearly the same a part of the evaluation."""
        if self.gamma == 0 or s is None or node.parent is None:
            return
        for sibling in memory.visits[node.parent.id].next:
            visits = memory.visits[sibling.id]
            if sibling is node or not visits.own:
                continue
            alike = similarity(node.step.text, sibling.step.text)
            if alike > self.similar:
                visits.add(s, self.gamma * alike)

    def _poor(self, memory: Rewinding, node: Node) -> bool:
        here = memory.visits[node.id]
        seen = [memory.visits[child.id] for child in here.next]
        values = [x.v for x in seen if x.v is not None]
        if here.asked >= self.q_max or not values or not all(x.own for x in seen):
            return False
        return max(values) < self.v_add

    def _take_in(self, memory: Rewinding) -> None:
        if memory.growing is None:
            return
        here = memory.visits[memory.growing.id]
        if not memory.born and not here.next:
            here.lost += 1
            here.asked = 0 if here.lost < PATIENCE else here.asked
        texts = {child.step.text for child in here.next}
        for node in sorted(memory.born, key=lambda node: node.id):
            # A step without a text cannot be told from others, so it counts as new.
            if not node.step.text or node.step.text not in texts:
                texts.add(node.step.text)
                here.next.append(node)
                memory.visits[node.id] = Visits()
        steps = [child.step for child in here.next]
        lengths = [s.tokens if self.per_token else 1 for s in steps]
        for child, p in zip(
            here.next, priors([s.logprob for s in steps], lengths), strict=True
        ):
            memory.visits[child.id].p = p
        memory.growing, memory.born = None, []

    # -- outer loop ------------------------------------------------------------------

    def _ready(self, memory: Rewinding, base: Node) -> bool:
        if not memory.visits[base.id].next:
            return False
        most = memory.visits[self._choice(memory, base).id]
        early = most.own > self.t_min and most.v is not None and most.v > self.v_t
        return early or memory.ran >= memory.limit

    def _choice(self, memory: Rewinding, base: Node) -> Node:
        def key(node: Node) -> tuple[bool, float, float, int]:
            x = memory.visits[node.id]
            return x.v is not None, x.n, x.v or 0.0, -node.id

        return max(memory.visits[base.id].next, key=key)

    def _commit(self, memory: Rewinding, node: Node) -> None:
        inherited = memory.visits.setdefault(node.id, Visits()).own
        memory.base, memory.ran = node, 0
        memory.limit = max(self.t - inherited, self.t_more)
        memory.over = self._ends(node)

    def _ends(self, node: Node) -> bool:
        return node.final or node.depth >= self.depth


def exploration(p: float, n: float, total: float) -> float:
    """Return u = p sqrt(total) / (1 + n).

    Args:
        p: Probability of the candidate.
        n: Visits of it.
        total: Visits of all candidates.
    """
    return p * math.sqrt(total) / (1 + n)


def evaluation(score: float) -> float:
    """Return s, the self-evaluation from -1 to 1, of a score from 0 to 1."""
    return 2 * score - 1


def scaled(v: float) -> float:
    """Return a value from -1 to 1 on the scale 0 to 1 on which c is chosen."""
    return (v + 1) / 2


def blend(v: float, n: float, s: float, weight: float) -> float:
    """Return the mean after an evaluation: (v n + weight s) / (n + weight).

    With weight 1 it is the update on the path, with weight gamma times similarity that
    of a similar sibling.
    """
    return (v * n + weight * s) / (n + weight)


def priors(logprobs: Sequence[float | None], lengths: Sequence[int]) -> list[float]:
    """Return p of each candidate: its probability over that of all candidates.

    Args:
        logprobs: Nats. Where one is unknown all candidates get the same p.
        lengths: What to divide each by: 1, or its number of tokens.
    """
    known = [
        x / max(length, 1)
        for x, length in zip(logprobs, lengths, strict=True)
        if x is not None
    ]
    if len(known) < len(logprobs):
        return [1 / len(logprobs)] * len(logprobs)
    if not known:
        return []
    weights = [math.exp(x - max(known)) for x in known]
    mass = math.fsum(weights)
    return [w / mass for w in weights]


def similarity(one: str, other: str) -> float:
    """Return the cosine of the word counts of two texts, 0 to 1."""
    a, b = Counter(one.split()), Counter(other.split())
    product = sum(count * b[word] for word, count in a.items())
    norm = math.sqrt(sum(x * x for x in a.values()) * sum(x * x for x in b.values()))
    return product / norm if norm else 0.0
