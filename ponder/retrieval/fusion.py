"""Several searches as one: reciprocal-rank fusion."""

import math
from collections.abc import Iterable, Sequence

from ponder.concurrency import settle
from ponder.errors import InvalidParameter
from ponder.passages import Passage, Retriever

RANK_CONSTANT = 60.0
"""k of the paper, which found results to vary little around it."""


def reciprocal_rank_fusion(
    rankings: Iterable[Sequence[str]], k: float = RANK_CONSTANT
) -> list[tuple[str, float]]:
    """Fuse rankings, without regard to the scores behind them.

    RRF(d) is the sum over all rankings that have d of 1 / (k + rank of d), with ranks
    from 1. Cormack, Clarke and Buettcher 2009, https://doi.org/10.1145/1571941.1572114

    Args:
        rankings: Ids, the best first. Of an id that is there twice, the first counts.
        k: How little the very first ranks count more than others, 0 or more.

    Returns:
        Every id with its score, the highest first; of equals the one that stands
        higher in any ranking, then the smaller id. The order of the rankings does
        not matter.

    Raises:
        InvalidParameter: k is below 0.
    """
    if not k >= 0:
        raise InvalidParameter(f"The rank constant is {k}: give 0 or more.")
    ranks: dict[str, list[int]] = {}
    for ranking in rankings:
        for rank, id in enumerate(dict.fromkeys(ranking), start=1):
            ranks.setdefault(id, []).append(rank)
    # An exact sum: the same whichever ranking comes first.
    scores = {id: math.fsum(1 / (k + r) for r in own) for id, own in ranks.items()}
    order = sorted(scores, key=lambda id: (-scores[id], min(ranks[id]), id))
    return [(id, scores[id]) for id in order]


class Hybrid(Retriever):
    """Searches in several ways at once, and fuses what they find."""

    def __init__(
        self,
        retrievers: Sequence[Retriever],
        *,
        rank_constant: float = RANK_CONSTANT,
        depth: int = 100,
        name: str | None = None,
    ) -> None:
        """Combine retrievers of the same corpus: an id is one passage in all of them.

        Args:
            retrievers: One or more; ``aclose`` closes them.
            rank_constant: k of ``reciprocal_rank_fusion``.
            depth: How many passages each is asked for, or more if more are wanted.
            name: By default the names of the retrievers, joined by ``+``.

        Raises:
            InvalidParameter: There is no retriever, or a number is out of its range.
        """
        if not retrievers or depth < 1 or not rank_constant >= 0:
            raise InvalidParameter(
                f"{len(retrievers)} retrievers, depth {depth}, rank constant "
                f"{rank_constant}: give 1 retriever or more, depth >= 1, constant >= 0."
            )
        self.name = name or "+".join(part.name for part in retrievers)
        self.retrievers = tuple(retrievers)
        self.rank_constant, self.depth = rank_constant, depth

    async def search(self, query: str, k: int) -> list[Passage]:
        """Return the passages with the highest fused scores.

        Raises:
            RetrievalError: One of the searches failed: half a result is none.
            InvalidParameter: k is below 1.
        """
        if k < 1:
            raise InvalidParameter(f"k is {k}: ask for 1 passage or more.")
        depth = max(k, self.depth)
        rankings: list[list[Passage]] = []
        for found in await settle([r.search(query, depth) for r in self.retrievers]):
            if isinstance(found, Exception):
                raise found
            rankings.append(found)
        return self._fused(rankings)[:k]

    def _fused(self, rankings: list[list[Passage]]) -> list[Passage]:
        passages: dict[str, Passage] = {}
        for ranking in rankings:
            for passage in ranking:
                passages.setdefault(passage.id, passage)
        ids = ([passage.id for passage in ranking] for ranking in rankings)
        return [
            passages[id].model_copy(update={"score": score})
            for id, score in reciprocal_rank_fusion(ids, self.rank_constant)
        ]

    async def aclose(self) -> None:
        """Close all retrievers, also if closing one of them fails."""
        outcomes = await settle([r.aclose() for r in self.retrievers])
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
