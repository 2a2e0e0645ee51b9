"""Verifier reports and random-scorer controls."""

import pytest

from ponder.evals.record import Attempt, Cell
from ponder.evals.report.controls import control_rows, without_control
from ponder.evals.report.sections import best_samples
from ponder.evals.report.verifiers import verifier_rows
from tests.support.studies import attempt, bank, cell, record


def judged(tried: list[Attempt], *, problems: int = 4, verifier: str = "judge") -> Cell:
    """Return a cell in which every problem has the same attempts."""
    return cell(
        "best_of_n",
        [record(f"p{i}", tried[0].correct, tried) for i in range(problems)],
        verifier=verifier,
    )


RIGHT = attempt("1", True, score=0.9, passed=True)
ACCEPTED_WRONG = attempt("2", False, score=0.7, passed=True)
REFUSED_WRONG = attempt("3", False, score=0.1, passed=False)


def test_rates_limit_and_auc_are_those_of_the_attempts() -> None:
    tried = [RIGHT, ACCEPTED_WRONG, REFUSED_WRONG, REFUSED_WRONG]

    (found,) = verifier_rows([judged(tried)])

    assert (
        found.false_positive_rate is not None and found.true_positive_rate is not None
    )
    assert found.false_positive_rate.value == pytest.approx(1 / 3)
    assert found.true_positive_rate.value == 1
    assert found.precision is not None and found.precision.value == pytest.approx(0.5)
    # c = 1/4 of right ones accepted, f = 1/4 of wrong ones.
    assert found.limit == pytest.approx(0.5)
    assert found.auc == found.auc_within == 1
    assert found.attempts == 16 and found.problems == 4
    assert [b.score for b in found.bins] == pytest.approx([0.1, 0.7, 0.9])
    assert [b.right for b in found.bins] == [0, 0, 1]
    assert [b.attempts for b in found.bins] == [8, 4, 4]


def test_the_limit_of_resampling_is_the_mean_over_problems() -> None:
    easy, hard = [RIGHT] * 4, [ACCEPTED_WRONG, REFUSED_WRONG] * 2
    made = judged(easy, problems=2)
    (right, _), (_, wrong) = made.records, judged(hard, problems=2).records

    (found,) = verifier_rows([made.model_copy(update={"records": (right, wrong)})])

    # What is always wrong stays wrong, however often it is resampled.
    assert found.limit == pytest.approx(0.5)


def test_unscored_and_unreadable_attempts_are_counted_and_never_zero() -> None:
    unscored = attempt("1", True)
    tried = [RIGHT, unscored, attempt(None, None, score=0.8, passed=True)]

    (found,) = verifier_rows([judged(tried, problems=1)])

    assert (found.attempts, found.unscored, found.undecided) == (2, 1, 1)
    assert found.unreadable == 1
    assert found.true_positive_rate is not None
    assert found.true_positive_rate.value == 1
    assert found.false_positive_rate is None and found.limit is None
    assert found.auc is None and found.best_samples is None
    assert found.brier == pytest.approx(0.01)


def test_strategies_with_the_same_verifier_are_one_row_and_tasks_are_not() -> None:
    one = judged([RIGHT, REFUSED_WRONG])
    two = one.model_copy(update={"strategy": "weighted_vote"})
    other = one.model_copy(update={"task": "other"})

    found = verifier_rows([one, two, other])

    assert [(r.task, r.strategies, r.attempts) for r in found] == [
        ("arithmetic", ("best_of_n", "weighted_vote"), 16),
        ("other", ("best_of_n",), 8),
    ]


def test_no_verifier_or_one_that_never_spoke_has_no_row() -> None:
    silent = judged([attempt("1", True)])

    assert verifier_rows([bank(), silent]) == []


def test_the_best_number_of_samples_tells_a_safe_verifier_from_a_bad_one() -> None:
    (safe,) = verifier_rows([judged([RIGHT, REFUSED_WRONG])])
    (bad,) = verifier_rows([judged([RIGHT, *[ACCEPTED_WRONG] * 3])])

    assert best_samples(bad) == "0"
    # With certainty that some attempt is accepted, more never hurt.
    assert safe.best_samples is not None and safe.best_samples > 8


def chosen(right: list[bool], verifier: str, strategy: str = "best_of_n") -> Cell:
    tried = [attempt("1", True, score=0.5), attempt("2", False, score=0.5)]
    records = [record(f"p{i}", r, tried) for i, r in enumerate(right)]
    return cell(strategy, records, verifier=verifier)


def test_a_verifier_is_paired_with_its_random_control() -> None:
    good, random = [True] * 24, [i % 2 == 0 for i in range(24)]

    (found,) = control_rows([chosen(good, "exact"), chosen(random, "random")])

    assert (found.accuracy, found.random_accuracy, found.blind_choice) == (1, 0.5, 0.5)
    assert found.difference.value == 0.5 and found.verdict == "better"
    assert found.problems == 24


def test_a_verifier_that_chooses_like_chance_shows_nothing() -> None:
    same = [i % 2 == 0 for i in range(24)]

    (found,) = control_rows([chosen(same, "judge"), chosen(same, "random")])

    assert found.verdict == "no difference shown" and found.p_value == 1


def test_controls_are_corrected_together() -> None:
    good, random = [True] * 7, [False] * 7
    pairs = [
        chosen(good, verifier, f"s{i}")
        for i in range(4)
        for verifier in ("judge", "random")
    ]
    pairs[1] = chosen(random, "random", "s0")

    first, *_ = control_rows(pairs)

    assert first.p_corrected == pytest.approx(4 * first.p_value)
    assert first.verdict == "no difference shown" and "correction" in first.note


def test_a_control_belongs_to_strategy_budget_and_problems() -> None:
    control = chosen([True], "random")
    elsewhere = control.model_copy(update={"records": (record("other", True),)})
    dearer = control.model_copy(update={"budget_tokens": 9})
    judge = chosen([True], "judge")

    assert control_rows([judge, dearer]) == []
    assert control_rows([judge, elsewhere]) == []
    assert [r.label for r in without_control([judge, dearer])] == ["best_of_n + judge"]
    assert without_control([judge, control, bank()]) == []
