import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import ponder
from ponder.graphs.base import strategies

Cli = Callable[..., Any]


def test_strategies_as_json_have_parameters_with_defaults_and_sources(cli: Cli) -> None:
    done = cli("strategies", "--json")
    data = json.loads(done.out)
    assert [d["name"] for d in data] == list(strategies())
    by_name = {d["name"]: d for d in data}
    found = by_name["self_consistency"]
    assert found["source"] == "https://arxiv.org/abs/2203.11171"
    assert found["summary"]
    assert found["parameters"]["n"]["default"] == 40
    assert found["parameters"]["n"]["description"]
    assert json.loads(cli("strategies", "direct", "--json").out) == by_name["direct"]


def test_strategies_as_text(cli: Cli) -> None:
    listed = cli("strategies").out
    for name in strategies():
        assert re.search(rf"^{name} ", listed, re.MULTILINE)
    one = cli("strategies", "best_of_n").out
    assert "Source: https://arxiv.org/abs/2110.14168" in one
    assert re.search(r"^n +16 ", one, re.MULTILINE)
    assert "without one, the model judges itself." in one
    assert "without one, probabilities" in cli("strategies", "phi_decoding").out


def test_an_unknown_strategy_has_a_nearest_name(cli: Cli) -> None:
    done = cli("strategies", "weighted_vot")
    assert (done.code, done.out) == (2, "")
    assert "Did you mean weighted_vote?" in done.err


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"ponder {ponder.__version__}\n"


def test_help_names_commands_and_exit_codes_and_is_quick() -> None:
    def help() -> tuple[float, str]:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "ponder", "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        return time.perf_counter() - start, done.stdout

    runs = [help() for _ in range(2)]
    text = runs[0][1]
    for command in ("ask", "chat", "resume", "replay", "fork", "runs", "show"):
        assert re.search(rf"^  {command} ", text, re.MULTILINE)
    assert "130 interrupted" in text
    # The target is 1.5 s on an idle machine; this only catches a heavy import.
    assert min(seconds for seconds, _ in runs) < 4.0


def test_the_command_line_loads_nothing_heavy() -> None:
    heavy = "{'litellm', 'llama_cpp', 'torch', 'sympy', 'scipy', 'prompt_toolkit'}"
    code = f"import sys, ponder.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
