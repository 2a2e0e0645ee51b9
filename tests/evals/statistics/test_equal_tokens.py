import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import InvalidParameter
from ponder.evals.statistics.equal_tokens import Draw, at_equal_tokens, vote
from ponder.graphs.self_consistency import majority
from ponder.result import Candidate, StopReason

answers = st.none() | st.sampled_from(["1", "1.0", "2", "$2$", "3"])
draws = st.builds(Draw, answers, st.integers(1, 50))


def right(problem: str, answer: str | None) -> float:
    return float(answer == "1")


def bank_of(*answers: str, tokens: int = 10) -> list[Draw]:
    return [Draw(answer, tokens) for answer in answers]


@given(st.lists(draws, max_size=8))
def test_votes_as_self_consistency_does(drawn: list[Draw]) -> None:
    pool = [
        Candidate(id=str(i), text="", answer=draw.answer)
        for i, draw in enumerate(drawn)
    ]
    assert vote(drawn) == majority(pool, "math", StopReason.FINISHED).answer


def test_equality_decides_the_groups() -> None:
    drawn = bank_of("2", "0.5", "1/2")
    assert vote(drawn) == "0.5"
    assert vote(drawn, "exact") == "2"


def test_a_whole_number_of_samples() -> None:
    bank = {"a": bank_of("1", "2", "2"), "b": bank_of("2", "1", "1")}
    found = at_equal_tokens(bank, 30, right)
    assert found.values == {"a": 0.0, "b": 1.0}
    assert (found.samples, found.tokens, found.enough) == (3, 30, True)


def test_a_mixture_by_hand() -> None:
    # T(2) = 20 and T(3) = 30: 23 tokens are 2.3 samples. With two samples the tie goes
    # to the first.
    bank = {"a": bank_of("1", "2", "2"), "b": bank_of("2", "1", "1")}
    found = at_equal_tokens(bank, 23, right)
    assert found.values == pytest.approx({"a": 0.7, "b": 0.3})
    assert found.samples == pytest.approx(2.3)
    assert found.tokens == pytest.approx(23)
    assert found.enough


def test_tokens_are_a_mean_over_problems() -> None:
    bank = {
        "long": bank_of("1", "1", "1", tokens=90),
        "short": bank_of("1", "1", "1", tokens=10),
    }
    assert at_equal_tokens(bank, 100, right).samples == 2


def test_one_sample_at_least() -> None:
    bank = {"a": bank_of("1", "2"), "b": bank_of("2", "2")}
    found = at_equal_tokens(bank, 3, right)
    assert found.values == {"a": 1.0, "b": 0.0}
    assert (found.samples, found.tokens, found.enough) == (1, 10, True)


def test_too_small_a_bank_is_used_whole_and_said() -> None:
    bank = {"a": bank_of("2", "1", "1"), "b": bank_of("1")}
    found = at_equal_tokens(bank, 11, right)
    assert found.values == {"a": 1.0, "b": 1.0}
    assert (found.samples, found.tokens, found.enough) == (2, 10, False)


def test_the_last_draws_may_be_used_up() -> None:
    found = at_equal_tokens({"a": bank_of("2", "1", "1")}, 30, right)
    assert (found.values, found.enough) == ({"a": 1.0}, True)


def test_unreadable_draws_cost_but_do_not_vote() -> None:
    bank = {"a": [Draw(None, 10), Draw("1", 10)]}
    asked: list[str | None] = []

    def correct(problem: str, answer: str | None) -> float:
        asked.append(answer)
        return right(problem, answer)

    assert at_equal_tokens(bank, 15, correct).values == {"a": 0.5}
    assert asked == [None, "1"]


banks = st.dictionaries(
    st.sampled_from("abcd"), st.lists(draws, min_size=1, max_size=6), min_size=1
)


@given(banks, st.floats(0, 400))
def test_spends_the_target_if_it_can(
    bank: dict[str, list[Draw]], target: float
) -> None:
    found = at_equal_tokens(bank, target, right)
    first = sum(drawn[0].tokens for drawn in bank.values()) / len(bank)
    if found.enough:
        assert found.tokens == pytest.approx(max(target, first))
    assert found.values.keys() == bank.keys()
    assert all(0 <= value <= 1 for value in found.values.values())
    assert found.samples >= 1


@given(banks, st.floats(0, 200), st.floats(0, 200))
def test_more_tokens_buy_more_samples(
    bank: dict[str, list[Draw]], a: float, b: float
) -> None:
    few, many = (at_equal_tokens(bank, t, right) for t in sorted((a, b)))
    assert few.samples <= many.samples + 1e-9


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="no problem"):
        at_equal_tokens({}, 10, right)
    with pytest.raises(InvalidParameter, match="no draw of problem 'b'"):
        at_equal_tokens({"a": bank_of("1"), "b": []}, 10, right)
