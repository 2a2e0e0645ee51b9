"""Beam search with N beams of width M, as in the study of test-time compute."""

from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import Field, model_validator

from ponder.graphs.search.beam import top
from ponder.graphs.search.levels import Level, LevelPolicy
from ponder.graphs.search.policy import Wish
from ponder.graphs.search.tree import Node, Tree


class WidthBeamPolicy(LevelPolicy[Level]):
    """Beam search (Snell et al. 2024, https://arxiv.org/abs/2408.03314, section 5.2).

    N first steps are sampled; the N/M of highest score are kept and M next steps are
    sampled from each, which makes N candidates again; and so on. The search ends with N
    solutions, the answer is that of best-of-N weighted by the score of the last step.

    The paper does not say what becomes of a solution that ends before the others. Here
    it leaves and counts as one of the N, and the others share what is left of N in the
    same proportion, so that N solutions result.
    """

    n: int = Field(default=16, ge=1)
    """N, beams: candidates of a level, and solutions in the end (4 to 256 in the
    paper)."""
    m: int = Field(default=4, ge=1)
    """M, beam width: next steps sampled for each that is kept (4, or the root of N)."""
    rounds: int = Field(default=40, ge=1)
    """Most rounds of expansion, the first included: most steps of a solution."""

    @model_validator(mode="after")
    def _whole_share(self) -> Self:
        if self.n % self.m:
            raise ValueError(
                f"The N/M best are kept, so n has to be a multiple of m, not n={self.n}"
                f" and m={self.m}; take n={-(-self.n // self.m) * self.m}."
            )
        return self

    def next_level(self, tree: Tree[Level], born: Sequence[Node]) -> Iterable[Wish]:
        """Keep the best and sample from each."""
        if tree.memory.number == 0:
            return [Wish(tree.root, self.n)]
        if tree.memory.number >= self.rounds:
            return ()
        live = [node for node in born if not node.final]
        shares = widths(self.n - len(tree.finals), self.m)
        kept = top(live, len(shares))
        return [Wish(node, w) for node, w in zip(kept, shares, strict=False)]


def widths(places: int, m: int) -> list[int]:
    """Return how many steps to sample from each that is kept, the best first.

    That is M for each of N/M, as long as nothing has ended; afterwards the last one
    gets the remainder, so that the sum is still ``places``.

    Args:
        places: Candidates of the next level: N less the finished solutions.
        m: M.
    """
    whole, rest = divmod(max(places, 0), m)
    return [m] * whole + [rest] * (rest > 0)
