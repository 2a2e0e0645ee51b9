"""Observations from the cells of a study, and what a configuration reads."""

from typing import Any

import pytest

from ponder.errors import InvalidInput, InvalidParameter
from ponder.evals.allocation import Informativeness, Observation, Theta
from ponder.evals.benchmark import Grade
from ponder.evals.observations import ContextLength, informativeness, observe
from ponder.evals.record import Cell, Record
from ponder.messages import Usage


def record(problem: str, correct: bool | None, read: int, **more: Any) -> Record:
    roles = {
        "generator": Usage(input_tokens=read),
        "verifier": Usage(input_tokens=10_000),
    }
    grade = Grade(correct=correct, score=0.5 if correct is False else None)
    return Record(problem=problem, grade=grade, roles=roles, **more)


def cell(strategy: str, *records: Record, model: str = "m") -> Cell:
    return Cell(task="t", strategy=strategy, model=model, records=records)


def test_a_cell_becomes_an_observation() -> None:
    made = cell(
        'iterdrag{"k": 3, "m": 2, "n": 4}',
        record("1", True, 700),
        record("2", False, 900),
        record("3", None, 20),
        record("3", True, 20, epoch=1),
    )
    assert observe([made]) == [
        Observation(
            task="t",
            theta=Theta(k=3, m=2, n=4),
            performance=0.5,
            problems=3,
            context=900,
        )
    ]
    (scored,) = observe([made], "score")
    assert scored.performance == 0.125


def test_the_m_of_the_runs_counts_not_the_one_that_was_asked_for() -> None:
    note = ("demonstrations: m = 0", "logprobs: votes")
    made = cell("drag", record("1", True, 1, substitutes=note))
    assert observe([made])[0].theta == Theta(k=5, m=0, n=1)
    with pytest.raises(InvalidInput, match="does not say how many demonstrations"):
        observe([cell("drag", record("1", True, 1))])
    assert observe([cell("rag", record("1", True, 1))])[0].theta == Theta(k=5)


def test_other_strategies_are_left_out_and_models_not_mixed() -> None:
    other = cell('best_of_n{"n": 3}', record("1", True, 1))
    rag = cell("rag", record("1", True, 1))
    assert len(observe([other, rag])) == 1
    with pytest.raises(InvalidParameter, match="no records of rag"):
        observe([other])
    with pytest.raises(InvalidParameter, match="several models"):
        observe([rag, cell("rag", record("1", True, 1), model="n")])


def test_informativeness_is_the_gain_of_one_document_and_one_demonstration() -> None:
    seen = [
        Observation(task="t", theta=theta, performance=p, problems=4)
        for theta, p in (
            (Theta(), 0.25),
            (Theta(k=1), 0.75),
            (Theta(m=1), 0.125),
            (Theta(k=1, m=1), 1.0),
        )
    ]
    assert informativeness(seen) == {
        "t": Informativeness(documents=0.5, demonstrations=-0.125)
    }
    with pytest.raises(InvalidParameter, match=r"needs \(k=0, m=1, n=1\): measure it"):
        informativeness(seen[:2])


def test_the_length_of_iterdrag_is_the_sum_over_its_calls() -> None:
    length = ContextLength(document=100, question=20, instructions=50, line=10)
    k, m, n = 3, 2, 4
    example = (20 + 300) + 2 * (300 + 20) + 10
    prompt = 50 + 20 + 300 + m * example
    total = 0
    for j in range(n):
        total += prompt + j * (300 + 20)
        total += prompt + (j + 1) * 300 + j * 20 + 10
    total += prompt + n * (300 + 20)
    estimate = length.iterdrag(Theta(k=k, m=m, n=n))
    assert total <= estimate <= total + 10 * n
    assert length.drag(Theta(k=k, m=m)) == 50 + 320 + m * (320 + 10)
