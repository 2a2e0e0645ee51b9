"""How one answer is made of the finished solutions of a search."""

import pytest

from ponder.graphs.choosing import Select, choose
from ponder.result import Candidate, Outcome, StopReason, Verdict


def made(answer: str | None, score: float | None = None) -> Candidate:
    verdict = (
        None if score is None else Verdict(score=score, passed=score == 1, checked=True)
    )
    text = f"It is {answer}."
    return Candidate(id=text, text=text, answer=answer, verdict=verdict)


def chosen(
    pool: list[Candidate],
    weights: list[float],
    select: Select,
    reason: StopReason = StopReason.FINISHED,
) -> Outcome:
    ids = (c.id for c in pool)
    given = dict(zip(ids, weights, strict=True))
    return choose(pool, given, select, "math", reason)


def test_the_best_has_the_most_weight_and_a_vote_sums_it() -> None:
    pool = [made("5", 0.1), made("7", 0.9), made("7.0", 0.2)]
    assert chosen(pool, [0.5, 0.3, 0.3], "best").answer == "5"
    voted = chosen(pool, [0.5, 0.3, 0.3], "vote")
    assert voted.answer == "7"
    assert voted.confidence == pytest.approx(6 / 11)


def test_the_best_is_what_the_policy_ended_with_if_it_has_an_answer() -> None:
    pool = [made("5", 0.9), made("7", 0.2), made(None, 0.4)]
    weights = {c.id: c.verdict.score or 0.0 for c in pool if c.verdict}

    def ended_with(i: int, select: Select = "best") -> str | None:
        reason = StopReason.FINISHED
        return choose(pool, weights, select, "math", reason, pool[i].id).answer

    assert [ended_with(i) for i in range(3)] == ["5", "7", "5"]
    assert ended_with(1, "vote") == "5"


@pytest.mark.parametrize("select", ["best", "vote"])
def test_where_the_search_weighs_nothing_scores_do(select: Select) -> None:
    pool = [made("5", 0.9), made("7", 0.1), made("7.0", 0.1), made(None, 0.95)]
    weights = {pool[-1].id: 1.0}
    found = choose(pool, weights, select, "math", StopReason.FINISHED)
    assert found.answer == "5"


@pytest.mark.parametrize("select", ["best", "vote"])
def test_a_solution_whose_verification_ended_the_search_is_the_outcome(
    select: Select,
) -> None:
    pool = [made("5", 0.0), made("5.0", 0.0), made("7", 1.0)]
    weights = [0.6, 0.3, 0.1]
    found = chosen(pool, weights, select, StopReason.VERIFIED)
    assert (found.answer, found.confidence) == ("7", 1.0)
    assert chosen(pool, weights, select).answer == "5"


def test_without_a_readable_answer_only_what_was_accepted_is_chosen() -> None:
    assert (
        chosen([made(None, 1.0), made("5", 0.0)], [1, 0], "best").text == "It is None."
    )
    assert chosen([made(None, 0.9), made("5", 0.1)], [1, 0], "best").answer == "5"
    assert chosen([made(None, 0.9)], [1], "vote").answer is None


@pytest.mark.parametrize(("checked", "answer"), [(True, None), (False, "5")])
def test_only_a_function_vouches_for_what_cannot_be_read(
    checked: bool, answer: str | None
) -> None:
    verdict = Verdict(score=0.9, passed=True, checked=checked)
    unread = Candidate(id="cut", text="So it is", answer=None, verdict=verdict)
    assert chosen([made("5", 0.6), unread], [0.6, 0.9], "best").answer == answer
