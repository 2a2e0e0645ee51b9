import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ponder.cli.runs import Format, _age
from ponder.drawing import DRAWINGS, one_line
from ponder.errors import ModelUnreachable
from ponder.models.base import Model
from ponder.models.scripted import ScriptedModel
from ponder.thoughts import ThoughtGraph

QUESTION = "What is 17 + 25?"
BEST_OF_2 = ("-s", "best_of_n", "--set", "n=2", "-m", "simulated")
Cli = Callable[..., Any]
Use = Callable[[Model], None]


@pytest.fixture
def run_id(cli: Cli) -> str:
    done = cli("ask", QUESTION, *BEST_OF_2, "--json")
    return str(json.loads(done.out)["run_id"])


def test_runs_are_listed_newest_first(cli: Cli, run_id: str) -> None:
    cli("ask", "Another question?", "-m", "simulated", "-s", "direct")
    newest, oldest = json.loads(cli("runs", "--json").out)
    assert (oldest["run_id"], oldest["status"]) == (run_id, "finished")
    assert newest["question"] == "Another question?"
    assert newest["answer"] is not None
    assert newest["usage"]["calls"] == 1
    assert len(json.loads(cli("runs", "--json", "--limit", "1").out)) == 1
    table = cli("runs").out.splitlines()
    assert table[0].split()[:3] == ["run", "age", "status"]
    assert [line.split()[0] for line in table[1:]] == [newest["run_id"], run_id]


def test_without_runs_the_list_is_empty_and_says_how_to_begin(cli: Cli) -> None:
    done = cli("runs")
    assert (done.code, done.out) == (0, "")
    assert "ponder ask" in done.err
    assert json.loads(cli("runs", "--json").out) == []


def test_show_as_text_fits_80_columns(cli: Cli, run_id: str) -> None:
    done = cli("show", run_id[:6])
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith(f"Run: {run_id} (finished)")
    assert f"question: {QUESTION}" in lines
    assert any(line.startswith("├─ sample/0: ") for line in lines)
    assert any(line.startswith("Answer: ") for line in lines)
    assert all(one_line(line, 80) == " ".join(line.split()) for line in lines)


def test_show_as_graphs(cli: Cli, run_id: str) -> None:
    assert cli("show", run_id, "--format", "mermaid").out.startswith("flowchart TD\n")
    assert cli("show", run_id, "--format", "dot").out.startswith("digraph ")
    picture = ElementTree.fromstring(cli("show", run_id, "--format", "svg").out)
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert QUESTION in picture.itertext()
    data = json.loads(cli("show", run_id, "--format", "json").out)
    graph = ThoughtGraph.from_json(data)
    assert graph.thought("question").label == QUESTION
    assert {"sample/0", "sample/1/verdict", "answer"} <= set(graph.graph)


def test_help_of_show_names_every_format(cli: Cli) -> None:
    done = cli("show", "--help")
    assert done.code == 0
    assert all(format.value in done.out for format in Format)
    assert set(DRAWINGS) < {format.value for format in Format}


def test_show_calls_numbers_the_steps(cli: Cli, run_id: str) -> None:
    lines = cli("show", run_id, "--format", "calls").out.splitlines()
    paths = ["sample/0", "sample/1", "judge/sample/0", "judge/sample/1"]
    assert [line.split()[:2] for line in lines[1:]] == [
        [str(i), path] for i, path in enumerate(paths, start=1)
    ]


def test_replay_gives_the_identical_result(cli: Cli) -> None:
    first = cli("ask", QUESTION, *BEST_OF_2, "--json")
    run_id = json.loads(first.out)["run_id"]
    again = cli("replay", run_id, "--json")
    assert (again.code, again.out) == (0, first.out)
    assert cli("replay", run_id).out == f"{json.loads(first.out)['answer']}\n"


def test_fork_keeps_the_first_steps(cli: Cli, run_id: str, use_model: Use) -> None:
    model = ScriptedModel(rules=[("Proposed solution", "Yes")])
    use_model(model)
    done = cli("fork", run_id, "--at", "2", "--model", "other", "--json")
    assert done.code == 0
    assert len(model.calls) == 2 * 5  # votes of the judge, as it has no logprobs
    newest = json.loads(cli("runs", "--json").out)[0]
    assert newest["forked_from"] == f"{run_id}@2"
    assert newest["run_id"] == json.loads(done.out)["run_id"]
    beyond = cli("fork", run_id, "--at", "99")
    assert beyond.code == 2
    assert "has 4 steps; cannot fork at step 99" in beyond.err


def test_a_failed_run_is_resumed_where_it_was(cli: Cli, use_model: Use) -> None:
    use_model(ScriptedModel([ModelUnreachable("gone")]))
    failed = cli("ask", QUESTION, "-s", "chain_of_thought")
    assert failed.code == 1
    (run,) = json.loads(cli("runs", "--json").out)
    assert run["status"] == "failed"
    assert "is failed, so its thoughts" in cli("show", run["run_id"], "-f", "dot").err
    shown = cli("show", run["run_id"]).out
    assert "gone" in shown
    assert f"ponder resume {run['run_id']}" in shown
    use_model(ScriptedModel(["So \\boxed{42}"]))
    done = cli("resume", run["run_id"])
    assert (done.code, done.out) == (0, "42\n")
    (run,) = json.loads(cli("runs", "--json").out)
    assert (run["status"], run["answer"]) == ("finished", "42")


def test_resume_takes_more_budget_and_keeps_the_other_limits(
    cli: Cli, use_model: Use
) -> None:
    model = ScriptedModel(["So \\boxed{42}"] * 4)
    use_model(model)
    options = ("-s", "self_consistency", "--set", "n=4", "--set", "criterion=none")
    cli("ask", QUESTION, *options, "--budget-calls", "2", "--budget-tokens", "99999")
    (run,) = json.loads(cli("runs", "--json").out)
    assert (run["stop_reason"], len(model.calls)) == ("calls", 1)
    done = cli("resume", run["run_id"], "--budget-calls", "10", "--json")
    assert json.loads(done.out)["usage"]["calls"] == 4
    assert len(model.calls) == 4
    assert "within 99999 tokens and 10 calls" in done.err


def test_resume_finds_the_verifier_by_itself_or_says_what_is_missing(
    cli: Cli, use_model: Use, tmp_path: Path
) -> None:
    checks = tmp_path / "checks.py"
    checks.write_text("def fine(task, candidate):\n    return True\n")
    use_model(ScriptedModel([ModelUnreachable("gone")]))
    spec = f"{checks}:fine"
    cli("ask", QUESTION, "-s", "best_of_n", "--set", "n=1", "--verifier", spec)
    (run,) = json.loads(cli("runs", "--json").out)
    use_model(ScriptedModel(["So \\boxed{42}"]))
    assert cli("resume", run["run_id"]).out == "42\n"
    checks.unlink()
    done = cli("resume", run["run_id"])
    assert done.code == 2
    assert f"The run was verified by '{spec}'" in done.err
    assert "--verifier" in done.err


def test_resume_finds_the_validator_of_a_problem(cli: Cli, use_model: Use) -> None:
    spec = "aiw:seed=3"
    use_model(ScriptedModel([ModelUnreachable("gone")]))
    options = ("-s", "best_of_n", "--set", "n=1", "--verifier", "exact")
    cli("ask", "--task", spec, *options)
    (run,) = json.loads(cli("runs", "--json").out)
    use_model(ScriptedModel(["So \\boxed{-1}"]))
    done = json.loads(cli("resume", run["run_id"], "--json").out)
    assert done["verdict"]["passed"] is False
    assert json.loads(cli("replay", run["run_id"], "--json").out) == done


@pytest.mark.parametrize("command", ["show", "replay", "resume", "fork"])
def test_an_unknown_run_is_named(cli: Cli, run_id: str, command: str) -> None:
    at = ["--at", "1"] if command == "fork" else []
    done = cli(command, "zzz", *at)
    assert (done.code, done.out) == (2, "")
    assert f"Unknown run 'zzz'. Known: {run_id}." in done.err


def test_a_corrupt_journal_is_set_aside_with_a_warning(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "journal.sqlite").write_bytes(b"not a database" * 100)
    done = cli("runs", "--json")
    assert json.loads(done.out) == []
    assert "Warning: The journal" in done.err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.4, "3 s"), (61, "1 min"), (7300, "2 h"), (200_000, "2 d"), (-5, "0 s")],
)
def test_age(seconds: float, text: str) -> None:
    assert _age(seconds) == text
