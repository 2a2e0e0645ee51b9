"""The command as a process of its own: pipes, signals, terminals."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ponder.cli.runs import open_journal
from ponder.journal import RunInfo
from ponder.models.base import Model
from ponder.models.simulated import SimulatedModel
from ponder.settings import load_settings

PROGRAM = Path(__file__).with_name("ponder_with_slow_model.py")
COMMAND = [sys.executable, str(PROGRAM)]
QUESTION = "What is 17 + 25?"
FOUR = ("-s", "self_consistency", "--set", "n=4", "--set", "criterion=none")
ONE_BY_ONE = (*FOUR, "--set", "batch=1")


def ponder(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def last_run() -> RunInfo:
    with open_journal(load_settings()) as journal:
        return journal.runs(1)[0]


def test_piped_output_is_plain_even_where_colour_is_forced() -> None:
    done = ponder("ask", QUESTION, *FOUR, FORCE_COLOR="1", TERM="xterm")
    assert done.returncode == 0
    assert re.fullmatch(r"\d+\n", done.stdout)
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 1 + 1 + 4 + 3


def test_json_is_pure_and_the_rest_is_on_standard_error() -> None:
    done = ponder("ask", QUESTION, *FOUR, "--json", "--stream")
    assert json.loads(done.stdout)["usage"]["calls"] == 4
    assert "sample/3" in done.stderr


def test_json_is_valid_in_an_encoding_without_its_characters() -> None:
    done = ponder("ask", "Wie spät 😀?", *FOUR, "--json", PYTHONIOENCODING="ascii")
    questions = [n["label"] for n in json.loads(done.stdout)["graph"]["nodes"]]
    assert "Wie spät 😀?" in questions


def test_a_killed_run_is_resumed_and_pays_nothing_twice(
    cli: Callable[..., Any], use_model: Callable[[Model], None]
) -> None:
    use_model(SimulatedModel())
    whole = json.loads(cli("ask", QUESTION, *ONE_BY_ONE, "--json").out)
    killed = ponder("ask", QUESTION, *ONE_BY_ONE, DIES_AT="3")
    assert killed.returncode == -signal.SIGKILL
    run = last_run()
    assert run.status == "interrupted"
    assert f"ponder resume {run.run_id}" in cli("show", run.run_id).out
    # Two calls are in the journal, so that a third one would kill it again.
    resumed = ponder("resume", run.run_id, "--json", DIES_AT="3")
    assert resumed.returncode == 0, resumed.stderr
    data = json.loads(resumed.stdout)
    assert data["usage"]["calls"] == 4
    for same in ("answer", "text", "candidates", "confidence", "stop_reason"):
        assert data[same] == whole[same]
    assert last_run().status == "finished"


@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_stops_the_run_and_says_how_to_go_on(as_json: bool) -> None:
    options = ["--json"] if as_json else []
    process = subprocess.Popen(
        [*COMMAND, "ask", QUESTION, *ONE_BY_ONE, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LATENCY": "0.5"},
    )
    assert process.stderr is not None
    before = [process.stderr.readline() for _ in range(3)]
    assert "sample/0 answers" in before[-1]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    run = last_run()
    assert run.status == "cancelled"
    hint = f"Stopped. Go on with: ponder resume {run.run_id}"
    if as_json:
        error = {"type": "Interrupted", "message": hint}
        assert json.loads(err.splitlines()[-1]) == {"error": error}
    else:
        assert err.endswith(f"{hint}\n")
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    process = subprocess.Popen(
        [*COMMAND, "ask", QUESTION, *FOUR],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in err


class Terminal:
    """A process behind a pseudo-terminal of 30 lines and 100 columns."""

    def __init__(self, *arguments: str, **env: str) -> None:
        self.fd, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("4H", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env=os.environ | {"TERM": "xterm"} | env,
            start_new_session=True,
            # Ctrl-C must reach it as it does in a terminal.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inside)
        self.seen = ""

    def until(self, text: str, seconds: float = 30.0) -> None:
        """Read until a text appears, and forget what came before it."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.fd], [], [], 0.1)[0]:
                self.seen += self._read()
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def exit_code(self) -> int:
        while self._read():
            pass
        os.close(self.fd)
        return self.process.wait(timeout=30)

    def _read(self) -> str:
        try:
            text = os.read(self.fd, 65536).decode(errors="replace")
        except OSError:
            # Linux says so when nobody holds the other end any more.
            return ""
        if "\x1b[6n" in text:
            # prompt_toolkit asks where the cursor is.
            self.type("\x1b[1;1R")
        return text


def test_a_terminal_shows_branches_bars_and_the_answer() -> None:
    limits = ("--budget-tokens", "9000", "--budget-seconds", "50")
    terminal = Terminal("ask", QUESTION, *FOUR, *limits, LATENCY="1")
    terminal.until("Loading local")
    terminal.until("sample/0")
    terminal.until("left of 9,000")
    terminal.until("left of 50")
    terminal.until("sample/3 answers")
    terminal.until("Confidence")
    terminal.until("ponder show")
    assert terminal.exit_code() == 0


def test_chat_in_a_terminal_survives_ctrl_c(tmp_path: Path) -> None:
    terminal = Terminal("chat", LATENCY="3")
    terminal.until("you>")
    terminal.type("How many clips?\r")
    terminal.until("Run ")
    terminal.until("sample/0")
    terminal.type("\x03")
    terminal.until("Stopped. Go on with: ponder resume")
    terminal.until("you>")
    terminal.type("/cost\r")
    terminal.until("Turn 1: 1 call")
    terminal.type("/quit\r")
    assert terminal.exit_code() == 0
    history = (tmp_path / "data" / "chat_history").read_text()
    assert "+How many clips?" in history
