"""The grader and the estimator give the published figures of Tree of Thoughts."""

import json
from pathlib import Path

import pytest

from ponder.evals.tasks.game24 import Game24
from ponder.graphs.coverage import coverage, pass_at_k

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not (DATA / "tot_logs").exists() or not (DATA / "game24.csv").exists(),
    reason="the published Game of 24 logs are not on this machine",
)


def graded(log: str) -> tuple[list[list[bool]], list[list[bool]]]:
    """Return what the grader and what the log say of each sample of each puzzle."""
    game = Game24(path=DATA / "game24.csv")
    puzzles = {problem.id: problem for problem in game.every()}
    entries = json.loads((DATA / "tot_logs" / log).read_text())
    ours, theirs = [], []
    for entry in entries:
        # The log counts puzzles from 0, the file from 1.
        puzzle = puzzles.pop(f"game24-rank-{entry['idx'] + 1}")
        ours.append([game.grade(puzzle, y).correct is True for y in entry["ys"]])
        theirs.append([info["r"] == 1 for info in entry["infos"]])
    assert not puzzles
    return ours, theirs


def test_chains_of_thought() -> None:
    ours, theirs = graded("game24_cot_gpt4.json")
    assert ours == theirs
    assert {len(samples) for samples in ours} == {100}
    results = [(len(samples), sum(samples)) for samples in ours]
    published = {1: 4.03, 5: 14.3, 10: 21.5, 20: 29.5, 50: 40.7, 100: 49.0}
    for k, percent in published.items():
        assert 100 * coverage(results, k) == pytest.approx(percent, abs=0.06)


def test_trees_of_thought() -> None:
    ours, theirs = graded("game24_tot_gpt4.json")
    assert ours == theirs
    assert sum(any(kept) for kept in ours) == 69
    mean = sum(sum(kept) / len(kept) for kept in ours) / len(ours)
    assert 100 * mean == pytest.approx(23.8, abs=0.06)
    pairs = [pass_at_k(len(kept), sum(kept), 2) for kept in ours]
    assert 100 * sum(pairs) / len(pairs) == pytest.approx(40.1, abs=0.06)
