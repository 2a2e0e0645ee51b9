import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ponder.errors import ModelUnreachable
from ponder.messages import Request
from ponder.models.base import Capabilities, Model
from ponder.models.scripted import ScriptedModel
from ponder.result import Result

QUESTION = "What is 17 + 25?"
KEYS = {
    "run_id",
    "answer",
    "confidence",
    "candidates",
    "stop_reason",
    "usage",
    "substitutes",
}
USAGE_KEYS = {
    "calls",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "total_tokens",
    "seconds",
    "cost",
}
Cli = Callable[..., Any]
Use = Callable[[Model], None]


def boxed(answer: str) -> str:
    return f"Thus \\boxed{{{answer}}}."


def test_the_answer_alone_is_on_standard_output(cli: Cli, use_model: Use) -> None:
    use_model(ScriptedModel([boxed("42")]))
    done = cli("ask", QUESTION, "--strategy", "chain_of_thought")
    assert (done.code, done.out) == (0, "42\n")
    assert "Loading local ..." in done.err
    assert "sample/0 answers 42" in done.err
    assert "Stopped: finished" in done.err
    assert "1 call" in done.err
    assert "ponder show" in done.err
    assert "\x1b" not in done.err


def test_json_is_one_result_and_nothing_else(cli: Cli) -> None:
    done = cli("ask", QUESTION, "-m", "simulated", "-s", "best_of_n", "--json")
    assert done.code == 0
    data = json.loads(done.out)
    assert data.keys() >= KEYS | {"verdict", "text", "warnings", "graph"}
    assert data["usage"].keys() == USAGE_KEYS
    assert len(done.out.splitlines()) == 1
    assert Result.model_validate(data).answer == data["answer"]


def test_the_question_comes_from_a_pipe_or_a_dash(cli: Cli, use_model: Use) -> None:
    model = ScriptedModel([boxed("1"), boxed("2")])
    use_model(model)
    assert cli("ask", "-s", "direct", input="piped?\n").code == 0
    assert cli("ask", "-", "-s", "direct", input="dashed?").code == 0
    assert [c.messages[-1].content for c in model.calls] == ["piped?", "dashed?"]


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        ([], b"", "The question is empty"),
        (["   "], b"", "The question is empty"),
        ([], b"\xff\xfe?", "not UTF-8 text"),
        (["x", "--strategy", "self_consistancy"], b"", "Did you mean self_consistency"),
        (["x", "--model", "simulatd/x"], b"", "Unknown model 'simulatd/x'"),
        (["x", "--set", "n"], b"", "'n' is not of the form NAME=VALUE"),
        (["x", "--set", "m=3"], b"", "parameter of self_consistency 'm'"),
        (["x", "--set", "n=many"], b"", "n='many'"),
        (["x", "--verifier", "jugde"], b"", "Did you mean judge"),
        (["x", "--verifier", "no_such:check"], b"", "ModuleNotFoundError"),
        (["x", "--verifier", "json:dmps"], b"", "Did you mean dumps"),
        (["x", "--budget-tokens", "-5"], b"", "greater than or equal to 0"),
        (["x", "--no-such-option"], b"", "No such option"),
    ],
)
def test_what_cannot_be_used_is_named(
    cli: Cli, arguments: list[str], given: bytes, message: str
) -> None:
    done = cli("ask", *arguments, input=given)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_missing_model_file_names_the_command(cli: Cli) -> None:
    done = cli("ask", QUESTION, "--model", "qwen2.5-coder-1.5b")
    assert (done.code, done.out) == (1, "")
    assert "ponder models pull qwen2.5-coder-1.5b" in done.err


def test_an_error_is_one_line_and_a_traceback_only_with_debug(
    cli: Cli, use_model: Use
) -> None:
    def use_broken() -> None:
        use_model(ScriptedModel([ModelUnreachable("nobody is there")]))

    use_broken()
    done = cli("ask", QUESTION, "-s", "direct")
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("Error: nobody is there\n")
    assert "Traceback" not in done.err
    use_broken()
    assert "Traceback" in cli("ask", QUESTION, "-s", "direct", "--debug").err


def test_a_bug_is_an_error_without_a_traceback(cli: Cli, use_model: Use) -> None:
    use_model(ScriptedModel([RuntimeError("oops")]))
    done = cli("ask", QUESTION, "-s", "direct")
    assert (done.code, done.out) == (1, "")
    assert "Error: unexpected RuntimeError: oops." in done.err
    assert "--debug" in done.err
    assert "Traceback" not in done.err


def test_with_json_an_error_is_the_last_line_and_json(cli: Cli) -> None:
    done = cli("ask", QUESTION, "--strategy", "nope", "--json")
    assert (done.code, done.out) == (2, "")
    error = json.loads(done.err.splitlines()[-1])["error"]
    assert error["type"] == "UnknownName"
    assert "Unknown strategy 'nope'" in error["message"]


def test_no_answer_within_the_budget_has_its_own_exit_code(cli: Cli) -> None:
    done = cli("ask", QUESTION, "-m", "simulated", "--budget-tokens", "3")
    assert (done.code, done.out) == (3, "")
    assert "No answer could be found within the budget." in done.err
    assert "--budget-tokens MORE" in done.err
    as_json = cli("ask", QUESTION, "-m", "simulated", "--budget-calls", "0", "--json")
    assert as_json.code == 3
    data = json.loads(as_json.out)
    assert (data["answer"], data["stop_reason"]) == (None, "calls")


def test_options_win_over_the_environment_and_that_over_the_file(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text(
        'model = "simulated"\nstrategy = "direct"\nbudget_calls = 9\n'
    )
    monkeypatch.setenv("PONDER_BUDGET_CALLS", "4")
    assert "direct over simulated, within 4 calls" in cli("ask", QUESTION).err
    done = cli("ask", QUESTION, "-s", "chain_of_thought", "--budget-calls", "2")
    assert "chain_of_thought over simulated, within 2 calls" in done.err


def test_parameters_are_json_or_else_text(cli: Cli, use_model: Use) -> None:
    model = ScriptedModel([boxed("1"), boxed("1")])
    use_model(model)
    done = cli(
        *("ask", QUESTION, "-s", "self_consistency", "--set", "n=2"),
        *("--set", "criterion=none", "--set", "instructions=Think, then = answer"),
    )
    assert done.code == 0
    assert len(model.calls) == 2
    assert model.calls[0].messages[0].content == "Think, then = answer"


def test_the_seed_decides(cli: Cli) -> None:
    def text(seed: int) -> str:
        options = ("-m", "simulated", "-s", "chain_of_thought", "--json")
        done = cli("ask", QUESTION, *options, "--seed", str(seed))
        return str(json.loads(done.out)["text"])

    assert text(1) == text(1)
    assert text(1) != text(2)


def test_a_function_in_a_file_verifies(
    cli: Cli, use_model: Use, tmp_path: Path
) -> None:
    checks = tmp_path / "checks.py"
    checks.write_text(
        "def is_42(task, candidate):\n    return candidate.answer == '42'\n"
    )
    use_model(ScriptedModel([boxed("41"), boxed("42")]))
    done = cli(
        *("ask", QUESTION, "-s", "repeated_sampling", "--set", "k=2"),
        *("--verifier", f"{checks}:is_42", "--json"),
    )
    data = json.loads(done.out)
    assert data["answer"] == "42"
    assert data["verdict"]["passed"] is True
    assert data["stop_reason"] == "verified"
    # The run knows where its verifier is, so that resuming needs no option.
    (run,) = json.loads(cli("runs", "--json").out)
    assert run["verifier"] == f"{checks}:is_42"


def test_streamed_text_appears_on_standard_error(cli: Cli, use_model: Use) -> None:
    use_model(ScriptedModel([f"First I think.\nThen {boxed('5')}"]))
    done = cli("ask", QUESTION, "-s", "direct", "--stream")
    assert done.out == "5\n"
    assert "First I think.\nThen Thus \\boxed{5}.\n" in done.err


def test_text_of_branches_side_by_side_has_their_paths(
    cli: Cli, use_model: Use
) -> None:
    def reply(request: Request) -> str:
        return f"seed {request.seed}\n{boxed('5')}"

    use_model(ScriptedModel(rules=[(lambda r: True, reply)], delay=0.05))
    options = ("--set", "n=2", "--set", "criterion=none", "--stream")
    done = cli("ask", QUESTION, "-s", "self_consistency", *options)
    for path in ("sample/0", "sample/1"):
        assert f"{path} | seed " in done.err
        assert f"{path} | Thus \\boxed{{5}}." in done.err


def test_substitutes_are_told(cli: Cli, use_model: Use) -> None:
    model = ScriptedModel(
        rules=[("Proposed solution", "Yes"), (QUESTION, boxed("42"))],
        capabilities=Capabilities(seed=True),
    )
    use_model(model)
    done = cli("ask", QUESTION, "-s", "best_of_n", "--set", "n=2")
    assert done.out == "42\n"
    assert "Substitute: 5 sampled votes of the judge, for want of logprobs" in done.err


def test_control_characters_of_a_model_do_not_reach_standard_error(
    cli: Cli, use_model: Use
) -> None:
    use_model(ScriptedModel([boxed("\x1b[2Jwiped")]))
    done = cli("ask", QUESTION, "-s", "direct", "--stream")
    assert "\x1b" not in done.err
    assert done.out == "\x1b[2Jwiped\n"


def test_a_bad_config_file_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("modle = 'x'")
    done = cli("ask", QUESTION)
    assert (done.code, done.out) == (2, "")
    assert "Did you mean model?" in done.err
