import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent / "support" / "killed_runs.py"
TRIALS = 50


def test_killed_runs_resume_to_the_same_result_and_pay_nothing_twice(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), str(TRIALS)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(trials) == TRIALS, done.stderr
    for trial in trials:
        assert trial["killed"], trial
        assert trial["status"] == "interrupted", trial
        assert trial["same"], trial
        # What the journal held was served from it; only the rest was called. Which
        # calls are in flight when a strategy stops early is a matter of timing.
        if trial["early"]:
            assert trial["paid_again"] <= trial["most"] - trial["kept"], trial
        else:
            assert trial["paid_again"] == trial["whole"] - trial["kept"], trial
            assert trial["spent"] == trial["whole"], trial
    assert len({trial["kept"] for trial in trials}) > 3, "the kills are too alike"
