import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai", reason="pip install 'ponder[evals]'")

from ponder.cli.evaluate import _listed
from ponder.cli.measuring import _lines
from ponder.evals.study import Progress

Cli = Callable[..., Any]


def test_a_simulated_study_ends_in_a_report_and_runs_again_for_nothing(
    cli: Cli, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    command = (
        "eval", "aiw", "--model", "simulated", "--strategy", 'best_of_n{"n": 2}',
        "--verifier", "judge", "--budget-tokens", "300,600", "--limit", "3",
        "--out", str(out),
    )  # fmt: skip
    done = cli(*command)

    assert done.code == 0, done.err
    assert done.out == f"The report: {out / 'report.md'}\n"
    assert "of 24 problems" in done.err
    report = (out / "report.md").read_text()
    assert "best_of_n (n=2) + judge" in report and "At equal total tokens" in report
    rows = json.loads((out / "table.json").read_text())
    assert {row["strategy"].partition("{")[0] for row in rows} == {
        "self_consistency", "direct", "chain_of_thought", "best_of_n",
    }  # fmt: skip
    assert list(out.glob("plots/*.png")) and list(out.glob("plots/*.svg"))
    assert list(out.glob("logs/*.eval"))
    again = cli(*command)
    assert again.code == 0 and "finished before" in again.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "ponder eval calendar --strategy"),
        (("calender",), "Did you mean calendar"),
        (("aiw", "--strategy", "best_of"), "Did you mean best_of_n"),
        (("aiw", "--verifier", "nobody"), "verifiers"),
        (("aiw", "--budget-tokens", "many"), "whole numbers separated by commas"),
        (("gsm8k:path=nowhere.jsonl",), "nowhere.jsonl"),
        (("--config", "nowhere.toml"), "nowhere.toml cannot be read"),
    ],
)
def test_bad_input_is_told_with_a_remedy(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    model = ("--model", "simulated", "--out", str(tmp_path / "out"))
    done = cli("eval", *arguments, *model)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_the_report_of_sealed_problems_says_how_often_they_were_read(
    cli: Cli, tmp_path: Path
) -> None:
    for _ in range(2):
        done = cli(
            "eval", "aiw", "--model", "simulated", "--limit", "1", "--sealed",
            "--out", str(tmp_path / "out"),
        )  # fmt: skip
        assert done.code == 0, done.err
    report = (tmp_path / "out" / "report.md").read_text()
    assert "sealed" in report.lower() and " 2 " in report


def test_strategies_are_split_at_commas_outside_their_parameters() -> None:
    text = 'best_of_n{"n": 4, "max_tokens": 9}, rpc,'
    assert _listed(text) == ('best_of_n{"n": 4, "max_tokens": 9}', "rpc")
    assert _listed(None) is None


def test_progress_into_a_pipe_tells_the_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seconds = iter([0.0, 0.0, 20.0])
    tell = _lines(clock=lambda: next(seconds))
    tell(Progress(total=10, done=2, what="finished before"))
    tell(Progress(total=10, done=6, what="3 replies reused"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("2 of 10 problems (finished before)")
    assert lines[1] == "6 of 10 problems (3 replies reused), 20 s left"


def test_progress_into_a_pipe_tells_of_more_work_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell = _lines(clock=lambda: 1.0)
    tell(Progress(total=10, done=8, what="starting"))
    tell(Progress(total=10, done=9, what="0 replies reused"))
    tell(Progress(total=16, done=9, what="starting"))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" p")[0] for line in lines] == ["8 of 10", "9 of 16"]
