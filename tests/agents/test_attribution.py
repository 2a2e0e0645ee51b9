"""Whether a passage supports what is claimed with it."""

import pytest

from ponder.agents.attribution import attribute
from ponder.budget import Budget
from ponder.models.scripted import ScriptedModel
from ponder.passages import Citation, Passage
from tests.support.places import paths, place, token

CITATIONS = tuple(
    Citation(claim=claim, passage=Passage(id="a", text="Lyon lies on the Rhone."))
    for claim in ("Lyon lies on the Rhone.", "Lyon lies on the Seine.")
)


async def test_each_citation_is_judged_at_a_place_of_its_own() -> None:
    model = ScriptedModel([token(Yes=-0.1, No=-3.0), token(Yes=-3.0, No=-0.1)])
    context = place(model)

    first, second = await attribute(CITATIONS, context)

    assert (first.supported, second.supported) == (True, False)
    assert first.score == pytest.approx(1 - (second.score or 0))
    assert sorted(paths(context)) == ["here/0", "here/1"]
    assert set(context.shared.roles) == {"verifier"}


async def test_what_cannot_be_read_or_paid_is_not_known_to_be_wrong() -> None:
    unreadable = await attribute(
        CITATIONS[:1], place(ScriptedModel([token(Maybe=-0.1)] * 2))
    )
    unpaid = await attribute(
        CITATIONS, place(ScriptedModel([]), budget=Budget(calls=0))
    )
    assert [c.supported for c in (*unreadable, *unpaid)] == [None] * 3
    assert all(c.score is None for c in (*unreadable, *unpaid))
