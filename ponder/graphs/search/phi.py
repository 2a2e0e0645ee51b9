"""phi-decoding: steps valued by roll-outs, and by how many roll-outs agree."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import Literal, Self

from pydantic import Field, model_validator

from ponder.graphs.search._clusters import alike, clusters, shares
from ponder.graphs.search.levels import Level, LevelPolicy
from ponder.graphs.search.policy import Wish
from ponder.graphs.search.tree import Expansion, Node, Step, Tree


@dataclass
class Foresight(Level):
    """Where the search stands: a step has two levels, its samples and roll-outs."""

    phase: Literal["steps", "roll-outs", "finish"] = "steps"
    """What was asked for last."""
    t: int = 0
    """Steps chosen so far."""
    beams: list[Node] = field(default_factory=list)
    """The steps chosen last; a final one stays until the end."""
    kept: list[Node] = field(default_factory=list)
    """Steps that in-width pruning left, for which roll-outs were asked."""
    values: dict[int, float | None] = field(default_factory=lambda: {0: 0.0})
    """F of the root, which is 0, and of all steps chosen, by id."""
    finished: list[Node] = field(default_factory=list)
    """Roll-outs that finish a beam, as they were told."""
    chosen: Node | None = None
    """The final choice, where the search came to it."""


class PhiPolicy(LevelPolicy[Foresight]):
    """phi-decoding (Xu et al. 2025, https://arxiv.org/abs/2503.13288).

    1. N next steps for each of M beams. In-width pruning drops steps whose mean
       log-probability is below mu - sigma times the standard deviation.
    2. One roll-out to the end for each step left. F is the mean log-probability of its
       tokens, A = F - F of the beam's last step its advantage. The texts of roll-outs
       with A > 0 are clustered; the share of its cluster is a step's alignment.
    3. M steps are drawn without replacement from the mean of softmax(A / tau) and
       softmax(share); from the former alone where fewer than M advantages are above 0,
       as at the first step, where F of the root is 0.
    4. In-depth pruning ends this early. Then each beam is finished by a roll-out, and
       one solution is drawn by softmax(A / tau) from the largest of their clusters.

    Defaults and all that the formulas leave open follow the authors' code (repository
    xufangzhi/phi-Decoding), except: a large cluster ends the foresight only at its own
    step, not later; where no final A is above 0 all solutions are clustered, while the
    code then prefers low advantages; its final choice takes the index of one cluster
    from the other; and identical steps end the foresight from ``t_min`` steps on, as a
    large cluster does, where the code waits for one more, and there also with one beam.

    Not in the paper: a step that ends its solution is its own roll-out, and once
    chosen keeps its place among the M. An unknown log-probability counts as the lowest
    that is known; where none is known, steps are drawn by alignment alone and in-width
    pruning drops none. Roll-outs are finished solutions, so if the search is cut off,
    the final rule is applied to all of them, with F instead of A. Scores do not matter,
    but a solution without one is not chosen where another one has one.
    """

    m: int = Field(default=4, ge=1)
    """M, beams."""
    n: int = Field(default=4, ge=1)
    """N, next steps sampled for each beam."""
    k: int = Field(default=3, ge=1)
    """K, clusters of roll-outs."""
    tau: float = Field(default=0.1, gt=0)
    """tau, temperature of advantages (nats per token)."""
    sigma: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Standard deviations below the mean at which in-width pruning begins."""
    threshold: float = Field(default=0.7, ge=0, le=1)
    """Share of the largest cluster above which in-depth pruning ends the foresight."""
    t_min: int = Field(default=4, ge=1)
    """Least steps before in-depth pruning."""
    t_max: int = Field(default=8, ge=1)
    """Most steps with foresight; beams are finished from there."""
    k_final: int = Field(default=2, ge=1)
    """Clusters of the finished beams."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.t_min > self.t_max:
            raise ValueError(
                f"t_min={self.t_min} steps cannot come before t_max={self.t_max}: "
                f"raise t_max or lower t_min."
            )
        if self.k > self.m * self.n:
            raise ValueError(
                f"k={self.k} clusters need as many roll-outs, but there are at most "
                f"m * n = {self.m * self.n}: lower k, or raise m or n."
            )
        return self

    def memory(self, rng: random.Random) -> Foresight:
        """Return what is known at the root."""
        return Foresight()

    def next_level(self, tree: Tree[Foresight], born: Sequence[Node]) -> Iterable[Wish]:
        """Alternate between steps and their roll-outs, then finish the beams."""
        now = tree.memory
        if now.number == 0:
            return [Wish(tree.root, self.m * self.n)]
        if now.phase == "steps":
            now.phase, now.kept = "roll-outs", self._prune(tree, born)
            live = [node for node in now.kept if not node.final]
            if live:
                return [Wish(node, 1, True) for node in live]
        if now.phase == "roll-outs":
            stop = self._select(tree, born)
            live = [node for node in now.beams if not node.final]
            now.phase = "finish" if stop or not live else "steps"
            if live:
                return [
                    Wish(node, 1, True) if stop else Wish(node, self.n) for node in live
                ]
        if leaves := self.leaves(tree):
            (i,) = draw([weight for _, weight in leaves], 1, tree.rng)
            now.chosen = leaves[i][0]
        return ()

    def learn(
        self, tree: Tree[Foresight], expansion: Expansion, born: Sequence[Node]
    ) -> None:
        """Keep what was born, and apart what finishes a beam."""
        super().learn(tree, expansion, born)
        if tree.memory.phase == "finish":
            tree.memory.finished.extend(born)

    def leaves(self, tree: Tree[Foresight]) -> list[tuple[Node, float]]:
        """Return finished solutions, in order of id, with their share of the choice."""
        pool, values = _solutions(tree)
        texts = [node.step.text for node in pool]
        weights = final_weights(values, texts, self.k_final, self.tau)
        pairs = zip(pool, weights, strict=True)
        return [(node, weight) for node, weight in pairs if weight > 0]

    def best(self, tree: Tree[Foresight]) -> Node | None:
        """Return the solution drawn at the end, else the one of most weight so far."""
        return tree.memory.chosen or super().best(tree)

    def _width(self, tree: Tree[Foresight]) -> int:
        return self.m - sum(node.final for node in tree.memory.beams)

    def _prune(self, tree: Tree[Foresight], born: Sequence[Node]) -> list[Node]:
        means = [mean_logprob(node.step) for node in born]
        kept = in_width(means, self._width(tree), self.sigma, self.tau, tree.rng)
        return [born[i] for i in kept]

    def _select(self, tree: Tree[Foresight], born: Sequence[Node]) -> bool:
        """Choose the next beams; return whether the foresight ends."""
        now = tree.memory
        ends = {node.id: node for node in now.kept if node.final}
        ends |= {node.parent.id: node for node in born if node.parent is not None}
        steps = [node for node in now.kept if node.id in ends]
        value = {node.id: mean_logprob(ends[node.id].step) for node in steps}
        gains = [minus(value[s.id], now.values[_before(s)]) for s in steps]
        texts = [ends[node.id].step.text for node in steps]
        width = self._width(tree)
        weights, top = step_weights(gains, texts, width, self.k, self.tau, tree.rng)
        chosen = [steps[i] for i in draw(weights, width, tree.rng)]
        now.values |= {node.id: value[node.id] for node in chosen}
        now.beams = [node for node in now.beams if node.final] + chosen
        now.t += 1
        early = top > self.threshold or alike([node.step.text for node in chosen])
        return now.t >= self.t_max or (now.t >= self.t_min and early)


def mean_logprob(step: Step) -> float | None:
    """Return F: the mean log-probability (nats) of a step's tokens, if it is known."""
    if step.logprob is None or not math.isfinite(step.logprob) or step.tokens < 1:
        return None
    return step.logprob / step.tokens


def minus(value: float | None, before: float | None) -> float | None:
    """Return the advantage A_t = F_t - F_(t-1), if both are known."""
    return None if value is None or before is None else value - before


def in_width(
    means: Sequence[float | None],
    width: int,
    sigma: float,
    tau: float,
    rng: random.Random,
) -> list[int]:
    """Return which steps to look ahead from, in order.

    A step is dropped if its mean log-probability is below mu - sigma * s, where mu is
    the mean and s the standard deviation (of the population) over all steps.

    Args:
        means: Mean log-probabilities (nats) of the steps.
        width: If fewer are left, so many are: drawn by softmax(mean / tau) from those
            that were dropped.
        sigma: How many standard deviations.
        tau: Temperature of these draws.
        rng: Decides these draws.
    """
    known = lowest(means)
    if known is None or min(known) == max(known):
        return list(range(len(means)))
    limit = fmean(known) - sigma * pstdev(known)
    kept = [i for i, x in enumerate(known) if x >= limit]
    dropped = [i for i, x in enumerate(known) if x < limit]
    weights = softmax([known[i] for i in dropped], tau)
    return sorted(kept + [dropped[i] for i in draw(weights, width - len(kept), rng)])


def step_weights(
    gains: Sequence[float | None],
    texts: Sequence[str],
    width: int,
    k: int,
    tau: float,
    rng: random.Random,
) -> tuple[list[float], float]:
    """Return the distribution that steps are drawn from: (f(A / tau) + f(C)) / 2.

    f is the softmax, C the share of a roll-out's cluster among those clustered, which
    are the ones with A > 0 and a text. Others have weight 0, unless there are fewer
    than ``width`` to cluster: then the distribution is f(A / tau) over all.

    Args:
        gains: A, advantages (nats per token).
        texts: Roll-outs.
        width: How many steps are to be drawn.
        k: Clusters.
        tau: Temperature of the advantages.
        rng: Begins the clustering.

    Returns:
        Weights that sum to 1, and the share of the largest cluster, 0 without one.
    """
    known = lowest(gains)
    able = [i for i, text in enumerate(texts) if text.strip()]
    able = [i for i in able if known is None or known[i] > 0]
    if len(able) < width or not able:
        return softmax(known or [0.0] * len(gains), tau), 0.0
    shared = shares(clusters([texts[i] for i in able], k, rng))
    found = softmax(shared)
    if known is not None:
        ahead = softmax([known[i] for i in able], tau)
        found = [(a + c) / 2 for a, c in zip(ahead, found, strict=True)]
    weights = dict(zip(able, found, strict=True))
    return [weights.get(i, 0.0) for i in range(len(gains))], max(shared)


def final_weights(
    values: Sequence[float | None], texts: Sequence[str], k: int, tau: float
) -> list[float]:
    """Return the distribution that the final solution is drawn from.

    It is softmax(A / tau) over the largest cluster of those with A > 0 and a text, of
    two that are equally large the one with the highest A.

    Args:
        values: A; if none is above 0 all solutions take part.
        texts: Solutions.
        k: Clusters.
        tau: Temperature.
    """
    known = lowest(values) or [0.0] * len(values)
    told = [i for i, text in enumerate(texts) if text.strip()]
    able = [i for i in told if known[i] > 0] or told
    # No draw may depend on how often a caller looks, so the start is always the same.
    labels = clusters([texts[i] for i in able], k, random.Random(0))
    groups: dict[int, list[int]] = {}
    for i, label in zip(able, labels, strict=True):
        groups.setdefault(label, []).append(i)
    every = list(range(len(values)))
    top = max(
        groups.values(),
        key=lambda group: (len(group), max(known[i] for i in group)),
        default=every,
    )
    weights = dict(zip(top, softmax([known[i] for i in top], tau), strict=True))
    return [weights.get(i, 0.0) for i in every]


def softmax(values: Sequence[float], tau: float = 1.0) -> list[float]:
    """Return e^(v / tau) over its sum; no weight is so small that it becomes 0."""
    top = max(values, default=0.0)
    raised = [math.exp(max((value - top) / tau, -700)) for value in values]
    total = math.fsum(raised)
    return [value / total for value in raised]


def draw(weights: Sequence[float], size: int, rng: random.Random) -> list[int]:
    """Draw indices without replacement, one after the other in proportion to weight."""
    left = {i: weight for i, weight in enumerate(weights) if weight > 0}
    drawn: list[int] = []
    while left and len(drawn) < size:
        (i,) = rng.choices(list(left), weights=list(left.values()))
        del left[i]
        drawn.append(i)
    return drawn


def lowest(values: Sequence[float | None]) -> list[float] | None:
    """Put the lowest known value for each unknown one; ``None`` if none is known."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return [min(known) if value is None else value for value in values]


def _before(step: Node) -> int:
    return 0 if step.parent is None else step.parent.id


def _solutions(tree: Tree[Foresight]) -> tuple[list[Node], list[float | None]]:
    """Return the solutions to choose from, in order of id, with their A or F."""
    now = tree.memory
    ended = [node for node in [*now.beams, *now.finished] if node.final]
    ended = ended if now.phase == "finish" else []
    readable = any(node.score is not None for node in tree.finals)
    pool = [n for n in ended if n.score is not None or not readable]
    if pool:
        pool.sort(key=lambda node: node.id)
        # A step that ended is what finishes it, so it gains nothing over itself.
        before = [now.values[n.id if n in now.beams else _before(n)] for n in pool]
        means = [mean_logprob(n.step) for n in pool]
        return pool, [minus(*pair) for pair in zip(means, before, strict=True)]
    pool = [n for n in tree.finals if n.score is not None or not readable]
    pool.sort(key=lambda node: node.id)
    return pool, [mean_logprob(node.step) for node in pool]
