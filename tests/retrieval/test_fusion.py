import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import InvalidParameter, RetrievalError
from ponder.passages import Passage
from ponder.retrieval.fusion import Hybrid, reciprocal_rank_fusion
from ponder.retrieval.scripted import ScriptedRetriever

IDS = st.text("abcdef", min_size=1, max_size=1)
RANKINGS = st.lists(st.lists(IDS, unique=True, max_size=6), max_size=5)


def test_the_equation_by_hand() -> None:
    fused = reciprocal_rank_fusion([["a", "b", "c"], ["b", "d"]])
    assert [id for id, _ in fused] == ["b", "a", "d", "c"]
    by_hand = [1 / 62 + 1 / 61, 1 / 61, 1 / 62, 1 / 63]
    assert [score for _, score in fused] == pytest.approx(by_hand)


@given(RANKINGS, st.integers(0, 100))
def test_scores_are_exact_sums(rankings: list[list[str]], k: int) -> None:
    for id, score in reciprocal_rank_fusion(rankings, k):
        exact = sum(Fraction(1, k + r.index(id) + 1) for r in rankings if id in r)
        assert math.isclose(score, float(exact), rel_tol=1e-12)


@given(RANKINGS)
def test_the_order_of_the_rankings_does_not_matter(
    rankings: list[list[str]],
) -> None:
    shuffled = sorted(rankings, reverse=True)
    assert reciprocal_rank_fusion(shuffled) == reciprocal_rank_fusion(rankings)


@given(RANKINGS)
def test_everything_is_there_once_and_the_best_first(rankings: list[list[str]]) -> None:
    fused = reciprocal_rank_fusion(rankings)
    ids = [id for id, _ in fused]
    assert sorted(ids) == sorted({id for ranking in rankings for id in ranking})
    scores = [score for _, score in fused]
    assert scores == sorted(scores, reverse=True)


@given(st.lists(IDS, unique=True), st.integers(1, 4))
def test_rankings_that_agree_stay_as_they_are(ranking: list[str], times: int) -> None:
    fused = reciprocal_rank_fusion([ranking] * times)
    assert [id for id, _ in fused] == ranking


@given(RANKINGS.filter(any), st.data())
def test_a_better_rank_never_hurts(
    rankings: list[list[str]], data: st.DataObject
) -> None:
    which = data.draw(st.sampled_from([i for i, r in enumerate(rankings) if r]))
    id = data.draw(st.sampled_from(rankings[which]))
    first = [id, *(other for other in rankings[which] if other != id)]
    better = [*rankings[:which], first, *rankings[which + 1 :]]

    def place(of: list[list[str]]) -> int:
        return [found for found, _ in reciprocal_rank_fusion(of)].index(id)

    assert place(better) <= place(rankings)


def test_of_a_repeated_id_the_first_counts() -> None:
    assert reciprocal_rank_fusion([["a", "b", "a"]]) == reciprocal_rank_fusion(
        [["a", "b"]]
    )


@pytest.mark.parametrize("k", [-1, math.nan])
def test_a_negative_constant_is_refused(k: float) -> None:
    with pytest.raises(InvalidParameter, match="rank constant"):
        reciprocal_rank_fusion([], k)


def found(*ids: str) -> ScriptedRetriever:
    return ScriptedRetriever([Passage(id=id, text=id) for id in ids], name=ids[0])


async def test_hybrid_fuses_what_it_finds() -> None:
    parts = found("a", "b", "c"), found("b", "d")
    hybrid = Hybrid(parts)
    passages = await hybrid.search("q", 3)
    assert hybrid.name == "a+b"
    assert [(p.id, p.score) for p in passages] == reciprocal_rank_fusion(
        [["a", "b", "c"], ["b", "d"]]
    )[:3]
    assert [part.queries for part in parts] == [["q"], ["q"]]


async def test_hybrid_looks_deeper_than_it_returns() -> None:
    # "both" is first in neither, and best together: k = 1 of each would miss it.
    hybrid = Hybrid([found("x", "both"), found("y", "both")])
    assert [p.id for p in await hybrid.search("q", 1)] == ["both"]
    shallow = Hybrid([found("x", "both"), found("y", "both")], depth=1)
    assert [p.id for p in await shallow.search("q", 1)] == ["x"]


async def test_hybrid_fails_if_one_search_fails() -> None:
    with pytest.raises(RetrievalError):
        await Hybrid([found("a"), found("b")]).search("fail", 1)


@pytest.mark.parametrize(
    "options", [{"retrievers": []}, {"depth": 0}, {"rank_constant": -1.0}]
)
def test_hybrid_names_bad_parameters(options: dict[str, object]) -> None:
    with pytest.raises(InvalidParameter, match="give 1 retriever"):
        Hybrid(**({"retrievers": [found("a")]} | options))  # type: ignore[arg-type]


class Closing(ScriptedRetriever):
    closed = False

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__([])
        self.error = error

    async def aclose(self) -> None:
        self.closed = True
        if self.error:
            raise self.error


async def test_all_are_closed_even_if_one_fails() -> None:
    parts = [Closing(RetrievalError("no")), Closing()]
    with pytest.raises(RetrievalError, match="no"):
        await Hybrid(parts).aclose()
    assert all(part.closed for part in parts)
