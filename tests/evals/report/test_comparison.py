"""Comparisons with the baselines: equal tokens, pairing, correction, verdicts."""

import pytest

from ponder.evals.cells import Estimate, mean_tokens
from ponder.evals.record import Cell
from ponder.evals.report.baselines import draws, equal_tokens, plain, unevenness
from ponder.evals.report.comparison import Comparison, comparisons, verdict
from ponder.evals.report.table import table
from ponder.messages import Usage
from tests.support.studies import attempt, bank, cell, record


def spending(tokens: int, right: list[bool], strategy: str = "tot") -> Cell:
    """Return a cell whose runs take so many tokens each."""
    return cell(
        strategy,
        [
            record(f"p{i}", r, [attempt("x", r, output_tokens=tokens - 20)])
            for i, r in enumerate(right)
        ],
    )


def only(rows: list[Comparison], **wanted: object) -> Comparison:
    (found,) = [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]
    return found


def test_the_baseline_gets_the_tokens_of_the_strategy() -> None:
    # Of the bank, sample 1 is wrong; with 5 samples the even problems are right.
    found = equal_tokens(spending(500, [True] * 6), [bank(samples=8)])

    assert found.note == ""
    assert (found.samples, found.tokens) == (5, 500)
    assert [found.values[f"p{i}"] for i in range(6)] == [1, 0, 1, 0, 1, 0]


def test_tokens_between_two_numbers_of_samples_mix_them() -> None:
    # One sample is wrong; 2 tie and the first wins; 3 are right on even problems.
    found = equal_tokens(spending(225, [True] * 6), [bank(samples=8)])

    assert found.samples == pytest.approx(2.25)
    assert found.values["p0"] == pytest.approx(0.25)
    assert found.values["p1"] == 0


def test_a_bank_that_is_too_small_gives_no_number() -> None:
    study = [bank(samples=4), spending(900, [True] * 6)]

    found = only(comparisons(study), label="tot", equal_tokens=True)

    assert found.verdict == "not compared"
    assert found.difference is None and found.p_value is None
    assert found.accuracy is None and found.baseline_accuracy is None
    assert found.baseline_tokens is None
    assert "too small" in found.note and "900" in found.note


def test_a_missing_bank_is_said() -> None:
    found = only(comparisons([spending(900, [True])]), equal_tokens=True)

    assert found.verdict == "not compared" and "was not run" in found.note
    assert found.problems == 0


def test_the_bank_with_most_samples_is_used_and_verified_ones_are_not() -> None:
    verified = bank(samples=64).model_copy(update={"verifier": "judge"})
    study = [bank(samples=2), bank(samples=16), verified]

    assert equal_tokens(spending(1200, [True] * 6), study).samples == 12
    assert "too small" in equal_tokens(spending(1700, [True] * 6), study).note


def test_a_sample_dearer_than_the_strategy_is_said() -> None:
    found = equal_tokens(spending(50, [True] * 6), [bank()])

    assert (found.samples, found.tokens) == (1, 100)
    assert "takes more" in found.note


def test_failed_attempts_are_no_samples_and_cost_none() -> None:
    tried = [
        attempt(None, None, failed=True, output_tokens=0),
        attempt("1", True),
        attempt(None, None),
    ]
    one = record("a", True, tried)

    found = draws(cell("self_consistency", [one]))["a"]

    assert [(d.answer, d.tokens) for d in found] == [("1", 100), (None, 100)]


def test_an_attempt_that_was_rescued_is_no_sample_but_the_answer_of_the_baseline() -> (
    None
):
    cut = [attempt(None, None, output_tokens=100) for _ in range(4)]
    saved = attempt("7", True, output_tokens=100).model_copy(update={"rescued": True})
    source = cell("self_consistency", [record("p0", True, [*cut, saved])])

    assert [draw.answer for draw in draws(source)["p0"]] == [None] * 4
    found = equal_tokens(spending(300, [False]), [source])
    assert found.values == {"p0": 1.0}
    (one,) = table([source])
    assert (one.tried.attempts, one.tried.right) == (4, 0.0)
    assert one.coverage is not None and one.coverage.value == 1


def test_what_runs_that_failed_have_spent_is_no_part_of_the_target() -> None:
    source, strategy = bank(samples=8), spending(300, [True] * 6)
    dead = strategy.records[0].model_copy(
        update={"error": "gone", "usage": Usage(), "attempts": ()}
    )
    failing = strategy.model_copy(update={"records": (dead, *strategy.records[1:])})

    assert mean_tokens(failing) == mean_tokens(strategy)
    found = equal_tokens(failing, [source])
    assert found.tokens == equal_tokens(strategy, [source]).tokens


def test_asking_for_forgotten_answers_is_charged_to_the_samples() -> None:
    tried = [attempt("1", True), attempt("2", False)]
    one = record("a", True, tried)
    asked = one.usage.model_copy(
        update={"calls": 3, "output_tokens": one.usage.output_tokens + 20}
    )
    more = one.model_copy(update={"usage": asked})

    plain, charged = (
        sum(d.tokens for d in draws(cell("self_consistency", [r]))["a"])
        for r in (one, more)
    )
    assert charged == plain + 20


def test_the_problem_with_the_longest_samples_decides_the_budget() -> None:
    short = record("a", True, [attempt("1", True)])
    long = record("b", True, [attempt("1", True, output_tokens=300)])
    assert unevenness(cell("self_consistency", [short])) == 1.0
    assert unevenness(cell("self_consistency", [short, long])) > 1.3


def test_problems_without_samples_are_left_out_and_counted() -> None:
    source = bank()
    lost = source.records[0].model_copy(update={"attempts": (), "error": "down"})
    study = [
        source.model_copy(update={"records": (lost, *source.records[1:])}),
        spending(300, [True] * 6),
    ]

    found = only(comparisons(study), label="tot", equal_tokens=True)

    assert found.problems == 5
    assert "only one has them: 1" in found.note


def test_identical_strategies_show_no_difference() -> None:
    right = [i % 3 == 0 for i in range(30)]
    study = [spending(100, right, "direct"), spending(100, right)]

    found = only(comparisons(study), label="tot", against="direct")

    assert found.verdict == "no difference shown"
    assert found.difference is not None and found.difference.value == 0
    assert found.difference.low < 0 < found.difference.high
    assert found.p_value == 1
    assert found.accuracy == found.baseline_accuracy == pytest.approx(1 / 3)


@pytest.mark.parametrize(("flip", "word"), [(False, "better"), (True, "worse")])
def test_a_clear_difference_is_named_in_either_direction(flip: bool, word: str) -> None:
    good, bad = [True] * 30, [i % 4 == 0 for i in range(30)]
    mine, other = (bad, good) if flip else (good, bad)
    study = [spending(100, other, "direct"), spending(100, mine)]

    found = only(comparisons(study), label="tot", against="direct")

    assert found.verdict == word
    assert found.difference is not None
    assert abs(found.difference.value) == pytest.approx(22 / 30)


def test_all_tests_of_the_table_are_corrected_together() -> None:
    direct = spending(100, [False] * 40, "direct")
    better = spending(100, [i < 7 for i in range(40)])
    equal = [
        spending(100, [False] * 40, f'tot{{"b": {b}}}').model_copy()
        for b in range(2, 12)
    ]

    alone = only(comparisons([direct, better]), label="tot", against="direct")
    among = only(comparisons([direct, better, *equal]), label="tot", against="direct")

    assert alone.verdict == "better" and alone.p_corrected == alone.p_value
    assert among.p_value == alone.p_value
    assert among.p_corrected == pytest.approx(11 * (alone.p_value or 0))
    assert among.verdict == "no difference shown"
    assert "not after the correction" in among.note


def test_a_verdict_needs_the_interval_and_the_test() -> None:
    above = Estimate(value=0.1, low=0.01, high=0.2)
    across = Estimate(value=0.1, low=-0.01, high=0.2)

    assert verdict(above, 0.01, 0.95)[0] == "better"
    assert verdict(above, 0.2, 0.95)[0] == "no difference shown"
    assert verdict(across, 0.01, 0.95) == ("no difference shown", "")


def test_a_single_problem_is_compared_but_shows_nothing() -> None:
    study = [spending(100, [False], "direct"), spending(100, [True])]

    found = only(comparisons(study), label="tot", against="direct")

    assert found.problems == 1 and found.verdict == "no difference shown"
    assert found.p_value == 1


def test_baselines_are_not_compared_with_themselves_nor_twice() -> None:
    study = [
        spending(100, [True] * 6, "direct"),
        spending(150, [True] * 6, "chain_of_thought"),
        bank(),
        spending(200, [True] * 6),
    ]

    found = [(r.strategy.partition("{")[0], r.against) for r in comparisons(study)]

    assert found == [
        ("direct", "self_consistency"),
        ("chain_of_thought", "self_consistency"),
        ("chain_of_thought", "direct"),
        ("self_consistency", "direct"),
        ("self_consistency", "chain_of_thought"),
        ("tot", "self_consistency"),
        ("tot", "direct"),
        ("tot", "chain_of_thought"),
    ]


def test_cells_of_another_task_model_or_seed_are_no_baseline() -> None:
    right = [True] * 6
    others = [
        spending(100, right, "direct").model_copy(update={key: value})
        for key, value in (("task", "other"), ("model", "other"), ("seed", 1))
    ]

    found = only(
        comparisons([*others, spending(200, right)]), label="tot", against="direct"
    )

    assert found.verdict == "not compared" and found.note == "direct was not run"


def test_a_plain_baseline_under_the_same_budget_is_preferred() -> None:
    def direct(budget: int | None, right: bool) -> Cell:
        made = spending(100, [right] * 3, "direct")
        return made.model_copy(update={"budget_tokens": budget})

    limited = spending(100, [True] * 3).model_copy(update={"budget_tokens": 500})
    group = [direct(None, True), direct(500, False)]

    assert set(plain("direct", limited, group).values.values()) == {0.0}
    assert set(plain("direct", limited, group[:1]).values.values()) == {1.0}


def test_random_controls_are_not_in_the_table() -> None:
    control = spending(100, [True] * 6).model_copy(update={"verifier": "random"})

    assert comparisons([control, bank()]) == comparisons([bank()])


def cached(made: Cell, share: float) -> Cell:
    """Return a cell of which a cache served a share of the input, counted so."""
    records = []
    for each in made.records:
        served = round(share * each.usage.input_tokens)
        usage = each.usage.model_copy(update={"cached_tokens": served})
        records.append(each.model_copy(update={"usage": usage}))
    return made.model_copy(update={"records": tuple(records), "count": "computed"})


def test_what_a_cache_served_is_not_counted_where_computed_tokens_are() -> None:
    # Samples take 80 tokens of output and 20 of prompt, of which 15 were served: what
    # was not, the first one has read for all.
    source = cached(bank(samples=8), share=0.75)
    first, second, *_ = draws(source)["p0"]
    strategy = cached(spending(500, [True] * 6), share=1.0)

    found = equal_tokens(strategy, [source])

    assert (first.tokens, second.tokens) == (80 + 8 * 5, 80)
    assert found.tokens == 480
    assert found.samples == pytest.approx((480 - 40) / 80)
    (row,) = [r for r in comparisons([source, strategy]) if r.equal_tokens]
    assert (row.count, row.tokens) == ("computed", 480)
